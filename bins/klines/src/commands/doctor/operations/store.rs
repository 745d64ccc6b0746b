//! The store: what is in it? Nothing is changed, not even created.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pipeline::error::chain;
use store::{KlineStore, OpenOptions, Store, StoreError};

use crate::commands::doctor::check::{Check, Log, Trouble};
use crate::commands::doctor::net;
use crate::commands::doctor::plan::Plan;
use crate::commands::doctor::pod::Pod;

/// How long opening and asking may take together.
const PATIENCE: Duration = Duration::from_secs(30);

/// Checks the store.
pub async fn check(plan: &Plan, pod: Option<&Pod>) -> Vec<Check> {
    let store = &plan.store;
    let mut log = Log::new("store", &store.shown, true);
    if let Some(file) = new_file(&store.url) {
        let began = Instant::now();
        log.note("folder", began, writable(&file));
        return log.checks;
    }
    let mut is_reached = store.places.is_empty();
    for place in &store.places {
        is_reached |= net::reach(&mut log, place, pod).await.is_some();
    }
    if is_reached {
        // Of several servers one is enough to go on.
        log.checks.iter_mut().filter(|check| check.result.is_err()).for_each(|check| check.required = false);
        let began = Instant::now();
        let opened = tokio::time::timeout(PATIENCE, open(&store.url)).await;
        let result = opened.unwrap_or_else(|_| {
            let hint =
                "the server takes connections and does not answer: is it overloaded, or still starting?";
            Err((
                "open",
                Trouble::new(format!("no answer within {} s", PATIENCE.as_secs()), Some(hint.into())),
            ))
        });
        match result {
            Ok(found) => log.note("open", began, Ok(found)),
            Err((step, trouble)) => log.note(step, began, Err(trouble)),
        };
    }
    log.checks
}

/// Opens the store for reading and lists its series.
async fn open(url: &str) -> Result<String, (&'static str, Trouble)> {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let trouble = |error: StoreError| {
        let text = chain(&error);
        let step = match &error {
            StoreError::Login { .. } => "login",
            _ if text.contains("certificate") || text.contains("TLS") => "tls",
            _ => "open",
        };
        let hint = error.hint().or_else(|| (step == "tls").then(|| net::tls_advice(&text).to_owned()));
        (step, Trouble::new(text, hint))
    };
    let store = match Store::open_with(url, options).await {
        Ok(store) => store,
        // The server let us in and showed an empty database: jobs will make the tables.
        Err(StoreError::Empty { .. }) => return Ok("reached; it holds no klines yet".into()),
        Err(error) => return Err(trouble(error)),
    };
    let listed = store.all_series().await;
    // What was found out stands, however the store closes.
    let _ = store.close().await;
    match listed.map_err(trouble)?.len() {
        0 => Ok("holds no series yet".into()),
        1 => Ok("holds 1 series".into()),
        n => Ok(format!("holds {n} series")),
    }
}

/// The file of a store that a job would have to create.
fn new_file(url: &str) -> Option<PathBuf> {
    let path = match url.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if url.contains("://") => return None,
        None => url,
    };
    let path = Path::new(path);
    (path != Path::new(":memory:") && !path.exists()).then(|| path.to_owned())
}

/// Whether a file can be created, tried with one that has no name.
fn writable(file: &Path) -> Result<String, Trouble> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok("a job will create the file".into()),
        Err(error) => {
            let hint = if folder.is_dir() {
                "give the user of this process the right to write there, or mount a writable volume (a container's own file \
                 system is often read-only)"
            } else {
                "create the folder, or name another in --store"
            };
            Err(Trouble::new(
                format!("cannot create a file in {}: {error}", folder.display()),
                Some(hint.into()),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_file_is_to_be_created() {
        assert_eq!(new_file("sqlite://no/such.db"), Some("no/such.db".into()));
        assert_eq!(new_file("no-such.db"), Some("no-such.db".into()));
        for url in ["sqlite::memory:", "mysql://h/d", "sqlite:///etc/passwd"] {
            assert_eq!(new_file(url), None, "{url}");
        }
    }

    #[test]
    fn a_folder_is_tried_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        assert!(writable(&dir.path().join("k.db")).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = writable(&dir.path().join("none/k.db")).unwrap_err();
        assert!(missing.hint.unwrap().starts_with("create the folder"));
    }
}

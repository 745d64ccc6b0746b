//! The store, opened for reading when it is first needed.

use std::time::{Duration, Instant};

use store::{OpenOptions, Store, StoreError, StoreResult};
use tokio::sync::Mutex;

/// How long a store that could not be opened is left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a reader waits for a lock.
const BUSY: Duration = Duration::from_secs(5);

/// A store by its URL. It may be away, or not made yet: then it is looked for again.
pub struct Source {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: Option<Store>,
    /// When opening failed last, and why, in words.
    failed: Option<(Instant, String)>,
}

/// Why the store cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Away(pub String);

impl Source {
    /// Names a store; nothing is opened yet.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), state: Mutex::default() }
    }

    /// The store; `None` while it is still to be made.
    pub(crate) async fn store(&self) -> Result<Option<Store>, Away> {
        let mut state = self.state.lock().await;
        if let Some(store) = &state.store {
            return Ok(Some(store.clone()));
        }
        if let Some((when, why)) = &state.failed
            && when.elapsed() < AGAIN
        {
            return Err(Away(why.clone()));
        }
        match open(&self.url).await {
            Ok(store) => {
                state.failed = None;
                state.store.clone_from(&store);
                Ok(store)
            }
            Err(error) => {
                let why = words(&error);
                state.failed = Some((Instant::now(), why.clone()));
                Err(Away(why))
            }
        }
    }

    /// Closes what was opened.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.state.lock().await.store.take()
            && let Err(error) = store::KlineStore::close(&store).await
        {
            tracing::debug!(%error, "the store did not close");
        }
    }
}

async fn open(url: &str) -> StoreResult<Option<Store>> {
    if store::is_new(url)? {
        return Ok(None);
    }
    let options = OpenOptions { read_only: true, busy_timeout: BUSY };
    match Store::open_with(url, options).await {
        // Tables that nothing was ever written to: as good as none.
        Err(StoreError::Empty { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// An error with its causes and advice. Errors of the store show no password.
pub(crate) fn words(error: &StoreError) -> String {
    let chain = pipeline::error::chain(error);
    match error.hint() {
        Some(hint) => format!("{chain} ({hint})"),
        None => chain,
    }
}

//! Which deployment, which database.

use std::time::Duration;

use ::mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};

use super::fail::words;
use crate::{StoreError, StoreResult};

/// Connections at the same time, unless `maxPoolSize` says otherwise.
const POOL: u32 = 8;
/// How long a primary is looked for, unless `serverSelectionTimeoutMS` says otherwise.
const SELECTION: Duration = Duration::from_secs(10);

/// What a URL names. Holds no credentials but inside `options`.
pub(super) struct Deployment {
    /// As errors name it.
    pub(super) place: String,
    pub(super) database: String,
    pub(super) options: ClientOptions,
}

/// Reads a connection string of MongoDB, with all options that the driver knows. Asks the DNS if it begins with
/// `mongodb+srv`.
///
/// # Errors
/// [`StoreError::BadUrl`], which never repeats the URL: it may hold a password. [`StoreError::Open`] when the DNS does
/// not know the deployment.
pub(super) async fn parse(url: &str) -> StoreResult<Deployment> {
    let place = place(url);
    let mut options = ClientOptions::parse(url).await.map_err(|error| match *error.kind {
        ::mongodb::error::ErrorKind::DnsResolve { .. } => {
            StoreError::Open { place: place.clone(), source: words(&error).into() }
        }
        _ => StoreError::BadUrl(format!(
            "mongodb: {}; in a user or password, write @ : / ? # % as %40 %3A %2F %3F %23 %25",
            scrubbed(&words(&error), url)
        )),
    })?;
    let Some(database) = options.default_database.clone() else {
        let what = "mongodb: no database: write mongodb://USER@HOST/DATABASE (a user of another database takes \
                    ?authSource=…)";
        return Err(StoreError::BadUrl(what.into()));
    };
    options.app_name.get_or_insert_with(|| "klines".into());
    options.max_pool_size.get_or_insert(POOL);
    options.server_selection_timeout.get_or_insert(SELECTION);
    // What was confirmed stays, whichever server is the primary next. Reads go where that is known.
    options.write_concern.get_or_insert_with(WriteConcern::majority);
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    Ok(Deployment { place, database, options })
}

/// Scheme, hosts and database of a URL.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("mongodb", ""));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    format!("{scheme}://{rest}")
}

/// A text without any part of the URL that may be secret.
fn scrubbed(text: &str, url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let mut text = text.to_owned();
    let mut secrets: Vec<&str> = Vec::new();
    if let Some((user, _)) = rest.rsplit_once('@') {
        secrets.push(user);
        secrets.extend(user.split_once(':').map(|(_, password)| password));
    }
    let options = rest.split_once('?').map_or("", |(_, options)| options);
    secrets.extend(options.split('&').filter_map(|option| option.split_once('=')).map(|(_, value)| value));
    for secret in secrets.into_iter().filter(|s| s.len() > 2) {
        text = text.replace(secret, "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_names_deployment_and_database() {
        let url = "mongodb://u:secret@a:1,b:2/klines?replicaSet=rs&authSource=admin&tls=true";
        let parsed = parse(url).await.unwrap();
        assert_eq!((parsed.place.as_str(), parsed.database.as_str()), ("mongodb://a:1,b:2/klines", "klines"));
        assert_eq!(parsed.options.max_pool_size, Some(POOL));
        let own =
            parse("mongodb://a/k?maxPoolSize=3&serverSelectionTimeoutMS=500&w=1").await.unwrap().options;
        assert_eq!(
            (own.max_pool_size, own.server_selection_timeout),
            (Some(3), Some(Duration::from_millis(500)))
        );
        assert_ne!(own.write_concern, Some(WriteConcern::majority()));
    }

    #[tokio::test]
    async fn a_bad_url_is_refused_without_showing_its_password() {
        for url in [
            "mongodb://u:se/cret@h/db",
            "mongodb://u:secret@h",
            "mongodb://u:secret@h:0x/db",
            "mongodb://u:secret@h/db?nonsense=secret",
            "mongodb://u:secret@h/db?tls=secret",
            "mongodb://",
        ] {
            let error = parse(url).await.err().unwrap();
            assert!(matches!(error, StoreError::BadUrl(_)), "{url}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
        }
    }
}

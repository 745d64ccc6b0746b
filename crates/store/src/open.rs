//! Choosing the engine by the URL.

use std::time::Duration;

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

use crate::{
    AbsentRange, Chunk, Committed, Finish, KlineStore, Lease, LedgerEntry, PendingMessage, Revision,
    SeriesRecord, SeriesRun, SqliteStore, StoreError, StoreResult,
};

/// How to open a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Change nothing: no file is created, no schema migrated, every write is refused.
    pub read_only: bool,
    /// How long to wait for another process's lock.
    pub busy_timeout: Duration,
}

impl Default for OpenOptions {
    /// For reading and writing; waits 10 s for a lock.
    fn default() -> Self {
        Self { read_only: false, busy_timeout: Duration::from_secs(10) }
    }
}

/// A store of any engine.
#[derive(Debug, Clone)]
pub enum Store {
    /// The embedded engine.
    Sqlite(SqliteStore),
}

impl Store {
    /// Opens the store that a URL names, for reading and writing.
    ///
    /// # Errors
    /// [`StoreError::UnknownScheme`] when no engine answers to the URL; the engine's own errors otherwise.
    pub async fn open(url: &str) -> StoreResult<Self> {
        Self::open_with(url, OpenOptions::default()).await
    }

    /// Opens the store that a URL names.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(url: &str, options: OpenOptions) -> StoreResult<Self> {
        match scheme(url) {
            Some("sqlite") => Ok(Self::Sqlite(SqliteStore::open(url, options).await?)),
            _ => Err(StoreError::UnknownScheme(shown(url))),
        }
    }
}

/// What stands before the first colon, if it can be a scheme.
pub(crate) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme =
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some(scheme)
}

/// A URL for an error message: nothing that could hold a password.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None if url.contains('@') => "…".into(),
        None => url.chars().take(60).collect(),
    }
}

/// Hands every call to the engine.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl KlineStore for Store {
            fn engine(&self) -> &'static str {
                match self {
                    Self::Sqlite(store) => store.engine(),
                }
            }

            $(async fn $name(&self, $($arg: $type),*) -> StoreResult<$out> {
                match self {
                    Self::Sqlite(store) => store.$name($($arg),*).await,
                }
            })*
        }
    };
}

delegate! {
    all_series() -> Vec<SeriesRecord>;
    series(series: &Series) -> Option<SeriesRecord>;
    missing(series: &Series, slots: SlotRange) -> RangeSet;
    recount(series: &Series, slots: SlotRange) -> RangeSet;
    absent(series: &Series, slots: SlotRange) -> Vec<AbsentRange>;
    forget_absent(lease: &Lease, slots: SlotRange) -> ();
    read(series: &Series, slots: SlotRange, after: Option<Millis>, limit: usize) -> Vec<Kline>;
    acquire(series: &Series, owner: &str, ttl: Duration) -> Lease;
    take_over(series: &Series, dead: &str, owner: &str, ttl: Duration) -> Lease;
    renew(lease: &Lease, ttl: Duration) -> ();
    release(lease: &Lease) -> ();
    commit(lease: &Lease, chunk: &Chunk) -> Committed;
    finish(finish: &Finish) -> ();
    runs(series: Option<&Series>, limit: usize) -> Vec<SeriesRun>;
    ledger(series: &Series, limit: usize) -> Vec<LedgerEntry>;
    revisions(series: &Series, limit: usize) -> Vec<Revision>;
    pending(limit: usize) -> Vec<PendingMessage>;
    delivered(ids: &[i64]) -> ();
    close() -> ();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_of_no_engine_is_refused_without_showing_its_password() {
        for url in ["mysql://user:secret@host/db", "klines.db", "", "http://x", "SQLITE://x", "a@secret"] {
            let error = Store::open(url).await.unwrap_err();
            assert!(matches!(&error, StoreError::UnknownScheme(_)) && error.is_usage(), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}

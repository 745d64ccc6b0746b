//! Choosing the engine by the URL.

use std::time::Duration;

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

#[cfg(feature = "mongodb")]
use crate::mongodb::{self, MongoStore};
#[cfg(feature = "mysql")]
use crate::mysql::{self, MysqlStore};
#[cfg(feature = "postgres")]
use crate::postgres::{self, PostgresStore};
use crate::{
    AbsentRange, Books, Certified, Chunk, Committed, Finish, HeldLease, KlineStore, Lease, LedgerEntry,
    PendingMessage, Revision, SeriesRecord, SeriesRun, SqliteStore, StoreError, StoreResult,
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
    /// MySQL or MariaDB.
    #[cfg(feature = "mysql")]
    Mysql(MysqlStore),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
    /// MongoDB.
    #[cfg(feature = "mongodb")]
    Mongo(MongoStore),
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
            #[cfg(feature = "mysql")]
            Some(name) if mysql::SCHEMES.contains(&name) => {
                Ok(Self::Mysql(MysqlStore::open(url, options).await?))
            }
            #[cfg(feature = "postgres")]
            Some(name) if postgres::SCHEMES.contains(&name) => {
                Ok(Self::Postgres(PostgresStore::open(url, options).await?))
            }
            #[cfg(feature = "mongodb")]
            Some(name) if mongodb::SCHEMES.contains(&name) => {
                Ok(Self::Mongo(MongoStore::open(url, options).await?))
            }
            _ => Err(StoreError::UnknownScheme(shown(url))),
        }
    }
}

/// Whether the store that a URL names is still to be made: a SQLite file that does not exist yet, or is empty, in a folder
/// that does. Whoever only reads may take such a store for an empty one.
///
/// # Errors
/// [`StoreError::BadUrl`] when a SQLite URL names no file.
pub fn is_new(url: &str) -> StoreResult<bool> {
    if scheme(url) == Some("sqlite") { crate::sqlite::is_new(url) } else { Ok(false) }
}

/// The SQL (for MongoDB, the commands of its shell) that makes all tables, views and triggers of the engine that a URL
/// names: for an administrator to run, where the user of the store may not. Nothing is connected to.
///
/// # Errors
/// [`StoreError::UnknownScheme`] when no engine answers to the URL.
pub fn schema_sql(url: &str) -> StoreResult<String> {
    match scheme(url) {
        Some("sqlite") => Ok(crate::sqlite::schema_sql()),
        #[cfg(feature = "mysql")]
        Some(name) if mysql::SCHEMES.contains(&name) => Ok(script(&mysql::schema_sql())),
        #[cfg(feature = "postgres")]
        Some(name) if postgres::SCHEMES.contains(&name) => Ok(script(&postgres::schema_sql())),
        #[cfg(feature = "mongodb")]
        Some(name) if mongodb::SCHEMES.contains(&name) => Ok(script(&mongodb::schema_commands())),
        _ => Err(StoreError::UnknownScheme(shown(url))),
    }
}

/// Statements as a script.
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres"))]
fn script(statements: &[String]) -> String {
    statements.iter().map(|sql| format!("{sql};\n\n")).collect()
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
                    #[cfg(feature = "mysql")]
                    Self::Mysql(store) => store.engine(),
                    #[cfg(feature = "postgres")]
                    Self::Postgres(store) => store.engine(),
                    #[cfg(feature = "mongodb")]
                    Self::Mongo(store) => store.engine(),
                }
            }

            $(async fn $name(&self, $($arg: $type),*) -> StoreResult<$out> {
                match self {
                    Self::Sqlite(store) => store.$name($($arg),*).await,
                    #[cfg(feature = "mysql")]
                    Self::Mysql(store) => store.$name($($arg),*).await,
                    #[cfg(feature = "postgres")]
                    Self::Postgres(store) => store.$name($($arg),*).await,
                    #[cfg(feature = "mongodb")]
                    Self::Mongo(store) => store.$name($($arg),*).await,
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
    books(series: &Series, slots: SlotRange) -> Books;
    certified(series: &Series) -> Vec<Certified>;
    keep_certified(series: &Series, notes: &[Certified]) -> ();
    absent(series: &Series, slots: SlotRange) -> Vec<AbsentRange>;
    forget_absent(lease: &Lease, slots: SlotRange) -> ();
    read(series: &Series, slots: SlotRange, after: Option<Millis>, limit: usize) -> Vec<Kline>;
    acquire(series: &Series, owner: &str, ttl: Duration) -> Lease;
    take_over(series: &Series, dead: &str, owner: &str, ttl: Duration) -> Lease;
    renew(lease: &Lease, ttl: Duration) -> ();
    release(lease: &Lease) -> ();
    leases() -> Vec<HeldLease>;
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
        for url in ["oracle://user:secret@host/db", "klines.db", "", "http://x", "SQLITE://x", "a@secret"] {
            let error = Store::open(url).await.unwrap_err();
            assert!(matches!(&error, StoreError::UnknownScheme(_)) && error.is_usage(), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn calls_can_be_made_from_any_task() {
        fn is_send<T: Send>(_: &T) {}
        fn check(store: &Store, lease: &Lease, chunk: &Chunk, series: &Series) {
            is_send(&store.commit(lease, chunk));
            is_send(&store.missing(series, SlotRange::new(0, 1)));
            is_send(&store.recount(series, SlotRange::new(0, 1)));
            is_send(&store.acquire(series, "", Duration::ZERO));
            is_send(&Store::open("sqlite://k.db"));
        }
        let _ = check;
    }

    #[test]
    fn the_schema_of_every_engine_can_be_printed() {
        for url in [
            "sqlite://k.db",
            #[cfg(feature = "mysql")]
            "mariadb://u:secret@h/d",
            #[cfg(feature = "postgres")]
            "postgresql://u:secret@h/d",
        ] {
            let sql = schema_sql(url).unwrap();
            for part in ["kline_rows_mo1", "VIEW klines_m5", "TRIGGER", "INSERT INTO kline_migrations"] {
                assert!(sql.contains(part), "{url}: no {part}");
            }
            assert!(!sql.contains("secret"));
        }
        assert!(matches!(schema_sql("oracle://h/d"), Err(StoreError::UnknownScheme(_))));
    }
}

//! SQLite's errors in words a person can act on.

use std::time::Duration;

use rusqlite::ErrorCode;

use crate::{StoreError, StoreResult};

/// The file, as errors name it, and how long a lock on it was waited for.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) busy_timeout: Duration,
}

/// Says where and during what an SQLite error happened.
pub(super) trait Doing<T> {
    /// Turns the error into a [`StoreError`]. `doing` completes "… failed".
    fn doing(self, place: &Place, doing: impl FnOnce() -> String) -> StoreResult<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, place: &Place, doing: impl FnOnce() -> String) -> StoreResult<T> {
        self.map_err(|error| explain(place, doing, error))
    }
}

/// What can go wrong inside a transaction: SQLite, or a rule of the store.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

/// Result of a step inside a transaction.
pub(super) type Step<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Fault {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<T> Doing<T> for Step<T> {
    fn doing(self, place: &Place, doing: impl FnOnce() -> String) -> StoreResult<T> {
        self.map_err(|fault| match fault {
            Fault::Sqlite(error) => explain(place, doing, error),
            Fault::Store(error) => error,
        })
    }
}

fn explain(place: &Place, doing: impl FnOnce() -> String, error: rusqlite::Error) -> StoreError {
    let waited_ms = u64::try_from(place.busy_timeout.as_millis()).unwrap_or(u64::MAX);
    let place = place.name.clone();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreError::Locked { place, waited_ms }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full { place },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { place, source: error.into() }
        }
        Some(ErrorCode::CannotOpen) => StoreError::Open { place, source: error.into() },
        Some(ErrorCode::NotADatabase) => {
            StoreError::BadPath { place, why: "it is not an SQLite database".into() }
        }
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt {
            place,
            what: format!(
                "the file is damaged ({error}); save a copy, then try `.recover` of the sqlite3 shell"
            ),
        },
        _ => StoreError::Engine { doing: doing(), source: error.into() },
    }
}

//! Errors of database servers in words a person can act on.

use std::time::Duration;

use crate::StoreError;

/// An error's cause, as errors carry it.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What kind of trouble an engine's error is; each engine sorts its own codes into these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No connection: refused, broken, shut down, starting up.
    Lost,
    /// Another transaction was in the way: deadlock, serialization failure, lock not granted in time.
    Conflict,
    /// A row with this key is there already.
    Duplicate,
    /// The user lacks a right.
    Denied,
    /// The server, or the transaction, takes no writes.
    ReadOnly,
    /// No space left.
    Full,
    /// It took longer than allowed.
    Slow,
    /// The server takes no more connections.
    Crowded,
    /// User or password refused.
    Login,
    /// A table that was expected is not there.
    NoTable,
    /// Something of this name is there already.
    Exists,
    /// The server does not do this.
    Unsupported,
    /// Anything else.
    Other,
}

/// What can go wrong inside a transaction: the server, or a rule of the store.
#[derive(Debug)]
pub enum Fault {
    /// The engine.
    Engine(Class, Cause),
    /// A rule.
    Store(StoreError),
}

/// Result of a step inside a transaction.
pub type Step<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The kind of trouble, if the engine made it.
    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Engine(class, _) => Some(*class),
            Self::Store(_) => None,
        }
    }

    /// Whether the same transaction may succeed when it is tried again.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.class(), Some(Class::Lost | Class::Conflict | Class::Duplicate | Class::Crowded))
    }

    /// The error to hand out. `doing` completes "… failed", `waited` is how long it was tried.
    pub(crate) fn explain(self, place: &str, doing: &str, writing: bool, waited: Duration) -> StoreError {
        let (class, source) = match self {
            Self::Store(error) => return error,
            Self::Engine(class, source) => (class, source),
        };
        let place = place.to_owned();
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        match class {
            Class::Lost => StoreError::Unreachable { place, waited_ms, source },
            Class::Crowded => StoreError::Crowded { place, source },
            Class::Login => StoreError::Login { place, source },
            Class::Conflict => StoreError::Locked { place, waited_ms },
            Class::ReadOnly | Class::Denied if writing => StoreError::ReadOnly { place, source },
            Class::Full => StoreError::Full { place },
            Class::NoTable => StoreError::NoTables { place, source },
            _ => StoreError::Engine { doing: format!("{doing} in {place}"), source },
        }
    }
}

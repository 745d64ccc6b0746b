//! MongoDB's errors in words a person can act on: neither the driver's view of the whole topology, nor a password.

use std::time::Duration;

use ::mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

use crate::StoreError;

/// An error's cause, as errors carry it.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// No connection, or no primary: refused, broken, shut down, an election.
    Lost,
    /// Another transaction was in the way.
    Conflict,
    /// A document with this key is there already.
    Duplicate,
    /// The user lacks a right.
    Denied,
    /// No space left.
    Full,
    /// User or password refused.
    Login,
    /// An index of this name with other fields is there already.
    Taken,
    /// Anything else.
    Other,
}

/// What can go wrong in an operation: the server, or a rule of the store.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server or the way to it.
    Mongo(Class, Cause),
    /// A rule.
    Store(StoreError),
}

/// Result of a step of an operation.
pub(super) type Step<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let class = class_of(&error);
        Self::Mongo(class, words(&error).into())
    }
}

impl Fault {
    /// A fault of which the server tells inside an answer.
    pub(super) fn coded(code: i32, message: &str) -> Self {
        Self::Mongo(class_of_code(code), message.to_owned().into())
    }

    pub(super) fn class(&self) -> Option<Class> {
        match self {
            Self::Mongo(class, _) => Some(*class),
            Self::Store(_) => None,
        }
    }

    /// Whether the same operation may succeed when it is tried again.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.class(), Some(Class::Lost | Class::Conflict | Class::Duplicate))
    }

    /// The error to hand out. `doing` completes "… failed", `waited` is how long it was tried.
    pub(super) fn explain(self, place: &str, doing: &str, writing: bool, waited: Duration) -> StoreError {
        let (class, source) = match self {
            Self::Store(error) => return error,
            Self::Mongo(class, source) => (class, source),
        };
        let place = place.to_owned();
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        match class {
            Class::Lost => StoreError::Unreachable { place, waited_ms, source },
            Class::Login => StoreError::Login { place, source },
            Class::Conflict => StoreError::Locked { place, waited_ms },
            Class::Denied if writing => StoreError::ReadOnly { place, source },
            Class::Full => StoreError::Full { place },
            _ => StoreError::Engine { doing: format!("{doing} in {place}"), source },
        }
    }
}

fn class_of(error: &Error) -> Class {
    let class = match &*error.kind {
        ErrorKind::Authentication { .. } => Class::Login,
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::ServerSelection { .. } => Class::Lost,
        ErrorKind::Command(command) => class_of_code(command.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => class_of_code(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => class_of_code(error.code),
        ErrorKind::InsertMany(many) => {
            let first = many.write_errors.iter().flatten().map(|e| e.code).next();
            let code = first.or(many.write_concern_error.as_ref().map(|e| e.code));
            code.map_or(Class::Other, class_of_code)
        }
        _ => Class::Other,
    };
    // Whatever it is, the server says that it passes.
    if class == Class::Other && error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
        return Class::Conflict;
    }
    match &error.source().map(class_of) {
        Some(Class::Login) => Class::Login,
        _ => class,
    }
}

/// Codes as MongoDB's `error_codes.yml` lists them.
fn class_of_code(code: i32) -> Class {
    match code {
        // Unreachable, network time-out, shutting down, not the primary, recovering, interrupted by a change of state.
        6 | 7 | 89 | 91 | 189 | 262 | 9001 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436 => Class::Lost,
        // Lock or write conflict, no such transaction (its server restarted), a snapshot too old.
        24 | 112 | 239 | 246 | 251 => Class::Conflict,
        11000 | 11001 => Class::Duplicate,
        13 => Class::Denied,
        18 | 8000 => Class::Login,
        14031 => Class::Full,
        85 | 86 => Class::Taken,
        _ => Class::Other,
    }
}

/// The driver's error without labels, answers of servers and the topology.
pub(super) fn words(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => selection(message),
        ErrorKind::ConnectionPoolCleared { message, .. } => cause_in(message).unwrap_or("lost").to_owned(),
        ErrorKind::Command(command) => format!("{} (code {})", command.message, command.code),
        ErrorKind::Io(io) => io.to_string(),
        ErrorKind::InsertMany(many) => {
            let concern = many.write_concern_error.as_ref().map(|e| e.message.clone());
            let first = many.write_errors.iter().flatten().map(|e| e.message.clone()).next();
            first.or(concern).unwrap_or_else(|| "documents were refused".into())
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.message.clone(),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => error.message.clone(),
        kind => kind.to_string(),
    }
}

/// Why no server could be chosen: the reason of the first server that has one.
fn selection(message: &str) -> String {
    match cause_in(message) {
        Some(cause) => cause.to_owned(),
        None if message.contains("Type: RsSecondary") || message.contains("ReplicaSetNoPrimary") => {
            "the replica set has no primary at present".into()
        }
        None => "no server answered in time".into(),
    }
}

/// The innermost reason inside a text of the driver, which holds errors as `Kind: REASON, labels: …`.
fn cause_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Kind: ")?;
    let end = rest.find(", labels:").unwrap_or(rest.len());
    let reason = &rest[..end];
    Some(reason.strip_prefix("I/O error: ").unwrap_or(reason))
}

/// The source of the driver's error, if it is one of its own.
trait Source {
    fn source(&self) -> Option<&Error>;
}

impl Source for Error {
    fn source(&self) -> Option<&Error> {
        std::error::Error::source(self).and_then(|e| e.downcast_ref::<Error>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_error_tells_the_reason_and_not_the_topology() {
        let text = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    h:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {}, source: \
                    None, server response: None } ] }";
        assert_eq!(selection(text), "Connection refused (os error 111)");
        assert_eq!(
            selection("Server selection timeout: none. Topology: { Type: Unknown }"),
            "no server answered in time"
        );
        assert_eq!(
            selection(
                "… Topology: { Type: ReplicaSetNoPrimary, Servers: [ { Address: h:1, Type: RsSecondary } ] }"
            ),
            "the replica set has no primary at present"
        );
    }

    #[test]
    fn codes_of_a_restarting_server_are_worth_another_try() {
        for code in [91, 10107, 11600, 251, 112] {
            assert!(Fault::coded(code, "").is_passing(), "{code}");
        }
        for code in [13, 18, 14031, 2, 85] {
            assert!(!Fault::coded(code, "").is_passing(), "{code}");
        }
    }
}

//! What can go wrong in a store, in words a person can act on.

use kline::{Millis, Series};

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of a store. `Display` says what failed on what; [`StoreError::hint`] says what to do next. Neither ever
/// holds a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store.
    #[error("`{0}` names no store")]
    UnknownScheme(String),
    /// The URL is malformed.
    #[error("store URL: {0}")]
    BadUrl(String),
    /// The store cannot be opened.
    #[error("cannot open {place}")]
    Open {
        /// File or server, without credentials.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The path names no place for a store.
    #[error("{place} cannot be a store: {why}")]
    BadPath {
        /// The file.
        place: String,
        /// Why.
        why: String,
    },
    /// Opened for reading only, and nothing was stored yet: not even the tables are there.
    #[error("{place} holds no klines yet")]
    Empty {
        /// File or server.
        place: String,
    },
    /// Written by a newer version of this program.
    #[error("{place} has schema version {found}, this program knows versions up to {known}")]
    Newer {
        /// File or server.
        place: String,
        /// Version found.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// The server refuses the user.
    #[error("{place} refuses the user")]
    Login {
        /// Server.
        place: String,
        /// What it says.
        #[source]
        source: Cause,
    },
    /// The server cannot be reached any more, and did not come back in time.
    #[error("{place} cannot be reached (tried for {waited_ms} ms)")]
    Unreachable {
        /// Server.
        place: String,
        /// How long it was tried, ms.
        waited_ms: u64,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The server grants no more connections.
    #[error("{place} grants no more connections")]
    Crowded {
        /// Server.
        place: String,
        /// What it says.
        #[source]
        source: Cause,
    },
    /// All connections that this program may use are in use.
    #[error("all {connections} connections to {place} are in use (waited {waited_ms} ms)")]
    Busy {
        /// Server.
        place: String,
        /// Connections there may be.
        connections: usize,
        /// How long was waited, ms.
        waited_ms: u64,
    },
    /// The tables are not there, and the user may not create them.
    #[error("{place} lacks tables, and the user may not create them")]
    NoTables {
        /// Server.
        place: String,
        /// What it says.
        #[source]
        source: Cause,
    },
    /// Something else has the name of a table or view that is to be created.
    #[error("{place} already has something by the name of a table or view of this program")]
    Taken {
        /// Server.
        place: String,
        /// What it says.
        #[source]
        source: Cause,
    },
    /// Somebody else keeps the database locked.
    #[error("{place} is locked by another process (waited {waited_ms} ms)")]
    Locked {
        /// File or server.
        place: String,
        /// How long was waited, ms.
        waited_ms: u64,
    },
    /// The user may not write.
    #[error("{place} cannot be written")]
    ReadOnly {
        /// File or server.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// No space left.
    #[error("no space left for {place}")]
    Full {
        /// File or server.
        place: String,
    },
    /// Another job is at work on the series.
    #[error("{series} is being written by {owner} (its lease runs until {until})")]
    Leased {
        /// The series.
        series: Series,
        /// Who holds the lease.
        owner: String,
        /// When it expires unless renewed.
        until: Millis,
    },
    /// The lease expired and was taken over.
    #[error("the lease on {series} expired and was lost")]
    LeaseLost {
        /// The series.
        series: Series,
    },
    /// The caller handed over klines that no store can take: a fault of the program, not of the data.
    #[error("klines of {series} cannot be stored: {what}")]
    BadChunk {
        /// The series.
        series: Series,
        /// What is wrong with them.
        what: String,
    },
    /// The store was closed before.
    #[error("{place} is closed already")]
    Closed {
        /// File or server.
        place: String,
    },
    /// Stored data is not what this program wrote.
    #[error("{place} holds something unexpected: {what}")]
    Corrupt {
        /// File, table, row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The engine failed.
    #[error("{doing} failed")]
    Engine {
        /// What was being done.
        doing: String,
        /// The engine's own error.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// What to do next, where there is advice.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownScheme(_) => {
                "use sqlite://PATH, for example sqlite://klines.db; or mysql://, postgres:// or mongodb:// with \
                 USER:PASSWORD@HOST/DATABASE"
                    .into()
            }
            Self::Empty { .. } => "run `klines extract` or `klines fill-gaps` on it first".into(),
            Self::Newer { .. } => "use the newer program, or another store; nothing was changed".into(),
            Self::Login { .. } => {
                "check user, password and database of the store URL, and from which hosts the user may connect".into()
            }
            Self::Unreachable { .. } => {
                "check that the server runs and that nothing in between blocks it; what was committed is kept".into()
            }
            Self::Crowded { .. } => {
                "let other clients end, raise the limit of the server or of the user, or ask for fewer connections \
                 (pool=N in the store URL); what was committed is kept"
                    .into()
            }
            Self::Busy { .. } => {
                "allow more connections (pool=N in the store URL), or do less at the same time".into()
            }
            Self::NoTables { .. } => {
                "let an administrator run what `klines schema --store URL` prints, and grant the user SELECT, INSERT, \
                 UPDATE and DELETE"
                    .into()
            }
            Self::Taken { .. } => "use a database of its own for this program; nothing was overwritten".into(),
            Self::Locked { .. } => {
                "stop the other process, or try again when it is done; nothing was changed".into()
            }
            Self::Full { .. } => {
                "free some space and run again: what was committed is kept, the rest is refetched".into()
            }
            Self::ReadOnly { .. } => {
                "check the permissions of the file and its folder, or the rights of the database user".into()
            }
            Self::Leased { .. } => "wait for the other job; if it died, its lease expires by itself".into(),
            Self::LeaseLost { .. } => "another job took over; run again when it is done".into(),
            _ => return None,
        })
    }

    /// Whether the caller's settings are at fault (exit code 2) rather than the world.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownScheme(_)
                | Self::BadUrl(_)
                | Self::BadPath { .. }
                | Self::Taken { .. }
                | Self::Newer { .. }
                | Self::Locked { .. }
        )
    }
}

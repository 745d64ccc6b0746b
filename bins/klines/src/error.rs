//! Errors as the user sees them, and their exit codes.

use std::io;

use pipeline::JobError;
use store::StoreError;

/// Exit codes of the program, by contract.
pub mod exit {
    /// Failed.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Ran to the end, but the series is not complete, or something was found.
    pub const INCOMPLETE: u8 = 3;
}

/// An error that ends the program.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage or configuration.
    #[error("{message}")]
    Usage {
        /// What is wrong, and where it was said.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A job could not run.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// NATS failed, where it is what the command is about.
    #[error(transparent)]
    Events(#[from] events::EventsError),
    /// An object store failed.
    #[error(transparent)]
    Objects(#[from] files::S3Error),
    /// A file or stream failed.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Anything else that failed.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl CliError {
    /// A usage error without advice.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// The exit code by contract.
    pub fn exit_code(&self) -> u8 {
        let usage = match self {
            Self::Usage { .. } => true,
            Self::Job(error) => error.is_usage(),
            Self::Store(error) => error.is_usage(),
            Self::Events(error) => error.is_usage(),
            Self::Objects(error) => error.is_usage(),
            Self::Io { .. } | Self::Failed { .. } => false,
        };
        if usage { exit::USAGE } else { exit::FAILED }
    }

    /// The error for programs: `error` (with its causes), `hint`, `exit_code`.
    pub fn as_json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": pipeline::error::chain(self),
            "hint": self.hint(),
            "exit_code": self.exit_code(),
        })
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Failed { hint, .. } => hint.clone(),
            Self::Job(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Events(error) => error.hint(),
            Self::Objects(error) => error.hint(),
            Self::Io { .. } => None,
        }
    }
}

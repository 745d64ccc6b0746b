//! Why a job failed.

use std::sync::Arc;

use binance::FetchError;
use binance::archive::ArchiveError;
use kline::{Millis, Series};
use store::StoreError;

/// Why a job, or its part for one series, failed. `Display` says what happened, [`JobError::hint`] what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The request makes no sense; nothing was done.
    #[error("{0}")]
    Usage(String),
    /// The store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The exchange failed, or cannot be reached.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// The archive has what it should not have, or cannot be kept on this machine.
    #[error(transparent)]
    Archive(ArchiveError),
    /// The ticker now names another asset than the stored one.
    #[error(
        "{series} was listed anew on {listed}, but klines from {first} on are stored: the ticker names another asset now"
    )]
    Relisted {
        /// The series.
        series: Series,
        /// Listing date by the exchange.
        listed: Millis,
        /// First stored kline.
        first: Millis,
    },
    /// The exchange has no klines at all.
    #[error("the exchange has no klines of {0}")]
    NoKlines(Series),
    /// Another series met an error that forbids any further request.
    #[error("not attempted: the run was stopped by an earlier error")]
    Halted,
    /// A signal asked the program to stop.
    #[error("interrupted; what was committed is kept, run again to go on")]
    Interrupted,
}

impl JobError {
    /// What to do next, where there is advice.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Archive(error) => error.hint(),
            Self::Relisted { .. } => Some(
                "keep the old asset's klines where they are and fill the new asset into another store (--store), \
                 or move the old rows away first"
                    .into(),
            ),
            Self::NoKlines(_) => Some("check the symbol and the market (--market um, cm or spot)".into()),
            Self::Usage(_) | Self::Halted | Self::Interrupted => None,
        }
    }

    /// Whether the caller's request or settings are at fault (exit code 2).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) => true,
            Self::Store(error) => error.is_usage(),
            _ => false,
        }
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<FetchError> for JobError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

impl From<Arc<FetchError>> for JobError {
    fn from(error: Arc<FetchError>) -> Self {
        Self::Fetch(error)
    }
}

/// An error and its causes in one line, without repeating what the outer text already says.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let inner = cause.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        next = cause.source();
    }
    text
}

//! What a person watching would like to know while a client waits.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kline::{Market, Millis};

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The weight of this minute is spent, told once for the whole pool; requests go on at `until` (exchange's clock).
    BudgetSpent {
        /// A market of the pool.
        market: Market,
        /// When requests go on.
        until: Millis,
        /// How long that is.
        wait: Duration,
    },
    /// The exchange answered 429; the whole pool waits, told once.
    Throttled {
        /// A market of the pool.
        market: Market,
        /// When requests go on.
        until: Millis,
        /// How long that is.
        wait: Duration,
    },
    /// An attempt failed and is repeated after a pause.
    Retrying {
        /// The request, in words.
        what: String,
        /// Attempts so far.
        attempt: u32,
        /// The pause.
        wait: Duration,
        /// What failed, in words.
        why: String,
        /// Its class, as [`FetchError::class`](crate::FetchError::class).
        class: &'static str,
    },
    /// An attempt ended, well or not: for measuring, not for telling.
    Answered {
        /// The market asked.
        market: Market,
        /// Host that was asked.
        host: String,
        /// HTTP status, when there was an answer.
        status: Option<u16>,
        /// Class of the failure, as [`FetchError::class`](crate::FetchError::class).
        class: Option<&'static str>,
        /// From sending the request to the end of the attempt.
        took: Duration,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BudgetSpent { market, wait, .. } => {
                write!(f, "{market}: weight of this minute is spent, going on in {:.1} s", wait.as_secs_f32())
            }
            Self::Throttled { market, wait, .. } => {
                write!(
                    f,
                    "{market}: the exchange asks to wait (HTTP 429), going on in {:.1} s",
                    wait.as_secs_f32()
                )
            }
            Self::Retrying { attempt, wait, why, .. } => {
                write!(f, "{why}; attempt {} in {:.1} s", attempt + 1, wait.as_secs_f32())
            }
            Self::Answered { host, status, took, .. } => {
                let status = status.map_or("no answer".to_owned(), |status| format!("HTTP {status}"));
                write!(f, "{host}: {status} after {:.3} s", took.as_secs_f32())
            }
        }
    }
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The listeners of a client.
#[derive(Default)]
pub(super) struct Listeners(RwLock<Vec<Listener>>);

impl Listeners {
    pub(super) fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(super) fn tell(&self, event: &Event) {
        let listeners = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        listeners.iter().for_each(|listener| listener(event));
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}

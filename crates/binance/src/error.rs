//! What can go wrong with a fetch, why most likely, and what to do about it.

use std::time::Duration;

use kline::Millis;

use crate::dns::DnsFailure;

/// A fetch that failed, after the retries that made sense.
///
/// `Display` says what failed and on what; [`FetchError::hint`] says why most likely and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A setting of the client, or a request asked of it, makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The host's name could not be resolved.
    #[error(transparent)]
    Dns(DnsFailure),
    /// No connection came about.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// The connection came about, but no secure one.
    #[error("no secure connection to {host}: {detail}")]
    Tls {
        /// Host and port.
        host: String,
        /// What the TLS library said.
        detail: String,
    },
    /// No complete answer in time.
    #[error("{what}: no complete answer within {} s", .after.as_secs_f32())]
    Timeout {
        /// The request.
        what: String,
        /// The time limit.
        after: Duration,
    },
    /// The connection broke, or the body was shorter than announced.
    #[error("{what}: the answer broke off: {detail}")]
    Interrupted {
        /// The request.
        what: String,
        /// How.
        detail: String,
    },
    /// The answer is not what the exchange documents.
    #[error("{what}: the answer is not what was expected: {detail}; received: {received}")]
    Malformed {
        /// The request.
        what: String,
        /// What is wrong with it.
        detail: String,
        /// Its beginning.
        received: String,
    },
    /// The answer is larger than any the exchange gives.
    #[error("{what}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The request.
        what: String,
        /// Most bytes accepted.
        limit: usize,
    },
    /// The exchange refused the request itself.
    #[error("{what}: refused with HTTP {status}, code {code}: {message}")]
    Refused {
        /// The request.
        what: String,
        /// HTTP status.
        status: u16,
        /// The exchange's error code.
        code: i64,
        /// The exchange's words.
        message: String,
    },
    /// 429, and the wait it asks for is longer than patience allows.
    #[error("{what}: too many requests from this address (HTTP 429); to be tried again at {until}")]
    Throttled {
        /// The request.
        what: String,
        /// When the exchange will listen again.
        until: Millis,
    },
    /// 418: banned.
    #[error("this address is banned by the exchange until {until} (HTTP 418)")]
    Banned {
        /// End of the ban, by the exchange's clock.
        until: Millis,
    },
    /// 403: its firewall took offence.
    #[error("{what}: blocked by the exchange's firewall (HTTP 403); received: {received}")]
    Forbidden {
        /// The request.
        what: String,
        /// Beginning of the body, often HTML.
        received: String,
    },
    /// 451: not from here.
    #[error("the exchange does not serve this location (HTTP 451): {message}")]
    Region {
        /// The exchange's words.
        message: String,
    },
    /// The exchange is in trouble itself: 5xx, 408, or an error code that means overload.
    #[error("{what}: the exchange failed with HTTP {status}: {message}")]
    Server {
        /// The request.
        what: String,
        /// HTTP status.
        status: u16,
        /// Code and words, or the beginning of the body.
        message: String,
    },
    /// A status nobody expects here: a redirect, 404, a captive portal.
    #[error("{what}: unexpected HTTP {status}; received: {received}")]
    Unexpected {
        /// The request.
        what: String,
        /// HTTP status.
        status: u16,
        /// Beginning of the body, or where a redirect leads.
        received: String,
    },
}

/// Whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// After a backoff, at most that many attempts in all.
    Backoff {
        /// Most attempts, whatever the configuration says.
        at_most: u32,
    },
    /// After a long pause.
    Slowly,
    /// When the exchange said.
    At(Millis),
}

/// The symbol does not exist (or no longer).
const INVALID_SYMBOL: i64 = -1121;

impl FetchError {
    /// Whether and when to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Usage(_) | Self::Refused { .. } | Self::Region { .. } | Self::Banned { .. } => Retry::Never,
            // Telling a person early matters more than outwaiting a name that does not exist.
            Self::Dns(failure) if failure.is_definite() => Retry::Backoff { at_most: 2 },
            Self::Dns(_) => Retry::Backoff { at_most: 3 },
            Self::Tls { .. } | Self::TooLarge { .. } | Self::Unexpected { .. } => {
                Retry::Backoff { at_most: 3 }
            }
            Self::Connect { .. } => Retry::Backoff { at_most: 5 },
            Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::Malformed { .. }
            | Self::Server { .. } => Retry::Backoff { at_most: u32::MAX },
            Self::Forbidden { .. } => Retry::Slowly,
            Self::Throttled { until, .. } => Retry::At(*until),
        }
    }

    /// Whether nothing else can succeed either, so that the run should end cleanly: banned, or the wrong place.
    pub fn stops_run(&self) -> bool {
        matches!(self, Self::Banned { .. } | Self::Region { .. })
    }

    /// Whether this symbol will never work, while others may.
    pub fn is_permanent_for_symbol(&self) -> bool {
        matches!(self, Self::Refused { code: INVALID_SYMBOL, .. })
    }

    /// A stable name for metrics and reports.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Dns(_) => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Interrupted { .. } => "interrupted",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Refused { code: INVALID_SYMBOL, .. } => "unknown_symbol",
            Self::Refused { .. } => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Banned { .. } => "banned",
            Self::Forbidden { .. } => "forbidden",
            Self::Region { .. } => "region",
            Self::Server { .. } => "server",
            Self::Unexpected { .. } => "unexpected",
        }
    }

    /// The likeliest cause and what to do, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Dns(failure) => return failure.hint(),
            Self::Connect { .. } => {
                "is the address right and the port open from here? Inside Kubernetes, check that a network policy allows \
                 this pod egress to that port (443 for the exchange)"
            }
            Self::Tls { .. } => {
                "the usual causes are a wrong system clock, a missing CA bundle (package ca-certificates, or SSL_CERT_FILE), \
                 or a proxy that opens TLS and whose certificate is not trusted here"
            }
            Self::Timeout { .. } => {
                "the line may be slow, or packets are dropped on the way: a network policy or firewall without egress to \
                 that port does this"
            }
            Self::Interrupted { .. } => {
                "an unstable line or proxy; what was fetched so far is kept, run again"
            }
            Self::Malformed { .. } | Self::TooLarge { .. } | Self::Unexpected { .. } => {
                "is the base URL really the exchange's? Proxies and captive portals answer in its place"
            }
            Self::Refused { code: INVALID_SYMBOL, .. } => {
                "is the symbol spelled as the exchange does, and in the right market? Delisted symbols disappear from REST"
            }
            Self::Refused { status: 404, .. } => {
                "the exchange does not know this path: is the base URL right, without a path of its own?"
            }
            Self::Refused { .. } => "the request itself is wrong: please report this with the message",
            Self::Throttled { .. } => {
                "other programs behind the same address use up the limit: raise reserve_percent, or run later"
            }
            Self::Banned { .. } => {
                "stop every program behind this address that asks the exchange; asking on makes bans longer (2 minutes to 3 days)"
            }
            Self::Forbidden { .. } => {
                "the exchange's firewall blocks an address for too many requests or for what it takes for an attack; wait some \
                 minutes, and look for other programs behind the same address"
            }
            Self::Region { .. } => {
                "Binance refuses some countries and many cloud regions; run from an allowed place. For spot, \
                 https://data-api.binance.vision serves the same klines; the public archive has futures as well"
            }
            Self::Server { .. } => "the exchange has trouble; run again later, nothing fetched is lost",
            Self::Usage(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// The beginning of a body in one printable line of at most 200 characters.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(1000)]);
    let line: String = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable = line.chars().map(|c| if c.is_control() { '?' } else { c });
    let short: String = printable.clone().take(200).collect();
    match (short.is_empty(), printable.count() > 200 || body.len() > 1000) {
        (true, _) => "nothing".to_owned(),
        (_, true) => format!("{short}…"),
        _ => short,
    }
}

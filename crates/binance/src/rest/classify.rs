//! From an HTTP status, a body or a transport error to a [`FetchError`].

use std::error::Error;
use std::io;
use std::time::Duration;

use kline::Millis;

use super::decode::{ApiError, Trouble};
use crate::FetchError;
use crate::budget::Budget;
use crate::dns::DnsFailure;
use crate::error::excerpt;

/// Shortest ban the exchange is known to give; used when it does not say how long.
const LEAST_BAN: Duration = Duration::from_secs(120);

/// What is known about an answer that is not a plain success.
pub(super) struct Failed<'a> {
    pub(super) what: &'a str,
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<&'a str>,
    pub(super) body: &'a [u8],
    /// The exchange's clock.
    pub(super) now: Millis,
}

/// Decides what a failed answer means.
pub(super) fn of_answer(failed: &Failed) -> FetchError {
    let api = serde_json::from_slice::<ApiError>(failed.body).ok();
    let (what, status) = (failed.what.to_owned(), failed.status);
    let after = |wait: Duration| failed.now.plus(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    match (status, api) {
        (429, _) => {
            let until = failed.retry_after.map_or_else(|| Budget::next_minute(failed.now), after);
            FetchError::Throttled { what, until }
        }
        (418, api) => {
            let stated = api.and_then(|a| ban_end(&a.msg)).filter(|end| *end > failed.now);
            let until = failed.retry_after.map(after).or(stated).unwrap_or_else(|| after(LEAST_BAN));
            FetchError::Banned { until }
        }
        (451, api) => FetchError::Region { message: words(api, failed.body) },
        (403, _) => FetchError::Forbidden { what, received: excerpt(failed.body) },
        (300..=399, _) => {
            let to = failed
                .location
                .map_or_else(|| "a redirect to nowhere".to_owned(), |l| format!("a redirect to {l}"));
            FetchError::Unexpected { what, status, received: to }
        }
        (408 | 500..=599, api) => FetchError::Server { what, status, message: words(api, failed.body) },
        (_, Some(api)) => of_code(what, status, api.code, api.msg),
        (_, None) => FetchError::Unexpected { what, status, received: excerpt(failed.body) },
    }
}

/// Decides what the exchange's own error code means, whatever status it came with.
fn of_code(what: String, status: u16, code: i64, message: String) -> FetchError {
    match code {
        // Overload, internal trouble and timeouts of the exchange's own parts; -1003 outside 429 is overload as well.
        -1000 | -1001 | -1003 | -1006 | -1007 | -1008 | -1016 => {
            FetchError::Server { what, status, message: format!("{code} {message}") }
        }
        0 if message.contains("restricted location") => FetchError::Region { message },
        _ => FetchError::Refused { what, status, code, message },
    }
}

/// Decides what a body that could not be understood means; it came with status 200.
pub(super) fn of_trouble(what: &str, trouble: Trouble, body: &[u8]) -> FetchError {
    match trouble {
        Trouble::Api { code, message } => of_code(what.to_owned(), 200, code, message),
        Trouble::Shape(detail) => {
            FetchError::Malformed { what: what.to_owned(), detail, received: excerpt(body) }
        }
    }
}

fn words(api: Option<ApiError>, body: &[u8]) -> String {
    match api {
        Some(api) if api.code != 0 => format!("{} {}", api.code, api.msg),
        Some(api) => api.msg,
        None => excerpt(body),
    }
}

/// The time in "Way too many requests; IP banned until 1529256050872.", milliseconds.
fn ban_end(message: &str) -> Option<Millis> {
    let (_, tail) = message.split_once("until ")?;
    let digits: String = tail.chars().take_while(char::is_ascii_digit).collect();
    Millis::detect(digits.parse().ok()?).ok()
}

/// Decides what an error of the HTTP client means. `host` is host and port.
pub(super) fn of_transport(what: &str, host: &str, timeout: Duration, error: &reqwest::Error) -> FetchError {
    let first: &(dyn Error + 'static) = error;
    let chain = || std::iter::successors(Some(first), |e: &&(dyn Error + 'static)| (*e).source());
    // The last link says what happened; those before it say "error sending request".
    let detail = chain().last().map(ToString::to_string).unwrap_or_default();
    if let Some(failure) = chain().find_map(|e| e.downcast_ref::<DnsFailure>()) {
        return FetchError::Dns(failure.clone());
    }
    if chain().any(|e| is_tls(e)) {
        return FetchError::Tls { host: host.to_owned(), detail };
    }
    if error.is_timeout() {
        return FetchError::Timeout { what: what.to_owned(), after: timeout };
    }
    if error.is_connect() {
        return FetchError::Connect { host: host.to_owned(), detail };
    }
    if error.is_builder() {
        return FetchError::Usage(format!("cannot set up requests to {host}: {detail}"));
    }
    FetchError::Interrupted { what: what.to_owned(), detail }
}

/// A TLS error may be boxed inside an I/O error, which does not show it as its source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|e| e.is::<rustls::Error>())
}

/// Whether a transport error means that the exchange cannot have counted the request.
pub(super) fn never_sent(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Dns(_) | FetchError::Connect { .. } | FetchError::Tls { .. } | FetchError::Usage(_)
    )
}

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
pub(crate) struct Failed<'a> {
    pub(crate) what: &'a str,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) location: Option<&'a str>,
    pub(crate) body: &'a [u8],
    /// The exchange's clock.
    pub(crate) now: Millis,
}

/// Decides what a failed answer means.
pub(crate) fn of_answer(failed: &Failed) -> FetchError {
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
pub(crate) fn of_transport(what: &str, host: &str, timeout: Duration, error: &reqwest::Error) -> FetchError {
    let first: &(dyn Error + 'static) = error;
    let chain = || std::iter::successors(Some(first), |e: &&(dyn Error + 'static)| (*e).source());
    // The last link says what happened; those before it say "error sending request".
    let detail = chain().last().map(ToString::to_string).unwrap_or_default();
    if let Some(failure) = chain().find_map(|e| e.downcast_ref::<DnsFailure>()) {
        return FetchError::Dns(failure.clone());
    }
    if chain().any(is_tls) {
        return FetchError::Tls { host: host.to_owned(), detail };
    }
    if error.is_connect() {
        let detail = if error.is_timeout() { "no connection came about in time".to_owned() } else { detail };
        return FetchError::Connect { host: host.to_owned(), detail };
    }
    if error.is_timeout() {
        return FetchError::Timeout { what: what.to_owned(), after: timeout };
    }
    if error.is_builder() {
        return FetchError::Usage(format!("cannot set up requests to {host}: {detail}"));
    }
    FetchError::Interrupted { what: what.to_owned(), detail }
}

/// A TLS error may be boxed inside I/O errors, which do not show what they box as their source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let boxed = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || boxed.is_some_and(|inner| is_tls(inner))
}

/// Whether a transport error means that the exchange cannot have counted the request.
pub(super) fn never_sent(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Dns(_) | FetchError::Connect { .. } | FetchError::Tls { .. } | FetchError::Usage(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::shared;

    const NOW: Millis = Millis(1_529_256_000_000);

    fn of(status: u16, body: &[u8]) -> FetchError {
        of_answer(&Failed { what: "klines", status, retry_after: None, location: None, body, now: NOW })
    }

    #[test]
    fn real_error_bodies_get_their_class() {
        for (file, status, class) in [
            ("http400.-1121.json", 400, "unknown_symbol"),
            ("http400.-1104.json", 400, "refused"),
            ("http418.-1003.json", 418, "banned"),
            ("http429.-1003.json", 429, "throttled"),
            ("restricted-location.json", 451, "region"),
            ("restricted-location.json", 200, "region"),
            ("archive-access-denied.xml", 403, "forbidden"),
        ] {
            let Some(body) = shared(&format!("errors/{file}")) else { return };
            assert_eq!(of(status, &body).class(), class, "{file}");
        }
    }

    #[test]
    fn the_end_of_a_ban_is_read_from_the_message() {
        let message =
            br#"{"code":-1003,"msg":"Way too many requests; IP banned until 1529256050872. Please"}"#;
        assert_eq!(of(418, message), FetchError::Banned { until: Millis(1_529_256_050_872) });
        // An end that has passed is none.
        let past = br#"{"code":-1003,"msg":"IP banned until 1500000000000."}"#;
        assert_eq!(of(418, past), FetchError::Banned { until: NOW.plus(120_000) });
        let header = Failed {
            what: "klines",
            status: 418,
            retry_after: Some(Duration::from_secs(300)),
            location: None,
            body: message,
            now: NOW,
        };
        assert_eq!(of_answer(&header), FetchError::Banned { until: NOW.plus(300_000) });
    }

    #[test]
    fn a_429_without_a_time_waits_for_the_next_minute() {
        let FetchError::Throttled { until, .. } = of(429, b"") else { panic!() };
        assert_eq!(until, Budget::next_minute(NOW));
        assert!(until > NOW && until <= NOW.plus(61_000));
    }

    #[test]
    fn what_was_received_is_shown_in_one_short_line() {
        let text = of(404, format!("<html>\n\t<b>\u{1b}[31m{}", "é".repeat(4000)).as_bytes()).to_string();
        assert!(text.contains("<html> <b>?[31mé") && text.ends_with('…'), "{text}");
        assert!(text.chars().count() < 300 && !text.contains(['\n', '\u{1b}']));
        assert!(of(404, b"").to_string().ends_with("received: nothing"));
    }
}

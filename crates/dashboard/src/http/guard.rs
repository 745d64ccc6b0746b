//! What holds for every request: who may ask, for how long, and what browsers are told.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::ApiError;

/// How long an answer may take. Streams are answered at once, and go on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing but what the program itself serves: no other host, no inline script or style, no frame.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Requests by the class of their answer.
#[derive(Default)]
pub(crate) struct Counts([AtomicU64; 4]);

impl Counts {
    fn add(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.0[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Class and number: `2xx` to `5xx`.
    pub fn read(&self) -> [(&'static str, u64); 4] {
        let read = |i: usize| self.0[i].load(Ordering::Relaxed);
        [("2xx", read(0)), ("3xx", read(1)), ("4xx", read(2)), ("5xx", read(3))]
    }
}

/// Lets a request pass, or not, and dresses its answer.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = match check(&app, request.method(), request.headers(), request.uri().host()) {
        Err(refused) => refused.into_response(),
        Ok(()) => match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer within 30 s")
                .hint("another job may hold it, or its server is slow: try again")
                .into_response(),
        },
    };
    app.counts.add(response.status());
    dress(response.headers_mut());
    response
}

fn dress(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers about the store are true for a moment only; assets say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn check(app: &App, method: &Method, headers: &HeaderMap, target: Option<&str>) -> Result<(), ApiError> {
    let host = target.or_else(|| headers.get(header::HOST).and_then(|h| h.to_str().ok())).unwrap_or_default();
    if app.config.loopback && !is_here(host) && !app.config.hosts.iter().any(|h| same_host(h, host)) {
        let shown: String = host.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("this dashboard is for this machine alone, and was asked for as `{shown}`"),
        )
        .hint("open it as http://127.0.0.1 or http://localhost, or allow the name with --allow-host"));
    }
    // Pages of others cannot send our token, but need not be listened to at all when they try to change something.
    let foreign = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
    };
    if method != Method::GET && method != Method::HEAD && headers.get(header::ORIGIN).is_some_and(foreign) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "a page of another site asked for this"));
    }
    Ok(())
}

/// The name of a `Host` header, without its port.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_here(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn same_host(allowed: &str, host: &str) -> bool {
    allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name_of(host))
}

/// Refuses whoever does not show the token.
pub(super) fn authorize(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some((token, _)) = &app.config.actions else {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "this dashboard is for reading only")
            .hint("start it with a token to allow actions: KLINES_SERVE_TOKEN=… klines serve"));
    };
    let offered = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = offered.and_then(|value| value.split_once(' '));
    match bearer {
        Some((scheme, offered)) if scheme.eq_ignore_ascii_case("bearer") && token.matches(offered.trim()) => {
            Ok(())
        }
        _ => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "this takes the token that the dashboard was started with",
        )
        .hint("send it as `Authorization: Bearer TOKEN`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken_for_it() {
        for here in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]:8080", "[::1]"]
        {
            assert!(is_here(here), "{here}");
        }
        for other in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "[::2]:80",
            "localhost:80@x",
        ] {
            assert!(!is_here(other), "{other}");
        }
        assert!(
            same_host("klines.example", "klines.example:8443")
                && !same_host("klines.example", "x.klines.example")
        );
    }
}

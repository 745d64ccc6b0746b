//! One attempt: send, look at status and headers, read the body within bounds.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    CONNECTION, DATE, HeaderMap, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Response, StatusCode, Upgraded, Url, redirect};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use kline::Millis;

use super::classify::{self, Failed};
use super::pool::Clock;
use crate::dns::Resolver;
use crate::{ClientConfig, FetchError};

/// Error bodies are small; of anything larger the beginning is enough.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// The HTTP side of a client. Everything costly is made when first needed: a run that finds nothing to fetch pays for
/// nothing, and one that talks plain HTTP never loads certificates.
pub(crate) struct Http {
    timeout: Duration,
    in_flight: usize,
    resolver: Arc<Resolver>,
    plain: OnceLock<Result<reqwest::Client, FetchError>>,
    /// For WebSockets: HTTP/1.1 alone, and no limit to how long an answer takes.
    upgrading: OnceLock<Result<reqwest::Client, FetchError>>,
    secure: OnceLock<Result<reqwest::Client, FetchError>>,
}

/// What was asked, for errors: the request in words and the host.
pub(super) struct Asked<'a> {
    pub(super) what: &'a str,
    pub(super) url: &'a Url,
}

/// An answer with status 200 whose body is still to be read.
pub(super) struct Answer<'a> {
    pub(super) response: Response,
    pub(super) asked: Asked<'a>,
    timeout: Duration,
}

/// An attempt as seen by the budget: the weight the exchange reported, if it answered at all.
pub(super) struct Attempt<T> {
    pub(super) result: Result<T, FetchError>,
    pub(super) reported: Option<u32>,
    /// HTTP status, when there was an answer.
    pub(super) status: Option<u16>,
    /// Time to the first byte of the answer.
    pub(super) took: Option<Duration>,
}

/// How the body of one kind of answer is read.
pub(super) trait Decode {
    type Out: Send;
    fn decode(answer: Answer<'_>) -> impl Future<Output = Result<Self::Out, FetchError>> + Send;
}

impl Http {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        // Looking a name up must fail before connecting does, and connecting before the attempt, or the cause would be hidden.
        let patience = (config.timeout / 2).min(Duration::from_secs(5));
        Self {
            timeout: config.timeout,
            in_flight: config.in_flight,
            resolver: Arc::new(Resolver::new(config.name_servers.clone(), patience)),
            plain: OnceLock::new(),
            upgrading: OnceLock::new(),
            secure: OnceLock::new(),
        }
    }

    pub(super) async fn attempt<D: Decode>(&self, asked: Asked<'_>, clock: &Clock) -> Attempt<D::Out> {
        let failed = |result| Attempt { result: Err(result), reported: None, status: None, took: None };
        let client = match self.client(asked.url) {
            Ok(client) => client,
            Err(error) => return failed(error.clone()),
        };
        let sent = Instant::now();
        let response = match client.get(asked.url.clone()).send().await {
            Ok(response) => response,
            Err(error) => return failed(asked.transport(self.timeout, &error)),
        };
        let took = Some(sent.elapsed());
        let status = response.status().as_u16();
        let reported = used_weight(response.headers());
        if !clock.is_real() {
            // The first answer may be a refusal that says how long to wait: its Date tells what time that is counted from.
            // Whole seconds, rounded down, so the clock still runs behind.
            date(response.headers()).into_iter().for_each(|time| clock.set(time));
        }
        let result = if status == 200 {
            D::decode(Answer { response, asked, timeout: self.timeout }).await
        } else {
            Err(refusal(&asked, response, clock).await)
        };
        Attempt { result, reported, status: Some(status), took }
    }

    /// Asks for a WebSocket and hands over the line. `http` stands for `ws` and `https` for `wss`.
    pub(super) async fn upgrade(&self, asked: Asked<'_>) -> Result<Upgraded, FetchError> {
        let client = self.upgrading.get_or_init(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = self.connecting().http1_only();
            let secure = asked.url.scheme() == "https";
            self.build(asked.url, if secure { builder } else { builder.tls_certs_only([]).no_proxy() })
        });
        let key = generate_key();
        let request = client
            .as_ref()
            .map_err(Clone::clone)?
            .get(asked.url.clone())
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let late = |_| FetchError::Timeout { what: asked.what.to_owned(), after: self.timeout };
        let response = tokio::time::timeout(self.timeout, request.send())
            .await
            .map_err(late)?
            .map_err(|error| asked.transport(self.timeout, &error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(&asked, response, &Clock::new()).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).and_then(|v| v.to_str().ok());
        if accepted != Some(derive_accept_key(key.as_bytes()).as_str()) {
            return Err(FetchError::Malformed {
                what: asked.what.to_owned(),
                detail: "the other side does not speak WebSocket".into(),
                received: accepted.unwrap_or("no Sec-WebSocket-Accept").to_owned(),
            });
        }
        response.upgrade().await.map_err(|error| asked.transport(self.timeout, &error))
    }

    pub(crate) fn client(&self, url: &Url) -> &Result<reqwest::Client, FetchError> {
        if url.scheme() == "https" {
            self.secure.get_or_init(|| {
                // Somebody else may have chosen a provider for the whole process already; theirs will do.
                let _ = rustls::crypto::ring::default_provider().install_default();
                self.build(url, self.builder())
            })
        } else {
            // A TLS set-up that trusts nobody costs nothing; it is never used.
            self.plain.get_or_init(|| {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let builder = self.builder().tls_certs_only([]);
                let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                self.build(url, if loopback { builder.no_proxy() } else { builder })
            })
        }
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        self.connecting().timeout(self.timeout)
    }

    fn connecting(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("binance-extractor/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeout * 4 / 5)
            .pool_max_idle_per_host(self.in_flight)
            .redirect(redirect::Policy::none())
            .dns_resolver(Adapter(self.resolver.clone()))
    }

    fn build(&self, url: &Url, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, FetchError> {
        builder.build().map_err(|error| {
            let source =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            FetchError::Tls { host: host_of(url), detail: source }
        })
    }
}

struct Adapter(Arc<Resolver>);

impl Resolve for Adapter {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.lookup(name.as_str()).await?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

pub(crate) fn host_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or("?"), url.port_or_known_default().unwrap_or(0))
}

impl Asked<'_> {
    fn transport(&self, timeout: Duration, error: &reqwest::Error) -> FetchError {
        classify::of_transport(self.what, &host_of(self.url), timeout, error)
    }
}

impl Answer<'_> {
    /// The whole body, at most `limit` bytes.
    pub(super) async fn bytes(&mut self, limit: usize) -> Result<Vec<u8>, FetchError> {
        let announced = self.response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let mut body = Vec::with_capacity(announced.min(limit));
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge { what: self.asked.what.to_owned(), limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next part of the body.
    pub(super) async fn chunk(
        &mut self,
    ) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + Send + use<>>, FetchError> {
        self.response.chunk().await.map_err(|error| self.asked.transport(self.timeout, &error))
    }
}

/// Reads what a failed answer says.
async fn refusal(asked: &Asked<'_>, mut response: Response, clock: &Clock) -> FetchError {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let retry_after = text(RETRY_AFTER).and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    // The status already says what matters; a body that breaks off changes nothing.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR_BODY {
            break;
        }
    }
    let location = text(LOCATION);
    classify::of_answer(&Failed {
        what: asked.what,
        status,
        retry_after,
        location,
        body: &body,
        now: clock.now(),
    })
}

/// `Date: Tue, 25 Nov 2025 08:12:31 GMT`
fn date(headers: &HeaderMap) -> Option<Millis> {
    let time = jiff::fmt::rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(Millis(time.timestamp().as_millisecond()))
}

/// `X-MBX-USED-WEIGHT-1M`: weight used by this address in the current minute. Absent on answers of the firewall.
fn used_weight(headers: &HeaderMap) -> Option<u32> {
    headers.get("x-mbx-used-weight-1m")?.to_str().ok()?.trim().parse().ok()
}

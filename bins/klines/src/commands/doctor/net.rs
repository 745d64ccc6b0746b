//! The way to a host: its name, a connection, encryption.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use binance::dns::Resolver;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::net::TcpStream;

use super::check::{Log, Trouble};
use super::pod::Pod;

/// How long a name is looked up, and how long one address is tried.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses tried before giving up.
const ADDRESSES: usize = 4;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    pub port: u16,
}

impl Place {
    /// Reads `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, default_port),
        };
        let host = host.trim_matches(['[', ']']);
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// The host of a URL whose scheme has a well-known port.
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Self::parse(host, if matches!(scheme, "https" | "grpcs") { 443 } else { 80 })
    }

    /// Whether a name server is needed to find it.
    pub fn needs_dns(&self) -> bool {
        self.host.parse::<IpAddr>().is_err() && self.host != "localhost"
    }
}

/// Looks the name up and connects. The address that answered, if one did.
pub async fn reach(log: &mut Log, place: &Place, pod: Option<&Pod>) -> Option<SocketAddr> {
    let began = Instant::now();
    let found = Resolver::new(Vec::new(), PATIENCE).lookup(&place.host).await;
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(failure) => {
            let blocked =
                matches!(failure.kind, binance::dns::DnsKind::NoAnswer | binance::dns::DnsKind::Unreachable);
            let hint = match pod.filter(|_| blocked) {
                Some(pod) => Some(format!(
                    "port 53 (UDP and TCP) is closed for this pod, or its name server is away; {}",
                    pod.advice(&place.host, place.port)
                )),
                None => failure.hint(),
            };
            log.note("resolve", began, Err(Trouble::new(failure.to_string(), hint)));
            return None;
        }
    };
    if place.needs_dns() {
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        log.note("resolve", began, Ok(texts.join(", ")));
    }
    connect(log, place, &addresses, pod).await
}

async fn connect(
    log: &mut Log,
    place: &Place,
    addresses: &[IpAddr],
    pod: Option<&Pod>,
) -> Option<SocketAddr> {
    let began = Instant::now();
    let mut failed: Option<(SocketAddr, io::Error)> = None;
    for address in addresses.iter().take(ADDRESSES) {
        let address = SocketAddr::new(*address, place.port);
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                log.note("connect", began, Ok(address.to_string()));
                return Some(address);
            }
            // What the first says is worth more than that the machine has no way to another kind of address.
            Ok(Err(error)) => failed = failed.or(Some((address, error))),
            Err(_) => failed = failed.or(Some((address, io::ErrorKind::TimedOut.into()))),
        }
    }
    let (at, error) = failed?;
    let text = match error.kind() {
        io::ErrorKind::TimedOut => format!("{at} does not answer within {} s", PATIENCE.as_secs()),
        _ => format!("{at}: {error}"),
    };
    log.note("connect", began, Err(Trouble::new(text, Some(advice(&error, place, pod)))));
    None
}

/// Why a connection did not come about, most likely.
fn advice(error: &io::Error, place: &Place, pod: Option<&Pod>) -> String {
    let refused = error.kind() == io::ErrorKind::ConnectionRefused;
    match (refused, pod) {
        (true, Some(pod)) => format!(
            "the host answers, but nothing listens on port {}: is the service up, and the port right? Some networks refuse what \
             a policy forbids: {}",
            place.port,
            pod.advice(&place.host, place.port)
        ),
        (true, None) => format!(
            "the host answers, but nothing listens on port {}: is the service up, and the port right?",
            place.port
        ),
        (false, Some(pod)) => pod.advice(&place.host, place.port),
        (false, None) => {
            format!("something in between drops it: does a firewall let {}:{} pass?", place.host, place.port)
        }
    }
}

/// Makes an encrypted connection, trusting whom the system trusts.
pub async fn tls(log: &mut Log, place: &Place, address: SocketAddr) -> bool {
    let began = Instant::now();
    let host = place.host.clone();
    let done = tokio::task::spawn_blocking(move || handshake(&host, address)).await;
    let result = done.unwrap_or_else(|error| Err(error.to_string()));
    log.note(
        "tls",
        began,
        result.map_err(|text| {
            let hint = tls_advice(&text);
            Trouble::new(text, Some(hint.into()))
        }),
    )
}

fn handshake(host: &str, address: SocketAddr) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no list of trusted authorities".into());
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
    let words = |error: io::Error| error.to_string();
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE).map_err(words)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(words)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(words)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(words)?;
    }
    Ok(tls.protocol_version().and_then(|v| v.as_str()).unwrap_or("encrypted").to_owned())
}

/// What a failed handshake means.
pub fn tls_advice(text: &str) -> &'static str {
    match text {
        text if text.contains("UnknownIssuer") || text.contains("no list of trusted") => {
            "this system does not trust the authority that issued the certificate: install its CA bundle (package ca-certificates, \
             or SSL_CERT_FILE=FILE); or something in between answers in the server's place"
        }
        text if text.contains("Expired") || text.contains("NotValidYet") => {
            "the certificate is out of date, or this machine's clock is wrong"
        }
        text if text.contains("NotValidForName") => {
            "the certificate is for another host: is the address right, or does something answer in the server's place?"
        }
        _ => "does this port speak TLS at all?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_urls() {
        let place = |text: &str| Place::of_url(text).map(|p| format!("{} {}", p.host, p.port));
        assert_eq!(place("https://fapi.binance.com").as_deref(), Some("fapi.binance.com 443"));
        assert_eq!(place("http://u:p@otel:4318/v1/traces").as_deref(), Some("otel 4318"));
        assert_eq!(place("http://[::1]:8080/x").as_deref(), Some("::1 8080"));
        assert_eq!(place("http://[::1]").as_deref(), Some("::1 80"));
        assert_eq!(place("http://h:x"), None);
        assert_eq!(place("nonsense"), None);
    }

    #[test]
    fn addresses_need_no_name_server() {
        let needs = |host: &str| Place { host: host.into(), port: 1 }.needs_dns();
        assert!(needs("mysql") && !needs("127.0.0.1") && !needs("::1") && !needs("localhost"));
    }
}

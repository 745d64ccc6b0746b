//! Endpoints written in texts: URLs, `host:port`, data source names.

use std::net::IpAddr;

use crate::object::Protocol;

use super::service::{self, Service};

/// An endpoint as written. User names and passwords are dropped while reading and never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// What speaks there, when the scheme tells.
    pub(super) service: Option<&'static Service>,
    pub(super) host: String,
    /// As written, or the default of the scheme.
    pub(super) port: Option<u16>,
    pub(super) protocol: Protocol,
    /// Written with a scheme: certainly an endpoint, not a text that looks like one.
    pub(super) is_url: bool,
}

/// All endpoints in a text that is the value of a variable or of an argument.
pub(super) fn find(text: &str) -> Vec<Endpoint> {
    let urls = find_urls(text);
    if !urls.is_empty() {
        return urls;
    }
    if let Some(found) = go_dsn(text).or_else(|| keyword_dsn(text)) {
        return vec![found];
    }
    let mut found = Vec::new();
    for part in text.split([',', ';']) {
        match host_and_port(part.trim()) {
            Some((host, Some(port))) => found.push(plain(host, port)),
            // One part that is no endpoint makes the whole text something else.
            _ => return Vec::new(),
        }
    }
    found
}

fn plain(host: &str, port: u16) -> Endpoint {
    Endpoint {
        service: None,
        host: host.to_owned(),
        port: Some(port),
        protocol: Protocol::Tcp,
        is_url: false,
    }
}

/// URLs anywhere in the text.
fn find_urls(text: &str) -> Vec<Endpoint> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let head = rest.get(..at).unwrap_or("");
        let scheme_start = head
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
            .map_or(0, |index| {
                index + head.get(index..).and_then(|tail| tail.chars().next()).map_or(1, char::len_utf8)
            });
        let scheme = head.get(scheme_start..).unwrap_or("");
        let tail = rest.get(at + 3..).unwrap_or("");
        let end = tail
            .find(|c: char| {
                c.is_whitespace()
                    || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>' | '|' | ')' | '\\' | ';')
            })
            .unwrap_or(tail.len());
        // A password may hold a slash or a question mark: what counts is the last @ before the next white space.
        let authority = authority(tail, end);
        found.extend(from_authority(scheme, authority));
        rest = tail;
    }
    found
}

/// The part of a URL with the hosts: behind the last `@` of the same word, where that still looks like a host.
fn authority(tail: &str, end: usize) -> &str {
    let short = tail.get(..end).unwrap_or("");
    if let Some(at) = short.rfind('@') {
        return short.get(at + 1..).unwrap_or("");
    }
    let word_end = tail.find(char::is_whitespace).unwrap_or(tail.len());
    let word = tail.get(..word_end).unwrap_or("");
    match word.find('@') {
        // `user:p/w@host`: the part before the slash has a colon but no port behind it.
        Some(at) if short.contains(':') && host_and_port(short).is_none() => {
            let behind = word.get(at + 1..).unwrap_or("");
            behind.split(['/', '?', '#']).next().unwrap_or("")
        }
        _ => short,
    }
}

fn from_authority(scheme: &str, authority: &str) -> Vec<Endpoint> {
    let scheme = scheme.to_ascii_lowercase();
    // `mysql+pymysql`, `mongodb+srv`, `git+ssh`: the first word says what it is.
    let base = scheme.split('+').next().unwrap_or("");
    if matches!(base, "file" | "unix" | "sqlite" | "data" | "s3" | "gs" | "docker" | "arn" | "oci" | "spiffe")
    {
        return Vec::new();
    }
    let known = service::by_scheme(base);
    let protocol = if matches!(base, "udp" | "statsd") { Protocol::Udp } else { Protocol::Tcp };
    let mut found = Vec::new();
    for part in authority.split(',') {
        let Some((host, port)) = host_and_port(part) else { continue };
        let port = port.or_else(|| service::scheme_port(base));
        found.push(Endpoint { service: known, host: host.to_owned(), port, protocol, is_url: true });
    }
    found
}

/// `user:password@tcp(host:3306)/database`.
fn go_dsn(text: &str) -> Option<Endpoint> {
    let (_, behind) = text.rsplit_once("@tcp(")?;
    let (inside, _) = behind.split_once(')')?;
    let (host, port) = host_and_port(inside)?;
    let known = service::by_scheme("mysql");
    Some(Endpoint {
        service: known,
        host: host.to_owned(),
        port: port.or(Some(3306)),
        protocol: Protocol::Tcp,
        is_url: true,
    })
}

/// `host=db port=5432 user=...`.
fn keyword_dsn(text: &str) -> Option<Endpoint> {
    if !text.contains("host=") || !text.contains(' ') {
        return None;
    }
    let value = |key: &str| {
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')))
    };
    let (host, _) = host_and_port(value("host")?)?;
    let port = value("port").map_or(Some(5432), |port| port.parse().ok())?;
    let known = service::by_scheme("postgres");
    Some(Endpoint {
        service: known,
        host: host.to_owned(),
        port: Some(port),
        protocol: Protocol::Tcp,
        is_url: true,
    })
}

/// Splits `host`, `host:port`, `[v6]:port`. `None` when it is no host.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']')?;
        host.parse::<IpAddr>().ok()?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((host, port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    is_host(host).then_some((host, port))
}

/// A DNS name with at least one letter, or an IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && name.split('.').all(label_ok)
        && !name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, Option<u16>)> {
        find(text).into_iter().map(|endpoint| (endpoint.host, endpoint.port)).collect()
    }

    fn one(text: &str, host: &str, port: u16) {
        assert_eq!(found(text), [(host.to_owned(), Some(port))], "{text}");
    }

    #[test]
    fn urls_give_host_and_port_and_never_the_password() {
        one("https://fapi.binance.com", "fapi.binance.com", 443);
        one("http://api.example.com/v1?x=1", "api.example.com", 80);
        one("nats://nats-server.nats.svc.cluster.local:4222", "nats-server.nats.svc.cluster.local", 4222);
        one("mysql+pymysql://user:p%40ss@db.example:3307/x", "db.example", 3307);
        one("mysql://user:se/cret@db.example/x", "db.example", 3306);
        one("jdbc:postgresql://pg:5433/app", "pg", 5433);
        one("postgres://u:p@[2001:db8::1]:5432/x", "2001:db8::1", 5432);
        one("curl -s http://web:8080/health || exit 1", "web", 8080);
        one("user:pw@tcp(mysql.db:3306)/app", "mysql.db", 3306);
        one("host=pg.db port=6432 user=x password=y", "pg.db", 6432);
    }

    #[test]
    fn lists_of_hosts_are_taken_apart() {
        assert_eq!(
            found("mongodb://u:p@a:27017,b:27018/db"),
            [("a".to_owned(), Some(27017)), ("b".to_owned(), Some(27018))]
        );
        assert_eq!(
            found("kafka-0:9092,kafka-1:9092"),
            [("kafka-0".to_owned(), Some(9092)), ("kafka-1".to_owned(), Some(9092))]
        );
    }

    #[test]
    fn texts_that_only_look_like_endpoints_are_left_alone() {
        for text in [
            "12:30",
            "BTCUSDT,ETHUSDT",
            "file:///etc/x",
            "a:b",
            "1.2.3:80",
            "http://",
            "x:0",
            "sqlite:///a.db",
            "a b:80",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}

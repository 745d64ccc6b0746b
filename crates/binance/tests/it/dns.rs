//! Name servers that misbehave in every way, and what is said about it.

use std::net::SocketAddr;
use std::time::Duration;

use binance::dns::{DnsKind, Resolver};
use binance::{Client, ClientConfig};
use kline::Market;
use tokio::net::UdpSocket;

use crate::server::{Server, config_for, ok};

/// A name server that answers every question with a code (0: with 127.0.0.1), or not at all. Returns its address and
/// the questions it has seen.
async fn name_server(code: Option<u8>) -> (SocketAddr, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut packet).await {
            let question_end = 12 + packet[12..len].iter().position(|b| *b == 0).unwrap() + 5;
            log.lock().unwrap().push(name_in(&packet[12..question_end]));
            let Some(code) = code else { continue };
            let is_a = packet[question_end - 3] == 1;
            let mut answer = packet[..question_end].to_vec();
            answer[2..12].copy_from_slice(&[
                0x81,
                0x80 | code,
                0,
                1,
                0,
                u8::from(code == 0 && is_a),
                0,
                0,
                0,
                0,
            ]);
            if code == 0 && is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (addr, seen)
}

fn name_in(mut question: &[u8]) -> String {
    let mut name = String::new();
    while let [len, rest @ ..] = question {
        let len = *len as usize;
        if len == 0 {
            break;
        }
        name.push_str(&String::from_utf8_lossy(&rest[..len]));
        name.push('.');
        question = &rest[len..];
    }
    name
}

async fn failure(code: Option<u8>) -> binance::dns::DnsFailure {
    let (server, _) = name_server(code).await;
    Resolver::new(vec![server], Duration::from_millis(400)).lookup("fapi.binance.com").await.unwrap_err()
}

#[tokio::test]
async fn every_kind_of_failure_is_told_apart() {
    for (code, kind) in [
        (None, DnsKind::NoAnswer),
        (Some(2), DnsKind::ServerFailure),
        (Some(3), DnsKind::NoSuchName),
        (Some(5), DnsKind::Refused),
    ] {
        let failure = failure(code).await;
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert_eq!(failure.servers.len(), 1);
        assert!(failure.to_string().contains("'fapi.binance.com'"), "{failure}");
        assert!(failure.to_string().contains(&failure.servers[0].to_string()), "{failure}");
        assert!(failure.hint().is_some());
    }
}

#[tokio::test]
async fn no_answer_reads_as_operators_know_it_and_names_the_policy() {
    let failure = binance::dns::DnsFailure { in_kubernetes: true, ..failure(None).await };
    let text = failure.to_string();
    assert!(text.contains("Temporary failure in name resolution"), "{text}");
    assert!(text.contains("network policy without egress to port 53 (UDP and TCP)"), "{text}");
    assert!(failure.hint().unwrap().contains("netpol explain"));
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_stands_before_any_search_domain() {
    let (server, seen) = name_server(Some(0)).await;
    let found = Resolver::new(vec![server], Duration::from_secs(2)).lookup("fapi.binance.com").await.unwrap();
    assert_eq!(found, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|name| name == "fapi.binance.com.") && seen.len() <= 2, "{seen:?}");
}

#[tokio::test]
async fn literals_and_localhost_ask_nobody() {
    let (server, seen) = name_server(None).await;
    let resolver = Resolver::new(vec![server], Duration::from_millis(100));
    for name in ["127.0.0.1", "::1", "[::1]", "localhost"] {
        assert!(resolver.lookup(name).await.is_ok(), "{name}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_reports_the_resolvers_reason_and_asks_a_missing_name_only_twice() {
    let (server, seen) = name_server(Some(3)).await;
    let config = ClientConfig { name_servers: vec![server], ..config_for("http://fapi.binance.invalid") };
    let error = Client::new(config).unwrap().now(Market::Um).await.unwrap_err();
    assert_eq!(error.class(), "dns");
    assert!(error.to_string().contains("NXDOMAIN"), "{error}");
    assert!(seen.lock().unwrap().len() <= 8, "{seen:?}");
}

#[tokio::test]
async fn a_client_reaches_a_host_by_name() {
    let (dns, _) = name_server(Some(0)).await;
    let server = Server::start(|_, _| ok("[]")).await;
    let base = format!("http://exchange.example:{}", server.addr.port());
    let client = Client::new(ClientConfig { name_servers: vec![dns], ..config_for(&base) }).unwrap();
    assert!(client.now(Market::Um).await.is_ok());
    let base = format!("http://localhost:{}", server.addr.port());
    assert!(Client::new(config_for(&base)).unwrap().now(Market::Um).await.is_ok());
}

#[tokio::test]
async fn a_closed_port_is_told_from_silence() {
    let closed = {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let failure =
        Resolver::new(vec![closed], Duration::from_secs(3)).lookup("fapi.binance.com").await.unwrap_err();
    assert_eq!(failure.kind, DnsKind::Unreachable, "{failure:?}");
    assert!(failure.to_string().contains("cannot be reached"), "{failure}");
}

#[tokio::test]
async fn the_hosts_file_is_honoured() {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let entries = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        Some((words.next()?.parse::<std::net::IpAddr>().ok()?, words.next()?.to_owned()))
    });
    let (server, seen) = name_server(Some(3)).await;
    let resolver = Resolver::new(vec![server], Duration::from_secs(2));
    for (address, name) in entries.filter(|(ip, name)| ip.is_ipv4() && name != "localhost") {
        assert!(resolver.lookup(&name).await.unwrap().contains(&address), "{name}");
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

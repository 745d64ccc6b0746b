//! `klines doctor` and `klines schema`.

#![allow(clippy::print_stdout)] // a skipped test says so

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use exchange_sim::Faults;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use serde_json::Value;
use test_servers::Nats;

use crate::support::{Exchange, json, klines, run};

/// What nobody may ever read.
const PASSWORD: &str = "s3cr3t-pass";

fn exchange() -> Exchange {
    Exchange::start(&["BTCUSDT"], "2024-01-02", Faults::default())
}

fn doctor(folder: &Path, exchange: &str, args: &[&str]) -> Command {
    let mut command = klines(folder, exchange);
    command.args(["doctor", "--output", "json"]).args(args);
    command
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The checks of a kind, as `step`, or `step: error` for those that failed.
fn steps(found: &Value, kind: &str) -> Vec<String> {
    let checks = found["checks"].as_array().unwrap().iter().filter(|check| check["kind"] == kind);
    let step = |check: &Value| {
        let step = check["step"].as_str().unwrap();
        check["error"].as_str().map_or(step.to_owned(), |error| format!("{step}: {error}"))
    };
    checks.map(step).collect()
}

fn hint(found: &Value, kind: &str) -> String {
    let checks = found["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["kind"] == kind && check["ok"] == false).unwrap();
    failed["hint"].as_str().unwrap().to_owned()
}

#[test]
fn all_is_well_with_an_exchange_and_a_store_that_is_yet_to_be_made() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let (code, out, err) = run(&mut doctor(dir.path(), &exchange.url(), &[]));
    assert_eq!(code, 0, "{out}{err}");
    let found = json(&out);
    assert_eq!((&found["ok"], &found["pod"]), (&true.into(), &Value::Null));
    assert_eq!(steps(&found, "exchange"), ["connect", "time"]);
    assert_eq!(steps(&found, "store"), ["folder"]);
    assert_eq!((steps(&found, "nats").len(), steps(&found, "otlp").len()), (0, 0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is created");

    let (code, out, _) = run(klines(dir.path(), &exchange.url()).arg("doctor"));
    assert!(
        code == 0 && out.contains("everything can be reached") && out.contains("/etc/resolv.conf"),
        "{out}"
    );
}

#[test]
fn a_store_that_is_there_is_opened_and_not_changed() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let mut fill = klines(dir.path(), &exchange.url());
    fill.args(["extract", "--symbols", "BTCUSDT", "--intervals", "1h", "--lookback", "9"]);
    assert_eq!(run(&mut fill).0, 0);
    let before = std::fs::read(dir.path().join("klines.db")).unwrap();
    let (code, out, _) = run(&mut doctor(dir.path(), &exchange.url(), &[]));
    let found = json(&out);
    assert_eq!((code, steps(&found, "store")), (0, vec!["open".to_owned()]), "{out}");
    assert!(out.contains("holds 1 series"), "{out}");
    assert!(std::fs::read(dir.path().join("klines.db")).unwrap() == before);
}

#[test]
fn a_refused_connection_is_told_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let (code, out, _) = run(&mut doctor(dir.path(), &url, &[]));
    let found = json(&out);
    assert_eq!((code, &found["ok"]), (1, &false.into()));
    let steps = steps(&found, "exchange");
    assert!(
        steps.len() == 1 && steps[0].contains("connect: 127.0.0.1:") && steps[0].contains("refused"),
        "{steps:?}"
    );
    assert!(hint(&found, "exchange").contains("is the service up, and the port right?"), "{out}");
    let (code, out, _) = run(klines(dir.path(), &url).arg("doctor"));
    assert!(code == 1 && out.contains("FAILED") && out.contains("not everything can be reached"), "{out}");
}

#[test]
fn in_a_pod_the_policy_check_and_the_label_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = doctor(dir.path(), &format!("http://127.0.0.1:{port}"), &[]);
    command.env("KUBERNETES_SERVICE_HOST", "10.96.0.1").env("POD_NAMESPACE", "petrosa-apps");
    command.env("POD_NAME", "binance-klines-gap-filler-m5-29399640-x7k2p");
    let (code, out, _) = run(&mut command);
    let found = json(&out);
    assert_eq!((code, &found["pod"]["namespace"]), (1, &"petrosa-apps".into()));
    let hint = hint(&found, "exchange");
    let explain = format!("`netpol explain k8s/ --from binance-klines-gap-filler-m5 --to 127.0.0.1:{port}`");
    assert!(hint.contains(&explain) && hint.contains("`component`"), "{hint}");
}

#[test]
fn a_store_that_is_away_fails_and_keeps_its_password() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let schemes: &[&str] = &[
        #[cfg(feature = "mysql")]
        "mysql",
        #[cfg(feature = "postgres")]
        "postgres",
        #[cfg(feature = "mongodb")]
        "mongodb",
    ];
    for scheme in schemes {
        let url = format!("{scheme}://user:{PASSWORD}@127.0.0.1:{}/klines", free_port());
        for form in ["json", "human"] {
            let mut command = klines(dir.path(), &exchange.url());
            command.args(["doctor", "--store", &url, "--output", form]);
            let (code, out, err) = run(&mut command);
            assert!(code == 1 && out.contains("connect"), "{scheme}: {out}{err}");
            assert!(!format!("{out}{err}").contains(PASSWORD), "{out}{err}");
        }
    }
}

#[test]
fn nats_is_optional_unless_told_otherwise() {
    let config = format!("authorization {{ user: job, password: \"right\" }}\n# {PASSWORD}");
    let Some(nats) = Nats::start(&config) else { return };
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let ask = |password: &str, args: &[&str]| {
        let mut command = doctor(dir.path(), &exchange.url(), args);
        run(command.env("NATS_URL", format!("nats://job:{password}@127.0.0.1:{}", nats.port())))
    };
    let (code, out, _) = ask("right", &["--strict"]);
    assert_eq!((code, steps(&json(&out), "nats")), (0, vec!["connect".into(), "echo".into()]), "{out}");
    let (code, out, err) = ask(PASSWORD, &[]);
    assert!(code == 0 && steps(&json(&out), "nats")[1].starts_with("login: "), "{out}");
    assert!(!format!("{out}{err}").contains(PASSWORD), "{out}{err}");
    assert_eq!(ask(PASSWORD, &["--strict"]).0, 1);
}

#[test]
fn a_collector_is_asked_to_take_nothing() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    // Takes whatever is posted.
    let (taker, port) =
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec());
    let (refuser, forbidden) =
        answering(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec());
    let ask = |port: u16| {
        let mut command = doctor(dir.path(), &exchange.url(), &[]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"));
        run(command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("api-key={PASSWORD}")))
    };
    let (code, out, err) = ask(port);
    assert_eq!(
        (code, steps(&json(&out), "otlp")),
        (0, ["connect", "export", "export", "export"].map(String::from).to_vec()),
        "{err}"
    );
    let (code, out, err) = ask(forbidden);
    assert!(code == 0 && steps(&json(&out), "otlp")[1].contains("refuses the credentials"), "{out}");
    assert!(!format!("{out}{err}").contains(PASSWORD), "{out}{err}");
    drop((taker, refuser));
}

/// A server that answers every request with the same bytes.
fn answering(answer: Vec<u8>) -> (std::thread::JoinHandle<()>, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (std::thread::spawn(move || answer_all(&listener, &answer)), port)
}

fn answer_all(listener: &TcpListener, answer: &[u8]) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        // A connection that only tries the door says nothing.
        if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
            let _ = stream.write_all(answer);
        }
    }
}

#[test]
fn an_untrusted_certificate_and_a_port_without_tls_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let plain = exchange();
    let (_, out, _) = run(&mut doctor(dir.path(), &plain.url().replace("http:", "https:"), &[]));
    let found = json(&out);
    assert!(steps(&found, "exchange")[1].starts_with("tls: "), "{out}");
    assert!(hint(&found, "exchange").contains("does this port speak TLS at all?"), "{out}");

    let port = encrypted();
    // A list of authorities that does not have the one in question.
    // By a name of its own: the default name would make it look like the issuer.
    let mut params = rcgen::CertificateParams::new(vec!["elsewhere".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "elsewhere");
    let other = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let trusted = dir.path().join("trusted.pem");
    std::fs::write(&trusted, other.pem()).unwrap();
    let mut command = doctor(dir.path(), &format!("https://127.0.0.1:{port}"), &[]);
    let (code, out, _) = run(command.env("SSL_CERT_FILE", &trusted));
    let found = json(&out);
    assert!(code == 1 && steps(&found, "exchange")[1].contains("UnknownIssuer"), "{out}");
    assert!(hint(&found, "exchange").contains("install its CA bundle"), "{out}");
}

/// A port that speaks TLS with a certificate nobody knows.
fn encrypted() -> u16 {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        }
    });
    port
}

#[test]
fn waiting_ends_when_the_exchange_comes_up() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let body = r#"{"serverTime":1704153600000}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        answer_all(&listener, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    });
    let (code, out, err) =
        run(&mut doctor(dir.path(), &format!("http://127.0.0.1:{port}"), &["--wait", "60s"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("waiting for http://127.0.0.1:") && err.contains("refused"), "{err}");
    drop(late);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn a_wait_that_is_no_time_is_wrong_usage() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), exchange());
    let (code, _, err) = run(klines(dir.path(), &exchange.url()).args(["doctor", "--wait", "soon"]));
    assert!(code == 2 && err.contains("--wait: `soon` is not a length of time"), "{err}");
}

#[test]
fn without_a_network_it_is_the_name_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rn", env!("CARGO_BIN_EXE_klines"), "doctor", "--output", "json"]).current_dir(dir.path());
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        .env("POD_NAME", "p");
    let Ok(output) = command.output() else {
        return println!("skipped: network namespaces (unshare not found)");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.starts_with('{') {
        return println!("skipped: network namespaces ({})", String::from_utf8_lossy(&output.stderr));
    }
    let found = json(&text);
    assert_eq!(output.status.code(), Some(1));
    let steps = steps(&found, "exchange");
    assert!(
        steps.len() == 1 && steps[0].starts_with("resolve: failed to resolve 'fapi.binance.com'"),
        "{steps:?}"
    );
    assert!(!hint(&found, "exchange").is_empty());
    for step in self::steps(&found, "dns") {
        assert!(step.starts_with("udp: ") || step.starts_with("tcp: "), "{step}");
    }
}

#[test]
fn the_schema_of_every_engine_is_printed_without_a_connection() {
    let (dir, exchange) = (tempfile::tempdir().unwrap(), "http://127.0.0.1:9");
    let engines: &[(&str, &str)] = &[
        ("sqlite://k.db", "CREATE TABLE kline_rows_m5"),
        #[cfg(feature = "mysql")]
        ("mysql://u:p@127.0.0.1:9/d", "kline_rows_m5"),
        #[cfg(feature = "postgres")]
        ("postgres://u:p@127.0.0.1:9/d", "kline_rows_m5"),
        #[cfg(feature = "mongodb")]
        ("mongodb://u:p@127.0.0.1:9/d", "db.klines_m5.createIndex({ market: 1, symbol: 1, open_time: 1 }"),
    ];
    for (url, word) in engines {
        let (code, out, err) = run(klines(dir.path(), exchange).args(["schema", "--store", url]));
        assert!(code == 0 && out.contains(word), "{url}: {err}");
    }
    assert_eq!(run(klines(dir.path(), exchange).args(["schema", "--store", "oracle://h/d"])).0, 2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

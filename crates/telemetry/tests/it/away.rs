//! Collectors that are away, hang, or say no.

use std::net::TcpListener;
use std::time::Duration;

use axum::http::StatusCode;
use telemetry::FLUSH_LIMIT;

use crate::process::{Ran, run};
use test_servers::collector::{Collector, certificate};

/// A machine under load needs time for everything; what is asserted is that nobody waits for the collector's sake.
const SLACK: Duration = Duration::from_secs(8);

fn export_to(url: &str, protocol: &str) -> Ran {
    let ran = run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
        ("RUST_LOG", "trace"),
    ]);
    assert!(ran.ok, "a run does not fail for its telemetry: {}", ran.stderr);
    assert!(ran.took < FLUSH_LIMIT + SLACK, "{protocol} {:?}", ran.took);
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    ran
}

#[test]
fn a_collector_that_hangs_delays_the_end_by_the_limit_at_most() {
    for protocol in ["http/protobuf", "grpc"] {
        // Connections are accepted by the kernel, and nobody ever answers.
        let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
        let ran = export_to(&format!("http://{}", hanging.local_addr().unwrap()), protocol);
        assert_eq!(ran.stderr.matches("the collector did not answer in time").count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_collector_that_is_away_is_said_so() {
    for protocol in ["http/protobuf", "grpc"] {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ran = export_to(&format!("http://{address}"), protocol);
        let told = format!("warning: traces, metrics, logs were not delivered to http://{address}: ");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
        assert!(ran.stderr.to_lowercase().contains("connection refused"), "{}", ran.stderr);
        assert!(ran.stderr.contains("hint: start the collector"), "{}", ran.stderr);
    }
}

#[test]
fn a_collector_that_wants_a_key_is_said_so() {
    let collector = Collector::http_answering(StatusCode::UNAUTHORIZED);
    let ran = export_to(&collector.url(), "http/protobuf");
    assert!(ran.stderr.contains("status code: 401"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: check OTEL_EXPORTER_OTLP_HEADERS"), "{}", ran.stderr);
}

#[test]
fn a_server_that_is_no_collector_is_said_so() {
    let collector = Collector::http_answering(StatusCode::NOT_FOUND);
    let ran = export_to(&collector.url(), "http/protobuf");
    assert!(ran.stderr.contains("no OTLP is spoken there"), "{}", ran.stderr);
}

#[test]
fn a_certificate_of_nobody_known_is_said_so() {
    let (certificate, key) = certificate();
    let collector = Collector::https(&certificate, &key);
    let ran = export_to(&format!("https://localhost:{}", collector.port()), "http/protobuf");
    assert!(ran.stderr.contains("hint: name the authority's PEM file"), "{}", ran.stderr);
    assert!(collector.got.lock().unwrap().requests.is_empty());
}

#[test]
fn a_file_that_is_not_there_costs_its_signal_and_nothing_else() {
    let collector = Collector::http();
    let ran = run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/no/such.pem"),
    ]);
    assert!(
        ran.ok && ran.stderr.contains("traces are not exported: cannot read /no/such.pem"),
        "{}",
        ran.stderr
    );
    let got = collector.got.lock().unwrap();
    assert_eq!((got.traces.len(), got.metrics.len(), got.logs.len()), (0, 1, 1));
}

//! Log lines.

use serde_json::Value;

use crate::process::run;
use test_servers::collector::Collector;

#[test]
fn without_an_endpoint_there_is_nothing_but_the_log() {
    let ran = run(&[]);
    assert!(ran.ok && ran.stdout.trim().is_empty(), "no trace, no traceparent: {}", ran.stdout);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.stderr);
    assert!(
        lines[0].contains("INFO") && lines[0].contains("gaps found") && lines[0].contains("gaps=2"),
        "{lines:?}"
    );
    assert!(!ran.stderr.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn the_level_is_respected() {
    assert_eq!(run(&[("LOG_LEVEL", "WARNING")]).stderr, "");
    assert_eq!(run(&[("LOG_LEVEL", "off")]).stderr, "");
    assert_eq!(
        run(&[("LOG_LEVEL", "info"), ("RUST_LOG", "error")]).stderr,
        "",
        "RUST_LOG is the more precise one"
    );
}

#[test]
fn what_is_not_understood_is_said_and_the_default_holds() {
    let ran = run(&[("LOG_LEVEL", "loud"), ("OTEL_TRACES_SAMPLER", "some")]);
    assert!(
        ran.stderr.contains("LOG_LEVEL is `loud`") && ran.stderr.contains("gaps found"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("OTEL_TRACES_SAMPLER is `some`"), "{}", ran.stderr);
    let ran = run(&[("RUST_LOG", "=/=")]);
    assert!(ran.stderr.contains("cannot be read") && ran.stderr.contains("gaps found"), "{}", ran.stderr);
}

#[test]
fn json_lines_name_their_trace() {
    let collector = Collector::http();
    let ran = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()), ("LOG_FORMAT", "json")]);
    let lines: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (trace, span) = (ran.stdout.get(3..35).unwrap(), ran.stdout.get(36..52).unwrap());
    assert_eq!(lines[0]["message"], "gaps found");
    assert_eq!(lines[0]["gaps"], 2);
    assert_eq!((lines[0]["trace_id"].as_str(), lines[0]["span_id"].as_str()), (Some(trace), Some(span)));
    assert_eq!(lines[1]["spans"][1]["symbol"], "BTCUSDT");
}

#[test]
fn json_lines_without_a_trace_are_json_too() {
    let ran = run(&[("LOG_FORMAT", "json")]);
    let line: Value = serde_json::from_str(ran.stderr.lines().next().unwrap()).unwrap();
    assert_eq!((line["level"].as_str(), line.get("trace_id")), (Some("INFO"), None));
}

#[test]
fn a_redirected_line_arrives_whole() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = telemetry::LogSink::default();
    let of_sink = Arc::clone(&lines);
    sink.redirect(move |line| of_sink.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap()));
    let mut writer = sink.make_writer();
    writer.write_all(b"one ").unwrap();
    writer.write_all(b"line\n").unwrap();
    assert!(lines.lock().unwrap().is_empty());
    drop(writer);
    assert_eq!(*lines.lock().unwrap(), ["one line\n"]);
}

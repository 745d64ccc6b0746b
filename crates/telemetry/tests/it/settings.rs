//! The standard variables.

use std::time::Duration;

use telemetry::{Protocol, Settings};

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings::from_env(|name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).into()))
}

#[test]
fn nothing_set_means_nothing_exported() {
    let s = settings(&[]);
    assert!(!s.exports() && s.warnings.is_empty());
    assert!(!settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).exports());
}

#[test]
fn an_exporter_asked_for_by_name_goes_to_the_standard_place() {
    let s = settings(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(s.traces.unwrap().url, "http://localhost:4318/v1/traces");
    assert!(s.metrics.is_none());
    let s = settings(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(s.traces.unwrap().url, "http://localhost:4317");
}

#[test]
fn a_signal_s_own_variables_win() {
    let s = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "m:4317"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
    ]);
    let (traces, metrics) = (s.traces.unwrap(), s.metrics.unwrap());
    assert_eq!(
        (traces.url.as_str(), traces.protocol),
        ("http://c:4318/base/v1/traces", Protocol::HttpProtobuf)
    );
    assert_eq!((traces.timeout, traces.gzip), (Duration::from_millis(1500), true));
    assert_eq!(
        (metrics.url.trim_end_matches('/'), metrics.protocol, metrics.gzip),
        ("http://m:4317", Protocol::Grpc, false)
    );
}

#[test]
fn a_bare_host_over_grpc_is_encrypted_unless_said_otherwise() {
    let s = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert!(s.logs.unwrap().url.starts_with("https://c:4317"));
}

#[test]
fn unknown_values_are_warnings() {
    let s = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_SDK_DISABLED", "maybe"),
    ]);
    assert!(s.traces.is_some() && s.logs.is_none());
    for name in ["PROTOCOL", "TIMEOUT", "OTEL_LOGS_EXPORTER", "OTEL_SDK_DISABLED"] {
        assert_eq!(s.warnings.iter().filter(|w| w.contains(name)).count(), 1, "{name}: {:?}", s.warnings);
    }
}

#[test]
fn a_url_that_cannot_be_used_is_a_warning_that_does_not_repeat_it() {
    for url in ["http://joe:s3cret@", "ftp://joe:s3cret@c", "http://joe:s3cret@c:999999"] {
        let s = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]);
        assert!(!s.exports() && !s.warnings.is_empty(), "{url}");
        assert!(!format!("{s:?}").contains("s3cret"), "{s:?}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let s = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://joe:s3cret@c:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=t0ken,broken"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=t0ken"),
    ]);
    let shown = format!("{s:?}");
    assert!(shown.contains("api-key") && shown.contains("entry 2"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
}

#[test]
fn libraries_are_quiet_and_never_louder_than_asked() {
    let filter = settings(&[("LOG_LEVEL", "DEBUG")]).log_filter;
    assert!(
        filter.starts_with("debug,") && filter.contains("h2=warn") && filter.contains("async_nats=off"),
        "{filter}"
    );
    assert!(!settings(&[("LOG_LEVEL", "critical")]).log_filter.contains("warn"));
}

#[test]
fn a_filter_is_a_level_or_directives_and_no_stray_word() {
    assert!(telemetry::log_filter("Warning").unwrap().starts_with("warn,"));
    assert_eq!(telemetry::log_filter("info,store=debug").unwrap(), "info,store=debug");
    assert_eq!(
        telemetry::log_filter("loud").unwrap_err(),
        "`loud`: use trace, debug, info, warn, error or off"
    );
    assert!(telemetry::log_filter("store=loud").unwrap_err().starts_with("`store=loud`: "));
}

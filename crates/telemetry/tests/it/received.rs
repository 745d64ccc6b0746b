//! What a collector gets of a short process.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use telemetry::names::{self, Kind, METRICS};
use tonic::transport::Identity;

use crate::process::{Ran, run};
use test_servers::collector::{Collector, Got, certificate};

const IDENTITY: [(&str, &str); 3] =
    [("OTEL_SERVICE_NAME", "klines-gap-filler"), ("POD_NAME", "filler-1"), ("POD_NAMESPACE", "petrosa-apps")];

fn report_to(collector: &Collector, more: &[(&str, &str)]) -> Ran {
    let url = collector.url();
    let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    variables.extend(IDENTITY);
    variables.extend(more);
    let ran = run(&variables);
    assert!(ran.ok, "{}", ran.stderr);
    assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
    ran
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(n)) => n.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|a| a.key == name).map(|a| text(a.value.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Everything the short run reports, whichever way it came.
fn is_complete(got: &Got, ran: &Ran) {
    let resource = got.traces[0].resource_spans[0].resource.as_ref().unwrap();
    for (name, value) in [
        ("service.name", "klines-gap-filler"),
        ("service.instance.id", "filler-1"),
        ("k8s.pod.name", "filler-1"),
        ("k8s.namespace.name", "petrosa-apps"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(attribute(&resource.attributes, name).as_deref(), Some(value), "{name}");
    }
    let trace_id = has_spans(got, ran);
    has_logs(got, &trace_id);
    has_metrics(got);
}

fn has_spans(got: &Got, ran: &Ran) -> String {
    let spans: Vec<_> =
        got.traces.iter().flat_map(|t| &t.resource_spans).flat_map(|r| &r.scope_spans).collect();
    let spans: Vec<_> = spans.iter().flat_map(|s| &s.spans).collect();
    let of = |name: &str| *spans.iter().find(|span| span.name == name).expect(name);
    let (run, series) = (of(names::SPAN_RUN), of(names::SPAN_SERIES));
    assert_eq!((run.parent_span_id.len(), &series.parent_span_id), (0, &run.span_id));
    assert_eq!(attribute(&run.attributes, names::JOB).as_deref(), Some("fill-gaps"));
    assert_eq!(attribute(&run.attributes, names::OUTCOME).as_deref(), Some("complete"));
    assert_eq!(attribute(&series.attributes, names::SYMBOL).as_deref(), Some("BTCUSDT"));
    let (trace, span) = (hex(&run.trace_id), hex(&run.span_id));
    assert_eq!(ran.stdout.trim(), format!("00-{trace}-{span}-01"), "what messages carry is this trace");
    trace
}

fn has_logs(got: &Got, trace_id: &str) {
    let records = got.logs.iter().flat_map(|l| &l.resource_logs).flat_map(|r| &r.scope_logs);
    let records: Vec<_> = records.flat_map(|s| &s.log_records).collect();
    let found = records.iter().find(|r| text(r.body.as_ref()) == "gaps found").expect("the log line");
    assert_eq!(hex(&found.trace_id), trace_id);
    assert_eq!(attribute(&found.attributes, "gaps").as_deref(), Some("2"));
    assert_eq!(found.severity_text, "INFO");
}

fn has_metrics(got: &Got) {
    let metrics = got.metrics.iter().flat_map(|m| &m.resource_metrics).flat_map(|r| &r.scope_metrics);
    let metrics: Vec<_> = metrics.flat_map(|s| &s.metrics).collect();
    for expected in METRICS {
        let metric = metrics.iter().find(|m| m.name == expected.name).expect(expected.name);
        assert_eq!(
            (metric.unit.as_str(), metric.description.as_str()),
            (expected.unit, expected.description)
        );
        let attributes = match (metric.data.as_ref().unwrap(), expected.kind) {
            (Data::Sum(sum), Kind::Counter) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{}", expected.name);
                &sum.data_points[0].attributes
            }
            (Data::Gauge(gauge), Kind::Gauge) => &gauge.data_points[0].attributes,
            (Data::Histogram(histogram), Kind::Histogram(bounds)) => {
                assert_eq!(histogram.data_points[0].explicit_bounds, bounds.values(), "{}", expected.name);
                &histogram.data_points[0].attributes
            }
            (other, kind) => panic!("{} is {other:?}, not {kind:?}", expected.name),
        };
        for attribute in attributes {
            assert!(
                expected.attributes.contains(&attribute.key.as_str()),
                "{} {}",
                expected.name,
                attribute.key
            );
        }
    }
    let written = metrics.iter().find(|m| m.name == names::ROWS_WRITTEN).unwrap();
    let Some(Data::Sum(sum)) = &written.data else { panic!("no sum") };
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(2479)));
    assert_eq!(attribute(&sum.data_points[0].attributes, names::INTERVAL).as_deref(), Some("5m"));
}

#[test]
fn a_short_process_loses_nothing_over_http() {
    let collector = Collector::http();
    let ran = report_to(&collector, &[]);
    let got = collector.got.lock().unwrap();
    is_complete(&got, &ran);
    let mut paths: Vec<_> = got.requests.iter().map(|(path, _)| path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
    assert!(got.header("content-type").iter().all(|t| *t == "application/x-protobuf"));
}

#[test]
fn a_short_process_loses_nothing_over_grpc() {
    let collector = Collector::grpc(None);
    let ran = report_to(&collector, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    is_complete(&collector.got.lock().unwrap(), &ran);
}

#[test]
fn http_is_encrypted_with_a_custom_authority() {
    let (certificate, key) = certificate();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &certificate).unwrap();
    let collector = Collector::https(&certificate, &key);
    let url = format!("https://localhost:{}", collector.port());
    let ca = ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.to_str().unwrap());
    let ran = report_to(&collector, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ca]);
    is_complete(&collector.got.lock().unwrap(), &ran);
}

#[test]
fn grpc_is_encrypted_with_a_custom_authority_and_compressed() {
    let (certificate, key) = certificate();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &certificate).unwrap();
    let collector = Collector::grpc(Some(Identity::from_pem(certificate, key)));
    let url = format!("https://localhost:{}", collector.port());
    let ran = report_to(
        &collector,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.to_str().unwrap()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
    );
    let got = collector.got.lock().unwrap();
    is_complete(&got, &ran);
    assert_eq!(got.header("grpc-encoding"), ["gzip"; 3]);
}

#[test]
fn headers_reach_the_collector_over_both_protocols() {
    for (protocol, collector) in [("http/protobuf", Collector::http()), ("grpc", Collector::grpc(None))] {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret%20key,x-tenant=a");
        report_to(&collector, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), headers]);
        let got = collector.got.lock().unwrap();
        assert_eq!(got.header("api-key"), ["s3cret key"; 3], "{protocol}");
        assert_eq!(got.header("x-tenant"), ["a"; 3], "{protocol}");
    }
}

#[test]
fn bodies_are_compressed_when_asked() {
    let collector = Collector::http();
    report_to(&collector, &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]);
    assert_eq!(collector.got.lock().unwrap().header("content-encoding"), ["gzip"; 3]);
}

#[test]
fn a_signal_can_go_elsewhere_or_nowhere() {
    let (general, own) = (Collector::http(), Collector::http());
    let metrics_url = format!("{}/my/metrics", own.url());
    report_to(
        &general,
        &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", metrics_url.as_str()), ("OTEL_LOGS_EXPORTER", "none")],
    );
    let paths = |collector: &Collector| {
        let got = collector.got.lock().unwrap();
        got.requests.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&general), ["/v1/traces"]);
    assert_eq!(paths(&own), ["/my/metrics"], "an endpoint of the signal's own is taken as it is");
}

#[test]
fn disabled_means_nothing_is_sent() {
    let collector = Collector::http();
    report_to(&collector, &[("OTEL_SDK_DISABLED", "true")]);
    assert!(collector.got.lock().unwrap().requests.is_empty());
}

#[test]
fn a_sampler_that_takes_nothing_leaves_metrics_and_logs() {
    let collector = Collector::http();
    report_to(&collector, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    let got = collector.got.lock().unwrap();
    assert_eq!((got.traces.len(), got.metrics.len(), got.logs.len()), (0, 1, 1));
}

#[test]
fn what_carries_telemetry_does_not_become_telemetry() {
    let collector = Collector::http();
    report_to(&collector, &[("RUST_LOG", "trace")]);
    let got = collector.got.lock().unwrap();
    let records = got.logs.iter().flat_map(|l| &l.resource_logs).flat_map(|r| &r.scope_logs);
    for scope in records {
        let name = scope.scope.as_ref().unwrap().name.clone();
        assert!(!["hyper", "reqwest", "opentelemetry"].iter().any(|c| name.starts_with(c)), "{name}");
    }
    assert!(got.requests.len() <= 6, "{} requests", got.requests.len());
}

//! What a collector got, in a form that is easily asked.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use test_servers::collector::Got;

type Attributes = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub attributes: Attributes,
}

/// A number, or how many values a histogram holds.
#[derive(Debug)]
pub struct Point {
    pub name: String,
    pub attributes: Attributes,
    pub value: f64,
}

#[derive(Debug)]
pub struct Log {
    pub trace: String,
    pub text: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn map(attributes: &[KeyValue]) -> Attributes {
    attributes.iter().map(|a| (a.key.clone(), text(a.value.as_ref()))).collect()
}

pub fn spans(got: &Got) -> Vec<Span> {
    let resources = got.traces.iter().flat_map(|request| &request.resource_spans);
    let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    let span = |span: &opentelemetry_proto::tonic::trace::v1::Span| Span {
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: map(&span.attributes),
    };
    spans.map(span).collect()
}

pub fn points(got: &Got) -> Vec<Point> {
    let resources = got.metrics.iter().flat_map(|request| &request.resource_metrics);
    let metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
    let mut points = Vec::new();
    for metric in metrics {
        let mut add = |attributes: &[KeyValue], value: f64| {
            points.push(Point { name: metric.name.clone(), attributes: map(attributes), value });
        };
        let number = |point: &NumberDataPoint| match point.value {
            Some(number_data_point::Value::AsInt(n)) => n as f64,
            Some(number_data_point::Value::AsDouble(n)) => n,
            None => f64::NAN,
        };
        match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().for_each(|p| add(&p.attributes, number(p))),
            Some(Data::Sum(sum)) => sum.data_points.iter().for_each(|p| add(&p.attributes, number(p))),
            Some(Data::Histogram(h)) => h.data_points.iter().for_each(|p| add(&p.attributes, p.count as f64)),
            other => panic!("{}: {other:?}", metric.name),
        }
    }
    points
}

pub fn logs(got: &Got) -> Vec<Log> {
    let resources = got.logs.iter().flat_map(|request| &request.resource_logs);
    let records = resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| &scope.log_records);
    records.map(|record| Log { trace: hex(&record.trace_id), text: text(record.body.as_ref()) }).collect()
}

/// What the resource of every signal says of itself.
pub fn resources(got: &Got) -> Vec<Attributes> {
    let traces = got.traces.iter().flat_map(|r| &r.resource_spans).map(|r| &r.resource);
    let metrics = got.metrics.iter().flat_map(|r| &r.resource_metrics).map(|r| &r.resource);
    let logs = got.logs.iter().flat_map(|r| &r.resource_logs).map(|r| &r.resource);
    traces.chain(metrics).chain(logs).flatten().map(|resource| map(&resource.attributes)).collect()
}

//! The store in numbers, for Prometheus.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::snapshot::{Snapshot, Summary};

/// Every metric: name, kind, labels, meaning. Those of jobs have other names: see `docs/monitoring.md`.
pub const METRICS: &[(&str, &str, &[&str], &str)] = &[
    ("klines_store_up", "gauge", &[], "Whether the store can be read"),
    ("klines_store_series", "gauge", &[], "Series in the store"),
    ("klines_store_rows", "gauge", SERIES, "Klines stored"),
    (
        "klines_store_expected",
        "gauge",
        SERIES,
        "Klines that there should be, from the first to the last stored one",
    ),
    (
        "klines_store_missing",
        "gauge",
        SERIES,
        "Klines of those that are neither stored nor known to be absent",
    ),
    ("klines_store_absent", "gauge", SERIES, "Klines of those that the exchange is known not to have"),
    ("klines_store_gaps", "gauge", SERIES, "Runs of missing klines"),
    ("klines_store_last_open_time_seconds", "gauge", SERIES, "Open time of the last stored kline"),
    (
        "klines_store_last_run_time_seconds",
        "gauge",
        &["market", "symbol", "interval", "klines_job", "outcome"],
        "End of the last run of the series",
    ),
    (
        "klines_store_messages_pending",
        "gauge",
        &[],
        "Completion messages that wait in the outbox, at most 1000",
    ),
    ("klines_store_counted_time_seconds", "gauge", &[], "When these figures were counted"),
    (
        "klines_dashboard_requests_total",
        "counter",
        &["class"],
        "Requests to the dashboard, by class of answer",
    ),
];

const SERIES: &[&str] = &["market", "symbol", "interval"];

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let mut text = String::new();
    match app.snapshots.get().await {
        Ok(snapshot) => {
            plain(&mut text, "klines_store_up", 1);
            of_store(&mut text, &snapshot);
        }
        Err(away) => {
            // A scrape that fails would hide the dashboard's own figures; the words go to its log.
            tracing::warn!("the store cannot be read: {away}");
            plain(&mut text, "klines_store_up", 0);
        }
    }
    head(&mut text, "klines_dashboard_requests_total");
    for (class, number) in app.counts.read() {
        let _ = writeln!(text, "klines_dashboard_requests_total{{class=\"{class}\"}} {number}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn of_store(text: &mut String, snapshot: &Snapshot) {
    plain(text, "klines_store_series", snapshot.sums.series);
    plain(text, "klines_store_messages_pending", snapshot.pending);
    plain(text, "klines_store_counted_time_seconds", seconds(snapshot.at.0));
    let rows = |s: &Summary| s.extent.map(|extent| extent.rows as f64);
    family(text, snapshot, "klines_store_rows", rows);
    family(text, snapshot, "klines_store_expected", |s| Some(s.expected as f64));
    family(text, snapshot, "klines_store_missing", |s| Some(s.missing as f64));
    family(text, snapshot, "klines_store_absent", |s| Some(s.absent as f64));
    family(text, snapshot, "klines_store_gaps", |s| Some(s.gaps as f64));
    let last = |s: &Summary| s.extent.map(|extent| seconds(extent.last.0));
    family(text, snapshot, "klines_store_last_open_time_seconds", last);
    head(text, "klines_store_last_run_time_seconds");
    for s in &snapshot.series {
        if let Some(run) = &s.last_run {
            let (labels, record) = (labels(s), &run.record);
            let _ = writeln!(
                text,
                "klines_store_last_run_time_seconds{{{labels},klines_job=\"{}\",outcome=\"{}\"}} {}",
                escaped(&record.job),
                record.outcome,
                seconds(record.ended.0)
            );
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn head(text: &mut String, name: &str) {
    if let Some((_, kind, _, help)) = METRICS.iter().find(|metric| metric.0 == name) {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

fn plain(text: &mut String, name: &str, value: impl std::fmt::Display) {
    head(text, name);
    let _ = writeln!(text, "{name} {value}");
}

fn family(text: &mut String, snapshot: &Snapshot, name: &str, value: impl Fn(&Summary) -> Option<f64>) {
    head(text, name);
    for s in &snapshot.series {
        if let Some(value) = value(s) {
            let _ = writeln!(text, "{name}{{{}}} {value}", labels(s));
        }
    }
}

fn labels(s: &Summary) -> String {
    let (market, interval) = (s.series.market, s.series.interval);
    format!("market=\"{market}\",symbol=\"{}\",interval=\"{interval}\"", escaped(s.series.symbol.as_str()))
}

/// A label's value: nothing in it may end it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

//! Every name that leaves the program as telemetry: spans, metrics, attributes, with unit and meaning.
//!
//! The rest of the program uses these and no others; [`METRICS`], [`SPANS`] and [`ATTRIBUTES`] are the tables that the
//! documentation and the tests read. Units are UCUM; a unit in braces is a remark and no part of a Prometheus name.

/// A run of a job over all its series. Root of the trace.
pub const SPAN_RUN: &str = "klines.run";
/// One series within a run.
pub const SPAN_SERIES: &str = "klines.series";
/// One window that is fetched: a request and its retries, or a file of the archive.
pub const SPAN_WINDOW: &str = "klines.window";
/// One transaction of the store.
pub const SPAN_COMMIT: &str = "klines.commit";
/// The delivery of completion messages.
pub const SPAN_DELIVER: &str = "klines.deliver";
/// One HTTP request. By the semantic conventions a client span is named after its method; the exchange's API is read
/// with GET alone.
pub const SPAN_REQUEST: &str = "GET";

/// `extract` or `fill-gaps`. Not `job`: Prometheus keeps that label for the service.
pub const JOB: &str = "klines.job";
/// Identifier of a run, as in the report and the run history.
pub const RUN: &str = "klines.run.id";
/// How it ended: `complete`, `incomplete`, `failed`.
pub const OUTCOME: &str = "outcome";
/// `um`, `cm` or `spot`.
pub const MARKET: &str = "market";
/// Symbol, as the exchange writes it.
pub const SYMBOL: &str = "symbol";
/// Interval: `1m` … `1M`.
pub const INTERVAL: &str = "interval";
/// Why a row was refused.
pub const REASON: &str = "reason";
/// The request budget: `futures` (USD-M and COIN-M share one) or `spot`.
pub const POOL: &str = "pool";
/// Number of klines.
pub const KLINES: &str = "klines.count";
/// Where klines come from: `rest` or `archive`.
pub const SOURCE: &str = "klines.source";
/// Method of an HTTP request.
pub const HTTP_METHOD: &str = "http.request.method";
/// Status of an HTTP answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// How many times a request has been sent before.
pub const HTTP_RESEND: &str = "http.request.resend_count";
/// Host that is talked to.
pub const SERVER_ADDRESS: &str = "server.address";
/// Port that is talked to.
pub const SERVER_PORT: &str = "server.port";
/// URL of a request.
pub const URL_FULL: &str = "url.full";
/// Kind of failure: the HTTP status, or `timeout`, `dns`, `connect`, …
pub const ERROR_TYPE: &str = "error.type";
/// Engine of a store: `sqlite`, `mysql`, `postgresql`, `mongodb`.
pub const DB_SYSTEM: &str = "db.system.name";
/// Rows in a commit.
pub const DB_BATCH: &str = "db.operation.batch.size";

/// Runs that ended.
pub const RUNS: &str = "klines.runs";
/// How long runs take.
pub const RUN_DURATION: &str = "klines.run.duration";
/// Klines received.
pub const ROWS_FETCHED: &str = "klines.rows.fetched";
/// Klines written.
pub const ROWS_WRITTEN: &str = "klines.rows.written";
/// Klines refused.
pub const ROWS_REJECTED: &str = "klines.rows.rejected";
/// Gaps found.
pub const GAPS_FOUND: &str = "klines.gaps.found";
/// Gaps closed.
pub const GAPS_FILLED: &str = "klines.gaps.filled";
/// Klines still missing.
pub const MISSING: &str = "klines.missing";
/// Request weight used.
pub const WEIGHT_USED: &str = "klines.weight.used";
/// Request weight allowed.
pub const WEIGHT_LIMIT: &str = "klines.weight.limit";
/// How long requests take.
pub const REQUEST_DURATION: &str = "klines.request.duration";
/// Names that did not resolve.
pub const DNS_FAILURES: &str = "klines.dns.failures";
/// Messages sent.
pub const MESSAGES_PUBLISHED: &str = "klines.messages.published";
/// Messages waiting.
pub const MESSAGES_PENDING: &str = "klines.messages.pending";

/// What a metric counts or measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows within a process.
    Counter,
    /// The last value counts.
    Gauge,
    /// A distribution with these upper bounds.
    Histogram(Bounds),
}

/// Upper bounds of a histogram's buckets, in thousandths of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds(pub &'static [u64]);

impl Bounds {
    /// The bounds in the unit itself.
    pub fn values(self) -> Vec<f64> {
        self.0.iter().map(|&thousandths| thousandths as f64 / 1000.0).collect()
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name in OpenTelemetry.
    pub name: &'static str,
    /// What kind of numbers.
    pub kind: Kind,
    /// Unit.
    pub unit: &'static str,
    /// Meaning.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [&'static str],
}

const SERIES: &[&str] = &[MARKET, SYMBOL, INTERVAL];

/// From a tenth of a second, a run with nothing to do, to four hours.
const RUN_BOUNDS: Bounds = Bounds(&[
    100, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
    7_200_000, 14_400_000,
]);
/// Those that the semantic conventions recommend for HTTP requests.
const REQUEST_BOUNDS: Bounds =
    Bounds(&[5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000]);

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    attributes: &'static [&'static str],
    description: &'static str,
) -> Metric {
    Metric { name, kind, unit, description, attributes }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    metric(RUNS, Kind::Counter, "{run}", &[JOB, OUTCOME], "Runs that ended, by outcome"),
    metric(RUN_DURATION, Kind::Histogram(RUN_BOUNDS), "s", &[JOB, OUTCOME], "Wall time of a run"),
    metric(ROWS_FETCHED, Kind::Counter, "{kline}", SERIES, "Klines received for missing slots"),
    metric(ROWS_WRITTEN, Kind::Counter, "{kline}", SERIES, "Klines written"),
    metric(
        ROWS_REJECTED,
        Kind::Counter,
        "{kline}",
        &[MARKET, SYMBOL, INTERVAL, REASON],
        "Klines that validation refused",
    ),
    metric(GAPS_FOUND, Kind::Counter, "{gap}", SERIES, "Runs of missing klines found"),
    metric(GAPS_FILLED, Kind::Counter, "{gap}", SERIES, "Gaps of which no kline is missing any more"),
    metric(MISSING, Kind::Gauge, "{kline}", SERIES, "Klines missing at the end of the run"),
    metric(
        WEIGHT_USED,
        Kind::Gauge,
        "{weight}",
        &[POOL],
        "Request weight used in the exchange's current minute",
    ),
    metric(
        WEIGHT_LIMIT,
        Kind::Gauge,
        "{weight}",
        &[POOL],
        "Request weight that the exchange allows per minute",
    ),
    metric(
        REQUEST_DURATION,
        Kind::Histogram(REQUEST_BOUNDS),
        "s",
        &[HTTP_METHOD, HTTP_STATUS, SERVER_ADDRESS, ERROR_TYPE],
        "Time from sending a request to its whole answer",
    ),
    metric(
        DNS_FAILURES,
        Kind::Counter,
        "{failure}",
        &[SERVER_ADDRESS],
        "Host names that could not be resolved",
    ),
    metric(
        MESSAGES_PUBLISHED,
        Kind::Counter,
        "{message}",
        &[],
        "Completion messages that NATS has confirmed",
    ),
    metric(MESSAGES_PENDING, Kind::Gauge, "{message}", &[], "Completion messages that wait in the outbox"),
];

/// A span and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanName {
    /// Name.
    pub name: &'static str,
    /// Meaning.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [&'static str],
}

/// All spans.
pub const SPANS: &[SpanName] = &[
    SpanName {
        name: SPAN_RUN,
        description: "A run of a job: root of the trace",
        attributes: &[JOB, RUN, OUTCOME],
    },
    SpanName {
        name: SPAN_SERIES,
        description: "One series within a run",
        attributes: &[MARKET, SYMBOL, INTERVAL, OUTCOME],
    },
    SpanName {
        name: SPAN_WINDOW,
        description: "One window: a request with its retries, or an archive file",
        attributes: &[SOURCE, KLINES],
    },
    SpanName {
        name: SPAN_REQUEST,
        description: "One HTTP request, by the semantic conventions",
        attributes: &[
            HTTP_METHOD,
            URL_FULL,
            SERVER_ADDRESS,
            SERVER_PORT,
            HTTP_STATUS,
            HTTP_RESEND,
            ERROR_TYPE,
        ],
    },
    SpanName {
        name: SPAN_COMMIT,
        description: "One transaction of the store",
        attributes: &[DB_SYSTEM, DB_BATCH],
    },
    SpanName { name: SPAN_DELIVER, description: "Delivery of completion messages", attributes: &[] },
];

/// All attributes, with their meaning.
pub const ATTRIBUTES: &[(&str, &str)] = &[
    (JOB, "`extract` or `fill-gaps`"),
    (RUN, "Identifier of the run, as in the report"),
    (OUTCOME, "`complete`, `incomplete` or `failed`"),
    (MARKET, "`um`, `cm` or `spot`"),
    (SYMBOL, "Symbol, as the exchange writes it"),
    (INTERVAL, "`1m` … `1M`"),
    (REASON, "Why validation refused the row"),
    (POOL, "Request budget: `futures` or `spot`"),
    (KLINES, "Number of klines"),
    (SOURCE, "`rest` or `archive`"),
    (HTTP_METHOD, "Method of the request"),
    (HTTP_STATUS, "Status of the answer; absent when there was none"),
    (HTTP_RESEND, "How often the request was sent before"),
    (SERVER_ADDRESS, "Host"),
    (SERVER_PORT, "Port"),
    (URL_FULL, "URL of the request"),
    (ERROR_TYPE, "What failed: the HTTP status, or `timeout`, `dns`, `connect`, …; absent on success"),
    (DB_SYSTEM, "Engine of the store"),
    (DB_BATCH, "Klines in the transaction"),
];

/// The names a metric has in Prometheus, by the rules of its OpenTelemetry translation.
fn prometheus_of(metric: &Metric) -> Vec<String> {
    let mut base = metric.name.replace('.', "_");
    if metric.unit == "s" {
        base.push_str("_seconds");
    }
    match metric.kind {
        Kind::Counter => vec![format!("{base}_total")],
        Kind::Gauge => vec![base],
        Kind::Histogram(_) => {
            ["bucket", "sum", "count"].iter().map(|part| format!("{base}_{part}")).collect()
        }
    }
}

/// Every name of a time series in Prometheus: `klines_runs_total`, `klines_run_duration_seconds_bucket`, …
pub fn prometheus_names() -> Vec<String> {
    METRICS.iter().flat_map(prometheus_of).collect()
}

/// The labels a metric has in Prometheus, by the name of its time series; `None` for a name that is none of ours.
pub fn prometheus_labels(name: &str) -> Option<Vec<String>> {
    let metric = METRICS.iter().find(|metric| prometheus_of(metric).iter().any(|n| n == name))?;
    Some(metric.attributes.iter().map(|attribute| attribute.replace('.', "_")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_names_follow_the_translation_rules() {
        let names = prometheus_names();
        for expected in [
            "klines_runs_total",
            "klines_run_duration_seconds_bucket",
            "klines_rows_fetched_total",
            "klines_missing",
            "klines_weight_used",
            "klines_messages_pending",
            "klines_request_duration_seconds_count",
        ] {
            assert!(names.iter().any(|n| n == expected), "{expected} is not in {names:?}");
        }
    }

    #[test]
    fn every_attribute_is_described_and_no_name_is_used_twice() {
        let described = |name: &&str| ATTRIBUTES.iter().any(|(known, _)| known == name);
        assert!(METRICS.iter().flat_map(|m| m.attributes).all(described));
        assert!(SPANS.iter().flat_map(|s| s.attributes).all(described));
        let mut names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn no_attribute_collides_with_a_label_that_prometheus_sets() {
        for reserved in ["job", "instance", "le"] {
            assert!(METRICS.iter().all(|m| !m.attributes.contains(&reserved)), "{reserved}");
        }
    }
}

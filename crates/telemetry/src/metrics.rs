//! The program's numbers.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::names::{self, Kind, METRICS};

/// What names a series in a metric.
#[derive(Debug, Clone, Copy)]
pub struct SeriesLabels<'a> {
    /// `um`, `cm` or `spot`.
    pub market: &'a str,
    /// Symbol.
    pub symbol: &'a str,
    /// Interval.
    pub interval: &'a str,
}

impl SeriesLabels<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(names::MARKET, self.market.to_owned()),
            KeyValue::new(names::SYMBOL, self.symbol.to_owned()),
            KeyValue::new(names::INTERVAL, self.interval.to_owned()),
        ]
    }
}

/// Records numbers under the names of [`names::METRICS`]. Cheap to clone; when nothing is exported every method does
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Option<Arc<Instruments>>);

#[derive(Debug)]
struct Instruments {
    runs: Counter<u64>,
    run_duration: Histogram<f64>,
    rows_fetched: Counter<u64>,
    rows_written: Counter<u64>,
    rows_rejected: Counter<u64>,
    gaps_found: Counter<u64>,
    gaps_filled: Counter<u64>,
    missing: Gauge<u64>,
    weight_used: Gauge<u64>,
    weight_limit: Gauge<u64>,
    request_duration: Histogram<f64>,
    dns_failures: Counter<u64>,
    messages_published: Counter<u64>,
    messages_pending: Gauge<u64>,
}

impl Metrics {
    /// Metrics that go nowhere.
    pub fn off() -> Self {
        Self(None)
    }

    pub(crate) fn new(meter: &Meter) -> Self {
        let make = Maker(meter);
        Self(Some(Arc::new(Instruments {
            runs: make.counter(names::RUNS),
            run_duration: make.histogram(names::RUN_DURATION),
            rows_fetched: make.counter(names::ROWS_FETCHED),
            rows_written: make.counter(names::ROWS_WRITTEN),
            rows_rejected: make.counter(names::ROWS_REJECTED),
            gaps_found: make.counter(names::GAPS_FOUND),
            gaps_filled: make.counter(names::GAPS_FILLED),
            missing: make.gauge(names::MISSING),
            weight_used: make.gauge(names::WEIGHT_USED),
            weight_limit: make.gauge(names::WEIGHT_LIMIT),
            request_duration: make.histogram(names::REQUEST_DURATION),
            dns_failures: make.counter(names::DNS_FAILURES),
            messages_published: make.counter(names::MESSAGES_PUBLISHED),
            messages_pending: make.gauge(names::MESSAGES_PENDING),
        })))
    }

    /// A run of `job` (`extract`, `fill-gaps`) ended with `outcome` (`complete`, `incomplete`, `failed`).
    pub fn run_finished(&self, job: &str, outcome: &str, took: Duration) {
        let Some(i) = &self.0 else { return };
        let attributes =
            [KeyValue::new(names::JOB, job.to_owned()), KeyValue::new(names::OUTCOME, outcome.to_owned())];
        i.runs.add(1, &attributes);
        i.run_duration.record(took.as_secs_f64(), &attributes);
    }

    /// Klines were received for missing slots.
    pub fn rows_fetched(&self, series: SeriesLabels<'_>, klines: u64) {
        self.add(|i| &i.rows_fetched, series, klines);
    }

    /// Klines were written.
    pub fn rows_written(&self, series: SeriesLabels<'_>, klines: u64) {
        self.add(|i| &i.rows_written, series, klines);
    }

    /// Klines were refused by validation.
    pub fn rows_rejected(&self, series: SeriesLabels<'_>, reason: &str, klines: u64) {
        let Some(i) = &self.0 else { return };
        let mut attributes = series.attributes();
        attributes.push(KeyValue::new(names::REASON, reason.to_owned()));
        i.rows_rejected.add(klines, &attributes);
    }

    /// Gaps were found.
    pub fn gaps_found(&self, series: SeriesLabels<'_>, gaps: u64) {
        self.add(|i| &i.gaps_found, series, gaps);
    }

    /// Gaps were closed.
    pub fn gaps_filled(&self, series: SeriesLabels<'_>, gaps: u64) {
        self.add(|i| &i.gaps_filled, series, gaps);
    }

    /// So many klines are missing at the end of a run; 0 is worth saying, it ends an alert.
    pub fn missing(&self, series: SeriesLabels<'_>, klines: u64) {
        let Some(i) = &self.0 else { return };
        i.missing.record(klines, &series.attributes());
    }

    /// The exchange said how much of the weight of a pool (`futures`, `spot`) is used up, out of how much.
    pub fn weight(&self, pool: &str, used: u64, limit: u64) {
        let Some(i) = &self.0 else { return };
        let attributes = [KeyValue::new(names::POOL, pool.to_owned())];
        i.weight_used.record(used, &attributes);
        i.weight_limit.record(limit, &attributes);
    }

    /// A GET request ended: with a status, or without an answer for the reason `error` (`timeout`, `dns`, `connect`).
    pub fn request(&self, server: &str, status: Option<u16>, error: Option<&str>, took: Duration) {
        let Some(i) = &self.0 else { return };
        let mut attributes = vec![
            KeyValue::new(names::HTTP_METHOD, "GET"),
            KeyValue::new(names::SERVER_ADDRESS, server.to_owned()),
        ];
        if let Some(status) = status {
            attributes.push(KeyValue::new(names::HTTP_STATUS, i64::from(status)));
        }
        // By the conventions an answer from 400 on is an error named after its status.
        let failed = status.filter(|status| *status >= 400).map(|status| status.to_string());
        if let Some(error) = error.map(str::to_owned).or(failed) {
            attributes.push(KeyValue::new(names::ERROR_TYPE, error));
        }
        i.request_duration.record(took.as_secs_f64(), &attributes);
    }

    /// A host name could not be resolved.
    pub fn dns_failure(&self, server: &str) {
        let Some(i) = &self.0 else { return };
        i.dns_failures.add(1, &[KeyValue::new(names::SERVER_ADDRESS, server.to_owned())]);
    }

    /// Completion messages were confirmed by NATS, and so many still wait.
    pub fn messages(&self, published: u64, pending: u64) {
        let Some(i) = &self.0 else { return };
        i.messages_published.add(published, &[]);
        i.messages_pending.record(pending, &[]);
    }

    fn add(&self, counter: fn(&Instruments) -> &Counter<u64>, series: SeriesLabels<'_>, n: u64) {
        if let Some(i) = &self.0 {
            counter(i).add(n, &series.attributes());
        }
    }
}

/// Makes instruments as the table of names describes them.
struct Maker<'a>(&'a Meter);

impl Maker<'_> {
    /// Unit, description and bounds of a metric; a test makes sure that every one is in the table.
    fn of(name: &'static str) -> (&'static str, &'static str, Vec<f64>) {
        let found = METRICS.iter().find(|metric| metric.name == name);
        found.map_or(("", "", Vec::new()), |metric| {
            let bounds = match metric.kind {
                Kind::Histogram(bounds) => bounds.values(),
                Kind::Counter | Kind::Gauge => Vec::new(),
            };
            (metric.unit, metric.description, bounds)
        })
    }

    fn counter(&self, name: &'static str) -> Counter<u64> {
        let (unit, description, _) = Self::of(name);
        self.0.u64_counter(name).with_unit(unit).with_description(description).build()
    }

    fn gauge(&self, name: &'static str) -> Gauge<u64> {
        let (unit, description, _) = Self::of(name);
        self.0.u64_gauge(name).with_unit(unit).with_description(description).build()
    }

    fn histogram(&self, name: &'static str) -> Histogram<f64> {
        let (unit, description, bounds) = Self::of(name);
        self.0
            .f64_histogram(name)
            .with_unit(unit)
            .with_description(description)
            .with_boundaries(bounds)
            .build()
    }
}

//! What a job is asked to do.

use std::time::Duration;

use kline::{Interval, Millis, Series};

use crate::route::FetchFrom;

/// Which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// From the last stored kline to the last closed one.
    Extract,
    /// Every gap of the range.
    FillGaps,
}

impl Job {
    /// Name in commands, reports and run records: `extract`, `fill-gaps`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::FillGaps => "fill-gaps",
        }
    }

    /// `extraction_type` in messages.
    pub fn extraction_type(self) -> &'static str {
        match self {
            Self::Extract => "klines",
            Self::FillGaps => "klines_gap_filling",
        }
    }
}

/// Where the range of a series begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// At an instant.
    At(Millis),
    /// Where the history of the series begins: fill-gaps starts there, extract only when nothing is stored yet.
    Begin(Millis),
    /// At the first kline the exchange has.
    Listing,
    /// This far back from now.
    Back(Lookback),
    /// Extract: after the last stored kline, or the default look-back when there is none. Fill-gaps: at the first stored
    /// kline.
    Stored,
}

/// How far to look back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookback {
    /// A span of time.
    Time(Duration),
    /// A number of klines.
    Klines(u32),
}

impl Lookback {
    /// What `extract` takes for a series of which nothing is stored: the largest page at the cheapest rate of weight.
    pub const DEFAULT: Self = Self::Klines(499);

    /// Where a range of this length begins when it ends with the last kline closed at `now`.
    pub fn since(self, interval: Interval, now: Millis) -> Millis {
        match self {
            Self::Time(span) => now.plus(-i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
            Self::Klines(count) => interval.slot_start(interval.first_open_slot(now) - i64::from(count)),
        }
    }
}

/// What the window planner should save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreferSetting {
    /// Weight, unless the line is so slow that the weight limit could never be reached.
    #[default]
    Auto,
    /// Weight.
    Weight,
    /// Requests.
    Requests,
}

/// Completion messages.
#[derive(Debug, Clone)]
pub struct MessageOptions {
    /// First part of the subject, `binance.extraction.gap-filler` for instance.
    pub prefix: String,
    /// Tells the W3C `traceparent` of the current span, for consumers that go on with the trace. This crate knows of
    /// spans, but not of what carries them.
    pub traceparent: fn() -> Option<String>,
}

impl MessageOptions {
    /// Messages outside any trace.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), traceparent: || None }
    }
}

/// A job in full.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which job.
    pub job: Job,
    /// The series to work on.
    pub series: Vec<Series>,
    /// Where each range begins.
    pub since: Since,
    /// Where each range ends, exclusive; `None` for the last closed kline.
    pub until: Option<Millis>,
    /// Plan only; write nothing.
    pub dry_run: bool,
    /// Ask again for what is remembered as absent.
    pub recheck_absent: bool,
    /// Count the stored rows themselves instead of trusting the store's bucket counts.
    pub recount: bool,
    /// Where to fetch from.
    pub from: FetchFrom,
    /// What to save.
    pub prefer: PreferSetting,
    /// Series worked on at once.
    pub series_at_once: usize,
    /// Requests in flight per series.
    pub in_flight: usize,
    /// Klines per commit.
    pub chunk: usize,
    /// How long a lease lasts without being renewed.
    pub lease_ttl: Duration,
    /// How long to wait for another job's lease.
    pub lease_wait: Duration,
    /// Completion messages, or `None` to produce none.
    pub messages: Option<MessageOptions>,
}

impl Options {
    /// A job with default settings.
    pub fn new(job: Job, series: Vec<Series>) -> Self {
        Self {
            job,
            series,
            since: Since::Stored,
            until: None,
            dry_run: false,
            recheck_absent: false,
            recount: false,
            from: FetchFrom::Rest,
            prefer: PreferSetting::Auto,
            series_at_once: 4,
            in_flight: 6,
            chunk: 10_000,
            lease_ttl: Duration::from_secs(60),
            lease_wait: Duration::from_secs(90),
            messages: None,
        }
    }
}

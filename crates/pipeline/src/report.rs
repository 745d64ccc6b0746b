//! The truth about a run, in numbers. The JSON form is public: fields may be added, none renamed.

use kline::validate::Flags;
use kline::{Series, TimeRange};
use serde::Serialize;
use store::Outcome;

use crate::route::ArchiveReport;
use crate::spec::Job;

/// Report of a whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `extract` or `fill-gaps`.
    pub job: &'static str,
    /// Identifier of the run, as in the run history.
    pub run: String,
    /// `complete`, `incomplete` or `failed`.
    pub outcome: &'static str,
    /// Whether this was a plan only.
    pub dry_run: bool,
    /// Wall time of the run, ms.
    pub duration_ms: u64,
    /// One entry per series, in the order asked.
    pub series: Vec<SeriesReport>,
    /// Sums over the series.
    pub totals: Totals,
}

/// Report of one series. For every complete run: `expected = stored_before + written + absent`, and in general
/// `expected = stored_before + written + absent + missing_after`.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesReport {
    /// `um`, `cm` or `spot`.
    pub market: &'static str,
    /// Symbol.
    pub symbol: String,
    /// Interval.
    pub interval: &'static str,
    /// Start of the range, RFC 3339; `null` when the series failed before it was known.
    pub since: Option<String>,
    /// End of the range, exclusive.
    pub until: Option<String>,
    /// Slots of the range.
    pub expected: u64,
    /// Slots that were filled before.
    pub stored_before: u64,
    /// Maximal runs of slots that were neither filled nor known to be absent.
    pub gaps: u64,
    /// Slots in these gaps.
    pub missing_before: u64,
    /// Klines received for missing slots, before validation.
    pub fetched: u64,
    /// Klines written.
    pub written: u64,
    /// Rows refused by validation.
    pub rejected: u64,
    /// Slots of the range known to be absent at the source, from this run or earlier ones.
    pub absent: u64,
    /// Slots still neither filled nor known to be absent.
    pub missing_after: u64,
    /// Requests sent for klines of this series, retries and refused ones included. The exchange's clock and limits,
    /// asked for once per run, belong to no series.
    pub requests: u64,
    /// Weight of these requests.
    pub weight: u64,
    /// Wall time, ms.
    pub duration_ms: u64,
    /// What went wrong, or `null`.
    pub error: Option<String>,
    /// What to do about it, or `null`.
    pub hint: Option<String>,
    /// Stored klines that were re-read and replaced because the source has other values now.
    pub revised: u64,
    /// Gaps of which every slot was filled or found absent.
    pub gaps_filled: u64,
    /// Written klines that are odd but real.
    pub flagged: FlagCounts,
    /// Refused rows by reason.
    pub rejections: Vec<RejectionCount>,
    /// What came out of the public archive; `null` when it was not to be used.
    pub archive: Option<ArchiveReport>,
    /// What it would cost, when this was a plan only.
    pub plan: Option<PlanReport>,
    /// How the series ended.
    pub outcome: &'static str,
}

/// Klines stored as sent though they look odd.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct FlagCounts {
    /// Opened off the grid.
    pub off_grid: u64,
    /// Closed at another instant than the interval's last millisecond.
    pub odd_close: u64,
    /// Without a trade.
    pub zero_volume: u64,
}

impl From<Flags> for FlagCounts {
    fn from(flags: Flags) -> Self {
        Self { off_grid: flags.off_grid, odd_close: flags.odd_close, zero_volume: flags.zero_volume }
    }
}

/// Refused rows of one reason.
#[derive(Debug, Clone, Serialize)]
pub struct RejectionCount {
    /// Stable identifier of the reason.
    pub reason: &'static str,
    /// How many.
    pub rows: u64,
    /// The first one in words.
    pub first: String,
}

/// Cost of a plan.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PlanReport {
    /// Requests.
    pub requests: u64,
    /// Weight.
    pub weight: u64,
    /// Files of the public archive; how many bytes they have is not known before they are fetched.
    pub files: u64,
    /// Estimated time, seconds: whichever of the weight limit and the latency of the line is slower.
    pub seconds: u64,
}

/// Sums over series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Slots.
    pub expected: u64,
    /// Missing before.
    pub missing_before: u64,
    /// Received.
    pub fetched: u64,
    /// Written.
    pub written: u64,
    /// Absent at the source.
    pub absent: u64,
    /// Still missing.
    pub missing_after: u64,
    /// Requests.
    pub requests: u64,
    /// Weight.
    pub weight: u64,
}

impl SeriesReport {
    /// An empty report of a series.
    pub fn new(series: &Series) -> Self {
        Self {
            market: series.market.as_str(),
            symbol: series.symbol.to_string(),
            interval: series.interval.as_str(),
            since: None,
            until: None,
            expected: 0,
            stored_before: 0,
            gaps: 0,
            missing_before: 0,
            fetched: 0,
            written: 0,
            rejected: 0,
            absent: 0,
            missing_after: 0,
            requests: 0,
            weight: 0,
            duration_ms: 0,
            error: None,
            hint: None,
            revised: 0,
            gaps_filled: 0,
            flagged: FlagCounts::default(),
            rejections: Vec::new(),
            archive: None,
            plan: None,
            outcome: Outcome::Failed.as_str(),
        }
    }

    /// Sets the range.
    pub(crate) fn set_range(&mut self, range: TimeRange) {
        self.since = Some(range.since.to_string());
        self.until = Some(range.until.to_string());
    }

    /// How the series stands: failed with an error, else complete when nothing is missing.
    pub fn outcome(&self) -> Outcome {
        match (&self.error, self.missing_after) {
            (Some(_), _) => Outcome::Failed,
            (None, 0) => Outcome::Complete,
            (None, _) => Outcome::Incomplete,
        }
    }

    /// `um BTCUSDT 5m`.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.market, self.symbol, self.interval)
    }
}

impl Report {
    /// Puts the parts together.
    pub fn new(job: Job, run: String, dry_run: bool, duration_ms: u64, series: Vec<SeriesReport>) -> Self {
        let mut totals = Totals::default();
        for s in &series {
            totals.expected += s.expected;
            totals.missing_before += s.missing_before;
            totals.fetched += s.fetched;
            totals.written += s.written;
            totals.absent += s.absent;
            totals.missing_after += s.missing_after;
            totals.requests += s.requests;
            totals.weight += s.weight;
        }
        let outcomes = || series.iter().map(SeriesReport::outcome);
        let outcome = if outcomes().any(|o| o == Outcome::Failed) {
            Outcome::Failed
        } else if outcomes().any(|o| o == Outcome::Incomplete) {
            Outcome::Incomplete
        } else {
            Outcome::Complete
        };
        Self { job: job.as_str(), run, outcome: outcome.as_str(), dry_run, duration_ms, series, totals }
    }
}

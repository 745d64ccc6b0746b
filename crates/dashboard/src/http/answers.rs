//! The JSON forms of what is known. [`OPENAPI`](super::OPENAPI) describes them; a test compares.

use kline::{Millis, Series};
use pipeline::certify::notes::State;
use serde::Serialize;

use crate::coverage::Cell;
use crate::runs::{Run, Weight};
use crate::snapshot::{Summary, Sums};

/// A series, how complete it is, and its last run.
#[derive(Serialize)]
pub(super) struct SeriesRow {
    market: &'static str,
    symbol: String,
    interval: &'static str,
    listed: Option<String>,
    first: Option<String>,
    last: Option<String>,
    since: String,
    until: String,
    rows: u64,
    expected: u64,
    stored: u64,
    missing: u64,
    absent: u64,
    gaps: u64,
    behind: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Option<Months>,
    certified: Certified,
    last_run: Option<RunRow>,
}

/// Months that were certified, and what became of them.
#[derive(Serialize)]
struct Certified {
    months: u64,
    current: u64,
    grown: u64,
    changed: u64,
    since: Option<String>,
}

impl From<State> for Certified {
    fn from(s: State) -> Self {
        let since = s.since.map(|at| at.to_string());
        Self { months: s.months, current: s.current, grown: s.grown, changed: s.changed, since }
    }
}

/// Counts per month: `[expected, missing, absent]`, without a hole between the months.
#[derive(Serialize)]
pub(super) struct Months {
    first: String,
    cells: Vec<[u64; 3]>,
}

impl SeriesRow {
    pub fn of(s: &Summary, now: Millis, months: bool) -> Self {
        Self {
            market: s.series.market.as_str(),
            symbol: s.series.symbol.to_string(),
            interval: s.series.interval.as_str(),
            listed: s.listed.map(|at| at.to_string()),
            first: s.extent.map(|extent| extent.first.to_string()),
            last: s.extent.map(|extent| extent.last.to_string()),
            since: s.since.to_string(),
            until: s.until.to_string(),
            rows: s.extent.map_or(0, |extent| extent.rows),
            expected: s.expected,
            stored: s.stored(),
            missing: s.missing,
            absent: s.absent,
            gaps: s.gaps,
            behind: s.behind(now),
            months: months.then(|| Months {
                first: s.months.first().map_or_else(String::new, |cell| month(cell.at)),
                cells: s.months.iter().map(|c| [c.expected, c.missing, c.absent]).collect(),
            }),
            certified: s.certified.into(),
            last_run: s.last_run.as_ref().map(RunRow::of),
        }
    }
}

fn month(at: Millis) -> String {
    at.date().chars().take(7).collect()
}

/// One run of one series.
#[derive(Serialize)]
pub(super) struct RunRow {
    run: String,
    job: String,
    market: &'static str,
    symbol: String,
    interval: &'static str,
    started: String,
    ended: String,
    outcome: &'static str,
    reason: String,
    hint: Option<String>,
    since: Option<String>,
    until: Option<String>,
    expected: u64,
    gaps: u64,
    missing_before: u64,
    fetched: u64,
    written: u64,
    rejected: u64,
    absent: u64,
    missing_after: u64,
    requests: u64,
    weight: u64,
}

impl RunRow {
    pub fn of(run: &Run) -> Self {
        let (r, f) = (&run.record, &run.figures);
        Self {
            run: r.run.clone(),
            job: r.job.clone(),
            market: r.series.market.as_str(),
            symbol: r.series.symbol.to_string(),
            interval: r.series.interval.as_str(),
            started: r.started.to_string(),
            ended: r.ended.to_string(),
            outcome: r.outcome.as_str(),
            reason: run.reason(),
            hint: f.hint.clone(),
            since: f.since.clone(),
            until: f.until.clone(),
            expected: f.expected,
            gaps: f.gaps,
            missing_before: f.missing_before,
            fetched: f.fetched,
            written: f.written,
            rejected: f.rejected,
            absent: f.absent,
            missing_after: f.missing_after,
            requests: f.requests,
            weight: f.weight,
        }
    }
}

/// Runs.
#[derive(Serialize)]
pub(super) struct Runs {
    pub runs: Vec<RunRow>,
}

/// Sums.
#[derive(Serialize)]
pub(super) struct Totals {
    series: u64,
    complete: u64,
    rows: u64,
    expected: u64,
    stored: u64,
    missing: u64,
    absent: u64,
    gaps: u64,
    certified: u64,
    changed: u64,
}

impl From<Sums> for Totals {
    fn from(s: Sums) -> Self {
        Self {
            series: s.series,
            complete: s.complete,
            rows: s.rows,
            expected: s.expected,
            stored: s.stored,
            missing: s.missing,
            absent: s.absent,
            gaps: s.gaps,
            certified: s.certified,
            changed: s.changed,
        }
    }
}

/// The whole at a glance.
#[derive(Serialize)]
pub(super) struct Overview {
    pub version: &'static str,
    pub store: String,
    pub engine: Option<&'static str>,
    pub actions: bool,
    pub now: String,
    pub counted: String,
    pub totals: Totals,
    pub messages_pending: u64,
    pub weight: Vec<Weight>,
    pub last_run: Option<RunRow>,
}

/// A page of series.
#[derive(Serialize)]
pub(super) struct SeriesPage {
    pub total: usize,
    pub matched: usize,
    pub offset: usize,
    pub counted: String,
    pub series: Vec<SeriesRow>,
}

/// A map of one series.
#[derive(Serialize)]
pub(super) struct Map {
    pub by: &'static str,
    pub since: String,
    pub until: String,
    pub cells: Vec<MapCell>,
}

/// One cell of it.
#[derive(Serialize)]
pub(super) struct MapCell {
    at: String,
    expected: u64,
    stored: u64,
    missing: u64,
    absent: u64,
}

impl From<Cell> for MapCell {
    fn from(cell: Cell) -> Self {
        Self {
            at: cell.at.to_string(),
            expected: cell.expected,
            stored: cell.stored(),
            missing: cell.missing,
            absent: cell.absent,
        }
    }
}

/// A stretch of time without klines.
#[derive(Serialize)]
pub(super) struct Hole {
    since: String,
    until: String,
    klines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    established: Option<String>,
}

impl Hole {
    pub fn gap(series: &Series, slots: kline::SlotRange) -> Self {
        let time = series.interval.time_range(slots);
        Self {
            since: time.since.to_string(),
            until: time.until.to_string(),
            klines: slots.len(),
            how: None,
            established: None,
        }
    }

    pub fn absent(series: &Series, range: &store::AbsentRange) -> Self {
        Self {
            how: Some(range.how.as_str()),
            established: Some(range.at.to_string()),
            ..Self::gap(series, range.slots)
        }
    }
}

/// Stretches without klines, a page of them.
#[derive(Serialize)]
pub(super) struct Holes {
    pub total: usize,
    pub klines: u64,
    pub offset: usize,
    pub ranges: Vec<Hole>,
}

/// A stretch of candles.
#[derive(Serialize)]
pub(super) struct Candles {
    pub since: String,
    pub until: String,
    /// Open time in ms, then open, high, low, close, volume exactly as stored.
    pub klines: Vec<(i64, String, String, String, String, String)>,
    pub gaps: Vec<Hole>,
    pub absent: Vec<Hole>,
}

/// What was fetched.
#[derive(Serialize)]
pub(super) struct Ledger {
    pub entries: Vec<LedgerRow>,
}

/// One answer of the source.
#[derive(Serialize)]
pub(super) struct LedgerRow {
    pub run: String,
    pub source: &'static str,
    pub since: String,
    pub until: String,
    pub rows: u64,
    pub rejected: u64,
    pub at: String,
}

/// Whether the token was right.
#[derive(Serialize)]
pub(super) struct Access {
    pub actions: bool,
}

/// A short word.
#[derive(Serialize)]
pub(super) struct Status {
    pub status: &'static str,
}

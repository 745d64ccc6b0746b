//! What a comparison found. The JSON form is public: fields may be added, none renamed.

use kline::{Interval, Kline, Millis, Series, SlotRange};
use serde::Serialize;

use super::compare::{self, Difference, FieldDifference};

/// Report of a whole comparison.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// `verify`.
    pub job: &'static str,
    /// Identifier of the run; repaired klines carry it in the table of revisions.
    pub run: String,
    /// `rest` or `archive`.
    pub against: &'static str,
    /// `clean`, `found` or `failed`.
    pub outcome: &'static str,
    /// Whether the source's values were written.
    pub repair: bool,
    /// Whether this was a plan only.
    pub dry_run: bool,
    /// Wall time, ms.
    pub duration_ms: u64,
    /// One entry per series, in the order asked.
    pub series: Vec<VerifySeries>,
    /// Sums over the series.
    pub totals: VerifyTotals,
}

/// Numbers of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct VerifyTotals {
    /// Slots of the range.
    pub expected: u64,
    /// Klines in the store.
    pub stored: u64,
    /// Klines that are the same in store and source.
    pub equal: u64,
    /// Klines of which some value differs.
    pub drift: u64,
    /// Klines that only the source has.
    pub missing: u64,
    /// Klines that only the store has.
    pub unexpected: u64,
    /// Stored klines that contradict themselves (low above another price, and the like).
    pub invalid: u64,
    /// Stored klines that open off the grid. Some are real: these count as found only where the source lacks them, and are
    /// then `unexpected`, too.
    pub off_grid: u64,
    /// Stored klines that the source gave no usable answer about.
    pub unchecked: u64,
    /// Klines written by a repair: replaced and added ones.
    pub repaired: u64,
    /// Requests sent, or planned by a dry run.
    pub requests: u64,
    /// Their weight.
    pub weight: u64,
    /// Files of the archive read, or planned by a dry run.
    pub files: u64,
}

impl VerifyTotals {
    /// Klines with which something is the matter. What a repair wrote was found all the same.
    pub fn found(&self) -> u64 {
        self.drift + self.missing + self.unexpected + self.invalid
    }

    fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.stored += other.stored;
        self.equal += other.equal;
        self.drift += other.drift;
        self.missing += other.missing;
        self.unexpected += other.unexpected;
        self.invalid += other.invalid;
        self.off_grid += other.off_grid;
        self.unchecked += other.unchecked;
        self.repaired += other.repaired;
        self.requests += other.requests;
        self.weight += other.weight;
        self.files += other.files;
    }
}

/// Report of one series.
#[derive(Debug, Clone, Serialize)]
pub struct VerifySeries {
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
    /// The numbers.
    #[serde(flatten)]
    pub counts: VerifyTotals,
    /// What was found, ascending by open time; at most as many as were asked for.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_left_out: u64,
    /// Files of the archive that were refused, and why; the first few.
    pub refused_files: Vec<String>,
    /// What went wrong, or `null`.
    pub error: Option<String>,
    /// What to do about it, or `null`.
    pub hint: Option<String>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `drift`, `missing`, `unexpected` or `invalid`.
    pub kind: &'static str,
    /// Open time of the (first) kline, RFC 3339.
    pub open_time: String,
    /// Klines in a row of which this is true.
    pub klines: u64,
    /// Open time of the last of them.
    pub last: String,
    /// The fields that differ, of a drift.
    pub fields: Vec<FieldDifference>,
    /// In words, what is wrong with an `invalid` one; else `null`.
    pub detail: Option<String>,
    /// Slots, for joining neighbours.
    #[serde(skip)]
    slots: SlotRange,
}

impl VerifySeries {
    /// An empty report of a series.
    pub fn new(series: &Series) -> Self {
        Self {
            market: series.market.as_str(),
            symbol: series.symbol.to_string(),
            interval: series.interval.as_str(),
            since: None,
            until: None,
            counts: VerifyTotals::default(),
            findings: Vec::new(),
            findings_left_out: 0,
            refused_files: Vec::new(),
            error: None,
            hint: None,
        }
    }

    /// `um BTCUSDT 5m`.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.market, self.symbol, self.interval)
    }

    /// Enters a difference.
    pub(crate) fn count(&mut self, interval: Interval, difference: &Difference, most: usize) {
        match difference {
            Difference::Drift { stored, source } => {
                self.counts.drift += 1;
                let fields = compare::fields(stored, source);
                self.tell(Finding { fields, ..Finding::of("drift", interval, stored.open_time) }, most);
            }
            Difference::Missing(kline) => {
                self.counts.missing += 1;
                self.tell(Finding::of("missing", interval, kline.open_time), most);
            }
            Difference::Unexpected(kline) => {
                self.counts.unexpected += 1;
                self.tell(Finding::of("unexpected", interval, kline.open_time), most);
            }
            Difference::Unchecked => self.counts.unchecked += 1,
        }
    }

    /// Looks at stored klines by themselves.
    pub(crate) fn inspect(&mut self, interval: Interval, stored: &[Kline], most: usize) {
        self.counts.stored += stored.len() as u64;
        for kline in stored {
            self.counts.off_grid += u64::from(!interval.is_aligned(kline.open_time));
            if let Some(reason) = compare::fault(kline) {
                self.counts.invalid += 1;
                let detail = Some(reason.to_string());
                self.tell(Finding { detail, ..Finding::of("invalid", interval, kline.open_time) }, most);
            }
        }
    }

    /// Counts what is the same in both, and puts the findings in order of time.
    pub(crate) fn conclude(&mut self) {
        let c = &mut self.counts;
        c.equal = c.stored.saturating_sub(c.drift + c.unexpected + c.unchecked);
        self.findings.sort_by_key(|finding| finding.slots.start);
    }

    /// Adds a finding; runs of klines that are missing, or that the source lacks, are one.
    fn tell(&mut self, finding: Finding, most: usize) {
        if let Some(last) = self.findings.last_mut()
            && last.kind == finding.kind
            && matches!(finding.kind, "missing" | "unexpected")
            && last.slots.end == finding.slots.start
        {
            last.klines += 1;
            last.last = finding.open_time;
            last.slots.end = finding.slots.end;
        } else if self.findings.len() < most {
            self.findings.push(finding);
        } else {
            self.findings_left_out += 1;
        }
    }
}

impl Finding {
    /// A finding about one kline.
    pub fn of(kind: &'static str, interval: Interval, at: Millis) -> Self {
        let slot = interval.slot_of(at);
        Self {
            kind,
            open_time: at.to_string(),
            klines: 1,
            last: at.to_string(),
            fields: Vec::new(),
            detail: None,
            slots: SlotRange::new(slot, slot + 1),
        }
    }
}

impl VerifyReport {
    /// Puts the parts together.
    pub fn new(
        run: String,
        against: &'static str,
        repair: bool,
        dry_run: bool,
        duration_ms: u64,
        series: Vec<VerifySeries>,
    ) -> Self {
        let mut totals = VerifyTotals::default();
        series.iter().for_each(|s| totals.add(&s.counts));
        let outcome = if series.iter().any(|s| s.error.is_some()) {
            "failed"
        } else if totals.found() > 0 {
            "found"
        } else {
            "clean"
        };
        Self { job: "verify", run, against, outcome, repair, dry_run, duration_ms, series, totals }
    }

    /// Whether a signal ended the comparison.
    pub fn interrupted(&self) -> bool {
        let words = crate::JobError::Interrupted.to_string();
        self.series.iter().any(|s| s.error.as_deref() == Some(words.as_str()))
    }
}

//! Run records as people read them.

use kline::Millis;
use serde::{Deserialize, Serialize};
use store::SeriesRun;

/// The figures of a run's report that are shown. Records of older programs may lack some: those read as nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Start of the range, RFC 3339.
    pub since: Option<String>,
    /// End of the range.
    pub until: Option<String>,
    /// Slots of the range.
    pub expected: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Klines missing before.
    pub missing_before: u64,
    /// Klines received.
    pub fetched: u64,
    /// Klines written.
    pub written: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Absent at the source.
    pub absent: u64,
    /// Klines missing after.
    pub missing_after: u64,
    /// Requests sent.
    pub requests: u64,
    /// Their weight.
    pub weight: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One run of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The record without its report.
    pub record: SeriesRun,
    /// The report.
    pub figures: Figures,
}

impl Run {
    /// Reads a record. A report that is no JSON gives no figures.
    pub fn of(mut record: SeriesRun) -> Self {
        let figures = serde_json::from_str(&record.report).unwrap_or_default();
        record.report = String::new();
        Self { record, figures }
    }

    /// Why it ended as it did, in a sentence.
    pub fn reason(&self) -> String {
        let f = &self.figures;
        match (self.record.outcome, &f.error) {
            (_, Some(error)) => error.clone(),
            (store::Outcome::Complete, None) if f.written == 0 => "nothing was missing".into(),
            (store::Outcome::Complete, None) => format!("{} written, nothing missing", grouped(f.written)),
            (_, None) if f.rejected > 0 => {
                format!(
                    "{} still missing; {} rows were refused",
                    grouped(f.missing_after),
                    grouped(f.rejected)
                )
            }
            (_, None) => {
                format!("{} still missing: the source has not given them yet", grouped(f.missing_after))
            }
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Request weight that runs have used, by the exchange's budget: USD-M and COIN-M share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// `futures` or `spot`.
    pub pool: &'static str,
    /// Requests of the last 24 hours.
    pub requests: u64,
    /// Their weight.
    pub weight: u64,
    /// Klines written for it.
    pub written: u64,
    /// Weight of the heaviest run (all its series), and how much that was per minute of the clock that it saw.
    pub heaviest_run: u64,
    /// See [`heaviest_run`](Self::heaviest_run).
    pub heaviest_per_minute: u64,
    /// What the exchange allows per minute, as documented; the truth is in the headers that a job sees.
    pub limit_per_minute: u64,
}

/// Adds up the runs that ended in the 24 hours before `now`.
pub fn weight<'a>(runs: impl Iterator<Item = &'a Run> + Clone, now: Millis) -> Vec<Weight> {
    const DAY: i64 = 86_400_000;
    let pools = [("futures", 2400), ("spot", 6000)];
    let of_pool = |(pool, limit_per_minute)| {
        let mine = runs.clone().filter(move |run| {
            (run.record.series.market == kline::Market::Spot) == (pool == "spot")
                && run.record.ended > now.plus(-DAY)
        });
        let sum = |of: fn(&Figures) -> u64| mine.clone().map(|run| of(&run.figures)).sum::<u64>();
        let mut whole: std::collections::BTreeMap<&str, (u64, Millis, Millis)> =
            std::collections::BTreeMap::new();
        for run in mine.clone() {
            let (started, ended) = (run.record.started, run.record.ended);
            let entry = whole.entry(run.record.run.as_str()).or_insert((0, started, ended));
            *entry = (entry.0 + run.figures.weight, entry.1.min(started), entry.2.max(ended));
        }
        let heaviest = whole.values().max_by_key(|run| run.0).copied();
        let minute = |at: Millis| at.0.div_euclid(60_000);
        // The exchange counts by the minutes of the clock: a run of ten seconds may have used the budgets of two.
        let (heaviest_run, minutes) =
            heaviest.map_or((0, 1), |(w, from, to)| (w, minute(to).abs_diff(minute(from)) + 1));
        Weight {
            pool,
            requests: sum(|f| f.requests),
            weight: sum(|f| f.weight),
            written: sum(|f| f.written),
            heaviest_run,
            heaviest_per_minute: heaviest_run.div_ceil(minutes),
            limit_per_minute,
        }
    };
    pools.into_iter().map(of_pool).filter(|pool| pool.requests > 0).collect()
}

#[cfg(test)]
mod tests {
    use kline::{Interval, Market, Series, Symbol};

    use super::*;

    #[test]
    fn a_run_that_saw_two_minutes_of_the_clock_may_have_used_two_budgets() {
        let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M1).unwrap();
        let run = |started: i64, ended: i64| Run {
            record: SeriesRun {
                run: "one".into(),
                job: "fill-gaps".into(),
                series: series.clone(),
                started: Millis(started),
                ended: Millis(ended),
                outcome: store::Outcome::Complete,
                report: String::new(),
            },
            figures: Figures { weight: 3000, requests: 1, ..Figures::default() },
        };
        let per_minute = |run: Run| weight(std::iter::once(&run), Millis(600_000))[0].heaviest_per_minute;
        assert_eq!(per_minute(run(119_000, 121_000)), 1500, "two seconds, in two minutes");
        assert_eq!(per_minute(run(120_000, 179_999)), 3000, "a whole minute, and no other");
    }
}

//! Which files are worth fetching for a set of missing slots. Pure.
//!
//! A file costs a fixed time and its bytes; the REST interface costs weight, of which there is so much a second. Whichever
//! takes less time gets a month. What a month's file lacked is offered day by day, and what days lack is left over: the
//! caller counts slots and asks the next source.

use std::collections::BTreeMap;
use std::time::Duration;

use kline::{Interval, Millis, RangeSet, Series, Slot, SlotRange};

use super::file::exists;
use super::{ArchiveFile, Period};
use crate::planner::{Prefer, Rules, Windows};

/// Files of so young a period are often not there yet: days come within hours, as a rule, and months within days.
const YOUNG_MS: i64 = 2 * 86_400_000;
/// Months without a file of an age at which every file there will ever be has come: nothing was traded then, so their days
/// are not asked for.
const OLD_MS: i64 = 62 * 86_400_000;
/// Bytes of a kline in a zip.
const ROW_BYTES: f64 = 48.0;
/// Assumed speed of a download.
const BYTES_PER_SECOND: f64 = 8_000_000.0;
/// Least round trip assumed: files come from farther away, and through more doors, than answers.
const LEAST_RTT: Duration = Duration::from_millis(50);
/// A file has to be so much quicker than REST, which is never out of date.
const MARGIN: f64 = 2.0;
/// What REST does in so few seconds is not worth another source.
const WORTH_SECONDS: f64 = 3.0;

/// What became of a file that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The archive does not have it.
    Nothing,
    /// It was read; what it lacks, it lacks.
    Rows,
    /// It was refused.
    Refused,
}

/// Files asked for so far.
pub type Tried = BTreeMap<Period, Found>;

/// How files are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// Every file that could hold a missing slot.
    All,
    /// Those that take less time than REST.
    Quicker(Pace),
}

/// What time REST and archive take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Weight that may be spent per second.
    pub weight_per_second: f64,
    /// Time to the first byte of an answer.
    pub rtt: Duration,
    /// REST requests under way at once.
    pub requests_at_once: usize,
    /// Files fetched at once.
    pub files_at_once: usize,
    /// What the window planner saves.
    pub prefer: Prefer,
}

/// Files to fetch next, oldest first; none overlaps another. Empty when nothing is left that the archive is good for.
pub fn plan(
    wanted: &RangeSet,
    series: &Series,
    now: Millis,
    tried: &Tried,
    choice: &Choice,
) -> Vec<ArchiveFile> {
    if !exists(series.interval) {
        return Vec::new();
    }
    let rest = rest_seconds(wanted, series, choice);
    let total: f64 = rest.iter().map(|(_, seconds)| seconds).sum();
    if matches!(choice, Choice::Quicker(_)) && tried.is_empty() && total < WORTH_SECONDS {
        return Vec::new();
    }
    let plan = Plan { wanted, series, now, tried, rest, choice };
    months_of(wanted, series.interval).flat_map(|month| plan.month(month)).collect()
}

struct Plan<'a> {
    wanted: &'a RangeSet,
    series: &'a Series,
    now: Millis,
    tried: &'a Tried,
    /// REST windows with the seconds each takes.
    rest: Vec<(SlotRange, f64)>,
    choice: &'a Choice,
}

impl Plan<'_> {
    fn month(&self, month: Period) -> Vec<ArchiveFile> {
        let found = self.tried.get(&month);
        let days = || -> Vec<ArchiveFile> {
            month.days().filter(|day| self.is_worth(*day)).filter_map(|day| self.file(day)).collect()
        };
        // A month of seconds is a hundred megabytes in one piece; its days are the same bytes in better portions.
        let whole = self.series.interval != Interval::S1 && found.is_none() && self.is_over(month);
        if whole && self.is_worth(month) {
            let Choice::Quicker(_) = self.choice else { return self.file(month).into_iter().collect() };
            let days = days();
            let of_days: f64 = days.iter().map(|day| self.file_seconds(day.period())).sum();
            let rest = days.iter().fold(self.rest_of(month), |rest, day| rest - self.rest_of(day.period()));
            // A few days of a month are cheaper by themselves.
            return if !days.is_empty() && of_days + rest < self.file_seconds(month) {
                days
            } else {
                self.file(month).into_iter().collect()
            };
        }
        if found == Some(&Found::Nothing) && month.range().until.plus(OLD_MS) < self.now {
            return Vec::new();
        }
        days()
    }

    fn is_over(&self, period: Period) -> bool {
        let age = if matches!(self.choice, Choice::All) { 0 } else { YOUNG_MS };
        period.range().until.plus(age) <= self.now
    }

    fn is_worth(&self, period: Period) -> bool {
        if !self.is_over(period) || self.tried.contains_key(&period) {
            return false;
        }
        let slots = self.series.interval.slots_starting_in(period.range());
        if self.wanted.clip(slots).is_empty() {
            return false;
        }
        matches!(self.choice, Choice::All) || self.file_seconds(period) * MARGIN < self.rest_of(period)
    }

    fn file(&self, period: Period) -> Option<ArchiveFile> {
        ArchiveFile::new(self.series, period)
    }

    fn file_seconds(&self, period: Period) -> f64 {
        let Choice::Quicker(pace) = self.choice else { return 0.0 };
        let slots = self.series.interval.slots_starting_in(period.range()).len();
        // Two requests: CHECKSUM and zip.
        2.0 * pace.rtt.max(LEAST_RTT).as_secs_f64() / pace.files_at_once.max(1) as f64
            + slots as f64 * ROW_BYTES / BYTES_PER_SECOND
    }

    /// Seconds of REST for the missing slots of a period: its share of each window.
    fn rest_of(&self, period: Period) -> f64 {
        let slots = self.series.interval.slots_starting_in(period.range());
        let from = self.rest.partition_point(|(window, _)| window.end <= slots.start);
        let windows = self.rest[from..].iter().take_while(|(window, _)| window.start < slots.end);
        windows.map(|(w, seconds)| seconds * w.intersect(&slots).len() as f64 / w.len().max(1) as f64).sum()
    }
}

/// Every month that holds a wanted slot, ascending.
fn months_of(wanted: &RangeSet, interval: Interval) -> impl Iterator<Item = Period> {
    let month = |slot: Slot| Interval::Mo1.slot_of(interval.slot_start(slot));
    let months: RangeSet =
        wanted.ranges().iter().map(|r| SlotRange::new(month(r.start), month(r.end - 1) + 1)).collect();
    months.slots().map(Period::Month).collect::<Vec<_>>().into_iter()
}

/// The windows REST would take, and their time.
fn rest_seconds(wanted: &RangeSet, series: &Series, choice: &Choice) -> Vec<(SlotRange, f64)> {
    let Choice::Quicker(pace) = choice else { return Vec::new() };
    let rules = Rules::of(series.market, series.interval);
    let per_request = pace.rtt.as_secs_f64() / pace.requests_at_once.max(1) as f64;
    let seconds = |weight: u32| (f64::from(weight) / pace.weight_per_second.max(0.1)).max(per_request);
    Windows::new(wanted, &rules, pace.prefer).map(|w| (w.slots, seconds(w.weight))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kline::{Market, Symbol, TimeRange};
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2025-05-10T12:00:00Z";

    fn series(market: Market, interval: Interval) -> Series {
        Series::new(market, Symbol::new("BTCUSDT").unwrap(), interval).unwrap()
    }

    fn at(text: &str) -> Millis {
        text.parse().unwrap()
    }

    fn range(interval: Interval, since: &str, until: &str) -> RangeSet {
        RangeSet::from(interval.slots_starting_in(TimeRange::new(at(since), at(until))))
    }

    fn quicker(market: Market) -> Choice {
        Choice::Quicker(Pace {
            weight_per_second: if market == Market::Spot { 90.0 } else { 36.0 },
            rtt: Duration::from_millis(75),
            requests_at_once: 6,
            files_at_once: 4,
            prefer: Prefer::Weight,
        })
    }

    fn planned(interval: Interval, wanted: &RangeSet, tried: &Tried, choice: &Choice) -> Vec<String> {
        let series = series(if interval == Interval::S1 { Market::Spot } else { Market::Um }, interval);
        plan(wanted, &series, at(NOW), tried, choice).iter().map(|f| f.period().to_string()).collect()
    }

    #[test]
    fn a_long_run_is_months_then_days_and_the_present_is_left_to_rest() {
        let wanted = range(Interval::M1, "2025-02-15", "2025-05-10T12:00:00Z");
        let files = planned(Interval::M1, &wanted, &Tried::new(), &quicker(Market::Um));
        let days: Vec<String> = (1..=7).map(|d| format!("2025-05-{d:02}")).collect();
        assert_eq!(files[..3], ["2025-02", "2025-03", "2025-04"]);
        assert_eq!(files[3..], days, "the 8th ended less than two days ago");
    }

    #[test]
    fn holes_that_a_window_or_two_fill_are_left_to_rest() {
        let nightly = range(Interval::M1, "2025-02-10", "2025-02-15");
        assert!(planned(Interval::M1, &nightly, &Tried::new(), &quicker(Market::Um)).is_empty());
        let hole = range(Interval::M1, "2025-02-15T00:00:00Z", "2025-02-15T04:00:00Z");
        let wanted = hole.union(&range(Interval::M1, "2025-03-01", "2025-04-01"));
        assert_eq!(planned(Interval::M1, &wanted, &Tried::new(), &quicker(Market::Um)), ["2025-03"]);
        // A thousand scattered minutes of a month cost REST the whole month.
        let month = range(Interval::M1, "2025-02-01", "2025-03-01");
        let scattered: RangeSet = month.slots().step_by(40).collect();
        assert_eq!(planned(Interval::M1, &scattered, &Tried::new(), &quicker(Market::Um)), ["2025-02"]);
    }

    #[test]
    fn two_whole_days_of_a_month_are_two_files() {
        let two = range(Interval::M1, "2025-02-15", "2025-02-17");
        let wanted = two.union(&range(Interval::M1, "2025-03-01", "2025-04-01"));
        let files = planned(Interval::M1, &wanted, &Tried::new(), &quicker(Market::Um));
        assert_eq!(files, ["2025-02-15", "2025-02-16", "2025-03"]);
    }

    #[test]
    fn short_histories_of_long_intervals_are_left_to_rest() {
        for interval in [Interval::H4, Interval::D1, Interval::D3, Interval::W1, Interval::Mo1] {
            let wanted = range(interval, "2020-01-01", "2025-01-01");
            assert!(planned(interval, &wanted, &Tried::new(), &quicker(Market::Um)).is_empty(), "{interval}");
        }
        let wanted = range(Interval::D3, "2020-01-01", "2025-01-01");
        assert!(planned(Interval::D3, &wanted, &Tried::new(), &Choice::All).is_empty());
    }

    #[test]
    fn what_a_month_lacked_is_asked_day_by_day_and_then_no_more() {
        let month = Period::month_of(at("2025-03-01"));
        let lacking = range(Interval::M1, "2025-03-08", "2025-03-10");
        let mut tried = Tried::from([(month, Found::Rows)]);
        let files = planned(Interval::M1, &lacking, &tried, &Choice::All);
        assert_eq!(files, ["2025-03-08", "2025-03-09"]);
        tried.extend(month.days().map(|day| (day, Found::Rows)));
        assert!(planned(Interval::M1, &lacking, &tried, &Choice::All).is_empty());
    }

    #[test]
    fn days_are_not_asked_of_an_old_month_that_has_no_file() {
        let wanted = range(Interval::M1, "2025-02-01", "2025-05-01");
        let month = |text: &str| Period::month_of(at(text));
        let tried = Tried::from([
            (month("2025-02-01"), Found::Nothing),
            (month("2025-03-01"), Found::Rows),
            (month("2025-04-01"), Found::Nothing),
        ]);
        let files = planned(Interval::M1, &wanted, &tried, &Choice::All);
        assert_eq!((files.len(), files[0].as_str(), files[60].as_str()), (61, "2025-03-01", "2025-04-30"));
    }

    #[test]
    fn seconds_come_by_the_day() {
        let wanted = range(Interval::S1, "2025-04-01", "2025-04-04");
        assert_eq!(planned(Interval::S1, &wanted, &Tried::new(), &quicker(Market::Spot)).len(), 3);
    }

    proptest! {
        #[test]
        fn plans_end_and_files_never_overlap(
            runs in proptest::collection::vec((0i64..200_000, 1i64..9000), 1..8), all: bool, outcome in 0u8..3
        ) {
            let first = Interval::M1.slot_of(at("2025-01-01"));
            let wanted: RangeSet = runs.iter().map(|(from, len)| SlotRange::new(first + from, first + from + len)).collect();
            let series = series(Market::Um, Interval::M1);
            let choice = if all { Choice::All } else { quicker(Market::Um) };
            let found = [Found::Nothing, Found::Rows, Found::Refused][usize::from(outcome)];
            let mut tried = Tried::new();
            for round in 0..4 {
                let files = plan(&wanted, &series, at(NOW), &tried, &choice);
                let mut slots = BTreeSet::new();
                for file in &files {
                    prop_assert!(!wanted.clip(file.slots()).is_empty());
                    prop_assert!(file.period().range().until <= at(NOW));
                    prop_assert!(slots.insert(file.slots().start));
                    prop_assert!(!tried.contains_key(&file.period()));
                }
                prop_assert!(files.windows(2).all(|w| w[0].slots().end <= w[1].slots().start));
                tried.extend(files.iter().map(|f| (f.period(), found)));
                prop_assert!(round < 3 || files.is_empty());
            }
        }
    }
}

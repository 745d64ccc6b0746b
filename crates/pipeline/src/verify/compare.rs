//! Two lists of klines of the same slots, side by side. Pure.

use std::collections::BTreeMap;

use kline::validate::{self, Reason};
use kline::{Interval, Kline, Millis, RangeSet};
use serde::Serialize;

/// One kline about which store and source do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Both have it, with other values.
    Drift { stored: Kline, source: Kline },
    /// The source has it, the store does not.
    Missing(Kline),
    /// The store has it, the source does not.
    Unexpected(Kline),
    /// The store has it, and nothing that the source says of it could be believed.
    Unchecked,
}

/// What a comparison of some slots came to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// By open time: a later answer about the same kline replaces an earlier one.
    pub differences: BTreeMap<Millis, Difference>,
}

/// What a source said of some slots.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Valid klines, ascending.
    pub rows: Vec<Kline>,
    /// Slots that it claims with rows which cannot be believed.
    pub doubtful: RangeSet,
    /// It has rows that do not even say when they open: that a kline is not among the others proves nothing.
    pub garbled: bool,
}

impl Verdict {
    /// Compares stored klines (ascending) with an answer about the same slots.
    pub fn compare(&mut self, interval: Interval, stored: &[Kline], answer: Answer) {
        let mut mine = stored.iter().peekable();
        for source in answer.rows {
            while let Some(alone) = mine.next_if(|k| k.open_time < source.open_time) {
                self.alone(interval, alone, &answer.doubtful, answer.garbled);
            }
            match mine.next_if(|k| k.open_time == source.open_time) {
                Some(same) if *same == source => {}
                Some(other) => {
                    let drift = Difference::Drift { stored: other.clone(), source };
                    self.differences.insert(other.open_time, drift);
                }
                None => {
                    self.differences.insert(source.open_time, Difference::Missing(source));
                }
            }
        }
        for alone in mine {
            self.alone(interval, alone, &answer.doubtful, answer.garbled);
        }
    }

    fn alone(&mut self, interval: Interval, stored: &Kline, doubtful: &RangeSet, garbled: bool) {
        let doubt = garbled || doubtful.contains(interval.slot_of(stored.open_time));
        let alone = if doubt { Difference::Unchecked } else { Difference::Unexpected(stored.clone()) };
        self.differences.insert(stored.open_time, alone);
    }

    /// The slots about which another answer may know better: all but those that are the same in both, or only missing.
    pub fn open(&self, interval: Interval) -> RangeSet {
        let differing = self.differences.iter().filter(|(_, d)| !matches!(d, Difference::Missing(_)));
        differing.map(|(at, _)| interval.slot_of(*at)).collect()
    }

    /// Forgets what was found in some slots, so that they can be compared anew.
    pub fn forget(&mut self, interval: Interval, slots: &RangeSet) {
        self.differences.retain(|at, _| !slots.contains(interval.slot_of(*at)));
    }
}

/// What is wrong with a stored kline in itself, whatever the source says.
pub(crate) fn fault(kline: &Kline) -> Option<Reason> {
    validate::check_values(kline).err()
}

/// A field of a kline with two values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Column.
    pub field: &'static str,
    /// Value in the store.
    pub stored: String,
    /// Value at the source.
    pub source: String,
}

/// The fields in which two klines differ by value.
pub fn fields(stored: &Kline, source: &Kline) -> Vec<FieldDifference> {
    let mut out = Vec::new();
    let mut add = |field, differs: bool, stored: String, source: String| {
        if differs {
            out.push(FieldDifference { field, stored, source });
        }
    };
    macro_rules! compare {
        ($($name:ident)*) => {
            $(add(stringify!($name), stored.$name != source.$name, stored.$name.to_string(), source.$name.to_string());)*
        };
    }
    compare!(open high low close volume close_time quote_volume count taker_buy_volume taker_buy_quote_volume);
    out
}

#[cfg(test)]
mod tests {
    use kline::Decimal;

    use super::*;

    fn kline(minute: i64, close: &str) -> Kline {
        let d = |text: &str| Decimal::parse(text).unwrap();
        Kline {
            open_time: Millis(minute * 60_000),
            open: d("5"),
            high: d("9"),
            low: d("1"),
            close: d(close),
            volume: d("7"),
            close_time: Millis(minute * 60_000 + 59_999),
            quote_volume: d("8"),
            count: 9,
            taker_buy_volume: d("3"),
            taker_buy_quote_volume: d("4"),
        }
    }

    fn verdict(stored: &[Kline], answer: Answer) -> Verdict {
        let mut verdict = Verdict::default();
        verdict.compare(Interval::M1, stored, answer);
        verdict
    }

    #[test]
    fn every_kind_of_difference_is_told_apart() {
        let stored = [kline(0, "5.0"), kline(1, "5"), kline(2, "5"), kline(5, "5")];
        let rows = vec![kline(0, "5"), kline(1, "5.1"), kline(3, "5"), kline(5, "5")];
        let found = verdict(&stored, Answer { rows, ..Answer::default() });
        let kinds: Vec<_> = found.differences.values().collect();
        // 5.0 is 5.
        assert_eq!(
            kinds,
            [
                &Difference::Drift { stored: kline(1, "5"), source: kline(1, "5.1") },
                &Difference::Unexpected(kline(2, "5")),
                &Difference::Missing(kline(3, "5")),
            ]
        );
        assert_eq!(found.open(Interval::M1).slots().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_row_that_cannot_be_believed_convicts_nobody() {
        let doubtful: RangeSet = [1].into_iter().collect();
        let found = verdict(&[kline(1, "5"), kline(2, "5")], Answer { doubtful, ..Answer::default() });
        let kinds: Vec<_> = found.differences.into_values().collect();
        assert_eq!(kinds, [Difference::Unchecked, Difference::Unexpected(kline(2, "5"))]);
        let garbled = verdict(&[kline(1, "5")], Answer { garbled: true, ..Answer::default() });
        assert_eq!(garbled.differences.into_values().collect::<Vec<_>>(), [Difference::Unchecked]);
    }

    #[test]
    fn a_better_answer_replaces_the_first_one() {
        let mut found = verdict(&[kline(1, "5")], Answer { rows: vec![kline(1, "6")], ..Answer::default() });
        let open = found.open(Interval::M1);
        found.forget(Interval::M1, &open);
        found.compare(
            Interval::M1,
            &[kline(1, "5")],
            Answer { rows: vec![kline(1, "5")], ..Answer::default() },
        );
        assert!(found.differences.is_empty());
    }

    #[test]
    fn the_fields_that_differ_are_named_with_both_values() {
        let mut other = kline(1, "5.1");
        other.count = 10;
        let told: Vec<_> =
            fields(&kline(1, "5.0"), &other).into_iter().map(|f| (f.field, f.stored, f.source)).collect();
        assert_eq!(told, [("close", "5.0".into(), "5.1".into()), ("count", "9".into(), "10".to_owned())]);
        assert!(fields(&kline(1, "5.0"), &kline(1, "5")).is_empty());
    }
}

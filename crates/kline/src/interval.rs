//! Kline intervals and their calendars.

use std::fmt;
use std::str::FromStr;

use crate::time::DAY_MS;
use crate::{Market, Millis, Slot, SlotRange, TimeRange};

/// A kline interval, by Binance's names. Case matters: `1m` is a minute, `1M` a month.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // each variant is its own name: S1 is `1s`, Mo1 is `1M`
pub enum Interval {
    S1,
    M1,
    M3,
    M5,
    M15,
    M30,
    H1,
    H2,
    H4,
    H6,
    H8,
    H12,
    D1,
    D3,
    W1,
    Mo1,
}

/// No interval has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown interval `{0}`: use one of 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M")]
pub struct UnknownInterval(pub String);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

impl Interval {
    /// Every interval, shortest first.
    pub const ALL: [Self; 16] = [
        Self::S1,
        Self::M1,
        Self::M3,
        Self::M5,
        Self::M15,
        Self::M30,
        Self::H1,
        Self::H2,
        Self::H4,
        Self::H6,
        Self::H8,
        Self::H12,
        Self::D1,
        Self::D3,
        Self::W1,
        Self::Mo1,
    ];

    /// The name REST uses, `1m` … `1M`.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// The suffix of tables, views and collections, `m1` … `mo1`: safe where names ignore case.
    pub fn suffix(self) -> &'static str {
        self.facts().1
    }

    /// Length in milliseconds, or `None` for the calendar month.
    pub fn fixed_ms(self) -> Option<i64> {
        match self.facts().2 {
            0 => None,
            ms => Some(ms),
        }
    }

    /// Start of slot 0: the epoch, but 1970-01-02 for `3d` and Monday 1970-01-05 for `1w`.
    pub fn anchor(self) -> Millis {
        Millis(match self {
            Self::D3 => DAY_MS,
            Self::W1 => 4 * DAY_MS,
            _ => 0,
        })
    }

    fn facts(self) -> (&'static str, &'static str, i64) {
        match self {
            Self::S1 => ("1s", "s1", 1000),
            Self::M1 => ("1m", "m1", MINUTE),
            Self::M3 => ("3m", "m3", 3 * MINUTE),
            Self::M5 => ("5m", "m5", 5 * MINUTE),
            Self::M15 => ("15m", "m15", 15 * MINUTE),
            Self::M30 => ("30m", "m30", 30 * MINUTE),
            Self::H1 => ("1h", "h1", HOUR),
            Self::H2 => ("2h", "h2", 2 * HOUR),
            Self::H4 => ("4h", "h4", 4 * HOUR),
            Self::H6 => ("6h", "h6", 6 * HOUR),
            Self::H8 => ("8h", "h8", 8 * HOUR),
            Self::H12 => ("12h", "h12", 12 * HOUR),
            Self::D1 => ("1d", "d1", DAY_MS),
            Self::D3 => ("3d", "d3", 3 * DAY_MS),
            Self::W1 => ("1w", "w1", 7 * DAY_MS),
            Self::Mo1 => ("1M", "mo1", 0),
        }
    }

    /// Whether a market has klines of this interval: `1s` exists on spot only.
    pub fn exists_on(self, market: Market) -> bool {
        self != Self::S1 || market == Market::Spot
    }

    /// The intervals a market has, shortest first.
    pub fn of_market(market: Market) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |interval| interval.exists_on(market))
    }

    /// Number of the slot that contains an instant.
    pub fn slot_of(self, at: Millis) -> Slot {
        match self.fixed_ms() {
            Some(step) => at.0.saturating_sub(self.anchor().0).div_euclid(step),
            None => {
                let t = at.to_civil();
                (i64::from(t.year()) - 1970) * 12 + i64::from(t.month()) - 1
            }
        }
    }

    /// First instant of a slot: the open time of its kline.
    pub fn slot_start(self, slot: Slot) -> Millis {
        match self.fixed_ms() {
            Some(step) => Millis(slot.saturating_mul(step).saturating_add(self.anchor().0)),
            None => {
                let year = (1970 + slot.div_euclid(12)).clamp(-9000, 9998);
                let month = slot.rem_euclid(12) + 1;
                Millis::from_date(i16::try_from(year).unwrap_or(1970), i8::try_from(month).unwrap_or(1), 1)
            }
        }
    }

    /// First instant after a slot.
    pub fn slot_end(self, slot: Slot) -> Millis {
        self.slot_start(slot.saturating_add(1))
    }

    /// Whether an instant is the first of its slot.
    pub fn is_aligned(self, at: Millis) -> bool {
        self.slot_start(self.slot_of(at)) == at
    }

    /// The slots a range of time asks for: all that *start* inside `[since, until)`.
    pub fn slots_starting_in(self, range: TimeRange) -> SlotRange {
        let up = |at: Millis| self.slot_of(at) + i64::from(!self.is_aligned(at));
        let start = up(range.since);
        SlotRange::new(start, up(range.until).max(start))
    }

    /// The slots whose kline is closed at an instant: every slot before the returned one ended at or before `now`.
    pub fn first_open_slot(self, now: Millis) -> Slot {
        self.slot_of(now)
    }

    /// Time covered by a run of slots.
    pub fn time_range(self, slots: SlotRange) -> TimeRange {
        TimeRange::new(self.slot_start(slots.start), self.slot_start(slots.end))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Interval {
    type Err = UnknownInterval;

    /// Binance's names; the archive's `1mo` is understood as well.
    fn from_str(text: &str) -> Result<Self, UnknownInterval> {
        let text = if text == "1mo" { "1M" } else { text };
        Self::ALL.into_iter().find(|i| i.as_str() == text).ok_or_else(|| UnknownInterval(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Millis {
        text.parse().unwrap()
    }

    #[test]
    fn three_day_klines_are_counted_from_the_second_of_january_1970() {
        // Real opens: 7, 10 and 13 July 2026, 26 and 29 September and 2 October 2026, 1 January 2025.
        for open in
            ["2026-07-07", "2026-07-10", "2026-07-13", "2026-09-26", "2026-09-29", "2026-10-02", "2025-01-01"]
        {
            assert!(Interval::D3.is_aligned(at(open)), "{open}");
        }
        assert!(!Interval::D3.is_aligned(at("2026-07-08")));
    }

    #[test]
    fn weeks_start_on_monday() {
        assert!(Interval::W1.is_aligned(at("2017-08-14")));
        assert_eq!(
            Interval::W1.slot_start(Interval::W1.slot_of(at("2017-08-20T23:59:59Z"))),
            at("2017-08-14")
        );
    }

    #[test]
    fn months_have_their_true_lengths() {
        let slot = Interval::Mo1.slot_of(at("2024-02-29T12:00"));
        assert_eq!(Interval::Mo1.slot_start(slot), at("2024-02-01"));
        assert_eq!(Interval::Mo1.slot_end(slot), at("2024-03-01"));
        assert_eq!(
            Interval::Mo1.slots_starting_in(TimeRange::new(at("2023-01-15"), at("2024-01-01"))).len(),
            11
        );
        assert_eq!(Interval::Mo1.slot_start(-1), at("1969-12-01"));
    }

    #[test]
    fn a_range_asks_for_the_slots_that_start_inside_it() {
        let slots =
            Interval::H1.slots_starting_in(TimeRange::new(at("2023-01-01T00:30"), at("2023-01-01T03:00")));
        assert_eq!(
            Interval::H1.time_range(slots),
            TimeRange::new(at("2023-01-01T01:00"), at("2023-01-01T03:00"))
        );
        assert!(
            Interval::H1.slots_starting_in(TimeRange::new(at("2023-01-02"), at("2023-01-01"))).is_empty()
        );
    }

    #[test]
    fn one_second_klines_exist_on_spot_only() {
        assert_eq!(Market::ALL.map(|m| Interval::of_market(m).count()), [15, 15, 16]);
    }

    #[test]
    fn names_and_suffixes_tell_minutes_from_months() {
        for interval in Interval::ALL {
            assert_eq!(interval.as_str().parse(), Ok(interval));
        }
        let suffixes: Vec<_> = Interval::ALL.iter().map(|i| i.suffix()).collect();
        assert_eq!(suffixes.join(" "), "s1 m1 m3 m5 m15 m30 h1 h2 h4 h6 h8 h12 d1 d3 w1 mo1");
        assert!("1Mo".parse::<Interval>().is_err() && "5M".parse::<Interval>().is_err());
    }

    fn any_interval() -> impl Strategy<Value = Interval> {
        (0..Interval::ALL.len()).prop_map(|i| Interval::ALL[i])
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_exactly_one_slot(interval in any_interval(), ms in -2_000_000_000_000i64..9_000_000_000_000) {
            let slot = interval.slot_of(Millis(ms));
            prop_assert!(interval.slot_start(slot) <= Millis(ms) && Millis(ms) < interval.slot_end(slot));
            prop_assert_eq!(interval.slot_of(interval.slot_start(slot)), slot);
            prop_assert_eq!(interval.slot_of(interval.slot_end(slot)), slot + 1);
        }

        #[test]
        fn slots_of_a_range_agree_with_walking_it(interval in any_interval(), since in 1_500_000_000_000i64..1_700_000_000_000, slots in 0i64..40, cut in 0i64..1000) {
            let first = interval.slot_of(Millis(since));
            let until = Millis(interval.slot_start(first + slots).0 + cut);
            let range = TimeRange::new(Millis(since), until);
            let walked = (first - 2..first + slots + 3).filter(|s| range.contains(interval.slot_start(*s))).count();
            prop_assert_eq!(interval.slots_starting_in(range).len(), walked as u64);
        }

        #[test]
        fn no_instant_makes_the_calendar_panic(interval in any_interval(), ms: i64) {
            let slot = interval.slot_of(Millis(ms));
            let _ = (interval.slot_start(slot), interval.slot_end(slot), interval.is_aligned(Millis(ms)));
        }
    }
}

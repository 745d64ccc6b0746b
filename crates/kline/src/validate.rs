//! What may be stored, and what is odd but real.
//!
//! A kline is refused when storing it would put a falsehood into the database: outside what was asked, out of order,
//! prices that contradict each other, negative volume. It is *flagged*, and stored as sent, when it is strange but true:
//! Binance itself has klines that open off the grid, close early or stand still through a halt.
//! An unfinished kline is neither: it is left for later.

use std::fmt;

use crate::{Interval, Kline, Millis, SlotRange};

/// Why a kline is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Opens outside the slots that were asked for.
    OutsideRange,
    /// Opens at or before the kline in front of it: a duplicate or unordered row.
    NotAscending,
    /// `low` is not the lowest of the four prices.
    LowNotLowest,
    /// `high` is not the highest of the four prices.
    HighNotHighest,
    /// A volume is below zero.
    NegativeVolume,
    /// A field could not be read: wrong type, wrong unit of time, too many digits.
    Unreadable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::OutsideRange,
        Self::NotAscending,
        Self::LowNotLowest,
        Self::HighNotHighest,
        Self::NegativeVolume,
        Self::Unreadable,
    ];

    /// A stable identifier for reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutsideRange => "outside_range",
            Self::NotAscending => "not_ascending",
            Self::LowNotLowest => "low_not_lowest",
            Self::HighNotHighest => "high_not_highest",
            Self::NegativeVolume => "negative_volume",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutsideRange => "opens outside the range that was asked for",
            Self::NotAscending => "does not open after the kline before it",
            Self::LowNotLowest => "low is above another price",
            Self::HighNotHighest => "high is below another price",
            Self::NegativeVolume => "volume is negative",
            Self::Unreadable => "could not be read",
        })
    }
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Open time, where it could be read.
    pub open_time: Option<Millis>,
    /// Why.
    pub reason: Reason,
    /// What exactly, in words; empty when the reason says it all.
    pub detail: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.open_time {
            Some(at) => write!(f, "kline of {at}: {}", self.reason)?,
            None => write!(f, "row: {}", self.reason)?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

/// How many stored klines were odd but real, by kind. One kline can count under several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Opened off the grid.
    pub off_grid: u64,
    /// Close time is not the last millisecond of the interval.
    pub odd_close: u64,
    /// No trade: a halt, or an idle symbol.
    pub zero_volume: u64,
}

impl Flags {
    /// Counts one kline.
    pub fn count(&mut self, interval: Interval, kline: &Kline) {
        self.off_grid += u64::from(!interval.is_aligned(kline.open_time));
        self.odd_close += u64::from(has_odd_close(interval, kline));
        self.zero_volume += u64::from(kline.volume.is_zero());
    }

    /// Adds other counts to these.
    pub fn add(&mut self, other: &Self) {
        self.off_grid += other.off_grid;
        self.odd_close += other.odd_close;
        self.zero_volume += other.zero_volume;
    }
}

/// Whether the close time differs from open + interval - 1 ms.
pub fn has_odd_close(interval: Interval, kline: &Kline) -> bool {
    kline.close_time != natural_end(interval, kline.open_time).plus(-1)
}

/// End of the kline that opens at an instant, off the grid or on it.
fn natural_end(interval: Interval, open: Millis) -> Millis {
    match interval.fixed_ms() {
        Some(step) => open.plus(step),
        None => interval.slot_end(interval.slot_of(open)),
    }
}

/// Checks what a kline says about itself, without knowing what was asked for.
///
/// # Errors
/// The first [`Reason`] found.
pub fn check_values(kline: &Kline) -> Result<(), Reason> {
    let Kline { open, high, low, close, .. } = kline;
    if low > open || low > close || low > high {
        return Err(Reason::LowNotLowest);
    }
    if high < open || high < close {
        return Err(Reason::HighNotHighest);
    }
    let volumes = [kline.volume, kline.quote_volume, kline.taker_buy_volume, kline.taker_buy_quote_volume];
    if volumes.iter().any(super::decimal::Decimal::is_negative) {
        return Err(Reason::NegativeVolume);
    }
    Ok(())
}

/// Whether a kline is finished at an instant of the exchange's clock: its slot has ended, and so has its own time.
/// A close time that lies (around outages) cannot hold back or release it by more than one interval.
pub fn is_closed(interval: Interval, kline: &Kline, now: Millis) -> bool {
    let slot_end = interval.slot_end(interval.slot_of(kline.open_time));
    let own_end = natural_end(interval, kline.open_time);
    let sent_end = kline.close_time.plus(1).min(own_end.plus(own_end.0 - kline.open_time.0));
    slot_end.max(own_end).max(sent_end) <= now
}

/// What became of a page of klines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// May be stored; strictly ascending, inside the range, closed.
    pub accepted: Vec<Kline>,
    /// Refused, with reasons.
    pub rejected: Vec<Rejection>,
    /// Not finished yet, and therefore neither stored nor wrong.
    pub unfinished: u64,
    /// Oddities among the accepted.
    pub flags: Flags,
}

/// Sorts the klines of one answer into what may be stored and what may not.
///
/// `asked` are the slots the request was for, `now` is the exchange's clock when it answered (or earlier).
pub fn check_page(interval: Interval, asked: SlotRange, now: Millis, rows: Vec<Kline>) -> Checked {
    let mut out = Checked { accepted: Vec::with_capacity(rows.len()), ..Checked::default() };
    let mut last_open = None;
    for kline in rows {
        let open_time = kline.open_time;
        let verdict = if !asked.contains(interval.slot_of(open_time)) {
            Err(Reason::OutsideRange)
        } else if last_open.is_some_and(|last| open_time <= last) {
            Err(Reason::NotAscending)
        } else {
            check_values(&kline)
        };
        match verdict {
            Err(reason) => {
                out.rejected.push(Rejection { open_time: Some(open_time), reason, detail: String::new() });
            }
            Ok(()) if !is_closed(interval, &kline, now) => out.unfinished += 1,
            Ok(()) => {
                last_open = Some(open_time);
                out.flags.count(interval, &kline);
                out.accepted.push(kline);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    const STEP: i64 = 300_000;
    const BASE: i64 = 1_736_899_200_000;
    const LATER: Millis = Millis(BASE + 1_000 * STEP);

    fn kline(slot: i64) -> Kline {
        let d = |text: &str| Decimal::parse(text).unwrap();
        Kline {
            open_time: Millis(BASE + slot * STEP),
            open: d("10"),
            high: d("12"),
            low: d("9"),
            close: d("11"),
            volume: d("5"),
            close_time: Millis(BASE + (slot + 1) * STEP - 1),
            quote_volume: d("50"),
            count: 3,
            taker_buy_volume: d("1"),
            taker_buy_quote_volume: d("10"),
        }
    }

    fn asked(from: i64, to: i64) -> SlotRange {
        let first = Interval::M5.slot_of(Millis(BASE));
        SlotRange::new(first + from, first + to)
    }

    fn only_reason(row: Kline) -> Reason {
        let checked = check_page(Interval::M5, asked(0, 10), LATER, vec![row]);
        assert!(checked.accepted.is_empty(), "{checked:?}");
        checked.rejected[0].reason
    }

    #[test]
    fn every_false_kline_is_refused_with_its_reason() {
        let d = |text: &str| Decimal::parse(text).unwrap();
        assert_eq!(only_reason(kline(10)), Reason::OutsideRange);
        assert_eq!(only_reason(kline(-1)), Reason::OutsideRange);
        assert_eq!(only_reason(Kline { low: d("10.5"), ..kline(1) }), Reason::LowNotLowest);
        assert_eq!(only_reason(Kline { high: d("10.5"), ..kline(1) }), Reason::HighNotHighest);
        assert_eq!(only_reason(Kline { volume: d("-1"), ..kline(1) }), Reason::NegativeVolume);
        assert_eq!(
            only_reason(Kline { taker_buy_quote_volume: d("-0.1"), ..kline(1) }),
            Reason::NegativeVolume
        );
    }

    #[test]
    fn the_rest_of_a_page_with_a_bad_row_is_kept() {
        let rows = vec![kline(0), kline(2), kline(1), kline(2), kline(3)];
        let checked = check_page(Interval::M5, asked(0, 10), LATER, rows);
        let slots: Vec<_> = checked.accepted.iter().map(|k| (k.open_time.0 - BASE) / STEP).collect();
        assert_eq!(slots, [0, 2, 3]);
        assert!(
            checked.rejected.iter().all(|r| r.reason == Reason::NotAscending) && checked.rejected.len() == 2
        );
    }

    #[test]
    fn the_unfinished_kline_is_neither_stored_nor_an_error() {
        let now = Millis(BASE + 2 * STEP);
        let checked = check_page(Interval::M5, asked(0, 10), now, vec![kline(0), kline(1), kline(2)]);
        assert_eq!((checked.accepted.len(), checked.unfinished, checked.rejected.len()), (2, 1, 0));
        let checked = check_page(Interval::M5, asked(0, 10), now.plus(-1), vec![kline(1)]);
        assert_eq!(checked.unfinished, 1);
    }

    #[test]
    fn odd_but_real_klines_are_kept_as_sent_and_flagged() {
        let off_grid = Kline { open_time: Millis(BASE + 14_789), ..kline(0) };
        let early = Kline { close_time: Millis(BASE + STEP + 5), ..kline(1) };
        let halted = Kline { volume: Decimal::ZERO, count: 0, ..kline(2) };
        let before_open = Kline { close_time: Millis(BASE - 800_000), ..kline(3) };
        let rows = vec![off_grid, early, halted, before_open];
        let checked = check_page(Interval::M5, asked(0, 10), LATER, rows.clone());
        assert_eq!(checked.accepted, rows);
        assert_eq!(checked.flags, Flags { off_grid: 1, odd_close: 3, zero_volume: 1 });
    }
}

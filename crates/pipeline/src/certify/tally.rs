//! A certificate in the making, of rows from anywhere.

use std::collections::BTreeMap;

use blake3::Hasher;
use kline::{Interval, Kline, Millis, RangeSet, Series, Slot, SlotRange};

use super::{Month, SeriesCertificate, canon, inside};

/// A row that does not open after the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kline of {at} does not open after the one before it, which opens at {last}")]
pub struct OutOfOrder {
    /// Its open time.
    pub at: Millis,
    /// Open time of the row before.
    pub last: Millis,
}

/// Takes the klines of a series, in order, and makes its certificate.
#[derive(Debug)]
pub struct Tally {
    series: Series,
    /// By number of the month.
    months: BTreeMap<Slot, Part>,
    last: Option<Millis>,
    row: Vec<u8>,
}

/// What was seen of a month.
#[derive(Debug)]
struct Part {
    hasher: Hasher,
    rows: u64,
    filled: RangeSet,
}

/// A month, or the part of one, that a certificate is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Number of the month.
    number: Slot,
    /// `2025-01`.
    pub(super) name: String,
    /// Slots of the range that begin in this month.
    pub(super) slots: SlotRange,
}

/// The months of a range, ascending.
pub(super) fn pieces(interval: Interval, slots: SlotRange) -> impl Iterator<Item = Piece> {
    let all = match slots.is_empty() {
        true => 0..0,
        false => month_of(interval, slots.start)..month_of(interval, slots.end - 1) + 1,
    };
    all.map(move |number| {
        let whole = Interval::Mo1.time_range(SlotRange::new(number, number + 1));
        let slots = interval.slots_starting_in(whole).intersect(&slots);
        Piece { number, name: name(number), slots }
    })
}

/// The month in which a slot begins, counted from January 1970.
fn month_of(interval: Interval, slot: Slot) -> Slot {
    Interval::Mo1.slot_of(interval.slot_start(slot))
}

/// `2025-01`.
fn name(month: Slot) -> String {
    let date = Interval::Mo1.slot_start(month).date();
    date.get(..7).unwrap_or(&date).to_owned()
}

impl Tally {
    /// Begins the certificate of a series.
    pub fn new(series: &Series) -> Self {
        Self { series: series.clone(), months: BTreeMap::new(), last: None, row: Vec::new() }
    }

    /// Takes a kline.
    ///
    /// # Errors
    /// [`OutOfOrder`]; the kline is left out then.
    pub fn push(&mut self, kline: &Kline) -> Result<(), OutOfOrder> {
        if let Some(last) = self.last.filter(|last| *last >= kline.open_time) {
            return Err(OutOfOrder { at: kline.open_time, last });
        }
        self.last = Some(kline.open_time);
        let slot = self.series.interval.slot_of(kline.open_time);
        let month = month_of(self.series.interval, slot);
        let series = &self.series;
        let part = self.months.entry(month).or_insert_with(|| Part {
            hasher: canon::of_month(series, &name(month)),
            rows: 0,
            filled: RangeSet::new(),
        });
        self.row.clear();
        canon::write_row(&mut self.row, kline);
        part.hasher.update(&self.row);
        part.rows += 1;
        part.filled.push_slot(slot);
        Ok(())
    }

    /// First and last slot that holds a kline so far.
    pub fn slots(&self) -> Option<SlotRange> {
        let first = self.months.values().next()?.filled.first()?;
        let last = self.months.values().next_back()?.filled.last()?;
        Some(SlotRange::new(first, last + 1))
    }

    /// The certificate of a range, to which all klines must belong that were taken. `absent` are slots of which it is known
    /// that the exchange has nothing.
    pub fn finish(self, slots: SlotRange, absent: &RangeSet) -> SeriesCertificate {
        self.finish_beside(slots, absent, &BTreeMap::new())
    }

    /// As [`finish`](Self::finish), but of the months that are `known` (by name) no kline was taken.
    pub(super) fn finish_beside(
        mut self,
        slots: SlotRange,
        absent: &RangeSet,
        known: &BTreeMap<String, Month>,
    ) -> SeriesCertificate {
        let interval = self.series.interval;
        let range = interval.time_range(slots);
        let mut months = Vec::new();
        for piece in pieces(interval, slots) {
            months.push(match known.get(&piece.name) {
                Some(month) => month.clone(),
                None => self.month(piece, absent),
            });
        }
        let sum = |of: fn(&Month) -> u64| months.iter().map(of).sum::<u64>();
        let mut out = SeriesCertificate {
            market: self.series.market.to_string(),
            symbol: self.series.symbol.to_string(),
            interval: interval.to_string(),
            since: range.since.to_string(),
            until: range.until.to_string(),
            expected: slots.len(),
            stored: sum(|m| m.stored),
            absent: sum(|m| m.absent),
            missing: sum(|m| m.missing),
            digest: String::new(),
            months: Vec::new(),
        };
        out.digest = canon::of_months(&out, &months);
        out.months = months;
        out
    }

    fn month(&mut self, piece: Piece, absent: &RangeSet) -> Month {
        let part = self.months.remove(&piece.number);
        let empty = match &part {
            Some(part) => RangeSet::from(piece.slots).difference(&part.filled),
            None => piece.slots.into(),
        };
        let absent = inside(&empty.intersection(&absent.clip(piece.slots)), piece.slots);
        let hasher = part.as_ref().map(|p| p.hasher.clone());
        Month {
            expected: piece.slots.len(),
            stored: part.map_or(0, |p| p.rows),
            absent,
            missing: empty.len() - absent,
            digest: canon::hex(&hasher.unwrap_or_else(|| canon::of_month(&self.series, &piece.name))),
            month: piece.name,
        }
    }
}

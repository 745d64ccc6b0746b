//! What of a series is stored, missing and absent, as a whole and by month, day or hour.

use kline::{Interval, Millis, RangeSet, Series, Slot, SlotRange, TimeRange};
use store::types::absent_slots;
use store::{AbsentRange, Extent, KlineStore, SeriesRecord, StoreResult};

/// What is known of a range of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The series.
    pub series: Series,
    /// The range.
    pub slots: SlotRange,
    /// Slots that are neither filled nor known to be absent.
    pub missing: RangeSet,
    /// Slots that the source is known not to have.
    pub absent: RangeSet,
}

/// Unit of a map's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Calendar months, UTC.
    Month,
    /// Days, UTC.
    Day,
    /// Hours.
    Hour,
}

/// Counts of one cell of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// First instant of the cell.
    pub at: Millis,
    /// Slots in it.
    pub expected: u64,
    /// Those that are missing.
    pub missing: u64,
    /// Those that are absent at the source.
    pub absent: u64,
}

impl Cell {
    /// Filled slots.
    pub fn stored(&self) -> u64 {
        self.expected - self.missing - self.absent
    }
}

impl Unit {
    /// The unit of this name: `month`, `day`, `hour`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Month, Self::Day, Self::Hour].into_iter().find(|unit| unit.as_str() == name)
    }

    /// `month`, `day` or `hour`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// Cells are the slots of an interval of their own.
    fn grid(self) -> Interval {
        match self {
            Self::Month => Interval::Mo1,
            Self::Day => Interval::D1,
            Self::Hour => Interval::H1,
        }
    }

    /// Number of cells that a range touches.
    pub fn cells_in(self, range: TimeRange) -> u64 {
        if range.is_empty() { 0 } else { self.touched(range).len() }
    }

    fn touched(self, range: TimeRange) -> SlotRange {
        let grid = self.grid();
        SlotRange::new(grid.slot_of(range.since), grid.slot_of(range.until.plus(-1)) + 1)
    }
}

/// The first slot that starts at or after an instant.
pub fn slot_from(interval: Interval, at: Millis) -> Slot {
    interval.slot_of(at) + i64::from(!interval.is_aligned(at))
}

/// The range that is looked at: from `since` or else the first stored kline, to the last stored one. Empty when nothing
/// is stored.
pub fn range_of(record: &SeriesRecord, since: Option<Millis>) -> SlotRange {
    let interval = record.series.interval;
    let Some(Extent { first, last, .. }) = record.extent else { return SlotRange::new(0, 0) };
    let end = interval.slot_of(last) + 1;
    let start = since.map_or_else(|| interval.slot_of(first), |since| slot_from(interval, since));
    SlotRange::new(start.min(end), end)
}

/// Asks a store's books what a range holds.
///
/// # Errors
/// Those of the store.
pub async fn coverage<S: KlineStore>(store: &S, series: &Series, slots: SlotRange) -> StoreResult<Coverage> {
    let (coverage, _) = detailed(store, series, slots).await?;
    Ok(coverage)
}

/// As [`coverage`], and the absences with how and when they were established.
///
/// # Errors
/// Those of the store.
pub async fn detailed<S: KlineStore>(
    store: &S,
    series: &Series,
    slots: SlotRange,
) -> StoreResult<(Coverage, Vec<AbsentRange>)> {
    if slots.is_empty() {
        return Ok((Coverage::of(series, slots, &RangeSet::new(), &[]), Vec::new()));
    }
    let empty = store.missing(series, slots).await?;
    let known = store.absent(series, slots).await?;
    Ok((Coverage::of(series, slots, &empty, &known), known))
}

impl Coverage {
    /// What a range holds in which these slots are empty, and the source is known not to have those.
    pub fn of(series: &Series, slots: SlotRange, empty: &RangeSet, known: &[AbsentRange]) -> Self {
        let empty = empty.clip(slots);
        let absent = absent_slots(known).clip(slots).intersection(&empty);
        let missing = empty.difference(&absent);
        Self { series: series.clone(), slots, missing, absent }
    }

    /// Filled slots.
    pub fn stored(&self) -> u64 {
        self.slots.len() - self.missing.len() - self.absent.len()
    }

    /// Counts per month, day or hour; a cell belongs to the unit in which its slots start. Linear in cells and holes.
    pub fn cells(&self, unit: Unit) -> Vec<Cell> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        let (interval, grid) = (self.series.interval, unit.grid());
        let first = interval.slot_start(self.slots.start);
        let last = interval.slot_start(self.slots.end - 1);
        let units = unit.touched(TimeRange::new(first, last.plus(1)));
        let (mut missing, mut absent) =
            (Counter::new(self.missing.ranges()), Counter::new(self.absent.ranges()));
        let cell = |number: Slot| {
            let at = grid.slot_start(number);
            let slots =
                interval.slots_starting_in(TimeRange::new(at, grid.slot_end(number))).intersect(&self.slots);
            Cell { at, expected: slots.len(), missing: missing.inside(slots), absent: absent.inside(slots) }
        };
        (units.start..units.end).map(cell).collect()
    }
}

/// Counts how much of ascending ranges lies inside windows that ascend as well.
struct Counter<'a> {
    rest: &'a [SlotRange],
}

impl<'a> Counter<'a> {
    fn new(ranges: &'a [SlotRange]) -> Self {
        Self { rest: ranges }
    }

    fn inside(&mut self, window: SlotRange) -> u64 {
        while let Some((range, rest)) = self.rest.split_first()
            && range.end <= window.start
        {
            self.rest = rest;
        }
        self.rest
            .iter()
            .take_while(|range| range.start < window.end)
            .map(|range| range.intersect(&window).len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use kline::{Market, Symbol};

    use super::*;

    fn coverage(interval: Interval, since: &str, until: &str, missing: &[(i64, i64)]) -> Coverage {
        let series = Series::new(Market::Spot, Symbol::new("BTCUSDT").unwrap(), interval).unwrap();
        let slots = SlotRange::new(
            slot_from(interval, since.parse().unwrap()),
            slot_from(interval, until.parse().unwrap()),
        );
        let range = |&(from, to): &(i64, i64)| SlotRange::new(slots.start + from, slots.start + to);
        Coverage { series, slots, missing: missing.iter().map(range).collect(), absent: RangeSet::new() }
    }

    #[test]
    fn cells_count_every_slot_once_whatever_the_unit() {
        let holes = [(0, 3), (30, 700), (2800, 2801)];
        let c = coverage(Interval::M15, "2024-01-31T22:00:00Z", "2024-03-02T01:00:00Z", &holes);
        for (unit, number) in [(Unit::Month, 3), (Unit::Day, 32), (Unit::Hour, 723)] {
            let cells = c.cells(unit);
            assert_eq!(cells.len(), number, "{unit:?}");
            assert_eq!(cells.iter().map(|c| c.expected).sum::<u64>(), c.slots.len());
            assert_eq!(cells.iter().map(|c| c.missing).sum::<u64>(), c.missing.len());
        }
        let months = c.cells(Unit::Month);
        assert_eq!(months.iter().map(|c| c.expected).collect::<Vec<_>>(), [8, 29 * 96, 96 + 4]);
        assert_eq!(months.iter().map(|c| c.missing).collect::<Vec<_>>(), [3, 670, 1]);
        assert_eq!(months[1].at.to_string(), "2024-02-01T00:00:00Z");
    }

    #[test]
    fn a_kline_longer_than_a_cell_is_counted_where_it_starts() {
        let c = coverage(Interval::W1, "2024-01-01", "2024-02-12", &[(1, 2)]);
        let days = c.cells(Unit::Day);
        assert_eq!(days.len(), 36);
        assert_eq!(days.iter().map(|c| c.expected).sum::<u64>(), 6);
        assert_eq!((days[7].expected, days[7].missing, days[8].expected), (1, 1, 0));
    }

    #[test]
    fn a_range_begins_where_history_does() {
        let series = Series::new(Market::Um, Symbol::new("A").unwrap(), Interval::H1).unwrap();
        let (first, last) = ("2024-01-02".parse().unwrap(), "2024-01-03".parse().unwrap());
        let mut record =
            SeriesRecord { series, listed: None, extent: Some(Extent { first, last, rows: 25 }) };
        assert_eq!(range_of(&record, None).len(), 25);
        assert_eq!(range_of(&record, Some("2024-01-01".parse().unwrap())).len(), 49);
        assert!(range_of(&record, Some("2025-01-01".parse().unwrap())).is_empty());
        record.extent = None;
        assert!(range_of(&record, None).is_empty());
    }
}

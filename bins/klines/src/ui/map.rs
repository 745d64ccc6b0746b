//! The coverage map: one line per series, one cell per stretch of time.
//!
//! A cell is drawn full only when nothing at all is missing in it, and empty only when nothing is stored, so a single
//! missing kline among thousands is still seen. Shape carries the meaning, colour repeats it.

use kline::{RangeSet, Series, SlotRange};

use super::Style;

/// What one cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Full,
    Most,
    Half,
    Little,
    Empty,
    Absent,
}

impl Cell {
    fn of(slots: u64, missing: u64, absent: u64) -> Self {
        match (missing, absent) {
            (0, absent) if absent == slots => Self::Absent,
            (0, _) => Self::Full,
            (missing, _) if missing + absent >= slots => Self::Empty,
            (missing, _) if missing * 3 <= slots => Self::Most,
            (missing, _) if missing * 3 <= slots * 2 => Self::Half,
            _ => Self::Little,
        }
    }

    fn draw(self, style: Style) -> String {
        match self {
            Self::Full => style.green("█"),
            Self::Most => style.yellow("▓"),
            Self::Half => style.yellow("▒"),
            Self::Little => style.yellow("░"),
            Self::Empty => style.red("·"),
            Self::Absent => style.dim("–"),
        }
    }
}

/// What the cells mean, on as many lines as it takes.
pub fn legend(style: Style, indent: usize, width: usize) -> String {
    let part = [Cell::Most, Cell::Half, Cell::Little].map(|cell| cell.draw(style)).concat();
    let entries = [
        (Cell::Full.draw(style), 1, "complete"),
        (part, 3, "partly missing"),
        (Cell::Empty.draw(style), 1, "missing"),
        (Cell::Absent.draw(style), 1, "absent at the exchange"),
    ];
    let lengths: usize =
        entries.iter().map(|(_, cells, words)| cells + 1 + words.len() + 3).sum::<usize>() - 3;
    let indent = if indent + lengths > width { 0 } else { indent };
    let (mut out, mut used) = (" ".repeat(indent), indent);
    for (i, (cells, length, words)) in entries.iter().enumerate() {
        let wanted = length + 1 + words.len();
        if i > 0 && used + 3 + wanted > width {
            out.push('\n');
            used = 0;
        } else if i > 0 {
            out.push_str("   ");
            used += 3;
        }
        out.push_str(&format!("{cells} {words}"));
        used += wanted;
    }
    out
}

/// Draws the cells of one series.
pub fn row(slots: SlotRange, missing: &RangeSet, absent: &RangeSet, cells: usize, style: Style) -> String {
    let cells = u64::try_from(cells).unwrap_or(1).clamp(1, slots.len().max(1));
    if slots.is_empty() {
        return String::new();
    }
    let edge = |i: u64| {
        let offset = u128::from(slots.len()) * u128::from(i) / u128::from(cells);
        slots.start + i64::try_from(offset).unwrap_or(i64::MAX)
    };
    let draw = |i| {
        let cell = SlotRange::new(edge(i), edge(i + 1));
        Cell::of(cell.len(), missing.clip(cell).len(), absent.clip(cell).len()).draw(style)
    };
    (0..cells).map(draw).collect()
}

/// First and last day of a range, spread over `cells` columns.
pub fn axis(series: &Series, slots: SlotRange, cells: usize) -> String {
    let first = series.interval.slot_start(slots.start).date();
    let last = series.interval.slot_start((slots.end - 1).max(slots.start)).date();
    let gap = cells.saturating_sub(first.len() + last.len());
    if gap == 0 { first } else { format!("{first}{}{last}", " ".repeat(gap)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(i64, i64)]) -> RangeSet {
        ranges.iter().map(|&(a, b)| SlotRange::new(a, b)).collect()
    }

    #[test]
    fn one_missing_kline_among_thousands_is_seen() {
        let slots = SlotRange::new(0, 10_000);
        assert_eq!(row(slots, &set(&[(5_500, 5_501)]), &set(&[]), 10, Style::plain()), "█████▓████");
    }

    #[test]
    fn missing_and_absent_are_told_apart() {
        let slots = SlotRange::new(0, 50);
        let map = row(slots, &set(&[(10, 20), (25, 30)]), &set(&[(30, 40)]), 5, Style::plain());
        assert_eq!(map, "█·▒–█");
    }

    #[test]
    fn a_range_shorter_than_the_line_has_one_cell_per_kline() {
        assert_eq!(row(SlotRange::new(7, 10), &set(&[(8, 9)]), &set(&[]), 80, Style::plain()), "█·█");
    }
}

//! The map of one series as a drawing.

use std::fmt::Write;

use kline::SlotRange;

use crate::coverage::Coverage;

/// Cells of a map.
const CELLS: u64 = 120;
const HEIGHT: u64 = 20;
const WIDTH: u64 = 3;

/// What is missing is hatched, what is absent is dotted. Drawn once, referred to from every map.
pub(super) const PATTERNS: &str = "<svg width=\"0\" height=\"0\" class=\"defs\" aria-hidden=\"true\"><defs>\
<pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"5\" height=\"5\" class=\"soft\"/><rect width=\"1.6\" height=\"5\" class=\"line\"/></pattern>\
<pattern id=\"dots\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"><circle cx=\"2\" cy=\"2\" r=\"0.9\" class=\"dot\"/></pattern>\
</defs></svg>\n";

pub(super) const LEGEND: &str = "<p class=\"legend\">\
<svg width=\"18\" height=\"18\" aria-hidden=\"true\"><rect width=\"18\" height=\"18\" class=\"stored\"/></svg> stored \
<svg width=\"18\" height=\"18\" aria-hidden=\"true\"><rect width=\"18\" height=\"18\" fill=\"url(#hatch)\"/></svg> missing \
<svg width=\"18\" height=\"18\" aria-hidden=\"true\"><rect width=\"18\" height=\"18\" fill=\"url(#dots)\"/></svg> absent at the exchange</p>\n";

/// Heights of the stored and the absent part of a cell; the rest is missing.
fn heights(slots: u64, missing: u64, absent: u64) -> (u64, u64) {
    // What is there is seen, and what is not all never looks like all.
    const LEAST: u64 = 3;
    let stored = slots - missing - absent;
    let part = |n: u64, most: u64| if n == 0 { 0 } else { (HEIGHT * n / slots).clamp(LEAST, most) };
    let others = |kinds: [u64; 2]| HEIGHT - LEAST * kinds.iter().filter(|n| **n > 0).count() as u64;
    let drawn = part(stored, others([missing, absent]));
    if missing == 0 {
        return (drawn, HEIGHT - drawn);
    }
    (drawn, part(absent, HEIGHT - LEAST - drawn))
}

/// The drawing; neighbours that look alike are one shape.
pub(super) fn svg(c: &Coverage) -> String {
    let cells = CELLS.min(c.slots.len());
    if cells == 0 {
        return String::new();
    }
    let edge = |i: u64| {
        let offset = u128::from(c.slots.len()) * u128::from(i) / u128::from(cells);
        c.slots.start + i64::try_from(offset).unwrap_or(i64::MAX)
    };
    let look = |i: u64| {
        let cell = SlotRange::new(edge(i), edge(i + 1));
        heights(cell.len(), c.missing.clip(cell).len(), c.absent.clip(cell).len())
    };
    let mut out = format!(
        "<svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} missing, {} absent of {}\">",
        cells * WIDTH,
        c.missing.len(),
        c.absent.len(),
        c.slots.len()
    );
    let mut from = 0;
    while from < cells {
        let (stored, absent) = look(from);
        let to = (from + 1..cells).find(|i| look(*i) != (stored, absent)).unwrap_or(cells);
        let (x, width) = (from * WIDTH, (to - from) * WIDTH);
        let mut shape = |y: u64, height: u64, paint: &str| {
            if height > 0 {
                let _ =
                    write!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {paint}/>");
            }
        };
        shape(0, HEIGHT - stored - absent, "fill=\"url(#hatch)\"");
        shape(HEIGHT - stored - absent, absent, "fill=\"url(#dots)\"");
        shape(HEIGHT - stored, stored, "class=\"stored\"");
        from = to;
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_kline_among_thousands_is_drawn() {
        assert_eq!(heights(5000, 0, 0), (HEIGHT, 0));
        assert_eq!(heights(5000, 1, 0), (HEIGHT - 3, 0));
        assert_eq!(heights(5000, 4999, 0), (3, 0));
        assert_eq!(heights(5000, 5000, 0), (0, 0));
        assert_eq!(heights(5000, 0, 5000), (0, HEIGHT));
        for (missing, absent) in [(1, 1), (2500, 2499), (1, 4998), (4998, 1), (1, 4999)] {
            let (stored, drawn) = heights(5000, missing, absent);
            assert!(stored + drawn < HEIGHT && drawn > 0, "{missing} {absent}: {stored} {drawn}");
        }
    }
}

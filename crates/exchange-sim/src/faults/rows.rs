//! Rows that are false: revised, doubled, out of order, unreadable.

use kline::{Decimal, Kline, Millis, Series};

use super::{BadRow, Faults};
use crate::random::{hash, unit};
use crate::rest::print_row;

/// A kline as a revision restates it: still plausible, and different in high, volume and number of trades.
pub(crate) fn revise(faults: &Faults, series: &Series, now: Millis, row: Kline) -> Kline {
    let revised = faults.revisions.iter().any(|r| r.from <= now && r.rows.matches(series, row.open_time));
    if !revised {
        return row;
    }
    let up = |value: Decimal| Decimal::from_parts(value.mantissa() + 1, value.scale()).unwrap_or(value);
    Kline {
        high: up(row.high),
        volume: up(row.volume),
        quote_volume: up(row.quote_volume),
        count: row.count.saturating_add(1),
        ..row
    }
}

/// Prints the rows of one answer with the row faults in it.
pub(crate) struct RowFaults<'a> {
    pub(crate) faults: &'a Faults,
    /// Key of the request's draw.
    pub(crate) key: u64,
}

impl RowFaults<'_> {
    /// The body, and how many rows were doubled, moved and made bad.
    pub(crate) fn print(&self, rows: &[Kline]) -> (String, [u64; 3]) {
        let mut counts = [0; 3];
        let mut printed: Vec<(Millis, String)> = Vec::with_capacity(rows.len());
        for row in rows {
            let bad = self.hits(row.open_time, 3, self.faults.bad_row_rate);
            counts[2] += u64::from(bad);
            let text = if bad { bad_row(self.kind(row.open_time), row) } else { good_row(row) };
            if self.hits(row.open_time, 1, self.faults.duplicate_rate) {
                counts[0] += 1;
                printed.push((row.open_time, text.clone()));
            }
            printed.push((row.open_time, text));
        }
        let mut i = 0;
        while i + 1 < printed.len() {
            let at = printed.get(i).map(|(at, _)| *at).unwrap_or_default();
            if self.hits(at, 2, self.faults.unordered_rate) {
                printed.swap(i, i + 1);
                counts[1] += 1;
                // The row that moved back is not moved again.
                i += 1;
            }
            i += 1;
        }
        let texts: Vec<String> = printed.into_iter().map(|(_, text)| text).collect();
        (format!("[{}]", texts.join(",")), counts)
    }

    fn hits(&self, open: Millis, what: u64, rate: f64) -> bool {
        rate > 0.0 && unit(self.draw(open, what)) < rate
    }

    fn kind(&self, open: Millis) -> BadRow {
        let kinds: &[BadRow] =
            if self.faults.bad_rows.is_empty() { &BadRow::ALL } else { &self.faults.bad_rows };
        let pick = self.draw(open, 4) % (kinds.len().max(1) as u64);
        kinds.get(usize::try_from(pick).unwrap_or_default()).copied().unwrap_or(BadRow::Garbage)
    }

    fn draw(&self, open: Millis, what: u64) -> u64 {
        let key = if self.faults.sticky_rows { self.faults.seed } else { self.key };
        hash(key, &[open.0.cast_unsigned(), what])
    }
}

fn good_row(row: &Kline) -> String {
    let mut text = String::with_capacity(180);
    print_row(&mut text, row);
    text
}

fn bad_row(kind: BadRow, row: &Kline) -> String {
    let micros = |at: Millis| Millis(at.0.saturating_mul(1000));
    match kind {
        BadRow::LowAboveHigh => {
            let above = Decimal::from_parts(row.high.mantissa() + 1, row.high.scale()).unwrap_or(row.high);
            good_row(&Kline { low: above, ..row.clone() })
        }
        BadRow::NegativeVolume => {
            let below = Decimal::from_parts(-row.volume.mantissa() - 1, row.volume.scale());
            good_row(&Kline { volume: below.unwrap_or(row.volume), ..row.clone() })
        }
        BadRow::Microseconds => good_row(&Kline {
            open_time: micros(row.open_time),
            close_time: micros(row.close_time),
            ..row.clone()
        }),
        BadRow::Garbage => format!(
            r#"[{},"{}","n/a",null,"1e5","{}",{},"",0,"x","NaN","0"]"#,
            row.open_time.0, row.open, row.volume, row.close_time.0
        ),
        BadRow::Short => format!(r#"[{},"{}","{}"]"#, row.open_time.0, row.open, row.high),
    }
}

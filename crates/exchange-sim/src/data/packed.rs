//! Klines of one series in about a third of the memory of [`Kline`]s.
//!
//! Rows are encoded one after the other in blocks of [`BLOCK`]; an index of the blocks finds any open time. Numbers are
//! variable-length integers, times are differences, decimals keep the digits that were sent.

use kline::{Decimal, Kline, Millis};

use super::Window;

/// Rows per block: small enough that finding a row inside one costs nothing, large enough that the index is negligible.
const BLOCK: usize = 128;

/// Rows in strictly ascending order of open time.
#[derive(Debug, Default)]
pub(crate) struct PackedRows {
    blocks: Vec<Block>,
    bytes: Vec<u8>,
    rows: usize,
    last_open: i64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first_open: i64,
    start: usize,
}

impl PackedRows {
    /// Packs rows, which must ascend strictly by open time.
    pub(crate) fn from_sorted(rows: impl IntoIterator<Item = Kline>) -> Self {
        let mut packed = Self::default();
        rows.into_iter().for_each(|row| packed.push(&row));
        packed.bytes.shrink_to_fit();
        packed
    }

    /// Appends a row that opens after every other.
    pub(crate) fn push(&mut self, row: &Kline) {
        debug_assert!(self.rows == 0 || row.open_time.0 > self.last_open, "rows must ascend");
        if self.rows.is_multiple_of(BLOCK) {
            self.blocks.push(Block { first_open: row.open_time.0, start: self.bytes.len() });
            self.last_open = row.open_time.0;
        }
        put(&mut self.bytes, row.open_time.0.wrapping_sub(self.last_open).into());
        put(&mut self.bytes, row.close_time.0.wrapping_sub(row.open_time.0).into());
        put(&mut self.bytes, row.count.into());
        for value in decimals(row) {
            self.bytes.push(u8::try_from(value.scale()).unwrap_or(u8::MAX));
            put(&mut self.bytes, value.mantissa());
        }
        self.last_open = row.open_time.0;
        self.rows += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of memory the rows take.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<Block>()
    }

    pub(crate) fn first_open(&self) -> Option<Millis> {
        self.blocks.first().map(|block| Millis(block.first_open))
    }

    pub(crate) fn last_open(&self) -> Option<Millis> {
        (self.rows > 0).then_some(Millis(self.last_open))
    }

    /// Every row in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Kline> + '_ {
        (0..self.blocks.len()).flat_map(|block| self.decode(block))
    }

    /// The visible rows of a window, ascending.
    pub(crate) fn page(&self, window: &Window, visible: &dyn Fn(Millis) -> bool) -> Vec<Kline> {
        let wanted = |row: &Kline| {
            window.from <= row.open_time && row.open_time <= window.to && visible(row.open_time)
        };
        let first = self.blocks.partition_point(|b| b.first_open <= window.from.0).saturating_sub(1);
        let end = self.blocks.partition_point(|b| b.first_open <= window.to.0);
        let mut page = Vec::new();
        if window.newest {
            for block in (first..end).rev() {
                page.extend(self.decode(block).into_iter().rev().filter(wanted));
                if page.len() >= window.limit {
                    break;
                }
            }
            page.truncate(window.limit);
            page.reverse();
        } else {
            for block in first..end {
                page.extend(self.decode(block).into_iter().filter(wanted));
                if page.len() >= window.limit {
                    break;
                }
            }
            page.truncate(window.limit);
        }
        page
    }

    fn decode(&self, block: usize) -> Vec<Kline> {
        let Some(&Block { first_open, start }) = self.blocks.get(block) else { return Vec::new() };
        let end = self.blocks.get(block + 1).map_or(self.bytes.len(), |next| next.start);
        let mut bytes = self.bytes.get(start..end).unwrap_or_default();
        let mut rows = Vec::with_capacity(BLOCK);
        let mut open = first_open;
        while !bytes.is_empty() {
            open = open.wrapping_add(narrow(take(&mut bytes)));
            let close_time = Millis(open.wrapping_add(narrow(take(&mut bytes))));
            let count = u64::try_from(take(&mut bytes)).unwrap_or(u64::MAX);
            let mut next = || take_decimal(&mut bytes);
            rows.push(Kline {
                open_time: Millis(open),
                open: next(),
                high: next(),
                low: next(),
                close: next(),
                volume: next(),
                close_time,
                quote_volume: next(),
                count,
                taker_buy_volume: next(),
                taker_buy_quote_volume: next(),
            });
        }
        rows
    }
}

/// The decimals of a row, in the order they are packed in.
fn decimals(row: &Kline) -> [Decimal; 8] {
    [
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.quote_volume,
        row.taker_buy_volume,
        row.taker_buy_quote_volume,
    ]
}

fn take_decimal(bytes: &mut &[u8]) -> Decimal {
    let scale = bytes.split_off_first().copied().unwrap_or_default();
    // What was packed is a decimal already, so this cannot be refused.
    Decimal::from_parts(take(bytes), u32::from(scale)).unwrap_or_default()
}

/// Writes a signed integer in as many 7-bit groups as it needs.
fn put(bytes: &mut Vec<u8>, value: i128) {
    let mut rest = ((value << 1) ^ (value >> 127)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push((rest & 0x7F) as u8);
}

fn take(bytes: &mut &[u8]) -> i128 {
    let mut value = 0u128;
    let mut shift = 0;
    while let Some(&byte) = bytes.split_off_first() {
        value |= u128::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 60_000;

    fn row(i: i64) -> Kline {
        let d = |text: &str| Decimal::parse(text).unwrap();
        Kline {
            open_time: Millis(1_500_000_000_000 + i * STEP + if i == 7 { 14_789 } else { 0 }),
            open: d("102325.60"),
            high: d("999999999999999999.99999999"),
            low: d("0.00000001"),
            close: d("0"),
            volume: d("2328926384141.0"),
            close_time: Millis(1_500_000_000_000 + (i - 3) * STEP),
            quote_volume: d("-1.10"),
            count: u64::MAX,
            taker_buy_volume: d("0.000"),
            taker_buy_quote_volume: d("17"),
        }
    }

    fn window(from: i64, to: i64, limit: usize, newest: bool) -> Window {
        Window { from: row(from).open_time, to: row(to).open_time, limit, newest }
    }

    #[test]
    fn packing_keeps_every_field_to_the_digit() {
        let rows: Vec<_> = (0..1_000).map(row).collect();
        let packed = PackedRows::from_sorted(rows.clone());
        let back: Vec<_> = packed.iter().collect();
        assert_eq!(back, rows);
        let printed = |k: &Kline| decimals(k).map(|d| d.to_string());
        assert_eq!(printed(&back[999]), printed(&rows[999]));
        assert_eq!(
            (packed.len(), packed.first_open(), packed.last_open()),
            (1_000, Some(rows[0].open_time), Some(rows[999].open_time))
        );
    }

    #[test]
    fn a_page_is_the_oldest_or_the_newest_rows_of_its_window() {
        let packed = PackedRows::from_sorted((0..1_000).map(row));
        let all = |_: Millis| true;
        for (from, to, limit) in
            [(0, 999, 1), (0, 999, 5_000), (100, 700, 300), (127, 128, 9), (5, 9, 2), (400, 399, 5)]
        {
            let inside: Vec<_> = (from..=to).map(row).collect();
            let oldest: Vec<_> = inside.iter().take(limit).cloned().collect();
            let newest: Vec<_> = inside.iter().rev().take(limit).rev().cloned().collect();
            assert_eq!(packed.page(&window(from, to, limit, false), &all), oldest, "{from} {to} {limit}");
            assert_eq!(packed.page(&window(from, to, limit, true), &all), newest, "{from} {to} {limit}");
        }
        let odd = packed.page(&window(0, 999, 3, false), &|at| at != row(1).open_time);
        assert_eq!(odd, [row(0), row(2), row(3)]);
        assert!(PackedRows::default().page(&window(0, 9, 9, true), &all).is_empty());
    }
}

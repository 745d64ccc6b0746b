//! Rows of archive CSV: in from bytes, and out again.
//!
//! Twelve columns (the last one unused), a header or none, times in milliseconds or microseconds, told apart value by
//! value; zeros behind the decimals as they please. The reader keeps a window of the input, not the input, and allocates
//! nothing per row.

use std::io::{self, Read, Write};

use kline::validate::{Reason, Rejection};
use kline::{Decimal, Kline, Millis, digits};

/// The archive's header line, without its end.
pub const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                          taker_buy_quote_volume,ignore";

/// Bytes of input held at once.
const WINDOW: usize = 256 * 1024;
/// Longest line that can be a row; real ones take 60 to 170 bytes.
const MOST_LINE: usize = 4096;
/// Unreadable rows told one by one.
const MOST_SHOWN: usize = 3;

/// Why reading stopped before the end. Single unreadable rows are no such reason; they are in [`Unreadable`].
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The source of the bytes failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The first line names other columns.
    #[error("the header names other columns than klines have: {0}")]
    Header(String),
    /// A line without an end.
    #[error("line {0} is longer than any row of a kline ({MOST_LINE} bytes)")]
    LongLine(u64),
    /// Lines, but no kline among them.
    #[error("none of its {rows} lines is a kline; the first: {first}")]
    NoRows {
        /// Lines read.
        rows: u64,
        /// What is wrong with the first.
        first: String,
    },
}

/// Rows that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unreadable {
    /// How many.
    pub rows: u64,
    /// The first few, with reasons.
    pub shown: Vec<Rejection>,
}

/// Reads klines from CSV.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    window: Vec<u8>,
    start: usize,
    end: usize,
    drained: bool,
    /// Lines taken so far.
    lines: u64,
    good: u64,
    unreadable: Unreadable,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of a file.
    pub fn new(source: R) -> Self {
        Self {
            source,
            window: vec![0; WINDOW],
            start: 0,
            end: 0,
            drained: false,
            lines: 0,
            good: 0,
            unreadable: Unreadable::default(),
        }
    }

    /// Appends rows to `out`, in the order of the file, until it holds `most`. `false` when the file has ended.
    ///
    /// # Errors
    /// [`CsvError`]; what was appended before it stays.
    pub fn read(&mut self, out: &mut Vec<Kline>, most: usize) -> Result<bool, CsvError> {
        loop {
            while out.len() < most {
                let pending = &self.window[self.start..self.end];
                let Some(length) = memchr::memchr(b'\n', pending) else { break };
                self.line(length, out)?;
                self.start += 1;
            }
            if out.len() >= most {
                return Ok(true);
            }
            if self.drained {
                if self.start < self.end {
                    self.line(self.end - self.start, out)?;
                }
                return self.ended();
            }
            self.refill()?;
        }
    }

    /// What could not be read so far.
    pub fn unreadable(&self) -> &Unreadable {
        &self.unreadable
    }

    fn ended(&self) -> Result<bool, CsvError> {
        match self.unreadable.shown.first() {
            Some(first) if self.good == 0 => {
                Err(CsvError::NoRows { rows: self.unreadable.rows, first: first.to_string() })
            }
            _ => Ok(false),
        }
    }

    fn refill(&mut self) -> Result<(), CsvError> {
        if self.end - self.start > MOST_LINE {
            return Err(CsvError::LongLine(self.lines + 1));
        }
        self.window.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let n = loop {
            match self.source.read(&mut self.window[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.end += n;
        self.drained = n == 0;
        Ok(())
    }

    /// Takes a line of so many bytes.
    fn line(&mut self, length: usize, out: &mut Vec<Kline>) -> Result<(), CsvError> {
        let line = &self.window[self.start..self.start + length];
        self.start += length;
        self.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > MOST_LINE {
            return Err(CsvError::LongLine(self.lines));
        }
        match row(line) {
            Ok(kline) => {
                out.push(kline);
                self.good += 1;
            }
            Err(_) if line.is_empty() => {}
            Err(_) if self.lines == 1 && is_header(line)? => {}
            Err(why) => {
                self.unreadable.rows += 1;
                if self.unreadable.shown.len() < MOST_SHOWN {
                    self.unreadable.shown.push(why.rejection(self.lines, line));
                }
            }
        }
        Ok(())
    }
}

/// Whether a first line that is no row is the header: its first field is no number. A header of other columns is an error.
fn is_header(line: &[u8]) -> Result<bool, CsvError> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let first = line.split(|b| *b == b',').next().unwrap_or_default();
    if first.trim_ascii().first().is_none_or(u8::is_ascii_digit) {
        return Ok(false);
    }
    // What the later columns are called has changed over the years, their order never.
    let mut names = line.split(|b| *b == b',').map(|name| name.trim_ascii().to_ascii_lowercase());
    let expected = ["open_time", "open", "high", "low", "close", "volume", "close_time"];
    if expected.iter().all(|name| names.next().is_some_and(|n| n == name.as_bytes())) {
        Ok(true)
    } else {
        Err(CsvError::Header(crate::error::excerpt(line)))
    }
}

/// Why a line is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// So many fields instead of 11 or 12.
    Fields(usize),
    /// The field of this column is not what it should be.
    Field(&'static str),
}

impl Why {
    fn rejection(self, number: u64, line: &[u8]) -> Rejection {
        let first = line.split(|b| *b == b',').next().unwrap_or_default();
        let detail = match self {
            Self::Fields(n) => format!("line {number}: {n} fields instead of 12"),
            Self::Field(name) => format!("line {number}: {name} in {}", crate::error::excerpt(line)),
        };
        Rejection { open_time: integer(first).and_then(instant), reason: Reason::Unreadable, detail }
    }
}

/// The kline of a line.
#[inline(always)]
fn row(line: &[u8]) -> Result<Kline, Why> {
    let mut fields = Fields { rest: line, taken: 0 };
    let kline = Kline {
        open_time: fields.time("open_time")?,
        open: fields.decimal("open")?,
        high: fields.decimal("high")?,
        low: fields.decimal("low")?,
        close: fields.decimal("close")?,
        volume: fields.decimal("volume")?,
        close_time: fields.time("close_time")?,
        quote_volume: fields.decimal("quote_volume")?,
        count: fields.integer("count")?,
        taker_buy_volume: fields.decimal("taker_buy_volume")?,
        taker_buy_quote_volume: fields.decimal("taker_buy_quote_volume")?,
    };
    // After eleven columns comes one that is not used, or nothing.
    match fields.rest {
        [] => Ok(kline),
        [b',', last @ ..] if !last.contains(&b',') => Ok(kline),
        more => Err(Why::Fields(11 + more.iter().filter(|b| **b == b',').count())),
    }
}

struct Fields<'a> {
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Fields<'a> {
    /// Goes to the start of the next field.
    #[inline]
    fn next(&mut self) -> Result<(), Why> {
        if self.taken > 0 {
            self.rest = match self.rest {
                [b',', rest @ ..] => rest,
                _ => return Err(Why::Fields(self.taken)),
            };
        }
        self.taken += 1;
        Ok(())
    }

    /// What is left of the field.
    #[inline]
    fn field(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|b| *b == b',').unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        field
    }

    #[inline]
    fn integer(&mut self, name: &'static str) -> Result<u64, Why> {
        self.next()?;
        if let Some((value, length @ 1..)) = digits::leading(self.rest)
            && matches!(self.rest.get(length), Some(b',') | None)
        {
            self.rest = &self.rest[length..];
            return Ok(value);
        }
        integer(self.field()).ok_or(Why::Field(name))
    }

    #[inline]
    fn time(&mut self, name: &'static str) -> Result<Millis, Why> {
        instant(self.integer(name)?).ok_or(Why::Field(name))
    }

    #[inline(always)]
    fn decimal(&mut self, name: &'static str) -> Result<Decimal, Why> {
        self.next()?;
        if let Some((value, length)) = Decimal::parse_leading(self.rest)
            && matches!(self.rest.get(length), Some(b',') | None)
        {
            self.rest = &self.rest[length..];
            return Ok(value);
        }
        Decimal::parse_bytes(self.field()).map_err(|_| Why::Field(name))
    }
}

#[inline]
fn instant(number: u64) -> Option<Millis> {
    Millis::detect(i64::try_from(number).ok()?).ok()
}

#[inline]
fn integer(field: &[u8]) -> Option<u64> {
    // 18 digits always fit, and no time or count has more.
    if field.is_empty() || field.len() > 18 {
        return None;
    }
    let mut value = 0u64;
    for byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Unit of the times that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Milliseconds: futures, and spot before 2025.
    #[default]
    Milliseconds,
    /// Microseconds: spot from 2025 on.
    Microseconds,
}

/// Writes one row as the archive does, line end included. In microseconds a close time ends in 999, the last microsecond of
/// its millisecond.
///
/// # Errors
/// Those of `out`.
pub fn write_row(out: &mut impl Write, kline: &Kline, unit: Unit) -> io::Result<()> {
    let Kline { open_time, open, high, low, close, volume, close_time, quote_volume, count, .. } = kline;
    let Kline { taker_buy_volume, taker_buy_quote_volume, .. } = kline;
    let (open_time, close_time) = match unit {
        Unit::Milliseconds => (open_time.0, close_time.0),
        Unit::Microseconds => {
            (open_time.0.saturating_mul(1000), close_time.0.saturating_mul(1000).saturating_add(999))
        }
    };
    writeln!(
        out,
        "{open_time},{open},{high},{low},{close},{volume},{close_time},{quote_volume},{count},{taker_buy_volume},\
         {taker_buy_quote_volume},0"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROW: &str = "1735689600000,93548.80,93599.90,93460.20,93489.40,1000.123,1735689899999,93548800.5,1234,500.1,46774400.25,0";

    fn read(text: &[u8]) -> Result<(Vec<Kline>, Unreadable), CsvError> {
        let mut reader = Reader::new(text);
        let mut rows = Vec::new();
        while reader.read(&mut rows, usize::MAX)? {}
        Ok((rows, reader.unreadable().clone()))
    }

    #[test]
    fn a_header_is_told_by_its_first_field() {
        let with = read(format!("{HEADER}\n{ROW}\n").as_bytes()).unwrap();
        let without = read(format!("{ROW}\r\n\r\n").as_bytes()).unwrap();
        let unended = read(ROW.as_bytes()).unwrap();
        assert_eq!((with.0.len(), &with), (1, &without));
        assert_eq!((unended.0.len(), with.1.rows), (1, 0));
    }

    #[test]
    fn a_header_of_other_columns_refuses_the_file() {
        let text = format!("open_time,high,open,low,close,volume,close_time\n{ROW}\n");
        assert!(matches!(read(text.as_bytes()), Err(CsvError::Header(_))));
        assert!(matches!(read(b"<html><body>503</body></html>"), Err(CsvError::Header(_))));
    }

    #[test]
    fn milliseconds_and_microseconds_may_be_mixed() {
        let micro =
            ROW.replace("1735689600000", "1735689600000000").replace("1735689899999", "1735689899999999");
        let (rows, _) = read(format!("{ROW}\n{micro}\n").as_bytes()).unwrap();
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[0].close_time, Millis(1_735_689_899_999));
    }

    #[test]
    fn zeros_behind_the_decimals_change_no_value() {
        let padded = ROW.replace("93548.80,", "93548.80000000,").replace(",0", ",0.0000");
        let (rows, _) = read(format!("{ROW}\n{padded}\n").as_bytes()).unwrap();
        assert_eq!(rows[0], rows[1]);
    }

    #[test]
    fn an_unreadable_row_leaves_the_others_alone() {
        let text =
            [ROW, "1735689900000,1,2", &ROW.replace("93460.20", "1e5"), &ROW.replace(",0", ",0,0"), ROW]
                .join("\n");
        let (rows, bad) = read(text.as_bytes()).unwrap();
        assert_eq!((rows.len(), bad.rows), (2, 3));
        assert_eq!(bad.shown[0].open_time, Some(Millis(1_735_689_900_000)));
        let told: Vec<_> = bad.shown.iter().map(|r| r.detail.clone()).collect();
        assert_eq!(told[0], "line 2: 3 fields instead of 12");
        assert!(told[1].starts_with("line 3: low in 1735689600000,"), "{}", told[1]);
        assert_eq!(told[2], "line 4: 13 fields instead of 12");
    }

    #[test]
    fn a_file_without_a_single_kline_is_refused() {
        assert!(matches!(read(b"1,2,3\n4,5,6\n"), Err(CsvError::NoRows { rows: 2, .. })));
        assert!(matches!(read(&vec![b'1'; 600_000]), Err(CsvError::LongLine(1))));
        assert_eq!(read(b"").unwrap().0, []);
    }

    #[test]
    fn rows_come_in_portions_and_none_is_lost_between_windows() {
        let text: String = (0..5000)
            .map(|i| ROW.replace("1735689600000", &(1_735_689_600_000i64 + i).to_string()) + "\n")
            .collect();
        let mut reader = Reader::new(text.as_bytes());
        let (mut all, mut portion) = (Vec::new(), Vec::new());
        loop {
            let more = reader.read(&mut portion, 777).unwrap();
            assert!(portion.len() <= 777);
            all.append(&mut portion);
            if !more {
                break;
            }
        }
        assert!(
            all.iter().enumerate().all(|(i, k)| k.open_time.0 == 1_735_689_600_000 + i as i64)
                && all.len() == 5000
        );
    }

    fn decimal() -> impl Strategy<Value = Decimal> {
        (0i128..10i128.pow(26), 0u32..=12).prop_map(|(m, s)| Decimal::from_parts(m, s).unwrap())
    }

    fn kline() -> impl Strategy<Value = Kline> {
        let times = (100_000_000_000i64..90_000_000_000_000, 100_000_000_000i64..90_000_000_000_000);
        (times, proptest::array::uniform8(decimal()), 0u64..1_000_000_000_000).prop_map(
            |((open, close), d, count)| Kline {
                open_time: Millis(open),
                open: d[0],
                high: d[1],
                low: d[2],
                close: d[3],
                volume: d[4],
                close_time: Millis(close),
                quote_volume: d[5],
                count,
                taker_buy_volume: d[6],
                taker_buy_quote_volume: d[7],
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(rows in proptest::collection::vec(kline(), 0..20), header: bool, micro: bool) {
            let mut text = Vec::new();
            if header {
                writeln!(text, "{HEADER}").unwrap();
            }
            let unit = if micro { Unit::Microseconds } else { Unit::Milliseconds };
            rows.iter().for_each(|k| write_row(&mut text, k, unit).unwrap());
            let (back, bad) = read(&text).unwrap();
            prop_assert_eq!(bad.rows, 0);
            let digits = |rows: &[Kline]| rows.iter().map(|k| format!("{k:?}")).collect::<Vec<_>>();
            prop_assert_eq!(digits(&back), digits(&rows), "every digit, trailing zeros too");
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_text_like_a_row_makes_the_reader_panic(text in "[0-9.,\\-\r\nopen_tim]{0,400}") {
            let _ = read(text.as_bytes());
        }
    }
}

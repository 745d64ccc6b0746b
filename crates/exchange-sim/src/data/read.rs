//! Reading kline files: the archive's CSV (with or without a header, milliseconds or microseconds, zipped or not),
//! CSV of `open_time,open,high,low,close,volume` alone, and saved REST answers.
//!
//! Columns that a file lacks are filled the same way every time: the close time is the last millisecond of the interval,
//! and quote volume, count and taker volumes are 0, since nothing better is known.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

use kline::{Decimal, Interval, Kline, Millis};
use serde_json::Value;

use super::folder::{Format, KlineFile};
use super::number;

/// Most bytes a zip may inflate to: ten times the largest file of the archive.
const MOST_INFLATED: u64 = 1 << 30;
/// Bad rows told one by one for each file.
const MOST_COMPLAINTS: usize = 3;

/// How far a row is to be trusted where files disagree; later is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// The last row of a saved answer was probably still open.
    MaybeOpen,
    Ohlcv,
    Rest,
    Archive,
    DailyArchive,
}

/// What was read from one file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<(Trust, Kline)>,
    pub(crate) notes: Vec<String>,
    bad: usize,
}

/// Reads a file, or its first `most` good rows. What cannot be read is noted.
pub(crate) fn read(file: &KlineFile, most: usize) -> Rows {
    let mut rows = Rows::default();
    if let Err(error) = read_into(&mut rows, file, most) {
        rows.notes.push(format!("{}: cannot be read: {error}", file.path.display()));
    }
    if rows.bad > MOST_COMPLAINTS {
        rows.notes.push(format!("{}: {} unreadable rows in all", file.path.display(), rows.bad));
    }
    rows
}

fn read_into(rows: &mut Rows, file: &KlineFile, most: usize) -> io::Result<()> {
    match file.format {
        Format::Csv => read_csv(rows, file, File::open(&file.path)?, most),
        Format::Zip => {
            let mut archive = zip::ZipArchive::new(File::open(&file.path)?)?;
            let mut names = archive.file_names().flatten();
            let name = names.find(|name| name.ends_with(".csv")).map(Cow::into_owned);
            let name = name.ok_or_else(|| io::Error::other("the zip holds no CSV"))?;
            drop(names);
            let entry = archive.by_name(&name)?;
            read_csv(rows, file, entry.take(MOST_INFLATED), most)
        }
        Format::RestJson => {
            let answer: Vec<Vec<Value>> =
                serde_json::from_reader(io::BufReader::new(File::open(&file.path)?))?;
            let last = answer.len().saturating_sub(1);
            for (i, row) in answer.iter().enumerate().take(most) {
                let fields: Vec<String> = row.iter().map(field_text).collect();
                let trust = if i == last { Trust::MaybeOpen } else { Trust::Rest };
                rows.add(file, i + 1, trust, &fields.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Ok(())
        }
    }
}

fn read_csv(rows: &mut Rows, file: &KlineFile, from: impl Read, most: usize) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(from);
    let mut record = csv::StringRecord::new();
    let mut line = 0;
    while rows.rows.len() < most && reader.read_record(&mut record)? {
        line += 1;
        let is_header = line == 1 && record.get(0).is_some_and(|first| first.trim().parse::<i64>().is_err());
        if is_header {
            continue;
        }
        let fields: Vec<&str> = record.iter().map(str::trim).collect();
        let trust = match fields.len() {
            ..=10 => Trust::Ohlcv,
            _ if file.daily => Trust::DailyArchive,
            _ => Trust::Archive,
        };
        rows.add(file, line, trust, &fields);
    }
    Ok(())
}

/// Decimals come as strings; where someone printed them as numbers, their digits are taken.
fn field_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Rows {
    fn add(&mut self, file: &KlineFile, line: usize, trust: Trust, fields: &[&str]) {
        match row(file.series.interval, fields) {
            Ok(row) => self.rows.push((trust, row)),
            Err(why) => {
                self.bad += 1;
                if self.bad <= MOST_COMPLAINTS {
                    self.notes.push(format!("{}: row {line} left out: {why}", file.path.display()));
                }
            }
        }
    }
}

/// One row from its fields: eleven or more, or the first six alone.
fn row(interval: Interval, fields: &[&str]) -> Result<Kline, String> {
    let [open_time, open, high, low, close, volume, rest @ ..] = fields else {
        return Err(format!("{} fields; at least 6 are needed", fields.len()));
    };
    let decimal = |text: &str| number::parse(text).map_err(|error| error.to_string());
    let open_time = time(open_time)?;
    let kline = Kline {
        open_time,
        open: decimal(open)?,
        high: decimal(high)?,
        low: decimal(low)?,
        close: decimal(close)?,
        volume: decimal(volume)?,
        close_time: end(interval, open_time).plus(-1),
        quote_volume: Decimal::ZERO,
        count: 0,
        taker_buy_volume: Decimal::ZERO,
        taker_buy_quote_volume: Decimal::ZERO,
    };
    match rest {
        [] => Ok(kline),
        [close_time, quote_volume, count, taker_buy, taker_buy_quote, ..] => Ok(Kline {
            close_time: time(close_time)?,
            quote_volume: decimal(quote_volume)?,
            count: count.parse().map_err(|_| format!("`{count}` is no number of trades"))?,
            taker_buy_volume: decimal(taker_buy)?,
            taker_buy_quote_volume: decimal(taker_buy_quote)?,
            ..kline
        }),
        _ => Err(format!("{} fields; 6, or 11 and more, are understood", fields.len())),
    }
}

/// Milliseconds or microseconds, told apart by size.
fn time(text: &str) -> Result<Millis, String> {
    let raw: i64 = text.parse().map_err(|_| format!("`{text}` is no time"))?;
    Millis::detect(raw).map_err(|error| error.to_string())
}

fn end(interval: Interval, open: Millis) -> Millis {
    match interval.fixed_ms() {
        Some(step) => open.plus(step),
        None => interval.slot_end(interval.slot_of(open)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_columns_are_filled_and_microseconds_floored() {
        let six =
            row(Interval::M5, &["1741257000000", "91616.5", "9.17e4", "91383.1", "91437.5", "1029.223"])
                .unwrap();
        assert_eq!((six.close_time, six.high.to_string().as_str()), (Millis(1_741_257_299_999), "91700"));
        assert_eq!((six.count, six.quote_volume), (0, Decimal::ZERO));
        let micro =
            ["1735689600000000", "1", "2", "1", "2", "3", "1735693199999999", "4", "5", "1", "2", "0"];
        let micro = row(Interval::H1, &micro).unwrap();
        assert_eq!((micro.open_time.0, micro.close_time.0), (1_735_689_600_000, 1_735_693_199_999));
    }

    #[test]
    fn a_bad_row_is_refused_with_its_reason() {
        let reason = |fields: &[&str]| row(Interval::H1, fields).unwrap_err();
        assert!(reason(&["1735689600000", "1"]).contains("2 fields"));
        assert!(reason(&["1735689600", "1", "2", "1", "2", "3"]).contains("neither milliseconds"));
        assert!(reason(&["x", "1", "2", "1", "2", "3"]).contains("no time"));
        assert!(reason(&["1735689600000", "1", "x", "1", "2", "3"]).contains("not a plain decimal"));
        assert!(reason(&["1735689600000", "1", "2", "1", "2", "3", "4", "5"]).contains("8 fields"));
    }
}

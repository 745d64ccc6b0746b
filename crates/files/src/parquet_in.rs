//! Parquet in: the columns of klines by name, whatever else a file has.

use std::fs::File;
use std::path::Path;

use binance::archive::Batch;
use kline::{Decimal, Kline, Millis};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::ColumnReader;
use parquet::data_type::FixedLenByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::error::FileError;
use crate::name::Named;
use crate::parquet_out::{COLUMNS, INTERVAL, MARKET, SYMBOL};

/// Rows read at once.
const BATCH: usize = 10_000;

/// What the file's own metadata says, which counts more than its name.
pub(crate) fn named(path: &Path, named: &mut Named) -> Result<(), FileError> {
    let reader = open(path)?;
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    for pair in pairs.into_iter().flatten() {
        let Some(value) = pair.value.as_deref() else { continue };
        match pair.key.as_str() {
            MARKET => named.market = value.parse().ok().or(named.market),
            SYMBOL => named.symbol = value.parse().ok().or(named.symbol.take()),
            INTERVAL => named.interval = value.parse().ok().or(named.interval),
            _ => {}
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, FileError> {
    let file = File::open(path).map_err(FileError::io("read", path))?;
    SerializedFileReader::new(file).map_err(FileError::parquet(path))
}

/// Reads rows; those that do not open after the row before them are disputed.
pub(crate) fn read(path: &Path, mut deliver: impl FnMut(Batch) -> bool) -> Result<(), FileError> {
    let reader = open(path)?;
    let mut groups = || -> ParquetResult<()> {
        let columns = columns(&reader)?;
        let mut last = None;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            if !self::group(group.as_ref(), &columns, &mut last, &mut deliver)? {
                return Ok(());
            }
        }
        Ok(())
    };
    groups().map_err(FileError::parquet(path))
}

/// How the values of a column are to be understood.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// An instant; so many of the column's units make a millisecond.
    Time { per_ms: i64 },
    /// A whole number.
    Count,
    /// A decimal of this scale.
    Decimal { scale: u32 },
}

/// Position and meaning of each column of a kline.
fn columns(reader: &SerializedFileReader<File>) -> ParquetResult<[(usize, Meaning); 11]> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let mut found = [(0, Meaning::Count); 11];
    for (name, out) in COLUMNS.iter().zip(&mut found) {
        let at = schema.columns().iter().position(|column| column.path().string() == *name);
        let at = at.ok_or_else(|| ParquetError::General(format!("it has no column {name}")))?;
        *out = (at, meaning(name, &schema.columns()[at])?);
    }
    Ok(found)
}

fn meaning(name: &str, column: &ColumnDescriptor) -> ParquetResult<Meaning> {
    let refuse = |wanted: &str| {
        let found = column.physical_type();
        Err(ParquetError::General(format!("column {name} is {found} and no {wanted}")))
    };
    if column.max_rep_level() > 0 {
        return refuse("plain column");
    }
    match name {
        "open_time" | "close_time" => match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(time)), _) => match time.unit {
                TimeUnit::MILLIS => Ok(Meaning::Time { per_ms: 1 }),
                TimeUnit::MICROS => Ok(Meaning::Time { per_ms: 1000 }),
                TimeUnit::NANOS => Ok(Meaning::Time { per_ms: 1_000_000 }),
            },
            (_, ConvertedType::TIMESTAMP_MILLIS) => Ok(Meaning::Time { per_ms: 1 }),
            (_, ConvertedType::TIMESTAMP_MICROS) => Ok(Meaning::Time { per_ms: 1000 }),
            _ => refuse("timestamp"),
        },
        "count" => Ok(Meaning::Count),
        _ => {
            let is_decimal = matches!(column.logical_type_ref(), Some(LogicalType::Decimal(_)))
                || column.converted_type() == ConvertedType::DECIMAL;
            match u32::try_from(column.type_scale()) {
                Ok(scale) if is_decimal && scale <= 28 => Ok(Meaning::Decimal { scale }),
                _ => refuse("decimal"),
            }
        }
    }
}

/// Reads one row group. `false` when no more is wanted.
fn group(
    group: &dyn RowGroupReader,
    columns: &[(usize, Meaning); 11],
    last: &mut Option<Millis>,
    deliver: &mut impl FnMut(Batch) -> bool,
) -> ParquetResult<bool> {
    let mut readers = Vec::with_capacity(columns.len());
    for (at, _) in columns {
        readers.push(group.get_column_reader(*at)?);
    }
    loop {
        let mut values: Vec<Vec<i128>> = Vec::with_capacity(columns.len());
        for (reader, name) in readers.iter_mut().zip(COLUMNS) {
            values.push(numbers(reader, name)?);
        }
        let rows = values[0].len();
        if values.iter().any(|column| column.len() != rows) {
            return Err(ParquetError::General(
                "its columns are of different lengths, or have empty values".to_owned(),
            ));
        }
        if rows == 0 {
            return Ok(true);
        }
        let mut batch = Batch::default();
        for row in 0..rows {
            let mut cells = Cells { values: &values, columns, row, at: 0 };
            let kline = cells.kline()?;
            if last.is_some_and(|last| kline.open_time <= last) {
                batch.disputed.push(kline.open_time);
            } else {
                *last = Some(kline.open_time);
                batch.rows.push(kline);
            }
        }
        if !deliver(batch) {
            return Ok(false);
        }
    }
}

/// The next values of a column as whole numbers.
fn numbers(reader: &mut ColumnReader, name: &str) -> ParquetResult<Vec<i128>> {
    // Values that may be empty come with levels; the lengths tell whether one was.
    let mut levels = Vec::new();
    macro_rules! read {
        ($reader:expr, $type:ty, $convert:expr) => {{
            let mut values: Vec<$type> = Vec::new();
            $reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
            values.iter().map($convert).collect()
        }};
    }
    match reader {
        ColumnReader::Int32ColumnReader(reader) => read!(reader, i32, |v| Ok(i128::from(*v))),
        ColumnReader::Int64ColumnReader(reader) => read!(reader, i64, |v| Ok(i128::from(*v))),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read!(reader, FixedLenByteArray, |v| big_endian(v.data()))
        }
        _ => Err(ParquetError::General(format!("column {name} is of a type that is not exact"))),
    }
}

/// A signed number of up to 16 bytes.
fn big_endian(bytes: &[u8]) -> ParquetResult<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return Err(ParquetError::General(format!("a decimal of {} bytes", bytes.len())));
    }
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |value, byte| value << 8 | i128::from(*byte)))
}

/// The values of one row, in the order of the columns.
struct Cells<'a> {
    values: &'a [Vec<i128>],
    columns: &'a [(usize, Meaning); 11],
    row: usize,
    at: usize,
}

impl Cells<'_> {
    fn kline(&mut self) -> ParquetResult<Kline> {
        Ok(Kline {
            open_time: self.time()?,
            open: self.decimal()?,
            high: self.decimal()?,
            low: self.decimal()?,
            close: self.decimal()?,
            volume: self.decimal()?,
            close_time: self.time()?,
            quote_volume: self.decimal()?,
            count: self.count()?,
            taker_buy_volume: self.decimal()?,
            taker_buy_quote_volume: self.decimal()?,
        })
    }

    fn next(&mut self) -> (i128, Meaning, &'static str) {
        let at = self.at;
        self.at += 1;
        (self.values[at][self.row], self.columns[at].1, COLUMNS[at])
    }

    fn time(&mut self) -> ParquetResult<Millis> {
        let (value, meaning, name) = self.next();
        let Meaning::Time { per_ms } = meaning else { return Err(bad(name, value)) };
        let ms = value.div_euclid(i128::from(per_ms));
        i64::try_from(ms).map(Millis).map_err(|_| bad(name, value))
    }

    fn count(&mut self) -> ParquetResult<u64> {
        let (value, _, name) = self.next();
        u64::try_from(value).map_err(|_| bad(name, value))
    }

    /// In its shortest form: how many zeros were sent, the column does not tell.
    fn decimal(&mut self) -> ParquetResult<Decimal> {
        let (mut value, meaning, name) = self.next();
        let Meaning::Decimal { mut scale } = meaning else { return Err(bad(name, value)) };
        while scale > 0 && value % 10 == 0 {
            (value, scale) = (value / 10, scale - 1);
        }
        Decimal::from_parts(value, scale).map_err(|_| bad(name, value))
    }
}

fn bad(name: &str, value: i128) -> ParquetError {
    ParquetError::General(format!("column {name} has a value that no kline has: {value}"))
}

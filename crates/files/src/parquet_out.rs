//! Parquet out: decimal columns, zstd, row groups of bounded size.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use binance::archive::file::interval_name;
use bytes::{BufMut, BytesMut};
use kline::{Decimal, Kline, Series};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::error::FileError;

/// Rows of a row group, which are in memory until it is written, as columns: 8 MiB.
const ROW_GROUP: usize = 50_000;
/// Digits after the point in every decimal column.
pub(crate) const SCALE: u32 = Decimal::MAX_SCALE;
/// Decimals handed to the encoder at once.
const PORTION: usize = 4096;
/// Bytes of a decimal.
const WIDTH: usize = 16;

/// Keys of the file's own metadata.
pub(crate) const MARKET: &str = "klines.market";
pub(crate) const SYMBOL: &str = "klines.symbol";
pub(crate) const INTERVAL: &str = "klines.interval";

/// Names in the order of the archive.
pub(crate) const COLUMNS: [&str; 11] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
];

fn schema() -> String {
    let column = |name: &&str| match *name {
        "open_time" | "close_time" => format!("required int64 {name} (TIMESTAMP(MILLIS,true));"),
        "count" => format!("required int64 {name};"),
        name => format!("required fixed_len_byte_array({WIDTH}) {name} (DECIMAL(38,{SCALE}));"),
    };
    format!("message klines {{ {} }}", COLUMNS.iter().map(column).collect::<String>())
}

/// A Parquet file in the making.
pub(crate) struct ParquetOut {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    /// The group in hand, in the order of [`COLUMNS`].
    columns: Vec<Column>,
    rows: usize,
}

/// Values of a column. Half as large as the klines they are of.
enum Column {
    Integers(Vec<i64>),
    /// One after the other, big-endian.
    Decimals(BytesMut),
}

impl ParquetOut {
    pub(crate) fn new(path: &Path, file: File, series: &Series) -> Result<Self, FileError> {
        let make = || -> ParquetResult<_> {
            let about = [
                (MARKET, series.market.as_str()),
                (SYMBOL, series.symbol.as_str()),
                (INTERVAL, interval_name(series.interval)),
            ];
            let about = about.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned())).to_vec();
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                .set_created_by(concat!("klines ", env!("CARGO_PKG_VERSION")).to_owned())
                .set_key_value_metadata(Some(about))
                .build();
            let schema = Arc::new(parse_message_type(&schema())?);
            SerializedFileWriter::new(file, schema, Arc::new(properties))
        };
        let writer = make().map_err(FileError::parquet(path))?;
        // Room that grew by doubling would be half as much again, twice while it moves. What is not used costs nothing.
        let column = |name: &&str| match *name {
            "open_time" | "close_time" | "count" => Column::Integers(Vec::with_capacity(ROW_GROUP)),
            _ => Column::Decimals(BytesMut::with_capacity(ROW_GROUP * WIDTH)),
        };
        Ok(Self { path: path.to_owned(), writer, columns: COLUMNS.iter().map(column).collect(), rows: 0 })
    }

    pub(crate) fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        let mut rest = klines;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(ROW_GROUP - self.rows));
            for (name, column) in COLUMNS.iter().zip(&mut self.columns) {
                column.add(name, now).map_err(FileError::parquet(&self.path))?;
            }
            self.rows += now.len();
            rest = later;
            if self.rows == ROW_GROUP {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<File, FileError> {
        self.flush()?;
        self.writer.into_inner().map_err(FileError::parquet(&self.path))
    }

    fn flush(&mut self) -> Result<(), FileError> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let mut write = || -> ParquetResult<()> {
            let mut group = self.writer.next_row_group()?;
            self.columns.iter_mut().try_for_each(|column| column.flush(&mut group))?;
            group.close().map(drop)
        };
        write().map_err(FileError::parquet(&self.path))
    }
}

impl Column {
    fn add(&mut self, name: &str, klines: &[Kline]) -> ParquetResult<()> {
        match self {
            Self::Integers(values) => values.extend(klines.iter().map(|kline| match name {
                "open_time" => kline.open_time.0,
                "close_time" => kline.close_time.0,
                _ => kline.count.cast_signed(),
            })),
            Self::Decimals(bytes) => {
                for kline in klines {
                    bytes.put_i128(scaled(kline, name)?);
                }
            }
        }
        Ok(())
    }

    /// Writes what there is; its room is used again for the next group.
    fn flush(&mut self, group: &mut SerializedRowGroupWriter<'_, File>) -> ParquetResult<()> {
        let mut column = group.next_column()?.ok_or_else(no_column)?;
        match self {
            Self::Integers(values) => {
                column.typed::<Int64Type>().write_batch(values, None, None)?;
                values.clear();
            }
            Self::Decimals(bytes) => {
                let all = std::mem::take(bytes).freeze();
                // A few at a time: each value is a handle larger than what it holds.
                for start in (0..all.len()).step_by(PORTION * WIDTH) {
                    let part = all.slice(start..all.len().min(start + PORTION * WIDTH));
                    let value = |at| FixedLenByteArray::from(ByteArray::from(part.slice(at..at + WIDTH)));
                    let values: Vec<_> = (0..part.len()).step_by(WIDTH).map(value).collect();
                    column.typed::<FixedLenByteArrayType>().write_batch(&values, None, None)?;
                }
                *bytes = all.try_into_mut().unwrap_or_default();
                bytes.clear();
            }
        }
        column.close()
    }
}

/// A value with the digits that every one has after the point.
fn scaled(kline: &Kline, name: &str) -> ParquetResult<i128> {
    let value = value_of(kline, name);
    let scaled = value.mantissa().checked_mul(10i128.pow(SCALE - value.scale()));
    scaled.filter(|scaled| scaled.unsigned_abs() < 10u128.pow(38)).ok_or_else(|| {
        let at = kline.open_time;
        ParquetError::General(format!(
            "{name} of the kline of {at} is {value}: too large for DECIMAL(38,{SCALE})"
        ))
    })
}

fn value_of(kline: &Kline, name: &str) -> Decimal {
    match name {
        "open" => kline.open,
        "high" => kline.high,
        "low" => kline.low,
        "close" => kline.close,
        "volume" => kline.volume,
        "quote_volume" => kline.quote_volume,
        "taker_buy_volume" => kline.taker_buy_volume,
        _ => kline.taker_buy_quote_volume,
    }
}

fn no_column() -> ParquetError {
    ParquetError::General("the schema has fewer columns than a kline".to_owned())
}

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

/// Rows of a row group, which are in memory until it is written: 14 MiB.
const ROW_GROUP: usize = 50_000;
/// Digits after the point in every decimal column.
pub(crate) const SCALE: u32 = Decimal::MAX_SCALE;
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
    rows: Vec<Kline>,
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
        Ok(Self { path: path.to_owned(), writer, rows: Vec::with_capacity(ROW_GROUP) })
    }

    pub(crate) fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        let mut rest = klines;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(ROW_GROUP - self.rows.len()));
            self.rows.extend_from_slice(now);
            rest = later;
            if self.rows.len() == ROW_GROUP {
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
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let mut write = || -> ParquetResult<()> {
            let mut group = self.writer.next_row_group()?;
            for name in COLUMNS {
                match name {
                    "open_time" => integers(&mut group, rows.iter().map(|k| k.open_time.0).collect())?,
                    "close_time" => integers(&mut group, rows.iter().map(|k| k.close_time.0).collect())?,
                    "count" => integers(&mut group, rows.iter().map(|k| k.count.cast_signed()).collect())?,
                    name => decimals(&mut group, &rows, name)?,
                }
            }
            group.close().map(drop)
        };
        write().map_err(FileError::parquet(&self.path))?;
        // The room is used again for the next group.
        self.rows = rows;
        self.rows.clear();
        Ok(())
    }
}

fn integers(group: &mut SerializedRowGroupWriter<'_, File>, values: Vec<i64>) -> ParquetResult<()> {
    let mut column = group.next_column()?.ok_or_else(no_column)?;
    column.typed::<Int64Type>().write_batch(&values, None, None)?;
    column.close()
}

fn decimals(group: &mut SerializedRowGroupWriter<'_, File>, rows: &[Kline], name: &str) -> ParquetResult<()> {
    let mut bytes = BytesMut::with_capacity(rows.len() * WIDTH);
    for kline in rows {
        let value = value_of(kline, name);
        let scaled = value
            .mantissa()
            .checked_mul(10i128.pow(SCALE - value.scale()))
            .filter(|scaled| scaled.unsigned_abs() < 10u128.pow(38))
            .ok_or_else(|| {
                let at = kline.open_time;
                ParquetError::General(format!(
                    "{name} of the kline of {at} is {value}: too large for DECIMAL(38,{SCALE})"
                ))
            })?;
        bytes.put_i128(scaled);
    }
    let bytes = bytes.freeze();
    let value = |i: usize| FixedLenByteArray::from(ByteArray::from(bytes.slice(i * WIDTH..(i + 1) * WIDTH)));
    let values: Vec<_> = (0..rows.len()).map(value).collect();
    let mut column = group.next_column()?.ok_or_else(no_column)?;
    column.typed::<FixedLenByteArrayType>().write_batch(&values, None, None)?;
    column.close()
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

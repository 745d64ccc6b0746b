//! What travels to a database server and back.

use kline::{Decimal, Kline, Millis};

use super::fail::{Fault, Step};
use crate::StoreError;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An instant; beyond the years 1970 to 9999 the nearest instant inside.
    Time(Millis),
    /// An exact number.
    Decimal(Decimal),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl From<Millis> for Value<'_> {
    fn from(value: Millis) -> Self {
        Self::Time(value)
    }
}

impl From<Decimal> for Value<'_> {
    fn from(value: Decimal) -> Self {
        Self::Decimal(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Parameters of a statement, each turned into a [`Value`].
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::servers::value::Value::from($value)),*] };
}
pub(crate) use values;

/// A row of an answer. Columns count from 0.
pub trait Cells: Send {
    /// A whole number, or NULL.
    fn opt_int(&self, column: usize) -> Step<Option<i64>>;
    /// Text, or NULL.
    fn opt_text(&self, column: usize) -> Step<Option<String>>;
    /// Bytes, or NULL.
    fn opt_bytes(&self, column: usize) -> Step<Option<Vec<u8>>>;
    /// An instant, or NULL.
    fn opt_time(&self, column: usize) -> Step<Option<Millis>>;
    /// An exact number; in words what is wrong with one that cannot be held.
    fn decimal(&self, column: usize) -> Step<Result<Decimal, String>>;

    /// A whole number.
    fn int(&self, column: usize) -> Step<i64> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// Text.
    fn text(&self, column: usize) -> Step<String> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// An instant.
    fn time(&self, column: usize) -> Step<Millis> {
        self.opt_time(column)?.ok_or_else(|| null(column))
    }
}

fn null(column: usize) -> Fault {
    unexpected(column, "NULL")
}

/// The fault of a column that holds something else than was asked for.
pub(crate) fn unexpected(column: usize, what: &str) -> Fault {
    let what = format!("column {column} of an answer holds {what}");
    Fault::Store(StoreError::Corrupt { place: "the database".into(), what })
}

/// Columns of a kline in every table that holds one, in the order of [`kline`] and of the engines' bulk loaders.
pub(crate) const COLUMNS: &str = "open_time, open, high, low, close, volume, close_time, quote_volume, count, \
     taker_buy_volume, taker_buy_quote_volume";

/// The kline in the columns from `first` on, in the order of [`COLUMNS`]; in words what is wrong with it.
pub(crate) fn kline(row: &impl Cells, first: usize) -> Step<Result<Kline, String>> {
    let (open_time, close_time) = (row.time(first)?, row.time(first + 6)?);
    let count = row.int(first + 8)?;
    let [open, high, low, close] = [1, 2, 3, 4].map(|i| row.decimal(first + i));
    let [volume, quote_volume, taker, taker_quote] = [5, 7, 9, 10].map(|i| row.decimal(first + i));
    let values = (open?, high?, low?, close?, volume?, quote_volume?, taker?, taker_quote?);
    let assemble = || {
        Ok(Kline {
            open_time,
            open: values.0?,
            high: values.1?,
            low: values.2?,
            close: values.3?,
            volume: values.4?,
            close_time,
            quote_volume: values.5?,
            count: u64::try_from(count).map_err(|_| format!("{count} trades"))?,
            taker_buy_volume: values.6?,
            taker_buy_quote_volume: values.7?,
        })
    };
    Ok(assemble().map_err(|what: String| format!("kline of {open_time}: {what}")))
}

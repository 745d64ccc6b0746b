//! Klines as documents.
//!
//! A `Decimal128` holds 34 digits and the exponent as sent, so that a decimal comes back digit for digit.

use ::mongodb::bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::{Bson, DateTime, Decimal128, Document, doc};
use kline::{Decimal, Kline, Millis, Series};

use super::fail::{Fault, Step};
use crate::StoreError;

/// Fields of a kline beside its key, in the archive's order.
pub(super) const VALUES: [&str; 10] = [
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

/// Bias of the exponent, and where exponent and sign stand: IEEE 754, binary integer significand.
const BIAS: i128 = 6176;
const EXPONENT: u32 = 113;
const EXPONENT_MASK: u128 = 0x3fff;

/// Name of a series in the store's own collections, for example `um/BTCUSDT/5m`.
pub(super) fn key(series: &Series) -> String {
    format!("{}/{}/{}", series.market, series.symbol, series.interval)
}

/// Collection of the klines of a series.
pub(super) fn collection(series: &Series) -> String {
    format!("klines_{}", series.interval.suffix())
}

pub(super) fn date(at: Millis) -> DateTime {
    DateTime::from_millis(at.0)
}

/// A decimal, exactly: digits, trailing zeros and all.
pub(super) fn decimal128(value: &Decimal) -> Decimal128 {
    let exponent = (BIAS - i128::from(value.scale())).unsigned_abs();
    let sign = u128::from(value.is_negative()) << 127;
    Decimal128::from_bytes((sign | exponent << EXPONENT | value.mantissa().unsigned_abs()).to_le_bytes())
}

/// Reads a decimal, whoever wrote it. `None` for what is no number, or has more digits than a kline may have.
fn decimal(value: Decimal128) -> Option<Decimal> {
    let all = u128::from_le_bytes(value.bytes());
    // Two set bits after the sign: not a number, infinite, or a form that holds no more than zero.
    if all >> 125 & 3 == 3 {
        return None;
    }
    let mut exponent = (all >> EXPONENT & EXPONENT_MASK).cast_signed() - BIAS;
    let mut digits = (all & ((1 << EXPONENT) - 1)).cast_signed();
    while exponent > 0 && digits != 0 {
        digits = digits.checked_mul(10)?;
        exponent -= 1;
    }
    // Zeros that a person's arithmetic added.
    while exponent < -12 && digits % 10 == 0 && digits != 0 {
        digits /= 10;
        exponent += 1;
    }
    let exponent = if digits == 0 { exponent.clamp(-12, 0) } else { exponent };
    let scale = u32::try_from(-exponent).ok()?;
    let signed = if all >> 127 == 1 { -digits } else { digits };
    Decimal::from_parts(signed, scale).ok()
}

/// The document of a kline; the driver adds an `_id`.
pub(super) fn row(series: &Series, kline: &Kline) -> RawDocumentBuf {
    let mut row = RawDocumentBuf::new();
    row.append(cstr!("market"), series.market.as_str());
    row.append(cstr!("symbol"), series.symbol.as_str());
    row.append(cstr!("open_time"), date(kline.open_time));
    row.append(cstr!("open"), decimal128(&kline.open));
    row.append(cstr!("high"), decimal128(&kline.high));
    row.append(cstr!("low"), decimal128(&kline.low));
    row.append(cstr!("close"), decimal128(&kline.close));
    row.append(cstr!("volume"), decimal128(&kline.volume));
    row.append(cstr!("close_time"), date(kline.close_time));
    row.append(cstr!("quote_volume"), decimal128(&kline.quote_volume));
    row.append(cstr!("count"), kline.count.cast_signed()); // checked to fit before
    row.append(cstr!("taker_buy_volume"), decimal128(&kline.taker_buy_volume));
    row.append(cstr!("taker_buy_quote_volume"), decimal128(&kline.taker_buy_quote_volume));
    row
}

/// The values of a kline, without its key.
pub(super) fn values(kline: &Kline) -> Document {
    doc! {
        "open": decimal128(&kline.open),
        "high": decimal128(&kline.high),
        "low": decimal128(&kline.low),
        "close": decimal128(&kline.close),
        "volume": decimal128(&kline.volume),
        "close_time": date(kline.close_time),
        "quote_volume": decimal128(&kline.quote_volume),
        "count": kline.count.cast_signed(),
        "taker_buy_volume": decimal128(&kline.taker_buy_volume),
        "taker_buy_quote_volume": decimal128(&kline.taker_buy_quote_volume),
    }
}

/// Those values of a stored document, whatever they are.
pub(super) fn values_as_stored(row: &RawDocument) -> Document {
    let value = |name: &str| {
        let found = row.get(name).ok().flatten();
        found.and_then(|value| Bson::try_from(value).ok()).unwrap_or(Bson::Null)
    };
    VALUES.into_iter().map(|name| (name.to_owned(), value(name))).collect()
}

/// The open time of a document.
pub(super) fn open_time(row: &RawDocument) -> Option<Millis> {
    row.get_datetime("open_time").ok().map(|at| Millis(at.timestamp_millis()))
}

/// The kline of a document.
///
/// # Errors
/// In words: what is wrong with which value.
pub(super) fn kline(row: &RawDocument) -> Result<Kline, String> {
    let open_time = open_time(row).ok_or("a document without an open_time that is a date")?;
    let wrong = |name: &str| format!("kline of {open_time}: {name} is missing or no exact number");
    let number = |name: &str| -> Result<Decimal, String> {
        let value = match row.get(name) {
            Ok(Some(RawBsonRef::Decimal128(value))) => decimal(value),
            // As a person may have put it in; a double is no exact number.
            Ok(Some(RawBsonRef::Int32(value))) => Decimal::from_parts(value.into(), 0).ok(),
            Ok(Some(RawBsonRef::Int64(value))) => Decimal::from_parts(value.into(), 0).ok(),
            _ => None,
        };
        value.ok_or_else(|| wrong(name))
    };
    let count = match row.get("count") {
        Ok(Some(RawBsonRef::Int64(count))) => u64::try_from(count).ok(),
        Ok(Some(RawBsonRef::Int32(count))) => u64::try_from(count).ok(),
        _ => None,
    };
    let close_time = row.get_datetime("close_time").map_err(|_| wrong("close_time"))?;
    Ok(Kline {
        open_time,
        open: number("open")?,
        high: number("high")?,
        low: number("low")?,
        close: number("close")?,
        volume: number("volume")?,
        close_time: Millis(close_time.timestamp_millis()),
        quote_volume: number("quote_volume")?,
        count: count.ok_or_else(|| wrong("count"))?,
        taker_buy_volume: number("taker_buy_volume")?,
        taker_buy_quote_volume: number("taker_buy_quote_volume")?,
    })
}

/// A document of the store's own that makes no sense.
pub(super) fn corrupt(collection: &str, what: impl std::fmt::Display) -> Fault {
    Fault::Store(StoreError::Corrupt { place: format!("collection {collection}"), what: what.to_string() })
}

/// Fields of the store's own documents.
pub(super) struct Fields<'a>(pub(super) &'a str, pub(super) &'a Document);

impl Fields<'_> {
    fn wrong(&self, name: &str) -> Fault {
        corrupt(self.0, format!("a document without a proper `{name}`"))
    }

    pub(super) fn text(&self, name: &str) -> Step<&str> {
        self.1.get_str(name).map_err(|_| self.wrong(name))
    }

    /// An integer of either size.
    pub(super) fn int(&self, name: &str) -> Step<i64> {
        match self.1.get(name) {
            Some(Bson::Int64(n)) => Ok(*n),
            Some(Bson::Int32(n)) => Ok((*n).into()),
            _ => Err(self.wrong(name)),
        }
    }

    pub(super) fn at(&self, name: &str) -> Step<Millis> {
        let at = self.1.get_datetime(name).map_err(|_| self.wrong(name))?;
        Ok(Millis(at.timestamp_millis()))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decimals_are_what_the_library_makes_of_their_text(mantissa in prop_oneof![-10_000i128..10_000, -(10i128.pow(28) - 1)..10i128.pow(28)], scale in 0u32..=12) {
            let value = Decimal::from_parts(mantissa, scale).unwrap();
            let ours = decimal128(&value);
            prop_assert_eq!(ours.to_string(), Decimal128::from_str(&value.to_string()).unwrap().to_string());
            prop_assert_eq!(decimal(ours).unwrap().to_string(), value.to_string());
        }
    }

    #[test]
    fn decimals_of_other_writers_are_read_or_refused() {
        let read =
            |text: &str| decimal(Decimal128::from_str(text).unwrap()).map(|d| d.normalized().to_string());
        assert_eq!(read("1E+3").as_deref(), Some("1000"));
        assert_eq!(read("0E-20").as_deref(), Some("0"));
        assert_eq!(read("0E+9").as_deref(), Some("0"));
        assert_eq!(read("1.50000000000000000").as_deref(), Some("1.5"));
        for text in ["NaN", "Infinity", "1E+40", "1E-30", "1234567890123456789012345678901234"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

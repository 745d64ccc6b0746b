//! The canonical form, byte by byte; `docs/certify.md` is its description for others.

use std::io::Write;

use blake3::Hasher;
use kline::{Decimal, Kline, Series};

use super::{Month, SeriesCertificate};

/// Appends a kline in canonical form: its eleven columns in the order of the archive, commas between, a line feed behind.
/// Times are milliseconds; a decimal has no zero that changes nothing, and no point without digits behind it.
pub fn write_row(out: &mut Vec<u8>, kline: &Kline) {
    let Kline { open_time, open, high, low, close, volume, close_time, quote_volume, count, .. } = kline;
    integer(out, open_time.0);
    [open, high, low, close, volume].into_iter().for_each(|value| decimal(out, value));
    out.push(b',');
    integer(out, close_time.0);
    decimal(out, quote_volume);
    out.push(b',');
    unsigned(out, u128::from(*count));
    decimal(out, &kline.taker_buy_volume);
    decimal(out, &kline.taker_buy_quote_volume);
    out.push(b'\n');
}

fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, u128::from(value.unsigned_abs()));
}

/// A comma and the shortest form of a decimal.
fn decimal(out: &mut Vec<u8>, value: &Decimal) {
    out.push(b',');
    let (mut digits, mut scale) = (value.mantissa().unsigned_abs(), value.scale());
    while scale > 0 && digits % 10 == 0 {
        (digits, scale) = (digits / 10, scale - 1);
    }
    if value.is_negative() {
        out.push(b'-');
    }
    let unit = 10u128.pow(scale);
    unsigned(out, digits / unit);
    if scale > 0 {
        out.push(b'.');
        let at = out.len();
        unsigned(out, digits % unit);
        let short = (scale as usize).saturating_sub(out.len() - at);
        out.splice(at..at, std::iter::repeat_n(b'0', short));
    }
}

fn unsigned(out: &mut Vec<u8>, value: u128) {
    // 64 bits hold nearly every number there is, and are printed much faster.
    let _ = match u64::try_from(value) {
        Ok(value) => write!(out, "{value}"),
        Err(_) => write!(out, "{value}"),
    };
}

/// A hasher of a month that has taken what precedes the rows.
pub(super) fn of_month(series: &Series, month: &str) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(format!("klines month 1\n{series} {month}\n").as_bytes());
    hasher
}

/// Digest of a series: of the digests of its months.
pub(super) fn of_months(series: &SeriesCertificate, months: &[Month]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(format!("klines series 1\n{}\n", series.name()).as_bytes());
    for month in months {
        hasher.update(format!("{} {}\n", month.month, month.digest).as_bytes());
    }
    hex(&hasher)
}

/// Digest of a certificate: of the digests of its series.
pub(super) fn of_series(series: &[SeriesCertificate]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(b"klines certificate 1\n");
    for series in series {
        hasher.update(format!("{} {}\n", series.name(), series.digest).as_bytes());
    }
    hex(&hasher)
}

pub(super) fn hex(hasher: &Hasher) -> String {
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use kline::Millis;

    use super::*;

    fn row(volume: &str) -> String {
        let d = |text: &str| Decimal::parse(text).unwrap();
        let kline = Kline {
            open_time: Millis(1_735_689_600_000),
            open: d("93548.80"),
            high: d("100"),
            low: d("0.00000010"),
            close: d("-1.50"),
            volume: d(volume),
            close_time: Millis(1_735_689_899_999),
            quote_volume: d("0.000"),
            count: 1234,
            taker_buy_volume: d("-0.0"),
            taker_buy_quote_volume: d("1000"),
        };
        let mut out = Vec::new();
        write_row(&mut out, &kline);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_canonical_form_is_this() {
        let expected = "1735689600000,93548.8,100,0.0000001,-1.5,1000.123,1735689899999,0,1234,0,1000\n";
        assert_eq!(row("1000.123"), expected);
        assert_eq!(row("1000.123000000000"), expected);
        assert!(row("2328926384141.00000001").contains(",2328926384141.00000001,"));
        assert!(row("9999999999999999.000000000001").contains(",9999999999999999.000000000001,"));
        assert!(row("9999999999999999999999999999").contains(",9999999999999999999999999999,"));
    }

    #[test]
    fn the_form_of_a_decimal_is_that_of_its_value() {
        for text in
            ["0", "0.10", "12.0", "1234567890.12345678", "0.000000000001", "999999999999999999.99999999"]
        {
            let value = Decimal::parse(text).unwrap();
            let mut out = Vec::new();
            decimal(&mut out, &value);
            assert_eq!(String::from_utf8(out).unwrap(), format!(",{}", value.normalized()));
        }
    }
}

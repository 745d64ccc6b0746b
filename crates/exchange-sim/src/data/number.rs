//! Numbers as other programs print them.

use std::borrow::Cow;

use kline::{Decimal, DecimalError};

/// Reads a decimal that may have an exponent, as doubles are often printed (`1e-05`, `2.5E+7`): shifted exactly, never
/// through a floating-point number.
pub(crate) fn parse(text: &str) -> Result<Decimal, DecimalError> {
    Decimal::parse(&plain(text))
}

/// The plain form of a number with an exponent; anything else as it is, for the reader to judge.
fn plain(text: &str) -> Cow<'_, str> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Cow::Borrowed(text) };
    let Ok(exponent) = exponent.parse::<i32>() else { return Cow::Borrowed(text) };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || exponent.abs() > 60 {
        return Cow::Borrowed(text);
    }
    let all = format!("{whole}{fraction}");
    // Where the point goes, counted from the first digit.
    let point = i32::try_from(whole.len()).unwrap_or(i32::MAX).saturating_add(exponent);
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point > 0 && point < all.len() => {
            let (whole, fraction) = all.split_at(point);
            (whole.to_owned(), fraction.to_owned())
        }
        Ok(point) if point > 0 => (format!("{all:0<point$}"), String::new()),
        _ => {
            let zeros = usize::try_from(point.unsigned_abs()).unwrap_or_default();
            ("0".to_owned(), format!("{}{all}", "0".repeat(zeros)))
        }
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let dot = if fraction.is_empty() { "" } else { "." };
    Cow::Owned(format!("{sign}{whole}{dot}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_shifted_exactly() {
        for (text, expected) in [
            ("1e-05", "0.00001"),
            ("1.25e-6", "0.00000125"),
            ("2.5E+7", "25000000"),
            ("1.2345e2", "123.45"),
            ("12e0", "12"),
            ("-3.0e-2", "-0.030"),
            ("9.99e1", "99.9"),
            ("0e0", "0"),
            ("7.10", "7.10"),
        ] {
            assert_eq!(parse(text).map(|d| d.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_refused() {
        for text in
            ["", "e5", "1e", "1e5.0", "1e999999999999", "1e-61", "1e61", "--1e2", "inf", "0x1e2", "1e-13"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! Exact decimal numbers.

use std::fmt;
use std::str::FromStr;

use crate::digits;

/// An exact decimal number, as Binance prints it.
///
/// Holds up to 28 significant digits and up to 12 digits after the point, so 18 integer and 8 fraction digits at once
/// always fit (real volumes exceed 10^12, ticks go down to 10^-8). The number of fraction digits that was sent is kept:
/// `"0.10"` prints as `0.10`. Comparison is by value: `0.10 == 0.1`. What does not fit is refused, never rounded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Decimal(rust_decimal::Decimal);

/// Why a text is not accepted as a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not of the form `-123.456`; exponents, blanks, `NaN` and infinities are among it.
    #[error("`{0}` is not a plain decimal number")]
    Syntax(String),
    /// More digits than can be held exactly.
    #[error("`{0}` has more digits than can be stored exactly (28 significant, 12 after the point)")]
    TooLong(String),
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(rust_decimal::Decimal::ZERO);
    /// Most significant digits that always fit.
    pub const MAX_DIGITS: usize = 28;
    /// Most digits after the point.
    pub const MAX_SCALE: u32 = 12;

    /// Reads `-?[0-9]+(\.[0-9]+)?`. Zeros after the twelfth fraction digit are dropped, they change no value.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] or [`DecimalError::TooLong`]; nothing is ever rounded or clamped.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        Self::parse_bytes(text.as_bytes())
    }

    /// As [`parse`](Self::parse), from bytes that may be anything: a field of a file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline]
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, DecimalError> {
        match Self::parse_leading(bytes) {
            Some((value, length)) if length == bytes.len() => Ok(value),
            _ => Self::parse_long(bytes),
        }
    }

    /// The number at the front of bytes and the length of its text: the quick way, for nearly every number there is. `None`
    /// for all others, right or wrong, about which [`parse_bytes`](Self::parse_bytes) decides: negative ones, more than 16 digits before
    /// the point, more than eight behind it, more than 19 in all.
    #[inline(always)]
    pub fn parse_leading(bytes: &[u8]) -> Option<(Self, usize)> {
        let (mut mantissa, mut length) = digits::leading(bytes)?;
        let (whole, mut scale) = (length, 0);
        if bytes.get(length) == Some(&b'.') {
            let behind = &bytes[length + 1..];
            let (fraction, digits) = digits::eight(behind);
            if digits == 0 || behind.get(digits).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            // 24 digits may wrap around here; their number below tells.
            mantissa = mantissa.wrapping_mul(digits::POWERS[digits]).wrapping_add(fraction);
            (scale, length) = (digits, length + 1 + digits);
        }
        if whole == 0 || whole + scale > 19 {
            return None;
        }
        let (low, high) = ((mantissa & u64::from(u32::MAX)) as u32, (mantissa >> 32) as u32);
        Some((Self(rust_decimal::Decimal::from_parts(low, high, 0, false, scale as u32)), length))
    }

    fn parse_long(bytes: &[u8]) -> Result<Self, DecimalError> {
        let syntax = || DecimalError::Syntax(shown(bytes));
        let too_long = || DecimalError::TooLong(shown(bytes));
        let (negative, digits) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let mut mantissa: i128 = 0;
        let mut significant = 0usize;
        let mut scale = 0u32;
        let mut point = None;
        for (i, &byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' if point.is_some() && scale == Self::MAX_SCALE => {
                    if byte != b'0' {
                        return Err(too_long());
                    }
                }
                b'0'..=b'9' => {
                    mantissa = mantissa * 10 + i128::from(byte - b'0');
                    significant += usize::from(mantissa != 0);
                    scale += u32::from(point.is_some());
                    if significant > Self::MAX_DIGITS {
                        return Err(too_long());
                    }
                }
                b'.' if point.is_none() && i > 0 && i + 1 < digits.len() => point = Some(i),
                _ => return Err(syntax()),
            }
        }
        if digits.is_empty() {
            return Err(syntax());
        }
        let value = if negative { -mantissa } else { mantissa };
        rust_decimal::Decimal::try_from_i128_with_scale(value, scale).map(Self).map_err(|_| too_long())
    }

    /// The integer `mantissa * 10^-scale`.
    ///
    /// # Errors
    /// [`DecimalError::TooLong`] beyond 28 digits or 12 after the point.
    pub fn from_parts(mantissa: i128, scale: u32) -> Result<Self, DecimalError> {
        let refuse = || DecimalError::TooLong(format!("{mantissa}e-{scale}"));
        if scale > Self::MAX_SCALE || mantissa.unsigned_abs() >= 10u128.pow(28) {
            return Err(refuse());
        }
        rust_decimal::Decimal::try_from_i128_with_scale(mantissa, scale).map(Self).map_err(|_| refuse())
    }

    /// All digits as one integer; the value is `mantissa * 10^-scale`.
    pub fn mantissa(&self) -> i128 {
        self.0.mantissa()
    }

    /// Digits after the point, as sent.
    pub fn scale(&self) -> u32 {
        self.0.scale()
    }

    /// Whether the value is below zero.
    pub fn is_negative(&self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// Whether the value is zero, however many zeros were sent.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The same value without trailing zeros after the point: the canonical form, in which equal values print equally.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self(self.0.normalize())
    }

    /// Nearest binary floating-point number: for drawing, never for storing.
    pub fn approx_f64(&self) -> f64 {
        self.0.mantissa() as f64 / 10f64.powi(i32::try_from(self.0.scale()).unwrap_or(0))
    }
}

/// A bad text as an error shows it: cut, so that a broken megabyte stays out of the log.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(8 * MOST)]);
    if text.chars().count() <= MOST {
        text.into_owned()
    } else {
        text.chars().take(MOST).collect::<String>() + "…"
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text)
    }
}

impl From<u32> for Decimal {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_way_says_nothing_else_than_the_long_way(text in "[0-9]{0,18}(\\.[0-9]{0,10})?[,e.-]?[0-9]{0,2}") {
            if let Some((value, length)) = Decimal::parse_leading(text.as_bytes()) {
                let long = Decimal::parse_long(&text.as_bytes()[..length]).unwrap();
                prop_assert_eq!((value.mantissa(), value.scale()), (long.mantissa(), long.scale()));
                prop_assert!(!text.as_bytes().get(length).is_some_and(u8::is_ascii_digit));
            }
        }
    }

    #[test]
    fn eighteen_integer_and_eight_fraction_digits_fit_at_once() {
        for text in [
            "999999999999999999.99999999",
            "-999999999999999999.99999999",
            "2328926384141.0",
            "0.00000001",
            "0.10",
        ] {
            assert_eq!(Decimal::parse(text).map(|d| d.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_rounded() {
        for text in ["99999999999999999999999999999", "0.0000000000001", "12345678901234567.123456789012"] {
            assert!(matches!(Decimal::parse(text), Err(DecimalError::TooLong(_))), "{text}");
        }
        assert_eq!(Decimal::parse("0.1000000000000000").map(|d| d.to_string()), Ok("0.100000000000".into()));
    }

    #[test]
    fn only_plain_decimals_are_numbers() {
        for text in
            ["", "-", ".", "1.", ".5", "1e5", "+1", " 1", "1 ", "NaN", "inf", "1.2.3", "--1", "1,5", "٣"]
        {
            assert!(matches!(Decimal::parse(text), Err(DecimalError::Syntax(_))), "{text:?}");
        }
    }

    #[test]
    fn equality_is_by_value_and_the_sent_zeros_are_kept() {
        let (a, b) = (Decimal::parse("0.10").unwrap(), Decimal::parse("0.1").unwrap());
        assert_eq!(a, b);
        assert_eq!(
            (a.to_string(), b.to_string(), a.normalized().to_string()),
            ("0.10".into(), "0.1".into(), "0.1".into())
        );
        assert!(!Decimal::parse("-0.0").unwrap().is_negative());
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_the_identity(int in 0u64..=999_999_999_999_999_999, frac in 0u32..100_000_000, negative: bool) {
            let text = format!("{}{int}.{frac:08}", if negative && (int, frac) != (0, 0) { "-" } else { "" });
            prop_assert_eq!(Decimal::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn the_quick_way_and_the_long_way_agree(text in "-?[0-9]{0,22}(\\.[0-9]{0,16})?") {
            let long = Decimal::parse_long(text.as_bytes());
            if let Some((short, _)) = Decimal::parse_leading(text.as_bytes()).filter(|(_, length)| *length == text.len()) {
                let long = long.as_ref().unwrap();
                prop_assert_eq!((short.mantissa(), short.scale(), short.is_negative()), (long.mantissa(), long.scale(), long.is_negative()));
                prop_assert_eq!(short.to_string(), long.to_string());
            }
            prop_assert_eq!(Decimal::parse(&text), long);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            let _ = Decimal::parse(&text);
        }

        #[test]
        fn order_is_the_order_of_the_numbers(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, zeros in 0u32..6) {
            let left = Decimal::from_parts(i128::from(a), 2).unwrap();
            let right = Decimal::from_parts(i128::from(b) * 10i128.pow(zeros), 2 + zeros).unwrap();
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
        }
    }
}

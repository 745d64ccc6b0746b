//! PostgreSQL's binary form of exact numbers: digits of base 10,000.

use bytes::{BufMut, BytesMut};
use kline::Decimal;

const BASE: u128 = 10_000;
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
/// Digits of base 10,000 in 28 decimal ones, with up to three zeros to align the point on either side.
const MOST: usize = 9;

/// Appends a number with as many digits after the point as it was sent with.
pub(super) fn put(value: &Decimal, out: &mut BytesMut) {
    let scale = value.scale();
    // The point must fall between two digits of the base.
    let padding = (4 - scale % 4) % 4;
    let mut rest = value.mantissa().unsigned_abs() * 10u128.pow(padding);
    let after_point = (scale + padding) / 4;

    let mut digits = [0u16; MOST];
    let (mut len, mut dropped) = (0, 0u32);
    while rest > 0 {
        let (more, digit) = split(rest);
        if len == 0 && digit == 0 {
            dropped += 1;
        } else {
            digits[len] = digit;
            len += 1;
        }
        rest = more;
    }
    // All of these are small: nine digits at most, twelve after the point.
    let weight = if len == 0 { 0 } else { len as i16 + dropped as i16 - after_point as i16 - 1 };
    out.put_i16(len as i16);
    out.put_i16(weight);
    out.put_u16(if value.is_negative() { NEGATIVE } else { 0 });
    out.put_u16(scale as u16);
    for digit in digits[..len].iter().rev() {
        out.put_u16(*digit);
    }
}

/// All but the last digit of base 10,000, and that one. Nearly all numbers fit 64 bits, whose division is much faster.
fn split(number: u128) -> (u128, u16) {
    match u64::try_from(number) {
        Ok(small) => (u128::from(small / 10_000), (small % 10_000) as u16),
        Err(_) => (number / BASE, (number % BASE) as u16),
    }
}

/// Reads a number; in words what is wrong with one that cannot be held exactly.
pub(super) fn get(raw: &[u8]) -> Result<Decimal, String> {
    let mut words = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let mut word = || words.next().ok_or("a number that is cut short");
    let (len, weight, sign, scale) = (word()?, word()?.cast_signed(), word()?, word()?);
    if sign & NOT_A_NUMBER == NOT_A_NUMBER {
        return Err("a number that is infinite or none".into());
    }
    let too_long = || "a number with more digits than can be held exactly".to_owned();
    let mut mantissa = 0u128;
    for _ in 0..len {
        let digit = u128::from(word()?);
        mantissa = mantissa.checked_mul(BASE).and_then(|m| m.checked_add(digit)).ok_or_else(too_long)?;
    }
    if mantissa == 0 {
        return Decimal::from_parts(0, u32::from(scale).min(Decimal::MAX_SCALE)).map_err(|e| e.to_string());
    }
    // The last digit's value is a power of ten; so is the unit that the scale asks for.
    let mut scale = i32::from(scale);
    let mut power = 4 * (i32::from(weight) - i32::from(len) + 1) + scale;
    while power < 0 {
        if !mantissa.is_multiple_of(10) {
            return Err(too_long());
        }
        mantissa /= 10;
        power += 1;
    }
    while scale > Decimal::MAX_SCALE.cast_signed() {
        // Zeros beyond what can be held change no value.
        if power > 0 {
            power -= 1;
        } else if mantissa.is_multiple_of(10) {
            mantissa /= 10;
        } else {
            return Err(too_long());
        }
        scale -= 1;
    }
    let ten = 10u128.checked_pow(power.unsigned_abs()).ok_or_else(too_long)?;
    let mantissa = mantissa.checked_mul(ten).and_then(|m| i128::try_from(m).ok()).ok_or_else(too_long)?;
    let value = if sign == NEGATIVE { -mantissa } else { mantissa };
    Decimal::from_parts(value, scale.unsigned_abs()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(value: &Decimal) -> BytesMut {
        let mut out = BytesMut::new();
        put(value, &mut out);
        out
    }

    fn words(text: &str) -> Vec<u16> {
        let raw = bytes(&text.parse().unwrap());
        raw.chunks(2).map(|p| u16::from_be_bytes([p[0], p[1]])).collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back_as_they_went(mantissa in -(10i128.pow(28) - 1)..10i128.pow(28), shift in 0u32..28, scale in 0u32..=12) {
            let value = Decimal::from_parts(mantissa / 10i128.pow(shift), scale).unwrap();
            prop_assert_eq!(get(&bytes(&value)).map(|d| d.to_string()), Ok(value.to_string()));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = get(&raw);
        }
    }

    #[test]
    fn the_form_is_that_of_the_server() {
        assert_eq!(words("0"), [0, 0, 0, 0]);
        assert_eq!(words("0.00"), [0, 0, 0, 2]);
        assert_eq!(words("1"), [1, 0, 0, 0, 1]);
        assert_eq!(words("-1.5"), [2, 0, NEGATIVE, 1, 1, 5000]);
        assert_eq!(words("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(words("0.00000001"), [1, 0xFFFE, 0, 8, 1]);
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        let raw = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
        assert!(get(&raw(&[0, 0, NOT_A_NUMBER, 0])).is_err());
        assert!(get(&raw(&[1, 100, 0, 0, 1])).is_err());
        assert!(get(&raw(&[1, 0xFFFC, 0, 16, 1])).is_err(), "sixteen digits after the point");
        assert_eq!(get(&raw(&[1, 0, 0, 30, 7])).map(|d| d.to_string()), Ok("7.000000000000".into()));
    }
}

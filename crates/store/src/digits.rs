//! Decimals as text, for loaders that write millions of them.

use kline::Decimal;

/// Room for a sign, 28 digits, a point, and the zeros before a small fraction.
const ROOM: usize = 44;

/// Scratch for the text of one decimal at a time.
pub(crate) struct Digits([u8; ROOM]);

impl Digits {
    pub(crate) fn new() -> Self {
        Self([0; ROOM])
    }

    /// What `Display` prints, digit for digit, several times faster: no formatting machinery, and 64-bit division where
    /// the number allows it.
    pub(crate) fn of(&mut self, value: &Decimal) -> &str {
        let (mut rest, mut at, mut fraction) = (value.mantissa().unsigned_abs(), ROOM, value.scale());
        loop {
            at -= 1;
            self.0[at] = b'0' + last_digit(&mut rest);
            match fraction {
                0 if rest == 0 => break,
                0 => {}
                1 => {
                    // The point; the next turn writes a digit before it, even if that is a zero.
                    at -= 1;
                    self.0[at] = b'.';
                    fraction = 0;
                }
                _ => fraction -= 1,
            }
        }
        if value.is_negative() {
            at -= 1;
            self.0[at] = b'-';
        }
        std::str::from_utf8(&self.0[at..]).unwrap_or_default()
    }
}

/// Takes the last decimal digit off a number.
fn last_digit(rest: &mut u128) -> u8 {
    match u64::try_from(*rest) {
        Ok(small) => {
            *rest = u128::from(small / 10);
            (small % 10) as u8
        }
        Err(_) => {
            let digit = (*rest % 10) as u8;
            *rest /= 10;
            digit
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_those_that_display_prints(mantissa in prop_oneof![-10_000i128..10_000, any::<i64>().prop_map(i128::from), -(10i128.pow(28) - 1)..10i128.pow(28)], scale in 0u32..=12) {
            let value = Decimal::from_parts(mantissa, scale).unwrap();
            prop_assert_eq!(Digits::new().of(&value).to_owned(), value.to_string());
        }
    }

    #[test]
    fn the_longest_and_the_smallest_numbers_have_room() {
        for text in [
            "-9999999999999999.999999999999",
            "-0.000000000001",
            "0",
            "0.00",
            "-1",
            "9999999999999999999999999999",
        ] {
            assert_eq!(Digits::new().of(&Decimal::parse(text).unwrap()), text);
        }
    }
}

//! Decimal digits at the front of bytes, eight at a time.
//!
//! Archives and answers consist of little else, and going digit by digit a processor waits for each product before the
//! next.

/// The integer that the digits at the front spell, and how many there are, none among them. `None` beyond 16 digits.
#[inline(always)]
pub fn leading(bytes: &[u8]) -> Option<(u64, usize)> {
    let (high, length) = eight(bytes);
    if length < 8 {
        return Some((high, length));
    }
    let rest = &bytes[8..];
    let (low, more) = eight(rest);
    if more == 8 && rest.get(8).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((high * POWERS[more] + low, 8 + more))
}

/// As [`leading`], of the first eight bytes alone.
#[inline(always)]
pub(crate) fn eight(bytes: &[u8]) -> (u64, usize) {
    let word = match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(chunk)
        }
    };
    // A digit becomes its value; whatever is above nine gets its highest bit set. What carries over from such a byte can
    // harm only bytes behind it.
    let values = word ^ 0x3030_3030_3030_3030;
    let others = (values | values.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
    let length = others.trailing_zeros() / 8;
    if length == 0 {
        return (0, 0);
    }
    // Zeros in front instead of the other bytes behind; then pairs, fours and all eight become numbers.
    let digits = values << (64 - 8 * length);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(1 + (10_000 << 32));
    (first.wrapping_add(second) >> 32, length as usize)
}

/// Powers of ten, as many as eight digits need.
pub(crate) const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plainly(bytes: &[u8]) -> Option<(u64, usize)> {
        let length = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let value = bytes[..length].iter().fold(0u128, |n, b| n.saturating_mul(10) + u128::from(b - b'0'));
        (length <= 16).then(|| (u64::try_from(value).unwrap(), length))
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_digit_by_digit(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            prop_assert_eq!(leading(&bytes), plainly(&bytes));
        }

        #[test]
        fn digits_with_anything_behind_are_read_as_digit_by_digit(text in "[0-9]{0,19}[^0-9]?.{0,3}") {
            prop_assert_eq!(leading(text.as_bytes()), plainly(text.as_bytes()));
        }
    }
}

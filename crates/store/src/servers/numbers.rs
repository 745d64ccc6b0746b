//! What the servers' column types can hold.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use kline::{Decimal, Millis, Series};

use crate::{Chunk, StoreError, StoreResult};

/// Digits before the point that every engine's exact type holds beside twelve after it.
const MOST_DIGITS: u32 = 26;
/// First instant after what a server's type for instants must hold: the year 10000.
pub(crate) const TOO_LATE: Millis = Millis(253_402_300_800_000);

/// Checks that every value fits its column: a server must not be given what it would cut.
///
/// # Errors
/// [`StoreError::BadChunk`].
pub(crate) fn check(series: &Series, chunk: &Chunk) -> StoreResult<()> {
    let bad = |what: String| Err(StoreError::BadChunk { series: series.clone(), what });
    let limit = 10u128.pow(MOST_DIGITS);
    for k in &chunk.klines {
        if k.close_time < Millis(0) || k.close_time >= TOO_LATE {
            return bad(format!("close time {} is outside the years 1970 to 9999", k.close_time));
        }
        let values = [
            k.open,
            k.high,
            k.low,
            k.close,
            k.volume,
            k.quote_volume,
            k.taker_buy_volume,
            k.taker_buy_quote_volume,
        ];
        let is_too_long = |d: &Decimal| d.mantissa().unsigned_abs() / 10u128.pow(d.scale()) >= limit;
        if let Some(long) = values.iter().find(|d| is_too_long(d)) {
            return bad(format!("{long} has more than {MOST_DIGITS} digits before the point"));
        }
    }
    Ok(())
}

/// An instant inside the years that can be stored, nearest to the given one.
pub(crate) fn inside(at: Millis) -> Millis {
    at.max(Millis(0)).min(TOO_LATE.plus(-1))
}

/// 1970 began.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Date and time in UTC of the nearest instant that can be stored.
pub(crate) fn civil(at: Millis) -> DateTime {
    EPOCH.saturating_add(SignedDuration::from_millis(inside(at).0))
}

/// The instant of a date and time in UTC.
pub(crate) fn instant(at: DateTime) -> Option<Millis> {
    i64::try_from(at.duration_since(EPOCH).as_millis()).ok().map(Millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn instants_survive_the_way_through_the_calendar(ms in 0i64..TOO_LATE.0) {
            prop_assert_eq!(instant(civil(Millis(ms))), Some(Millis(ms)));
        }
    }

    #[test]
    fn instants_outside_become_the_nearest_inside() {
        assert_eq!(civil(Millis(i64::MIN)).to_string(), "1970-01-01T00:00:00");
        assert_eq!(civil(Millis(i64::MAX)).to_string(), "9999-12-31T23:59:59.999");
    }
}

//! What the servers' column types can hold.

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

//! The kline that is still open: what a final kline looked like part of the way through.

use kline::{Decimal, Kline, Millis};

/// The state of a kline at an instant before its end: prices and volumes that have got as far as the time has.
///
/// It is a plausible kline (`low <= open, close <= high`), it has traded less than the final one, and it depends on the
/// final kline and the elapsed time alone. The close time is the final one, in the future, as Binance sends it.
pub(crate) fn partial(row: Kline, end: Millis, now: Millis) -> Kline {
    let total = i128::from(end.0.saturating_sub(row.open_time.0).max(1));
    let elapsed = i128::from(now.0.saturating_sub(row.open_time.0)).clamp(0, total);
    let part = |value: i128| value * elapsed / total;
    let towards = |from: Decimal, to: Decimal| {
        let scale = from.scale().max(to.scale());
        let (from, to) = (scaled(from, scale), scaled(to, scale));
        Decimal::from_parts(from + part(to - from), scale).ok()
    };
    let share = |value: Decimal| Decimal::from_parts(part(value.mantissa()), value.scale()).unwrap_or(value);
    let close = towards(row.open, row.close).unwrap_or(row.close);
    let high = towards(row.open, row.high).unwrap_or(row.high).max(row.open).max(close);
    let low = towards(row.open, row.low).unwrap_or(row.low).min(row.open).min(close);
    Kline {
        high,
        low,
        close,
        volume: share(row.volume),
        quote_volume: share(row.quote_volume),
        count: u64::try_from(part(i128::from(row.count))).unwrap_or(row.count),
        taker_buy_volume: share(row.taker_buy_volume),
        taker_buy_quote_volume: share(row.taker_buy_quote_volume),
        ..row
    }
}

fn scaled(value: Decimal, scale: u32) -> i128 {
    value.mantissa().saturating_mul(10i128.saturating_pow(scale - value.scale()))
}

#[cfg(test)]
mod tests {
    use kline::validate::check_values;

    use super::*;

    #[test]
    fn an_open_kline_is_plausible_and_has_traded_less_than_the_final_one() {
        let d = |text: &str| Decimal::parse(text).unwrap();
        let row = Kline {
            open_time: Millis(1_700_000_000_000),
            open: d("100.00"),
            high: d("104.0"),
            low: d("96"),
            close: d("102.00"),
            volume: d("8.000"),
            close_time: Millis(1_700_000_059_999),
            quote_volume: d("800.0"),
            count: 8,
            taker_buy_volume: d("4"),
            taker_buy_quote_volume: d("400"),
        };
        let end = Millis(1_700_000_060_000);
        for elapsed in [0, 1, 15_000, 30_000, 59_999] {
            let open = partial(row.clone(), end, row.open_time.plus(elapsed));
            assert_eq!(check_values(&open), Ok(()), "{elapsed}");
            assert!(open.volume < row.volume && open.count < row.count, "{elapsed}");
            assert_eq!((open.open, open.close_time), (row.open, row.close_time));
        }
        let half = partial(row.clone(), end, row.open_time.plus(30_000));
        assert_eq!((half.high, half.low, half.close, half.volume), (d("102"), d("98"), d("101"), d("4")));
        assert_eq!(partial(row.clone(), end, end), row);
    }
}

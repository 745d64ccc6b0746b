//! `klines` and `continuousKlines`: which rows a request gets, and how they are printed.

use std::fmt::Write;

use kline::{Interval, Kline, Market, Millis};

use super::{ApiError, Params};
use crate::data::Window;

/// COIN-M refuses longer windows.
const CM_WINDOW_MS: i64 = 200 * 86_400_000;
/// Most rows a futures request may ask for.
const FUTURES_MAX: i64 = 1500;
/// Most rows a spot request gets.
const SPOT_MAX: i64 = 1000;

/// A klines request, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KlinesRequest {
    pub(crate) interval: Interval,
    start: Option<Millis>,
    end: Option<Millis>,
    limit: i64,
}

impl KlinesRequest {
    /// Reads the parameters that every klines endpoint shares.
    pub(crate) fn read(market: Market, params: &Params) -> Result<Self, ApiError> {
        let interval = interval(market, params.required("interval")?)?;
        let limit = match params.number("limit")?.unwrap_or(500) {
            0 => return Err(ApiError::invalid("limit")),
            limit if market == Market::Spot => limit.min(SPOT_MAX),
            limit if limit > FUTURES_MAX => return Err(ApiError::invalid("limit")),
            limit => limit,
        };
        let (start, end) = (params.time(market, "startTime")?, params.time(market, "endTime")?);
        if let (Some(start), Some(end)) = (start, end) {
            if start > end {
                return Err(ApiError::start_after_end());
            }
            if market == Market::Cm && end.0 - start.0 > CM_WINDOW_MS {
                return Err(ApiError::window_too_long());
            }
        }
        Ok(Self { interval, start, end, limit })
    }

    /// The rows asked for, at an instant of the exchange's clock.
    ///
    /// USD-M and spot go upward from a start and otherwise take the newest rows. COIN-M always takes the newest rows of
    /// a window of at most 200 days, so that a start alone does not anchor the page.
    pub(crate) fn window(&self, market: Market, now: Millis) -> Window {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        if market == Market::Cm {
            let to = self.end.unwrap_or_else(|| match self.start {
                Some(start) => start.plus(CM_WINDOW_MS).min(now),
                None => now,
            });
            let from = self.start.unwrap_or_else(|| to.plus(-CM_WINDOW_MS));
            return Window { from, to: to.min(now), limit, newest: true };
        }
        Window {
            from: self.start.unwrap_or(Millis(0)),
            to: self.end.unwrap_or(now).min(now),
            limit,
            newest: self.start.is_none(),
        }
    }
}

/// REST knows the month as `1M` alone: `1mo` is the archive's word.
fn interval(market: Market, name: &str) -> Result<Interval, ApiError> {
    Interval::ALL
        .into_iter()
        .find(|interval| interval.as_str() == name && interval.exists_on(market))
        .ok_or_else(ApiError::invalid_interval)
}

/// The symbol of a `klines` request, which need not be listed.
pub(crate) fn symbol(market: Market, params: &Params) -> Result<&str, ApiError> {
    let symbol = params.required("symbol")?;
    let legal = |c: char| (c.is_alphanumeric() && !c.is_lowercase()) || matches!(c, '_' | '-' | '.');
    if market == Market::Spot && !symbol.chars().all(legal) {
        return Err(ApiError::illegal("symbol", "^[\\w\\-._&&[^a-z]]{1,50}$"));
    }
    Ok(symbol)
}

/// The symbol behind the pair and contract type of a `continuousKlines` request. Perpetual contracts alone are known.
pub(crate) fn continuous_symbol(market: Market, params: &Params) -> Result<String, ApiError> {
    let pair = params.required("pair")?;
    match params.required("contractType")? {
        "PERPETUAL" if market == Market::Cm => Ok(format!("{pair}_PERP")),
        "PERPETUAL" => Ok(pair.to_owned()),
        "CURRENT_QUARTER" | "NEXT_QUARTER" | "TRADIFI_PERPETUAL" => Err(ApiError::invalid_symbol()),
        _ => Err(ApiError::invalid("contractType")),
    }
}

/// Prints rows as Binance does: times and counts as integers, decimals as strings, the unused last field as `"0"`.
pub(crate) fn print_rows(rows: &[Kline]) -> String {
    let mut body = String::with_capacity(2 + rows.len() * 180);
    body.push('[');
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            body.push(',');
        }
        print_row(&mut body, row);
    }
    body.push(']');
    body
}

/// Prints one row.
pub(crate) fn print_row(body: &mut String, row: &Kline) {
    // Writing into a `String` cannot fail.
    let _ = write!(
        body,
        r#"[{},"{}","{}","{}","{}","{}",{},"{}",{},"{}","{}","0"]"#,
        row.open_time.0,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.close_time.0,
        row.quote_volume,
        row.count,
        row.taker_buy_volume,
        row.taker_buy_quote_volume
    );
}

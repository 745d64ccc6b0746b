//! One kline.

use crate::{Decimal, Millis};

/// One kline (candle), in the columns of Binance's archive. All numbers exactly as sent.
///
/// On COIN-M futures `volume` and `taker_buy_volume` count contracts, and the two quote volumes are in the base asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kline {
    /// Open time; identifies the kline within its series.
    pub open_time: Millis,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Volume in the base asset (COIN-M: contracts).
    pub volume: Decimal,
    /// Close time as sent: as a rule the last millisecond of the slot, around outages anything.
    pub close_time: Millis,
    /// Volume in the quote asset (COIN-M: base asset).
    pub quote_volume: Decimal,
    /// Number of trades.
    pub count: u64,
    /// Part of `volume` bought by takers.
    pub taker_buy_volume: Decimal,
    /// Part of `quote_volume` bought by takers.
    pub taker_buy_quote_volume: Decimal,
}

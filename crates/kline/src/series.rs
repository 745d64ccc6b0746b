//! One series: a market, a symbol, an interval.

use std::fmt;

use crate::{Interval, Market, Symbol};

/// What is kept complete: the klines of one symbol of one market in one interval.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Series {
    /// Market the symbol is traded on.
    pub market: Market,
    /// Symbol by the exchange's name.
    pub symbol: Symbol,
    /// Interval of the klines.
    pub interval: Interval,
}

/// The market has no klines of this interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("market {market} has no {interval} klines: 1s exists on spot only")]
pub struct UnsupportedInterval {
    /// The market asked.
    pub market: Market,
    /// The interval it lacks.
    pub interval: Interval,
}

impl Series {
    /// Names a series.
    ///
    /// # Errors
    /// [`UnsupportedInterval`] when the market has no such klines.
    pub fn new(market: Market, symbol: Symbol, interval: Interval) -> Result<Self, UnsupportedInterval> {
        if interval.exists_on(market) {
            Ok(Self { market, symbol, interval })
        } else {
            Err(UnsupportedInterval { market, interval })
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.market, self.symbol, self.interval)
    }
}

//! The source: Binance klines over REST.
pub mod planner;

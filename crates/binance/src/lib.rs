//! The source: Binance klines over REST, within the exchange's weight budget.
//!
//! * [`planner`] decides which requests fetch a set of missing slots for the least weight (pure).
//! * [`budget`] decides when a request may be sent (pure; it is handed the time).
//! * [`archive`] fetches months and days of klines as files, which costs no weight.
//! * [`Client`] sends them: retries, reactions to every error of the exchange, the exchange's clock.
//! * [`Transport`] lends the HTTP client underneath to others.
//! * [`FetchError`] says what failed, why most likely, and what to do.
//!
//! The local wall clock is never read: time comes from the exchange once per market and advances with a monotonic clock.

pub mod archive;
pub mod budget;
mod config;
pub mod dns;
mod error;
pub mod planner;
mod rest;
mod transport;

pub use budget::PoolUsage;
pub use config::{ClientConfig, Endpoints};
pub use error::{FetchError, Retry};
pub use rest::{
    Client, Event, ExchangeInfo, Live, MOST_STREAMS, Page, Push, Pushed, Spent, SymbolInfo, read_klines,
};
pub use transport::Transport;
#[cfg(test)]
mod testdata;

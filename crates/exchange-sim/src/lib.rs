//! A local Binance: the kline part of its REST interface, over real or made-up data, with its limits and its faults.
//!
//! For tests of whatever talks to Binance, for demos without a network, and for dry runs. One listener serves USD-M
//! futures (`/fapi/v1`), COIN-M futures (`/dapi/v1`) and spot (`/api/v3`).
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use exchange_sim::{Config, DataSource, Faults, Sim};
//! use kline::{Market, Symbol};
//!
//! let made_up = DataSource::Synthetic {
//!     market: Market::Um,
//!     symbol: Symbol::new("BTCUSDT")?,
//!     from: "2019-09-08".parse()?,
//!     until: None,
//!     seed: 1,
//! };
//! let sim = Sim::start(Config { data: vec![made_up], ..Config::default() }).await?;
//! println!("ask {}/fapi/v1/klines?symbol=BTCUSDT&interval=5m", sim.url());
//! sim.control().set_faults(Faults { error_rate: 0.05, ..Faults::default() })?;
//! println!("{} requests so far", sim.stats().requests);
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is random: made-up klines depend on seed and slot, faults on seed and request. The order and concurrency of
//! requests change no answer; only weight windows and the clock do.

mod archive;
pub mod cli;
mod clock;
mod conn;
mod control;
mod data;
mod faults;
mod push;
mod random;
mod rest;
mod serve;
mod sim;
mod state;
mod stats;
mod weight;

pub use clock::Now;
pub use data::{DataError, DataSource};
pub use faults::{ArchiveDefect, ArchiveFault, BadRow, FaultError, Faults, Revision, RowRange};
pub use sim::{Config, Control, Sim, StartError};
pub(crate) use state::locked;
pub use stats::{EndpointStats, PoolStats, Pools, RequestRecord, SeriesStats, Stats};
pub use weight::Limits;

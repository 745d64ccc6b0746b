//! Arguments of `klines plan` and `klines worker`.

use clap::Args;

use super::{RangeArgs, SeriesArgs};

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// With a pattern: also symbols that are traded no more, as far as the archive knows them
    #[arg(long)]
    pub include_delisted: bool,
    /// Put the units on the work queue; without it they are only shown
    #[arg(long)]
    pub publish: bool,
    /// Missing klines per unit, at most
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub unit: u64,
}

#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Wait for more work when the queue is empty, instead of ending
    #[arg(long)]
    pub keep_on: bool,
    /// How long to wait for the first unit, when the plan may still be on its way
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub wait: String,
    /// Where to fetch from: rest, archive, or auto [default: rest; environment: KLINES_SOURCE]
    #[arg(long, value_name = "WHERE")]
    pub source: Option<String>,
    /// Requests in flight [default: 6]
    #[arg(long, value_name = "N")]
    pub in_flight: Option<String>,
    /// Share of the exchange's weight limit to leave to others, percent [default: 10]
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<String>,
}

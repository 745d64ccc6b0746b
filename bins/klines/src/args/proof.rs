//! Arguments of the commands that prove, and of those that carry klines in and out.

use clap::{Args, ValueEnum};

use super::{RangeArgs, SeriesArgs};

/// What stored klines are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AgainstArg {
    /// The REST interface: never out of date, costs request weight.
    Rest,
    /// The public archive: costs no weight; known to lack klines and to be behind REST in some.
    Archive,
}

impl AgainstArg {
    /// The name of the source in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Archive => "archive",
        }
    }
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Compare with this source
    #[arg(long, value_name = "SOURCE", default_value = "rest")]
    pub against: AgainstArg,
    /// Write the source's values of klines that drifted or are missing; the values before are kept as revisions. Klines
    /// that the source does not have are told and never deleted
    #[arg(long)]
    pub repair: bool,
    /// Show what it would cost in requests, weight and files; compare nothing
    #[arg(long, conflicts_with = "repair")]
    pub dry_run: bool,
    /// Tell at most this many findings per series; the rest is counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Share of the exchange's weight limit to leave to others, percent [default: 10]
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<String>,
}

//! Arguments of `klines follow`.

use clap::Args;

use super::SeriesArgs;

#[derive(Debug, Args)]
pub struct FollowArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    /// Where history begins when nothing is stored yet: a time, or `listing` [environment: KLINES_SINCE]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// How far to look back when nothing is stored yet: a time (30d, 12h) or a number of klines [default: 499 klines; environment: KLINES_LOOKBACK]
    #[arg(long, value_name = "TIME|N", conflicts_with = "since")]
    pub lookback: Option<String>,
    /// Follow for so long (30m, 8h), then end [default: until interrupted]
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// How long to wait for the push of a kline that has ended before asking by REST
    #[arg(long, value_name = "TIME", default_value = "3s")]
    pub grace: String,
}

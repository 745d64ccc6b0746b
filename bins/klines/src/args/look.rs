//! Arguments of the commands that show.

use std::path::PathBuf;

use clap::Args;

use super::{RangeArgs, SeriesArgs};

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes any that is free [default: 127.0.0.1:8080; environment: KLINES_SERVE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Allow actions (fill now) to whoever shows this token; without one the dashboard is for reading only. Better given by
    /// the environment, where other users of the machine cannot read it [environment: KLINES_SERVE_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Further names of this dashboard, for a reverse proxy on the same machine [environment: KLINES_SERVE_ALLOW_HOST]
    #[arg(long, value_name = "NAME,NAME")]
    pub allow_host: Option<String>,
    /// Where history begins, UTC; without it each series begins with its first stored kline [environment: KLINES_SINCE]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write the page to this file; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub html: PathBuf,
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// List at most this many gaps per series; what is left out is said
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
}

//! The exchange as a command, on its own or as a sub-command of another program.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kline::{Market, Millis, Symbol};
use serde_json::{Map, Value};

use crate::{Config, DataSource, FaultError, Faults, Limits, Now, Sim, StartError};

/// What `--fault` and `--data` mean, for `--help`.
const HELP: &str = "\
Examples:
  exchange-sim
      made-up klines of BTCUSDT and ETHUSDT on every market
  exchange-sim --data ~/klines --now 2025-09-01
      real klines from archive files, as if it were September 2025
  exchange-sim --synthetic um:SOLUSDT@2023-01-01 --fault error_rate=0.05 --fault latency_ms=80

While it runs:
  GET  /__stats, /__requests, /__data, /__faults
  POST /__faults '{\"error_rate\":0.05}', and '{}' to make everything right again
All faults and their meaning: docs/exchange-sim.md.";

/// Options of the command.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9080")]
    pub listen: String,
    /// Folder (or file) of real klines to replay; may be repeated
    #[arg(long, value_name = "PATH")]
    pub data: Vec<PathBuf>,
    /// Made-up symbol as MARKET:SYMBOL[@LISTED[..DELISTED]]; may be repeated
    #[arg(long, value_name = "SPEC")]
    pub synthetic: Vec<SyntheticSpec>,
    /// Seed of made-up klines
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Time at which the exchange's clock starts (default: the machine's clock)
    #[arg(long, value_name = "TIME")]
    pub now: Option<Millis>,
    /// The clock stands still at --now
    #[arg(long, requires = "now")]
    pub frozen: bool,
    /// Milliseconds added to the exchange's clock
    #[arg(long, value_name = "MS", default_value_t = 0, allow_hyphen_values = true)]
    pub clock_offset: i64,
    /// Weight per minute of USD-M and COIN-M together
    #[arg(long, value_name = "N", default_value_t = Limits::default().futures_weight)]
    pub weight_limit: u32,
    /// Weight per minute of spot
    #[arg(long, value_name = "N", default_value_t = Limits::default().spot_weight)]
    pub spot_weight_limit: u32,
    /// Requests refused with 429 in one minute before the IP is banned with 418
    #[arg(long, value_name = "N", default_value_t = Limits::default().ban_after)]
    pub ban_after: u32,
    /// Seconds of the first ban; each further one is twice as long
    #[arg(long, value_name = "S", default_value_t = Limits::default().ban.as_secs())]
    pub ban_seconds: u64,
    /// Something that goes wrong, as NAME=VALUE with the value in JSON; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub fault: Vec<String>,
    /// File with faults in JSON; --fault adds to it
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

/// A made-up symbol: `um:BTCUSDT`, `um:BTCUSDT@2019-09-08`, `spot:LUNAUSDT@2020-08-21..2022-05-13`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticSpec {
    /// Market it is listed on.
    pub market: Market,
    /// Its name.
    pub symbol: Symbol,
    /// When it was listed.
    pub from: Millis,
    /// When trading ended.
    pub until: Option<Millis>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The faults file cannot be read.
    #[error("cannot read the faults file {path}: {source}", path = .path.display())]
    FaultsFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `--fault` without a name or value.
    #[error("--fault {0}: write NAME=VALUE, such as error_rate=0.05")]
    FaultSyntax(String),
    /// Faults that make no sense.
    #[error(transparent)]
    Faults(#[from] FaultError),
    /// The exchange cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Standard output or the signals are out of order.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for SyntheticSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (market, rest) = text
            .split_once(':')
            .ok_or("write MARKET:SYMBOL[@LISTED[..DELISTED]], such as um:BTCUSDT@2019-09-08")?;
        let (symbol, times) = rest.split_once('@').map_or((rest, None), |(s, t)| (s, Some(t)));
        let market: Market = market.parse().map_err(|e: kline::UnknownMarket| e.to_string())?;
        let symbol = Symbol::new(symbol).map_err(|e| e.to_string())?;
        let time = |text: &str| text.parse::<Millis>().map_err(|e| e.to_string());
        let (from, until) = match times.map(|t| t.split_once("..").map_or((t, None), |(a, b)| (a, Some(b)))) {
            None => (listed_by_default(market), None),
            Some((from, until)) => (time(from)?, until.map(time).transpose()?),
        };
        if until.is_some_and(|until| until <= from) {
            return Err("it is delisted before it is listed".into());
        }
        Ok(Self { market, symbol, from, until })
    }
}

/// When a made-up symbol was listed unless something else is said: about when each market opened.
fn listed_by_default(market: Market) -> Millis {
    Millis(match market {
        Market::Um => 1_567_900_800_000,   // 2019-09-08
        Market::Cm => 1_597_017_600_000,   // 2020-08-10
        Market::Spot => 1_502_928_000_000, // 2017-08-17
    })
}

impl Args {
    /// The configuration these options stand for.
    ///
    /// # Errors
    /// [`CliError`] when the faults cannot be read.
    pub fn config(&self) -> Result<Config, CliError> {
        let mut data: Vec<DataSource> = self.data.iter().cloned().map(DataSource::Folder).collect();
        let mut specs = self.synthetic.clone();
        if data.is_empty() && specs.is_empty() {
            let defaults = [
                "um:BTCUSDT",
                "um:ETHUSDT",
                "cm:BTCUSD_PERP",
                "cm:ETHUSD_PERP",
                "spot:BTCUSDT",
                "spot:ETHUSDT",
            ];
            specs.extend(defaults.iter().filter_map(|spec| spec.parse().ok()));
        }
        data.extend(specs.into_iter().map(|SyntheticSpec { market, symbol, from, until }| {
            DataSource::Synthetic { market, symbol, from, until, seed: self.seed }
        }));
        let now = match (self.now, self.frozen) {
            (None, _) => Now::Real,
            (Some(at), false) => Now::From(at),
            (Some(at), true) => Now::Frozen(at),
        };
        let limits = Limits {
            futures_weight: self.weight_limit,
            spot_weight: self.spot_weight_limit,
            ban_after: self.ban_after,
            ban: Duration::from_secs(self.ban_seconds),
            ..Limits::default()
        };
        let faults = self.read_faults()?;
        let listen = self.listen.clone();
        Ok(Config {
            listen,
            data,
            now,
            clock_offset_ms: self.clock_offset,
            limits,
            faults,
            ..Config::default()
        })
    }

    fn read_faults(&self) -> Result<Faults, CliError> {
        let mut fields = Map::new();
        if let Some(path) = &self.faults {
            let text = fs::read_to_string(path)
                .map_err(|source| CliError::FaultsFile { path: path.clone(), source })?;
            fields = serde_json::from_str(&text).map_err(|error| FaultError::Json(error.to_string()))?;
        }
        for fault in &self.fault {
            let (name, value) = fault.split_once('=').ok_or_else(|| CliError::FaultSyntax(fault.clone()))?;
            // A bare word is a text, so that nobody has to quote quotes.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            fields.insert(name.to_owned(), value);
        }
        Ok(Faults::from_json(&Value::Object(fields).to_string())?)
    }
}

/// Runs the exchange until SIGINT or SIGTERM; `out` gets its address and, at the end, what was asked of it.
///
/// # Errors
/// [`CliError`] when it cannot start or `out` cannot be written.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let sim = Sim::start(args.config()?).await?;
    let written = |source| CliError::Io { what: "write to standard output", source };
    writeln!(out, "listening on {}", sim.url()).map_err(written)?;
    let example = "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=3";
    writeln!(out, "try {}{example}", sim.url()).map_err(written)?;
    out.flush().map_err(written)?;
    stop_signal().await.map_err(|source| CliError::Io { what: "wait for signals", source })?;
    let stats = sim.stats();
    sim.shutdown().await;
    writeln!(
        out,
        "{} requests, weight {}, {} klines, {} answers 429, {} answers 418",
        stats.requests, stats.weight, stats.rows, stats.answered_429, stats.answered_418
    )
    .map_err(written)
}

#[cfg(unix)]
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn config(words: &[&str]) -> Result<Config, String> {
        let program =
            Program::try_parse_from([&["exchange-sim"], words].concat()).map_err(|e| e.to_string())?;
        program.args.config().map_err(|e| e.to_string())
    }

    #[test]
    fn without_options_there_is_something_to_ask_on_every_market() {
        let config = config(&[]).unwrap();
        assert_eq!((config.data.len(), config.now, config.limits), (6, Now::Real, Limits::default()));
    }

    #[test]
    fn options_become_the_configuration() {
        let words = [
            "--synthetic",
            "um:SOLUSDT@2023-01-01..2024-01-01",
            "--now",
            "2024-06-01",
            "--frozen",
            "--clock-offset",
            "-3600000",
            "--weight-limit",
            "600",
            "--fault",
            "error_rate=0.05",
            "--fault",
            "endpoints=[\"klines\"]",
            "--fault",
            r#"holes=[{"since":"2023-05-01","until":"2023-05-02"}]"#,
        ];
        let config = config(&words).unwrap();
        assert_eq!(config.now, Now::Frozen(Millis(1_717_200_000_000)));
        assert_eq!((config.clock_offset_ms, config.limits.futures_weight), (-3_600_000, 600));
        assert_eq!((config.faults.error_rate, config.faults.holes.len()), (0.05, 1));
        let [DataSource::Synthetic { until, .. }] = config.data.as_slice() else { panic!("one symbol") };
        assert_eq!(*until, Some(Millis(1_704_067_200_000)));
    }

    #[test]
    fn a_wrong_option_says_what_is_wrong() {
        for (words, part) in [
            (vec!["--synthetic", "BTCUSDT"], "write MARKET:SYMBOL"),
            (vec!["--synthetic", "um:btcusdt"], "did you mean BTCUSDT?"),
            (vec!["--synthetic", "xx:BTCUSDT"], "unknown market"),
            (vec!["--synthetic", "um:A@2024-01-01..2023-01-01"], "delisted before it is listed"),
            (vec!["--now", "soon"], "is not a time"),
            (vec!["--frozen"], "--now"),
            (vec!["--fault", "error_rate"], "write NAME=VALUE"),
            (vec!["--fault", "eror_rate=1"], "unknown field"),
            (vec!["--fault", "error_rate=7"], "between 0 and 1"),
            (vec!["--faults", "/no/such.json"], "cannot read the faults file"),
        ] {
            let error = config(&words).unwrap_err();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}

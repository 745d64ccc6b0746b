//! The command line. Every value is kept as text here; [`crate::settings`] merges it with environment and file.

mod follow;
mod look;
mod proof;
mod work;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use follow::*;
pub use look::*;
pub use proof::*;
pub use work::*;

const EXIT_CODES: &str = "\
Exit codes:
  0    done and complete
  1    failed
  2    wrong usage or configuration
  3    ran to the end, but something is missing (gaps: something was found)
  130  interrupted (SIGINT), 143 terminated (SIGTERM): the chunk in hand was finished

Settings come from the command line, then the environment, then klines.toml, then defaults: `klines config` shows each
value and where it came from.";

/// Keeps Binance klines (candles) complete in your own database, and proves it.
#[derive(Debug, Parser)]
#[command(name = "klines", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Settings file [default: klines.toml, if there is one; environment: KLINES_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Store URL: sqlite://PATH [default: sqlite://klines.db; environment: KLINES_STORE]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub store: Option<String>,
    /// What results look like [default: human; environment: KLINES_OUTPUT]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub output: Option<OutputFormat>,
    /// Log filter: error, warn, info, debug, or per module [default: warn on a terminal, else info; environment: LOG_LEVEL]
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Global options")]
    pub log_level: Option<String>,
    /// Log lines as text or JSON [default: text; environment: LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub log_format: Option<String>,
    /// No progress bars, even on a terminal
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_progress: bool,
}

/// Form of results on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring series up to date: from the last stored kline to the last closed one
    #[command(after_help = "\
Examples:
  klines extract --symbols BTCUSDT,ETHUSDT --intervals 5m,1h
  klines extract --symbols BTCUSDT --intervals 1m --lookback 30d
  klines extract --market spot --symbols BTCUSDT --intervals 1d --since 2017-08-17")]
    Extract(ExtractArgs),
    /// Find and fill every gap of the range
    #[command(after_help = "\
Examples:
  klines fill-gaps --symbols BTCUSDT,ETHUSDT --intervals 5m --since 2023-01-01
  klines fill-gaps --symbols BTCUSDT --intervals all --since listing --dry-run
  klines fill-gaps --symbols '*USDT' --intervals 1h --since 2024-01-01 --source auto --dry-run
  klines fill-gaps --symbols BTCUSDT --intervals 1h              (from the first stored kline on)")]
    FillGaps(FillArgs),
    /// Store klines as they close: catch up, then follow the exchange's streams
    #[command(after_help = "\
The streams make it quick, the exchange's clock makes it complete: a kline that has ended and was not pushed is asked for by
REST, and what closes while the connection is away is fetched afterwards. Prints a line for every kline.

Examples:
  klines follow --symbols BTCUSDT,ETHUSDT --intervals 1m
  klines follow --market spot --symbols BTCUSDT --intervals 1s,1m --time 8h --output json")]
    Follow(FollowArgs),
    /// List gaps, with a coverage map
    #[command(after_help = "\
Examples:
  klines gaps                                    (every stored series)
  klines gaps --symbols BTCUSDT --intervals 5m --since 2023-01-01 --output json")]
    Gaps(GapsArgs),
    /// Show every stored series: range, completeness, last run
    #[command(after_help = "\
Examples:
  klines status
  klines status --watch                          (draws again every 5 seconds)
  klines status --output json")]
    Status(StatusArgs),
    /// Compare stored klines with the exchange or the archive, field by field
    #[command(after_help = "\
Finds klines that drifted (which field, both values), are missing, or that the source does not have, and klines that
contradict themselves. Without --symbols and --intervals every stored series is compared, from its first kline to its last.

Exit codes: 0 clean, 3 something was found (also when it was repaired: a second run is then clean), 1 failed.

Examples:
  klines verify --symbols BTCUSDT --intervals 5m --since 2025-01-01 --dry-run     (what would it cost?)
  klines verify --symbols BTCUSDT --intervals 5m --since 2025-01-01
  klines verify --symbols BTCUSDT --intervals 1m --against archive
  klines verify --symbols BTCUSDT --intervals 5m --repair")]
    Verify(VerifyArgs),
    /// Certify what is stored: counts and a digest per month, the same whichever store or file holds the klines
    #[command(after_help = "\
The digest of a month is BLAKE3 over its klines in a form that is described byte by byte in docs/certify.md.

Exit codes: 0 done, or as certified; 3 something differs from the certificate (--check); 1 failed.

Examples:
  klines certify --symbols BTCUSDT --intervals 5m
  klines certify --out january.json
  klines certify --check january.json                       (which months differ, and how?)
  klines certify --from BTCUSDT-1m-2020-01-01.zip --market spot
  klines certify --check january.json --from exports/       (are the exported files the same?)")]
    Certify(CertifyArgs),
    /// Write stored klines into files: CSV with the archive's header, or Parquet with decimal columns
    #[command(after_help = "\
A file per series and calendar month, below DIR as in the public archive:
  DIR/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv
Files that are there already are replaced. Without --symbols and --intervals every stored series is written.

An object store is named by s3://BUCKET/PREFIX, and reached with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for
MinIO, Garage, R2 and others, AWS_ENDPOINT_URL. Objects are put whole or not at all.

Examples:
  klines export --format parquet --out exports
  klines export --format parquet --out s3://my-klines/binance
  klines export --format csv --out exports --symbols BTCUSDT --intervals 5m --since 2025-01-01 --until 2025-02-01")]
    Export(ExportArgs),
    /// Read klines from files into the store: archive zips, CSV (header or none, ms or us), Parquet of klines export
    #[command(after_help = "\
Rows are checked like fetched ones. What is stored already with other values stays, and is told, unless --replace is given.
Market, symbol and interval come from the file's name and the folders above it, or from the flags; with flags, files of
other series are left out.

Exit codes: 0 done, 3 something was refused, differs, or was not finished yet, 1 failed.

Examples:
  klines import exports/
  klines import --market um BTCUSDT-5m-2025-01.zip
  klines import --market spot --symbols BTCUSDT --intervals 1h mine.csv --dry-run")]
    Import(ImportArgs),
    /// Cut what is missing into units of work, for many workers
    #[command(after_help = "\
Like `fill-gaps --dry-run`, in pieces. With --publish they go to the JetStream stream KLINES_WORK of NATS_URL.

Examples:
  klines plan --symbols BTCUSDT,ETHUSDT --intervals 1m --since listing
  klines plan --symbols BTCUSDT,ETHUSDT --intervals 1m --since listing --publish")]
    Plan(PlanArgs),
    /// Take units of work from the queue and fill them, until it is empty
    #[command(after_help = "\
Any number of workers may run, on any number of machines with one store. A unit is off the queue only when its klines are
committed; what a worker that died had in hand is done by another. Workers behind one address share the exchange's limit.

Examples:
  klines worker
  klines worker --keep-on --source auto")]
    Worker(WorkerArgs),
    /// Serve the dashboard: coverage, gaps, candles, runs, and what goes on right now
    #[command(after_help = "\
For reading only, and for this machine alone, unless told otherwise. Nothing is loaded from anywhere else.

Examples:
  klines serve
  klines serve --listen 127.0.0.1:0              (any free port)
  KLINES_SERVE_TOKEN=... klines serve            (with a button to fill gaps; the token is asked for)
  klines serve --listen 0.0.0.0:8080             (in a pod: see docs/dashboard.md)")]
    Serve(ServeArgs),
    /// Write the state of the store as one HTML page: totals, maps, gaps, absences, last runs
    #[command(after_help = "\
The page needs no server, no script and no network. Its range is that of `klines gaps`.

Examples:
  klines report --html report.html
  klines report --html btc.html --symbols BTCUSDT --intervals 5m,1h --since 2023-01-01
  klines report --html - > report.html")]
    Report(ReportArgs),
    /// See it work, offline: a local exchange, a store with holes, the fill, the proof
    #[command(after_help = "\
Needs nothing and leaves nothing behind, unless told where to keep the store:
  klines demo --keep demo.db")]
    Demo(DemoArgs),
    /// Run the local exchange: Binance's REST API with real or synthetic klines, limits and faults on demand
    Simulate(exchange_sim::cli::Args),
    /// Show the effective settings and where each came from
    Config,
    /// Check that everything the settings name can be reached, and say what is in the way if not
    #[command(after_help = "\
What is required: the exchange and the store. NATS, collectors and the ways to single name servers are optional: they are
reported, and count with --strict.

Examples:
  klines doctor
  klines doctor --wait 60s                       (before a job in a pod: a network policy may take a moment)
  klines doctor --output json")]
    Doctor(DoctorArgs),
    /// Print the statements that create the store's tables, for an administrator to run
    #[command(after_help = "Example: klines schema --store postgres://u@h/d | psql ...")]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Example: klines completions bash > /etc/bash_completion.d/klines")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example: klines man | man -l -")]
    #[command(after_help = "\
Examples:
  klines man | man -l -
  klines man --out /usr/local/share/man/man1")]
    Man {
        /// Write one page for the program and one for each command into this folder, which is made when it is missing
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Which series.
#[derive(Debug, Args, Default)]
pub struct SeriesArgs {
    /// Market: um (USD-M futures), cm (COIN-M futures) or spot [default: um; environment: KLINES_MARKET]
    #[arg(long, value_name = "MARKET")]
    pub market: Option<String>,
    /// Symbols, separated by commas; `*` and `?` make patterns: '*USDT' [environment: KLINES_SYMBOLS]
    #[arg(long, value_name = "A,B")]
    pub symbols: Option<String>,
    /// Intervals, separated by commas, or `all` (every interval of the market but 1s) [environment: KLINES_INTERVALS]
    #[arg(long, value_name = "I,J")]
    pub intervals: Option<String>,
}

/// Which range.
#[derive(Debug, Args, Default)]
pub struct RangeArgs {
    /// Start, inclusive, UTC: 2023-01-01, 2023-01-01T06:30:00Z, milliseconds, or `listing` [environment: KLINES_SINCE]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End, exclusive [default: the last closed kline, by the exchange's clock]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// How to fetch.
#[derive(Debug, Args, Default)]
pub struct FetchArgs {
    /// Every symbol of the market that is traded
    #[arg(long, conflicts_with = "symbols")]
    pub all: bool,
    /// With --all or a pattern: also symbols that are traded no more, as far as the archive knows them (--source archive has
    /// their klines)
    #[arg(long)]
    pub include_delisted: bool,
    /// Show what would be done and what it would cost in requests, weight, files and time; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask again for what is remembered as absent at the exchange
    #[arg(long)]
    pub recheck_absent: bool,
    /// Count stored rows one by one instead of trusting the store's bucket counts
    #[arg(long)]
    pub recount: bool,
    /// Where to fetch from: rest, archive (the public archive alone), or auto (the archive for long runs, REST for all
    /// else) [default: rest; environment: KLINES_SOURCE]
    #[arg(long, value_name = "WHERE")]
    pub source: Option<String>,
    /// What to save: weight, requests, or auto [default: auto: weight, unless the line is too slow to use it up]
    #[arg(long, value_name = "WHAT")]
    pub prefer: Option<String>,
    /// Requests in flight [default: 6]
    #[arg(long, value_name = "N")]
    pub in_flight: Option<String>,
    /// Series worked on at once [default: 4]
    #[arg(long, value_name = "N")]
    pub series_at_once: Option<String>,
    /// Share of the exchange's weight limit to leave to others, percent [default: 10]
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<String>,
    /// How long to wait for another job on the same series [default: 90s]
    #[arg(long, value_name = "TIME")]
    pub lease_wait: Option<String>,
}

#[derive(Debug, Args)]
pub struct ExtractArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// How far to look back: a time (30d, 12h) or a number of klines [default: 499 klines when nothing is stored; environment: KLINES_LOOKBACK]
    #[arg(long, value_name = "TIME|N", conflicts_with = "since")]
    pub lookback: Option<String>,
    #[command(flatten)]
    pub fetch: FetchArgs,
}

#[derive(Debug, Args)]
pub struct FillArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub fetch: FetchArgs,
}

#[derive(Debug, Args)]
pub struct GapsArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Count stored rows one by one instead of trusting the store's bucket counts
    #[arg(long)]
    pub recount: bool,
    /// List at most this many gaps per series (what is left out is said) [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Draw again every so many seconds, until interrupted [default: 5]
    #[arg(long, conflicts_with = "recount", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
        value_parser = clap::value_parser!(u64).range(crate::ui::watch::FASTEST..))]
    pub watch: Option<u64>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    /// Draw again every so many seconds, until interrupted [default: 5]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
        value_parser = clap::value_parser!(u64).range(crate::ui::watch::FASTEST..))]
    pub watch: Option<u64>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Try again until all that is required can be reached, for at most this long, for example 60s
    #[arg(long, value_name = "TIME")]
    pub wait: Option<String>,
    /// Fail on what is optional, too
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the store in this file (it must not exist yet)
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
}

//! One module per command.

mod demo;
mod gaps;
mod jobs;
mod show;
mod status;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, Command, FetchArgs, Global, RangeArgs, SeriesArgs};
use crate::error::CliError;
use crate::settings::{Flags, Settings, keys};
use crate::signals::Stop;
use crate::ui::{self, progress::LogWriter};

/// Runs the command that was asked for.
pub async fn dispatch(cli: Cli) -> Result<ExitCode, CliError> {
    let Cli { global, command } = cli;
    let stop = Stop::listen()?;
    match command {
        Command::Extract(args) => {
            let mut flags = all_flags(&args.series, &args.range, &args.fetch);
            flags.push((keys::LOOKBACK, args.lookback.clone()));
            let settings = load(&global, flags)?;
            jobs::run(&settings, pipeline::Job::Extract, &args.fetch, global.no_progress, &stop).await
        }
        Command::FillGaps(args) => {
            let settings = load(&global, all_flags(&args.series, &args.range, &args.fetch))?;
            jobs::run(&settings, pipeline::Job::FillGaps, &args.fetch, global.no_progress, &stop).await
        }
        Command::Gaps(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            gaps::run(&load(&global, flags)?, &args).await
        }
        Command::Status(args) => status::run(&load(&global, series_flags(&args.series))?).await,
        Command::Demo(args) => {
            demo::run(&load(&global, Flags::new())?, &args, global.no_progress, &stop).await
        }
        Command::Simulate(args) => simulate(&global, args).await,
        Command::Config => show::config(&load(&global, Flags::new())?),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "klines", &mut text);
            ui::out(&String::from_utf8_lossy(&text))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => show::man(),
    }
}

fn series_flags(args: &SeriesArgs) -> Flags {
    vec![
        (keys::MARKET, args.market.clone()),
        (keys::SYMBOLS, args.symbols.clone()),
        (keys::INTERVALS, args.intervals.clone()),
    ]
}

fn range_flags(args: &RangeArgs) -> Flags {
    vec![(keys::SINCE, args.since.clone()), (keys::UNTIL, args.until.clone())]
}

fn all_flags(series: &SeriesArgs, range: &RangeArgs, fetch: &FetchArgs) -> Flags {
    let mut flags = series_flags(series);
    flags.extend(range_flags(range));
    flags.extend([
        (keys::PREFER, fetch.prefer.clone()),
        (keys::IN_FLIGHT, fetch.in_flight.clone()),
        (keys::SERIES_AT_ONCE, fetch.series_at_once.clone()),
        (keys::RESERVE, fetch.reserve.clone()),
        (keys::LEASE_WAIT, fetch.lease_wait.clone()),
    ]);
    flags
}

/// Loads the settings and starts the log.
fn load(global: &Global, flags: Flags) -> Result<Settings, CliError> {
    let settings = Settings::load(global, flags)?;
    // On a terminal the results and bars speak for themselves.
    start_log(&settings, if std::io::stderr().is_terminal() { "warn" } else { "info" })?;
    Ok(settings)
}

/// Logs go to stderr, at `default` unless a level is set.
fn start_log(settings: &Settings, default: &str) -> Result<(), CliError> {
    use tracing_subscriber::EnvFilter;
    let text = settings.text(keys::LOG_LEVEL).unwrap_or(default).to_lowercase();
    // `WARNING` and `CRITICAL` are what other languages call these levels.
    let text = match text.as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        other => other,
    };
    let origin = settings.get(keys::LOG_LEVEL).map(|value| value.origin.to_string()).unwrap_or_default();
    let filter = EnvFilter::try_new(text)
        .map_err(|error| CliError::usage(format!("{origin}: `{text}` is not a log filter: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(|| LogWriter);
    let done = match settings.text(keys::LOG_FORMAT).unwrap_or("text") {
        "text" => builder.try_init(),
        "json" => builder.json().try_init(),
        other => return Err(CliError::usage(format!("unknown log format `{other}`: use text or json"))),
    };
    done.map_err(|error| CliError::Failed { message: format!("cannot start the log: {error}"), hint: None })
}

async fn simulate(global: &Global, args: exchange_sim::cli::Args) -> Result<ExitCode, CliError> {
    load(global, Flags::new())?;
    exchange_sim::cli::run(&args, &mut std::io::stdout())
        .await
        .map_err(|error| CliError::Usage { message: pipeline::error::chain(&error), hint: None })?;
    Ok(ExitCode::SUCCESS)
}

//! One module per command.

mod certify;
mod demo;
mod doctor;
mod export;
mod follow;
mod gaps;
mod import;
mod jobs;
mod plan;
mod report;
mod schema;
mod serve;
mod show;
mod sources;
mod status;
mod symbols;
mod verify;
mod worker;

use std::process::ExitCode;

use clap::CommandFactory;
use telemetry::{LogSink, Metrics};

use crate::args::{Cli, Command, FetchArgs, RangeArgs, SeriesArgs};
use crate::error::CliError;
use crate::settings::{Flags, Settings, keys};
use crate::signals::Stop;
use crate::ui;

/// What every command gets.
pub struct Context {
    pub settings: Settings,
    pub metrics: Metrics,
    pub log: LogSink,
    /// Whether progress bars are wanted.
    pub bars: bool,
}

/// Commands that print something fixed: they work whatever the settings are.
pub fn without_settings(command: &Command) -> Option<Result<ExitCode, CliError>> {
    match command {
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "klines", &mut text);
            Some(ui::out(&String::from_utf8_lossy(&text)).map(|()| ExitCode::SUCCESS))
        }
        Command::Man { out } => Some(show::man(out.as_deref())),
        _ => None,
    }
}

/// What the flags of a command say.
pub fn flags(command: &Command) -> Flags {
    match command {
        Command::Extract(args) => {
            let mut flags = all_flags(&args.series, &args.range, &args.fetch);
            flags.push((keys::LOOKBACK, args.lookback.clone()));
            flags
        }
        Command::FillGaps(args) => all_flags(&args.series, &args.range, &args.fetch),
        Command::Follow(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend([(keys::SINCE, args.since.clone()), (keys::LOOKBACK, args.lookback.clone())]);
            flags
        }
        Command::Gaps(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags
        }
        Command::Plan(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags
        }
        Command::Worker(args) => vec![
            (keys::SOURCE, args.source.clone()),
            (keys::IN_FLIGHT, args.in_flight.clone()),
            (keys::RESERVE, args.reserve.clone()),
        ],
        Command::Status(args) => series_flags(&args.series),
        Command::Report(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags
        }
        Command::Serve(args) => vec![
            (keys::SERVE_LISTEN, args.listen.clone()),
            (keys::SERVE_TOKEN, args.token.clone()),
            (keys::SERVE_ALLOW_HOST, args.allow_host.clone()),
            (keys::SINCE, args.since.clone()),
        ],
        Command::Export(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags
        }
        Command::Import(args) => series_flags(&args.series),
        Command::Certify(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags
        }
        Command::Verify(args) => {
            let mut flags = series_flags(&args.series);
            flags.extend(range_flags(&args.range));
            flags.push((keys::SOURCE, Some(args.against.as_str().to_owned())));
            flags.push((keys::RESERVE, args.reserve.clone()));
            flags
        }
        _ => Flags::new(),
    }
}

/// Runs the command that was asked for.
pub async fn dispatch(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    // Jobs finish the chunk in hand when a signal comes; everything else simply ends by it.
    match command {
        Command::Extract(args) => {
            jobs::run(context, pipeline::Job::Extract, &args.fetch, &Stop::listen()?).await
        }
        Command::FillGaps(args) => {
            jobs::run(context, pipeline::Job::FillGaps, &args.fetch, &Stop::listen()?).await
        }
        Command::Follow(args) => follow::run(context, &args, &Stop::listen()?).await,
        Command::Gaps(args) => gaps::run(&context.settings, &args).await,
        Command::Plan(args) => plan::run(&context.settings, &args).await,
        Command::Worker(args) => worker::run(context, &args, &Stop::listen()?).await,
        Command::Status(args) => status::run(&context.settings, &args).await,
        Command::Certify(args) => certify::run(&context.settings, &args).await,
        Command::Export(args) => export::run(context, &args, &Stop::listen()?).await,
        Command::Import(args) => import::run(context, &args, &Stop::listen()?).await,
        Command::Verify(args) => verify::run(context, &args, &Stop::listen()?).await,
        Command::Report(args) => report::run(&context.settings, &args).await,
        Command::Serve(_) => serve::run(context, &Stop::listen()?).await,
        Command::Demo(args) => demo::run(context, &args, &Stop::listen()?).await,
        Command::Simulate(args) => simulate(args).await,
        Command::Config => show::config(&context.settings),
        Command::Doctor(args) => doctor::run(&context.settings, &args).await,
        Command::Schema => schema::run(&context.settings),
        command @ (Command::Completions { .. } | Command::Man { .. }) => {
            without_settings(&command).unwrap_or(Ok(ExitCode::SUCCESS))
        }
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
        (keys::SOURCE, fetch.source.clone()),
        (keys::PREFER, fetch.prefer.clone()),
        (keys::IN_FLIGHT, fetch.in_flight.clone()),
        (keys::SERIES_AT_ONCE, fetch.series_at_once.clone()),
        (keys::RESERVE, fetch.reserve.clone()),
        (keys::LEASE_WAIT, fetch.lease_wait.clone()),
    ]);
    if fetch.all {
        flags.push((keys::SYMBOLS, Some("*".to_owned())));
    }
    flags
}

async fn simulate(args: exchange_sim::cli::Args) -> Result<ExitCode, CliError> {
    exchange_sim::cli::run(&args, &mut std::io::stdout())
        .await
        .map_err(|error| CliError::Usage { message: pipeline::error::chain(&error), hint: None })?;
    Ok(ExitCode::SUCCESS)
}

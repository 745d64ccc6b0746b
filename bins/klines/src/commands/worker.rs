//! `klines worker`: takes units off the queue, fills them, says so.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use binance::Client;
use events::{Unit, WorkQueue};
use kline::{Interval, Market, Millis, Series, Symbol};
use pipeline::{Job, Options, Report, Since};
use serde::Deserialize;
use serde_json::json;
use store::{KlineStore, Store};

use super::Context;
use super::jobs::{deliver, options_of, wall_clock};
use crate::args::{FetchArgs, OutputFormat, WorkerArgs};
use crate::error::{CliError, exit};
use crate::observe::{self, Observed};
use crate::settings::parse_duration;
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::{self, grouped, plural};

/// How long the queue is asked for a unit before it is looked whether any are left.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the queue hears that a unit is still being worked on; well within its patience.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// Another worker has the series: so long until the unit is taken again.
const BUSY: Duration = Duration::from_secs(2);
/// The unit failed: so long until it is tried again.
const FAILED: Duration = Duration::from_secs(15);

/// A unit as `klines plan` wrote it.
#[derive(Deserialize)]
struct Task {
    market: String,
    symbol: String,
    interval: String,
    since: String,
    until: String,
}

/// What a worker did.
#[derive(Default)]
struct Done {
    units: u64,
    given_back: u64,
    refused: u64,
    failed: u64,
    written: u64,
    requests: u64,
    weight: u64,
}

/// What became of a unit.
enum End {
    Done(Report),
    Busy,
    Failed,
    Stopped,
}

/// Works until the queue is empty, or for ever.
pub async fn run(context: &Context, args: &WorkerArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let nats = observe::nats(settings)?;
    let mut queue = WorkQueue::open(&nats).await?;
    let store = Store::open(&settings.store_url()?).await?;
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let options = options_of(settings, Job::FillGaps, &FetchArgs::default(), Vec::new(), true)?;
    let observed =
        Observed { progress: Progress::new(context.bars, &context.log), metrics: context.metrics.clone() };
    observed.watch(&client);
    tracing::info!("working for the queue on {}", queue.server());
    let wait = parse_duration(&args.wait)
        .map_err(|why| CliError::Usage { message: format!("--wait: {why}"), hint: None })?;
    let (mut done, mut met, began) = (Done::default(), false, Instant::now());
    while !stop.token.is_cancelled() {
        let taken = tokio::select! {
            taken = queue.take(PATIENCE) => taken?,
            () = stop.token.cancelled() => break,
        };
        let Some(unit) = taken else {
            // Units of others may come back: the queue is empty only when nothing is left at all.
            let over = met || began.elapsed() >= wait;
            if over && !args.keep_on && queue.left().await? == 0 {
                break;
            }
            continue;
        };
        met = true;
        let Some(options) = read(&unit, &options) else {
            unit.refuse().await?;
            done.refused += 1;
            continue;
        };
        let end = work(&store, &client, &options, &observed, &unit, stop).await?;
        settle(&unit, end, &mut done).await?;
        deliver(&store, &nats, &observed).await;
    }
    queue.close().await;
    store.close().await?;
    print(&done, output)?;
    let code = if done.failed + done.refused > 0 { exit::INCOMPLETE } else { 0 };
    Ok(ExitCode::from(stop.exit_code().unwrap_or(code)))
}

/// The job that a unit asks for; `None` for one that nobody can understand.
fn read(unit: &Unit, options: &Options) -> Option<Options> {
    let task: Result<Task, _> = serde_json::from_slice(unit.payload());
    let parsed = task.map_err(|error| error.to_string()).and_then(|task| {
        let market: Market = task.market.parse().map_err(|e| format!("{e}"))?;
        let interval: Interval = task.interval.parse().map_err(|e| format!("{e}"))?;
        let symbol = Symbol::new(&task.symbol).map_err(|e| e.to_string())?;
        let series = Series::new(market, symbol, interval).map_err(|e| e.to_string())?;
        let since: Millis = task.since.parse().map_err(|e| format!("since: {e}"))?;
        let until: Millis = task.until.parse().map_err(|e| format!("until: {e}"))?;
        Ok((series, since, until))
    });
    match parsed {
        Ok((series, since, until)) => Some(Options {
            series: vec![series],
            since: Since::At(since),
            until: Some(until),
            ..options.clone()
        }),
        Err(why) => {
            let text = String::from_utf8_lossy(unit.payload()).chars().take(200).collect::<String>();
            tracing::error!(
                "a unit of the queue is not understood, and taken off it: {why}; it says: {text}"
            );
            None
        }
    }
}

/// Fills the unit's range, and tells the queue from time to time that it is being worked on.
async fn work(
    store: &Store,
    client: &Client,
    options: &Options,
    observed: &Observed,
    unit: &Unit,
    stop: &Stop,
) -> Result<End, CliError> {
    // While somebody else writes the series, other work can be done; but a unit that has come back once waits for its turn,
    // or takes over from a worker that died.
    if unit.tries() == 1 && is_busy(store, options).await? {
        return Ok(End::Busy);
    }
    let filling = pipeline::run(store, client, options, observed, wall_clock(), &stop.token);
    tokio::pin!(filling);
    let report = loop {
        tokio::select! {
            report = &mut filling => break report?,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {
                if let Err(error) = unit.working().await {
                    tracing::warn!("{}", pipeline::error::chain(&error));
                }
            }
        }
    };
    observed.finished(&report, client);
    Ok(match report.outcome {
        _ if report.interrupted() => End::Stopped,
        "failed" => End::Failed,
        // What is still missing now may be there later; the next plan finds it.
        _ => End::Done(report),
    })
}

async fn is_busy(store: &Store, options: &Options) -> Result<bool, CliError> {
    let held = store.leases().await?;
    Ok(held.iter().any(|lease| options.series.contains(&lease.series)))
}

async fn settle(unit: &Unit, end: End, done: &mut Done) -> Result<(), CliError> {
    match end {
        End::Done(report) => {
            unit.done().await?;
            done.units += 1;
            done.written += report.totals.written;
            done.requests += report.totals.requests;
            done.weight += report.totals.weight;
        }
        End::Busy => unit.give_back(BUSY).await?,
        End::Failed => {
            done.failed += 1;
            unit.give_back(FAILED).await?;
        }
        End::Stopped => {
            done.given_back += 1;
            unit.give_back(Duration::ZERO).await?;
        }
    }
    Ok(())
}

fn print(done: &Done, output: OutputFormat) -> Result<(), CliError> {
    if output == OutputFormat::Json {
        let report = json!({
            "job": "worker",
            "units": done.units,
            "given_back": done.given_back,
            "failed": done.failed,
            "refused": done.refused,
            "written": done.written,
            "requests": done.requests,
            "weight": done.weight,
        });
        return ui::out(&format!("{report:#}\n"));
    }
    let mut out = format!(
        "{} done: {} written ({}, weight {})",
        plural(done.units, "unit"),
        plural(done.written, "kline"),
        plural(done.requests, "request"),
        grouped(done.weight)
    );
    for (count, what) in [
        (done.given_back, "given back"),
        (done.failed, "failed and given back"),
        (done.refused, "not understood"),
    ] {
        if count > 0 {
            out.push_str(&format!("; {} {what}", plural(count, "unit")));
        }
    }
    ui::out(&format!("{out}\n"))
}

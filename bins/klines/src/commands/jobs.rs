//! `klines extract` and `klines fill-gaps`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use binance::Client;
use kline::{Millis, Series};
use pipeline::{Job, MessageOptions, Options, Report, SeriesReport};
use store::{KlineStore, OpenOptions, Store};
use tracing::Instrument;

use super::{Context, symbols};
use crate::args::{FetchArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::observe::{self, Observed};
use crate::settings::{Settings, keys};
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural, span};

/// Runs a job, delivers its messages, and prints its report.
pub async fn run(context: &Context, job: Job, fetch: &FetchArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let nats = observe::nats(settings)?;
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let series = symbols::resolve(settings, fetch.include_delisted, &client).await?;
    let options = options_of(settings, job, fetch, series, nats.is_on())?;
    let store = open(settings, fetch.dry_run).await?;
    let observed =
        Observed { progress: Progress::new(context.bars, &context.log), metrics: context.metrics.clone() };
    observed.watch(&client);
    let report = pipeline::run(&store, &client, &options, &observed, wall_clock(), &stop.token).await?;
    observed.finished(&report, &client);
    if !fetch.dry_run {
        deliver(&store, &nats, &observed).await;
    }
    store.close().await?;
    print(&report, output)?;
    Ok(ExitCode::from(stop.exit_code().filter(|_| report.interrupted()).unwrap_or(code_of(&report))))
}

/// Sends what waits in the outbox. NATS being away is no failure of the run: the messages wait for the next one.
pub async fn deliver(store: &Store, nats: &events::NatsSettings, observed: &Observed) {
    let span = tracing::info_span!("klines.deliver");
    let delivery = events::deliver_outbox(store, nats).instrument(span).await;
    if nats.is_on() {
        observed.metrics.messages(delivery.sent, delivery.left);
    }
    if let Some(error) = &delivery.error {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let why = pipeline::error::chain(error);
        tracing::warn!("{} in the outbox for the next run: {why}{hint}", plural(delivery.left, "message"));
    } else if delivery.sent > 0 {
        tracing::info!("{} published to {}", plural(delivery.sent, "message"), nats.names());
    }
}

/// Opens the store; for a dry run read-only.
async fn open(settings: &Settings, dry_run: bool) -> Result<Store, CliError> {
    let url = settings.store_url()?;
    if dry_run { open_read_only(&url).await } else { Ok(Store::open(&url).await?) }
}

/// Opens a store without changing anything; one that is still to be made is an empty one, and is not made.
pub async fn open_read_only(url: &str) -> Result<Store, CliError> {
    if store::is_new(url)? {
        return Ok(Store::open("sqlite::memory:").await?);
    }
    match Store::open_with(url, OpenOptions { read_only: true, ..OpenOptions::default() }).await {
        Err(store::StoreError::Empty { .. }) => Ok(Store::open("sqlite::memory:").await?),
        opened => Ok(opened?),
    }
}

/// Local time, for run records and messages; never for judging what is closed.
pub fn wall_clock() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or_default())
}

/// What a job over these series is told by the settings.
pub fn options_of(
    settings: &Settings,
    job: Job,
    fetch: &FetchArgs,
    series: Vec<Series>,
    messages: bool,
) -> Result<Options, CliError> {
    let prefix = match job {
        Job::Extract => keys::NATS_PREFIX_PRODUCTION,
        Job::FillGaps => keys::NATS_PREFIX_GAP_FILLER,
    };
    let prefix = settings.text(prefix).unwrap_or_default().trim_end_matches('.');
    let messages = messages.then(|| MessageOptions {
        traceparent: telemetry::current_traceparent,
        ..MessageOptions::new(prefix)
    });
    Ok(Options {
        since: settings.since(job == Job::Extract)?,
        until: settings.until()?,
        dry_run: fetch.dry_run,
        recheck_absent: fetch.recheck_absent,
        recount: fetch.recount,
        from: settings.source()?,
        prefer: settings.prefer()?,
        series_at_once: settings.series_at_once()?,
        in_flight: settings.in_flight()?,
        chunk: settings.chunk()?,
        lease_wait: settings.lease_wait()?,
        messages,
        ..Options::new(job, series)
    })
}

fn code_of(report: &Report) -> u8 {
    match report.outcome {
        "complete" => 0,
        "incomplete" => exit::INCOMPLETE,
        _ => exit::FAILED,
    }
}

/// Prints a report to stdout.
pub fn print(report: &Report, output: OutputFormat) -> Result<(), CliError> {
    match output {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(report).map_err(|error| CliError::Failed {
                message: format!("cannot render the report: {error}"),
                hint: None,
            })?;
            ui::out(&format!("{text}\n"))
        }
        OutputFormat::Human => ui::out(&human(report, Style::stdout())),
    }
}

fn human(report: &Report, style: Style) -> String {
    let mut out = if report.dry_run { plan_table(report) } else { result_table(report) };
    for series in &report.series {
        out.push_str(&remarks(series, style));
    }
    out.push_str(&verdict(report, style));
    out
}

fn result_table(report: &Report) -> String {
    let header = [
        ("series", Align::Left),
        ("from", Align::Left),
        ("expected", Align::Right),
        ("missing", Align::Right),
        ("gaps", Align::Right),
        ("written", Align::Right),
        ("absent", Align::Right),
        ("still missing", Align::Right),
        ("weight", Align::Right),
        ("time", Align::Right),
    ];
    let row = |s: &SeriesReport| {
        let day = s.since.as_deref().map_or("-", |since| since.get(..10).unwrap_or(since));
        let numbers = [s.expected, s.missing_before, s.gaps, s.written, s.absent, s.missing_after, s.weight];
        let mut row = vec![s.name(), day.to_owned()];
        row.extend(numbers.map(grouped));
        row.push(span(s.duration_ms));
        row
    };
    render(&header, &report.series.iter().map(row).collect::<Vec<_>>())
}

fn plan_table(report: &Report) -> String {
    let header = [
        ("series", Align::Left),
        ("from", Align::Left),
        ("until", Align::Left),
        ("missing", Align::Right),
        ("gaps", Align::Right),
        ("requests", Align::Right),
        ("weight", Align::Right),
        ("files", Align::Right),
        ("time, about", Align::Right),
    ];
    let row = |s: &SeriesReport| {
        let minute = |t: &Option<String>| {
            t.as_deref().map_or("-".to_owned(), |t| t.get(..16).unwrap_or(t).replace('T', " "))
        };
        let plan = s.plan.unwrap_or_default();
        vec![
            s.name(),
            minute(&s.since),
            minute(&s.until),
            grouped(s.missing_before),
            grouped(s.gaps),
            grouped(plan.requests),
            grouped(plan.weight),
            grouped(plan.files),
            span(plan.seconds * 1000),
        ]
    };
    render(&header, &report.series.iter().map(row).collect::<Vec<_>>())
}

/// What is worth saying about a series beyond its numbers.
fn remarks(series: &SeriesReport, style: Style) -> String {
    let mut out = String::new();
    let name = series.name();
    if let Some(error) = &series.error {
        out.push_str(&format!("{} {name}: {error}\n", style.red("failed:")));
        if let Some(hint) = &series.hint {
            out.push_str(&format!("  {} {hint}\n", style.bold("hint:")));
        }
    }
    if let Some(archive) = series.archive.as_ref().filter(|a| a.files + a.refused > 0) {
        let (files, klines) = (plural(archive.files, "archive file"), plural(archive.klines, "kline"));
        out.push_str(&format!("{} {name}: {klines} out of {files}\n", style.dim("note:")));
        for reason in &archive.reasons {
            out.push_str(&format!("{} {name}: a file was refused: {reason}\n", style.yellow("note:")));
        }
    }
    for refused in &series.rejections {
        let rows = plural(refused.rows, "row");
        out.push_str(&format!(
            "{} {name}: {rows} refused, the first: {}\n",
            style.yellow("note:"),
            refused.first
        ));
    }
    let flags = series.flagged;
    for (count, what) in [(flags.off_grid, "off the grid"), (flags.odd_close, "with an odd close time")] {
        if count > 0 {
            let klines = plural(count, "kline");
            out.push_str(&format!("{} {name}: {klines} {what}, stored as sent\n", style.dim("note:")));
        }
    }
    out
}

fn verdict(report: &Report, style: Style) -> String {
    let t = report.totals;
    let time = span(report.duration_ms);
    if report.dry_run {
        let plans = || report.series.iter().filter_map(|s| s.plan);
        let (requests, weight): (u64, u64) =
            (plans().map(|p| p.requests).sum(), plans().map(|p| p.weight).sum());
        return format!(
            "dry run, nothing written: {} missing, {}, weight {}\n",
            plural(t.missing_before, "kline"),
            plural(requests, "request"),
            grouped(weight)
        );
    }
    let absent = match t.absent {
        0 => String::new(),
        n => format!(", {} absent at the exchange", grouped(n)),
    };
    let cost = format!("{}, weight {}, {time}", plural(t.requests, "request"), grouped(t.weight));
    match report.outcome {
        "complete" => {
            format!("{}: {} written ({cost})\n", style.green("complete"), plural(t.written, "kline"))
        }
        "incomplete" => format!(
            "{}: {} written, {} still missing{absent} ({cost})\n",
            style.yellow("incomplete"),
            plural(t.written, "kline"),
            grouped(t.missing_after)
        ),
        _ => {
            let failed = report.series.iter().filter(|s| s.error.is_some()).count();
            format!(
                "{}: {failed} of {} failed; {} written ({cost})\n",
                style.red("failed"),
                plural(report.series.len() as u64, "series").replace("seriess", "series"),
                plural(t.written, "kline")
            )
        }
    }
}

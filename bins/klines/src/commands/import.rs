//! `klines import`: klines out of files into the store.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use binance::{Client, ClientConfig};
use files::KlineFile;
use kline::{Market, Millis, Series};
use pipeline::JobError;
use pipeline::import::{Import, ImportOptions, ImportReport};
use serde_json::json;
use store::{KlineStore, Store};

use super::Context;
use super::jobs::{open_read_only, wall_clock};
use super::sources;
use crate::args::{ImportArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::observe::Observed;
use crate::settings::Settings;
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural};

/// What closed so long ago, by this machine's clock, was closed by any.
const SETTLED_MS: i64 = 2 * 86_400_000;

/// Takes in every file.
pub async fn run(context: &Context, args: &ImportArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let found = sources::by_series(settings, &args.paths)?;
    let url = settings.store_url()?;
    let store = if args.dry_run { open_read_only(&url).await? } else { Store::open(&url).await? };
    let options = ImportOptions {
        replace: args.replace,
        dry_run: args.dry_run,
        chunk: settings.chunk()?,
        lease_wait: settings.lease_wait()?,
        ..ImportOptions::new()
    };
    let observed =
        Observed { progress: Progress::new(context.bars, &context.log), metrics: context.metrics.clone() };
    let mut clocks = Clocks { settings, known: BTreeMap::new() };
    let mut reports: Vec<ImportReport> = Vec::new();
    let mut interrupted = false;
    'files: for (series, files) in &found {
        for file in files {
            let import = Import {
                store: &store,
                series,
                slots: sources::slots_of(file, series.interval),
                now: clocks.closed(file, series).await?,
                options: &options,
                observer: &observed,
                stop: &stop.token,
            };
            match import.run(&file.path().display().to_string(), sources::rows(file)).await {
                Ok(report) => reports.push(report),
                Err(JobError::Interrupted) => {
                    interrupted = true;
                    break 'files;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    store.close().await?;
    match output {
        OutputFormat::Json => ui::out(&format!("{:#}\n", as_json(&reports, &options)))?,
        OutputFormat::Human => ui::out(&human(&reports, &options, Style::stdout()))?,
    }
    let code = match outcome(&reports) {
        "complete" => 0,
        "incomplete" => exit::INCOMPLETE,
        _ => exit::FAILED,
    };
    Ok(ExitCode::from(stop.exit_code().filter(|_| interrupted).unwrap_or(code)))
}

fn outcome(reports: &[ImportReport]) -> &'static str {
    let open = |r: &ImportReport| r.rejected + r.unfinished + r.differing - r.replaced;
    if reports.iter().any(|r| r.error.is_some()) {
        "failed"
    } else if reports.iter().any(|r| open(r) > 0) {
        "incomplete"
    } else {
        "complete"
    }
}

/// What is closed, by the exchange's clock where it matters.
struct Clocks<'a> {
    settings: &'a Settings,
    known: BTreeMap<Market, Millis>,
}

impl Clocks<'_> {
    /// An instant at which all klines were closed that may come out of a file. For a period that ended days ago nobody needs
    /// to be asked; when the exchange is out of reach, klines of the last two days count as unfinished.
    async fn closed(&mut self, file: &KlineFile, series: &Series) -> Result<Millis, CliError> {
        let settled = wall_clock().plus(-SETTLED_MS);
        if file.named().period.is_some_and(|period| period.range().until <= settled) {
            return Ok(settled);
        }
        if let Some(now) = self.known.get(&series.market) {
            return Ok(*now);
        }
        let config = self.settings.client()?;
        let timeout = config.timeout.min(Duration::from_secs(3));
        let client = Client::new(ClientConfig { attempts: 1, timeout, ..config }).map_err(JobError::from)?;
        let asked = tokio::time::timeout(Duration::from_secs(4), client.now(series.market)).await;
        let now = match asked {
            Ok(Ok(now)) => now,
            Ok(Err(error)) => {
                let why = pipeline::error::chain(&error);
                tracing::warn!(
                    "the exchange's clock is out of reach, so klines of the last two days are left out: {why}"
                );
                settled
            }
            Err(_) => settled,
        };
        self.known.insert(series.market, now);
        Ok(now)
    }
}

fn as_json(reports: &[ImportReport], options: &ImportOptions) -> serde_json::Value {
    let sum = |of: fn(&ImportReport) -> u64| reports.iter().map(of).sum::<u64>();
    json!({
        "job": "import", "run": options.run, "outcome": outcome(reports), "dry_run": options.dry_run,
        "files": reports,
        "totals": {
            "rows": sum(|r| r.rows), "new": sum(|r| r.new), "unchanged": sum(|r| r.unchanged),
            "differing": sum(|r| r.differing), "replaced": sum(|r| r.replaced), "rejected": sum(|r| r.rejected),
            "duplicates": sum(|r| r.duplicates), "unfinished": sum(|r| r.unfinished),
        },
    })
}

fn human(reports: &[ImportReport], options: &ImportOptions, style: Style) -> String {
    let mut header = vec![("file", Align::Left), ("series", Align::Left)];
    header
        .extend(["rows", "new", "unchanged", "differing", "replaced", "rejected"].map(|n| (n, Align::Right)));
    let row = |r: &ImportReport| {
        let mut row = vec![r.path.clone(), format!("{} {} {}", r.market, r.symbol, r.interval)];
        row.extend([r.rows, r.new, r.unchanged, r.differing, r.replaced, r.rejected].map(grouped));
        row
    };
    let mut out = render(&header, &reports.iter().map(row).collect::<Vec<_>>());
    for report in reports {
        out.push_str(&remarks(report, options, style));
    }
    let new = plural(reports.iter().map(|r| r.new).sum(), "kline");
    let words = if options.dry_run { "dry run, nothing written; new" } else { "new" };
    out.push_str(&match outcome(reports) {
        "complete" => format!("{}: {words}: {new}\n", style.green("complete")),
        "incomplete" => format!("{}: {words}: {new}; see the notes above\n", style.yellow("incomplete")),
        _ => format!("{}: {words}: {new}\n", style.red("failed")),
    });
    out
}

fn remarks(report: &ImportReport, options: &ImportOptions, style: Style) -> String {
    let mut out = String::new();
    let path = &report.path;
    if let Some(error) = &report.error {
        out.push_str(&format!("{} {error}\n", style.red("failed:")));
    }
    for refused in &report.rejections {
        let rows = plural(refused.rows, "row");
        out.push_str(&format!(
            "{} {path}: {rows} refused, the first: {}\n",
            style.yellow("note:"),
            refused.first
        ));
    }
    if report.unfinished > 0 {
        let klines = plural(report.unfinished, "kline");
        out.push_str(&format!("{} {path}: {klines} not finished yet, left out\n", style.yellow("note:")));
    }
    for difference in &report.differences {
        out.push_str(&format!("  differs  {difference}\n"));
    }
    let left = report.differing - report.differences.len() as u64;
    if left > 0 {
        out.push_str(&format!("  … and {} more\n", grouped(left)));
    }
    if report.differing > 0 && !options.replace {
        out.push_str(&format!(
            "  {} klines verify tells who is right; --replace takes the file's values\n",
            style.bold("hint:")
        ));
    }
    out
}

//! `klines report`: the state of a store as one page.

use std::path::Path;
use std::process::ExitCode;

use dashboard::coverage::{detailed, range_of};
use dashboard::report::{Part, Report, html};
use dashboard::runs::Run;
use kline::Series;
use pipeline::certify::notes;
use store::{KlineStore, Store};

use super::gaps::{Clocks, records};
use super::jobs::{open_read_only, wall_clock};
use super::show::masked;
use crate::args::ReportArgs;
use crate::error::CliError;
use crate::settings::Settings;
use crate::ui::{self, plural};

/// Runs that are listed.
const RUNS: usize = 50;

/// Writes the page.
pub async fn run(settings: &Settings, args: &ReportArgs) -> Result<ExitCode, CliError> {
    let url = settings.store_url()?;
    let store = open_read_only(&url).await?;
    let mut clocks = Clocks::new(settings)?;
    let mut series = Vec::new();
    for record in records(settings, &store).await? {
        let slots = clocks.range(settings, &record).await?;
        let (coverage, absent) = detailed(&store, &record.series, slots).await?;
        let certified = notes::state(&store, &record.series, range_of(&record, None)).await?;
        let rows = record.extent.map_or(0, |extent| extent.rows);
        series.push(Part { coverage, absent, rows, certified });
    }
    let named: Vec<_> = series.iter().map(|part| &part.coverage.series).collect();
    let all = settings.series()?.is_none();
    let runs = newest_runs(&store, if all { None } else { Some(&named) }).await?;
    store.close().await?;
    let range = match (settings.since(false)?, settings.until()?) {
        (pipeline::Since::At(since) | pipeline::Since::Begin(since), Some(until)) => {
            format!("from {} to {}", since.minute(), until.minute())
        }
        (pipeline::Since::At(since) | pipeline::Since::Begin(since), None) => {
            format!("from {}", since.minute())
        }
        (_, Some(until)) => format!("until {}", until.minute()),
        _ => {
            "from the first stored kline to the last closed one, as far as the exchange could be asked".into()
        }
    };
    let report = Report {
        store: masked(&url),
        made: wall_clock(),
        version: env!("CARGO_PKG_VERSION"),
        range,
        runs,
        limit: args.limit,
        series,
    };
    write(&args.html, &html(&report))?;
    if args.html != Path::new("-") {
        let missing = report.series.iter().map(|part| part.coverage.missing.len()).sum();
        let count = plural(report.series.len() as u64, "series").replace("seriess", "series");
        ui::out(&format!("{}: {count}, {} missing\n", args.html.display(), plural(missing, "kline")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest runs of all series, or of those named.
async fn newest_runs(store: &Store, named: Option<&[&Series]>) -> Result<Vec<Run>, CliError> {
    let mut found = match named {
        None => store.runs(None, RUNS).await?,
        Some(named) => {
            let mut found = Vec::new();
            for series in named {
                found.extend(store.runs(Some(series), RUNS).await?);
            }
            found
        }
    };
    found.sort_by_key(|run| std::cmp::Reverse(run.ended));
    found.truncate(RUNS);
    Ok(found.into_iter().map(Run::of).collect())
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    if path == Path::new("-") {
        return ui::out(text);
    }
    std::fs::write(path, text)
        .map_err(|source| CliError::Io { doing: format!("write {}", path.display()), source })?;
    Ok(())
}

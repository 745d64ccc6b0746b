//! `klines status`: every stored series at a glance.

use std::process::ExitCode;

use kline::SlotRange;
use serde_json::{Value, json};
use store::{KlineStore, SeriesRun};

use super::gaps::{Coverage, coverage, records};
use super::jobs::{open_read_only, wall_clock};
use crate::args::{OutputFormat, StatusArgs};
use crate::error::CliError;
use crate::settings::Settings;
use crate::signals::Stop;
use crate::ui::table::{Align, Column, fit, widest};
use crate::ui::watch::watch;
use crate::ui::{self, Style, grouped, percent, span};

struct Row {
    coverage: Coverage,
    rows: u64,
    last_run: Option<SeriesRun>,
}

/// Shows range, completeness and last run of every stored series (or of those named).
pub async fn run(settings: &Settings, args: &StatusArgs) -> Result<ExitCode, CliError> {
    let output = settings.output()?;
    let json = |found: &[Row]| json!({ "series": found.iter().map(as_json).collect::<Vec<_>>() });
    if let Some(every) = args.watch {
        return watch(every, output, &Stop::listen()?, async || {
            let found = look(settings).await?;
            Ok(if output == OutputFormat::Json {
                format!("{}\n", json(&found))
            } else {
                human(&found, Style::stdout(), ui::width(), ui::table_width())
            })
        })
        .await;
    }
    let found = look(settings).await?;
    if output == OutputFormat::Json {
        ui::out(&format!("{:#}\n", json(&found)))?;
    } else {
        ui::out(&human(&found, Style::stdout(), ui::width(), ui::table_width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(settings: &Settings) -> Result<Vec<Row>, CliError> {
    let store = open_read_only(&settings.store_url()?).await?;
    let mut found = Vec::new();
    for record in records(settings, &store).await? {
        let interval = record.series.interval;
        let slots = record.extent.map_or(SlotRange::new(0, 0), |extent| {
            SlotRange::new(interval.slot_of(extent.first), interval.slot_of(extent.last) + 1)
        });
        found.push(Row {
            coverage: coverage(&store, &record.series, slots, false).await?,
            rows: record.extent.map_or(0, |extent| extent.rows),
            last_run: store.runs(Some(&record.series), 1).await?.pop(),
        });
    }
    store.close().await?;
    Ok(found)
}

fn as_json(row: &Row) -> Value {
    let c = &row.coverage;
    let time = c.series.interval.time_range(c.slots);
    let known = |text: String| if c.slots.is_empty() { Value::Null } else { Value::String(text) };
    json!({
        "market": c.series.market.as_str(),
        "symbol": c.series.symbol.as_str(),
        "interval": c.series.interval.as_str(),
        "since": known(time.since.to_string()),
        "until": known(time.until.to_string()),
        "expected": c.slots.len(),
        "stored": row.rows,
        "absent": c.absent.len(),
        "missing": c.missing.len(),
        "gaps": c.missing.runs(),
        "last_run": row.last_run.as_ref().map(|run| json!({
            "run": run.run,
            "job": run.job,
            "started": run.started.to_string(),
            "ended": run.ended.to_string(),
            "outcome": run.outcome.as_str(),
        })),
    })
}

/// Columns in their order, and which of them go first where there is no room.
const COLUMNS: [Column; 9] = [
    Column { title: "series", align: Align::Left, rank: 0 },
    Column { title: "first", align: Align::Left, rank: 5 },
    Column { title: "last", align: Align::Left, rank: 3 },
    Column { title: "klines", align: Align::Right, rank: 4 },
    Column { title: "complete", align: Align::Right, rank: 0 },
    Column { title: "missing", align: Align::Right, rank: 1 },
    Column { title: "gaps", align: Align::Right, rank: 6 },
    Column { title: "absent", align: Align::Right, rank: 7 },
    Column { title: "last run", align: Align::Left, rank: 2 },
];

fn human(found: &[Row], style: Style, width: usize, table_width: usize) -> String {
    if found.is_empty() {
        return "nothing is stored yet: klines extract or klines fill-gaps --since brings it in\n".into();
    }
    let mut out = table(found, table_width);
    out.push('\n');
    let coverages: Vec<_> = found.iter().map(|row| &row.coverage).collect();
    out.push_str(&super::gaps::draw(&coverages, style, width));
    out
}

/// The table in full if it fits, else in shorter words, else with fewer columns. Numbers are never cut.
fn table(found: &[Row], width: usize) -> String {
    let rows = |short: bool| found.iter().map(|row| cells(row, short)).collect::<Vec<_>>();
    let full = fit(&COLUMNS, &rows(false), usize::MAX);
    if widest(&full) <= width { full } else { fit(&COLUMNS, &rows(true), width) }
}

fn cells(row: &Row, short: bool) -> Vec<String> {
    let c = &row.coverage;
    let interval = c.series.interval;
    let open = |slot| match (c.slots.is_empty(), interval.slot_start(slot)) {
        (true, _) => "-".to_owned(),
        (_, at) if short => at.date(),
        (_, at) => at.minute(),
    };
    vec![
        c.series.to_string(),
        open(c.slots.start),
        open(c.slots.end - 1),
        grouped(row.rows),
        percent(c.stored() + c.absent.len(), c.slots.len()),
        grouped(c.missing.len()),
        grouped(c.missing.runs() as u64),
        grouped(c.absent.len()),
        last_run(row.last_run.as_ref(), short),
    ]
}

fn last_run(run: Option<&SeriesRun>, short: bool) -> String {
    let Some(run) = run else { return "-".into() };
    let ago = u64::try_from(wall_clock().0 - run.ended.0).unwrap_or(0);
    let job = if short { String::new() } else { format!("{} ", run.job) };
    format!("{job}{}, {} ago", run.outcome, span(ago))
}

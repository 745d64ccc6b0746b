//! `klines status`: every stored series at a glance.

use std::process::ExitCode;

use kline::SlotRange;
use serde_json::{Value, json};
use store::{KlineStore, SeriesRun};

use super::gaps::{Coverage, coverage, records};
use super::jobs::{open_read_only, wall_clock};
use crate::args::OutputFormat;
use crate::error::CliError;
use crate::settings::Settings;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, percent, span};

struct Row {
    coverage: Coverage,
    rows: u64,
    last_run: Option<SeriesRun>,
}

/// Shows range, completeness and last run of every stored series (or of those named).
pub async fn run(settings: &Settings) -> Result<ExitCode, CliError> {
    let output = settings.output()?;
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
    if output == OutputFormat::Json {
        let series: Vec<_> = found.iter().map(as_json).collect();
        ui::out(&format!("{:#}\n", json!({ "series": series })))?;
    } else {
        ui::out(&human(&found, Style::stdout(), ui::width()))?;
    }
    Ok(ExitCode::SUCCESS)
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

fn human(found: &[Row], style: Style, width: usize) -> String {
    if found.is_empty() {
        return "nothing is stored yet: klines extract or klines fill-gaps --since brings it in\n".into();
    }
    let header = [
        ("series", Align::Left),
        ("first", Align::Left),
        ("last", Align::Left),
        ("klines", Align::Right),
        ("complete", Align::Right),
        ("missing", Align::Right),
        ("gaps", Align::Right),
        ("absent", Align::Right),
        ("last run", Align::Left),
    ];
    let row = |row: &Row| {
        let c = &row.coverage;
        let interval = c.series.interval;
        let open =
            |slot| if c.slots.is_empty() { "-".to_owned() } else { interval.slot_start(slot).minute() };
        vec![
            c.series.to_string(),
            open(c.slots.start),
            open(c.slots.end - 1),
            grouped(row.rows),
            percent(c.stored() + c.absent.len(), c.slots.len()),
            grouped(c.missing.len()),
            grouped(c.missing.runs() as u64),
            grouped(c.absent.len()),
            last_run(row.last_run.as_ref()),
        ]
    };
    let mut out = render(&header, &found.iter().map(row).collect::<Vec<_>>());
    out.push('\n');
    let coverages: Vec<_> = found.iter().map(|row| &row.coverage).collect();
    out.push_str(&super::gaps::draw(&coverages, style, width));
    out
}

fn last_run(run: Option<&SeriesRun>) -> String {
    let Some(run) = run else { return "-".into() };
    let ago = u64::try_from(wall_clock().0 - run.ended.0).unwrap_or(0);
    format!("{} {}, {} ago", run.job, run.outcome, span(ago))
}

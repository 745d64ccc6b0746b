//! `klines plan`: what is to be filled, cut into units that many workers share.

use std::process::ExitCode;

use binance::Client;
use events::WorkQueue;
use pipeline::{Job, WorkUnit};
use serde_json::json;
use store::KlineStore;

use super::jobs::{open_read_only, options_of};
use super::symbols;
use crate::args::{FetchArgs, OutputFormat, PlanArgs};
use crate::error::CliError;
use crate::observe;
use crate::settings::Settings;
use crate::ui::table::{Align, render};
use crate::ui::{self, grouped, plural};

/// The unit as it is put on the queue.
pub fn payload(unit: &WorkUnit) -> serde_json::Value {
    json!({
        "market": unit.series.market.as_str(),
        "symbol": unit.series.symbol.as_str(),
        "interval": unit.series.interval.as_str(),
        "since": unit.since.to_string(),
        "until": unit.until.to_string(),
        "missing": unit.missing,
    })
}

/// Cuts what is missing into units, and puts them on the queue if asked to.
pub async fn run(settings: &Settings, args: &PlanArgs) -> Result<ExitCode, CliError> {
    if args.unit == 0 {
        return Err(CliError::Usage {
            message: "--unit 0: a unit holds at least one kline".into(),
            hint: None,
        });
    }
    let output = settings.output()?;
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let series = symbols::resolve(settings, args.include_delisted, &client).await?;
    let options = options_of(settings, Job::FillGaps, &FetchArgs::default(), series, false)?;
    let store = open_read_only(&settings.store_url()?).await?;
    let units = pipeline::units(&store, &client, &options, args.unit).await?;
    store.close().await?;
    let mut repeated = 0u64;
    if args.publish {
        let queue = WorkQueue::open(&observe::nats(settings)?).await?;
        for unit in &units {
            // A subject's parts are separated by dots; a symbol may have any letters, but no dot and no blank.
            let s = &unit.series;
            let topic = format!("{}.{}.{}", s.market.as_str(), s.symbol.as_str(), s.interval.as_str());
            let id = format!("{topic}.{}.{}", unit.since.0, unit.until.0);
            if !queue.put(&id, &topic, payload(unit).to_string()).await? {
                repeated += 1;
            }
        }
        queue.close().await;
    }
    print(&units, args.publish, repeated, output)?;
    Ok(ExitCode::SUCCESS)
}

fn print(units: &[WorkUnit], published: bool, repeated: u64, output: OutputFormat) -> Result<(), CliError> {
    let missing: u64 = units.iter().map(|unit| unit.missing).sum();
    if output == OutputFormat::Json {
        let list: Vec<_> = units.iter().map(payload).collect();
        let all =
            json!({ "units": list, "missing": missing, "published": published, "already_there": repeated });
        return ui::out(&format!("{all:#}\n"));
    }
    let header =
        [("series", Align::Left), ("since", Align::Left), ("until", Align::Left), ("missing", Align::Right)];
    let row = |unit: &WorkUnit| {
        vec![unit.series.to_string(), unit.since.to_string(), unit.until.to_string(), grouped(unit.missing)]
    };
    let mut out = if units.is_empty() {
        String::new()
    } else {
        render(&header, &units.iter().map(row).collect::<Vec<_>>())
    };
    out.push_str(&format!("{} in {}", plural(missing, "missing kline"), plural(units.len() as u64, "unit")));
    out.push_str(match (published, repeated) {
        (false, _) => "; nothing published (--publish puts them on the queue)",
        (true, 0) => ", all on the queue",
        (true, _) => ", on the queue; some were there already",
    });
    ui::out(&format!("{out}\n"))
}

//! `klines export`: stored klines into files, a month at a time.

mod place;

use std::process::ExitCode;

use binance::archive::Period;
use files::{Format, name};
use kline::{Interval, Series, SlotRange};
use pipeline::certify::stored_slots;
use serde_json::json;
use store::{KlineStore, Store};

use self::place::{Exported, Place, Writing};
use super::Context;
use super::certify::asked;
use super::gaps::records;
use super::jobs::open_read_only;
use crate::args::{ExportArgs, ExportFormat, OutputFormat};
use crate::error::CliError;
use crate::signals::Stop;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural};

/// Klines read and written at once.
const PAGE: usize = 5000;

/// The files of one series.
struct Done {
    series: Series,
    files: Vec<Exported>,
}

impl Done {
    fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

/// Writes every month of every series named, or stored.
pub async fn run(context: &Context, args: &ExportArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let place = Place::of(settings, &args.out)?;
    let store = open_read_only(&settings.store_url()?).await?;
    place.check().await?;
    let mut done: Vec<Done> = Vec::new();
    for record in records(settings, &store).await? {
        let series = record.series;
        let Some(stored) = stored_slots(&store, &series).await? else {
            return Err(CliError::Usage {
                message: format!("nothing is stored of {series}, so there is nothing to write"),
                hint: Some(
                    "check the symbol, the interval and --store: klines status shows what is stored".into(),
                ),
            });
        };
        let (since, until) = asked(settings, &series)?;
        let slots = SlotRange::new(since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX)).intersect(&stored);
        let mut exported = Done { series, files: Vec::new() };
        for (month, slots) in months(exported.series.interval, slots) {
            if stop.token.is_cancelled() {
                break;
            }
            exported
                .files
                .extend(self::month(&store, &exported.series, month, slots, args.format, &place).await?);
        }
        tracing::info!(series = %exported.series, "{} in {}", plural(exported.rows(), "kline"), plural(exported.files.len() as u64, "file"));
        done.push(exported);
        if stop.token.is_cancelled() {
            break;
        }
    }
    store.close().await?;
    match output {
        OutputFormat::Json => ui::out(&format!("{:#}\n", as_json(&done, &place)))?,
        OutputFormat::Human => ui::out(&human(&done, &place, Style::stdout()))?,
    }
    Ok(ExitCode::from(stop.exit_code().unwrap_or(0)))
}

/// The months of a range, and the slots of it that begin in each.
fn months(interval: Interval, slots: SlotRange) -> impl Iterator<Item = (Period, SlotRange)> {
    let month = |slot| Interval::Mo1.slot_of(interval.slot_start(slot));
    let all = if slots.is_empty() { 0..0 } else { month(slots.start)..month(slots.end - 1) + 1 };
    all.map(Period::Month)
        .map(move |period| (period, interval.slots_starting_in(period.range()).intersect(&slots)))
}

/// Writes one month; `None` when nothing of it is stored.
async fn month(
    store: &Store,
    series: &Series,
    month: Period,
    slots: SlotRange,
    format: ExportFormat,
    place: &Place,
) -> Result<Option<Exported>, CliError> {
    let format = match format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Parquet => Format::Parquet,
    };
    let mut writing: Option<Writing<'_>> = None;
    let mut after = None;
    loop {
        let page = store.read(series, slots, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.open_time);
        let out = match &mut writing {
            Some(out) => out,
            None => writing.insert(place.begin(name::path_of(series, month, format), series, format)?),
        };
        out.write(&page)?;
    }
    match writing {
        Some(writing) => Ok(Some(writing.finish().await?)),
        None => Ok(None),
    }
}

fn as_json(done: &[Done], place: &Place) -> serde_json::Value {
    let file = |f: &Exported| json!({"path": f.path, "klines": f.rows, "bytes": f.bytes});
    let one = |e: &Done| {
        json!({
            "market": e.series.market.as_str(), "symbol": e.series.symbol.as_str(),
            "interval": e.series.interval.as_str(), "klines": e.rows(), "bytes": e.bytes(),
            "files": e.files.iter().map(file).collect::<Vec<_>>(),
        })
    };
    json!({
        "job": "export",
        "out": place.to_string(),
        "series": done.iter().map(one).collect::<Vec<_>>(),
        "totals": {
            "klines": done.iter().map(Done::rows).sum::<u64>(),
            "files": done.iter().map(|e| e.files.len()).sum::<usize>(),
            "bytes": done.iter().map(Done::bytes).sum::<u64>(),
        },
    })
}

fn human(done: &[Done], place: &Place, style: Style) -> String {
    if done.is_empty() {
        return "nothing is stored yet, so there is nothing to write\n".into();
    }
    let header =
        [("series", Align::Left), ("klines", Align::Right), ("files", Align::Right), ("bytes", Align::Right)];
    let row = |e: &Done| {
        vec![e.series.to_string(), grouped(e.rows()), grouped(e.files.len() as u64), grouped(e.bytes())]
    };
    let mut out = render(&header, &done.iter().map(row).collect::<Vec<_>>());
    let klines = plural(done.iter().map(Done::rows).sum(), "kline");
    out.push_str(&format!("{}: {klines} below {place}\n", style.green("done")));
    out
}

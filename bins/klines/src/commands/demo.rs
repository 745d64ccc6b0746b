//! `klines demo`: the incident in a minute, offline.
//!
//! Everything is real but the exchange's data: a local exchange answers over HTTP with Binance's weights and limits, a
//! store on disk lacks as many klines as the incident's did, the same job that runs in production fills it, and the
//! proof is plain SQL on the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use binance::{Client, ClientConfig, Endpoints};
use exchange_sim::{Config, DataSource, Faults, Now, Sim};
use kline::{Interval, Market, Millis, RangeSet, Series, SlotRange, Symbol};
use pipeline::{Job, Options, Report, Since};
use store::{Chunk, KlineStore, Store};

use super::Context;
use super::gaps::{Coverage, coverage, draw};
use super::jobs::{print, wall_clock};
use crate::args::{DemoArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::{self, Style, grouped, plural};

const INTERVAL: Interval = Interval::M5;
/// 2025-09-12T00:00:00Z.
const SINCE: Millis = Millis(1_757_635_200_000);
/// 2025-10-21T02:00:00Z: the night the incident was mended.
const UNTIL: Millis = Millis(1_761_012_000_000);

/// A symbol and its holes: start, counted from the beginning of the range, and length in klines.
type Holes = (&'static str, &'static [(i64, i64)]);

/// The incident's figures, 2479 and 2482, in every shape a gap can have: at the start, single klines, a day, runs longer
/// than the largest page, up to the end.
const HOLES: [Holes; 2] = [
    (
        "BTCUSDT",
        &[
            (0, 150),
            (700, 1),
            (703, 1),
            (1000, 12),
            (2000, 1300),
            (4000, 1),
            (5000, 499),
            (7000, 288),
            (11_029, 227),
        ],
    ),
    (
        "ETHUSDT",
        &[(0, 1), (300, 96), (1200, 1), (2500, 1600), (4800, 288), (6000, 1), (8200, 244), (11_005, 251)],
    ),
];

/// Tells the story from the holes to the proof.
pub async fn run(context: &Context, args: &DemoArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let output = context.settings.output()?;
    let human = output == OutputFormat::Human;
    let style = Style::stdout();
    let say = |text: String| if human { ui::out(&text) } else { Ok(()) };
    let folder = tempfile::tempdir()
        .map_err(|source| CliError::Io { doing: "make a folder for the demo".into(), source })?;
    let file = store_file(args, folder.path())?;

    say(format!("{}\n", style.bold("1. A local exchange, and a store with the incident's holes")))?;
    let sim = start_exchange().await?;
    say(format!("   exchange  {} (made-up prices, Binance's weights and limits)\n", sim.url()))?;
    say(format!("   store     sqlite://{}\n\n", file.display()))?;
    let client = client(&sim)?;
    let store = Store::open(&format!("sqlite://{}", file.display())).await?;
    let series = series()?;
    for (series, (_, holes)) in series.iter().zip(HOLES) {
        stock(&store, &client, series, holes).await?;
    }
    sim.control().reset_stats();
    say(show_map(&store, &series, style).await?)?;

    say(format!("\n{}\n\n", style.bold("2. Fill every gap")))?;
    let since = SINCE.date();
    say(format!("   klines fill-gaps --symbols BTCUSDT,ETHUSDT --intervals 5m --since {since}\n\n"))?;
    let options = Options { since: Since::At(SINCE), ..Options::new(Job::FillGaps, series.clone()) };
    let progress = Progress::new(human && context.bars, &context.log);
    let report = pipeline::run(&store, &client, &options, &progress, wall_clock(), &stop.token).await?;
    print(&report, output)?;

    say(format!("\n{}\n\n", style.bold("3. The map whole again")))?;
    say(show_map(&store, &series, style).await?)?;
    store.close().await?;

    say(format!("\n{}\n\n", style.bold("4. The proof: counted by plain SQL in the file")))?;
    let proven = prove(&file, &series, &report, &say)?;
    sim.shutdown().await;
    if let Some(kept) = &args.keep {
        say(format!("\nkept: klines status --store sqlite://{}\n", kept.display()))?;
    }
    let code = match (stop.exit_code(), proven && report.outcome == "complete") {
        (Some(code), _) => code,
        (None, true) => 0,
        (None, false) => exit::FAILED,
    };
    Ok(ExitCode::from(code))
}

fn store_file(args: &DemoArgs, folder: &Path) -> Result<PathBuf, CliError> {
    match &args.keep {
        Some(path) if path.exists() => Err(CliError::Usage {
            message: format!("--keep: {} exists already", path.display()),
            hint: Some("the demo makes a store of its own: name a new file".into()),
        }),
        Some(path) => Ok(path.clone()),
        None => Ok(folder.join("demo.db")),
    }
}

fn series() -> Result<Vec<Series>, CliError> {
    let make = |(symbol, _): Holes| {
        let symbol = Symbol::new(symbol).map_err(|error| CliError::usage(error.to_string()))?;
        Series::new(Market::Um, symbol, INTERVAL).map_err(|error| CliError::usage(error.to_string()))
    };
    HOLES.into_iter().map(make).collect()
}

/// The exchange stands still at the end of the range, so the demo is the same whenever it runs; answers take as long as
/// they would from afar.
async fn start_exchange() -> Result<Sim, CliError> {
    let listed = SINCE.plus(-400 * 86_400_000);
    let data = series()?
        .into_iter()
        .map(|s| DataSource::Synthetic {
            market: s.market,
            symbol: s.symbol,
            from: listed,
            until: None,
            seed: 7,
        })
        .collect();
    let faults = Faults { latency_ms: 120, ..Faults::default() };
    Sim::start(Config { data, now: Now::From(UNTIL), faults, ..Config::default() })
        .await
        .map_err(|error| CliError::Failed { message: error.to_string(), hint: None })
}

fn client(sim: &Sim) -> Result<Client, CliError> {
    let url = sim.url();
    let endpoints = Endpoints { um: url.clone(), cm: url.clone(), spot: url };
    let config = ClientConfig { endpoints, ..ClientConfig::default() };
    Ok(Client::new(config).map_err(pipeline::JobError::from)?)
}

fn slots() -> SlotRange {
    SlotRange::new(INTERVAL.slot_of(SINCE), INTERVAL.slot_of(UNTIL))
}

/// Stores the whole range but the holes.
async fn stock(
    store: &Store,
    client: &Client,
    series: &Series,
    holes: &[(i64, i64)],
) -> Result<(), CliError> {
    let all = slots();
    let holes: RangeSet =
        holes.iter().map(|&(at, len)| SlotRange::new(all.start + at, all.start + at + len)).collect();
    let lease = store.acquire(series, "demo", std::time::Duration::from_secs(60)).await?;
    let mut at = all.start;
    while at < all.end {
        let window = SlotRange::new(at, (at + 1000).min(all.end));
        let mut page = client.klines(series, window).await.map_err(pipeline::JobError::from)?;
        page.rows.retain(|kline| !holes.contains(INTERVAL.slot_of(kline.open_time)));
        store.commit(&lease, &Chunk { run: "demo".into(), klines: page.rows, ..Chunk::default() }).await?;
        at = window.end;
    }
    store.release(&lease).await?;
    Ok(())
}

async fn show_map(store: &Store, series: &[Series], style: Style) -> Result<String, CliError> {
    let mut found: Vec<Coverage> = Vec::new();
    for series in series {
        found.push(coverage(store, series, slots(), false).await?);
    }
    let map = draw(&found.iter().collect::<Vec<_>>(), style, ui::width().saturating_sub(3));
    Ok(map.lines().map(|line| format!("   {line}\n")).collect())
}

/// Opens the file anew and counts, the way anybody can.
fn prove(
    file: &Path,
    series: &[Series],
    report: &Report,
    say: &dyn Fn(String) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let failed =
        |error: rusqlite::Error| CliError::Failed { message: format!("cannot count: {error}"), hint: None };
    let connection = rusqlite::Connection::open(file).map_err(failed)?;
    let mut proven = true;
    for (series, filled) in series.iter().zip(&report.series) {
        let sql = format!(
            "SELECT count(*) FROM klines_{} WHERE market = '{}' AND symbol = '{}'",
            series.interval.suffix(),
            series.market,
            series.symbol
        );
        let rows: u64 = connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .map(|rows| u64::try_from(rows).unwrap_or(0))
            .map_err(failed)?;
        let expected = slots().len();
        let right = rows == expected && filled.written == filled.missing_before;
        proven &= right;
        let mark = if right { Style::stdout().green("✔") } else { Style::stdout().red("✘") };
        say(format!("   sqlite> {sql};\n   {rows}\n"))?;
        say(format!(
            "   {mark} {}: {} by the calendar, {} in the file, {} of them filled just now\n",
            series,
            plural(expected, "kline"),
            grouped(rows),
            grouped(filled.written)
        ))?;
    }
    Ok(proven)
}

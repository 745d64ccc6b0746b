//! `klines gaps`: what is missing, as a map and as a list. Works without the exchange.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use binance::{Client, ClientConfig};
use kline::{Market, Millis, RangeSet, Series, SlotRange};
use pipeline::Since;
use serde_json::{Value, json};
use store::types::absent_slots;
use store::{KlineStore, SeriesRecord, Store};

use super::jobs::{open_read_only, wall_clock};
use super::symbols::Patterns;
use crate::args::{GapsArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::settings::Settings;
use crate::signals::Stop;
use crate::ui::table::{Align, Column, fit};
use crate::ui::watch::watch;
use crate::ui::{self, Style, grouped, map, percent, plural, span};

/// What is known of one series.
pub struct Coverage {
    pub series: Series,
    pub slots: SlotRange,
    pub missing: RangeSet,
    pub absent: RangeSet,
}

impl Coverage {
    /// Filled slots.
    pub fn stored(&self) -> u64 {
        self.slots.len() - self.missing.len() - self.absent.len()
    }
}

/// Lists the gaps of the series named, or of all that are stored.
pub async fn run(settings: &Settings, args: &GapsArgs) -> Result<ExitCode, CliError> {
    let output = settings.output()?;
    let mut clocks = Clocks::new(settings)?;
    if let Some(every) = args.watch {
        let stop = Stop::listen()?;
        return watch(every, output, &stop, async || {
            let found = look(settings, &mut clocks, false).await?;
            Ok(if output == OutputFormat::Json {
                format!("{}\n", as_json(&found))
            } else {
                human(&found, args.limit, Style::stdout(), ui::width())
            })
        })
        .await;
    }
    let found = look(settings, &mut clocks, args.recount).await?;
    if output == OutputFormat::Json {
        ui::out(&format!("{:#}\n", as_json(&found)))?;
    } else {
        ui::out(&human(&found, args.limit, Style::stdout(), ui::width()))?;
    }
    let any = found.iter().any(|c| !c.missing.is_empty());
    Ok(ExitCode::from(if any { exit::INCOMPLETE } else { 0 }))
}

/// What every series asked for holds.
async fn look(settings: &Settings, clocks: &mut Clocks, recount: bool) -> Result<Vec<Coverage>, CliError> {
    let url = settings.store_url()?;
    // Counting the rows mends the store's own books on the way.
    let store = if recount { Store::open(&url).await? } else { open_read_only(&url).await? };
    let mut found = Vec::new();
    for record in records(settings, &store).await? {
        let slots = clocks.range(settings, &record).await?;
        found.push(coverage(&store, &record.series, slots, recount).await?);
    }
    store.close().await?;
    Ok(found)
}

/// The series named, whether stored or not; those stored that match a pattern; or else all that are stored.
pub async fn records(settings: &Settings, store: &Store) -> Result<Vec<SeriesRecord>, CliError> {
    if let Some(patterns) = Patterns::of(settings) {
        let (market, intervals) = (settings.market()?, settings.intervals()?);
        let mut stored = store.all_series().await?;
        let all = stored.len() as u64;
        stored.retain(|record| {
            let series = &record.series;
            let of_interval = intervals.as_ref().is_none_or(|named| named.contains(&series.interval));
            series.market == market && of_interval && patterns.matches(&series.symbol)
        });
        if stored.is_empty() && all > 0 {
            return Err(CliError::Usage {
                message: format!(
                    "none of the {all} stored series is of {market} and matches {}",
                    patterns.text()
                ),
                hint: Some("klines status shows what is stored; --market chooses the market".into()),
            });
        }
        return Ok(stored);
    }
    let Some(named) = settings.series()? else { return Ok(store.all_series().await?) };
    let mut records = Vec::new();
    for series in named {
        let stored = store.series(&series).await?;
        records.push(stored.unwrap_or(SeriesRecord { series, listed: None, extent: None }));
    }
    Ok(records)
}

/// From `--since` or the first stored kline to `--until` or the last closed one; when the exchange's clock is out of reach,
/// to the last stored one.
fn range(settings: &Settings, record: &SeriesRecord, now: Option<Millis>) -> Result<SlotRange, CliError> {
    let series = &record.series;
    let interval = series.interval;
    let up = |at: Millis| interval.slot_of(at) + i64::from(!interval.is_aligned(at));
    let (since, until) = (settings.since(false)?, settings.until()?);
    let start = match (since, record.extent, record.listed) {
        (Since::At(since) | Since::Begin(since), _, _) => {
            if let Some(until) = until.filter(|until| *until <= since) {
                let words = format!("--until {until} is not after --since {since}: the range is empty");
                return Err(CliError::usage(words));
            }
            if let Some(now) = now.filter(|now| *now <= since) {
                let words = format!("--since {since} lies in the future: the exchange's clock says {now}");
                return Err(CliError::usage(words));
            }
            up(since)
        }
        (Since::Listing, _, Some(listed)) => interval.slot_of(listed),
        (_, Some(extent), _) => interval.slot_of(extent.first),
        (_, None, _) => {
            return Err(CliError::Usage {
                message: format!("nothing is stored of {series}, so it cannot be said what is missing"),
                hint: Some(
                    "check the symbol, the interval and --store, or say where to begin: --since".into(),
                ),
            });
        }
    };
    let last_stored = record.extent.map_or(start, |extent| interval.slot_of(extent.last) + 1);
    let end = match (until, now) {
        (Some(until), Some(now)) if now < until => {
            let words = format!("--until {until} lies in the future: the exchange's clock says {now}");
            return Err(CliError::usage(words));
        }
        (Some(until), _) => up(until),
        (None, Some(now)) => interval.first_open_slot(now),
        (None, None) => last_stored,
    };
    Ok(SlotRange::new(start, end.max(start)))
}

/// The exchange's clock, asked once per market and not for long: a report of gaps must not hang on a silent network.
pub struct Clocks {
    client: Client,
    known: BTreeMap<Market, Option<Millis>>,
}

impl Clocks {
    /// Asks nobody yet.
    pub fn new(settings: &Settings) -> Result<Self, CliError> {
        let config = settings.client()?;
        let timeout = config.timeout.min(Duration::from_secs(3));
        let config = ClientConfig { attempts: 1, timeout, ..config };
        let client = Client::new(config).map_err(pipeline::JobError::from)?;
        Ok(Self { client, known: BTreeMap::new() })
    }

    /// The range of a series that is looked at.
    pub async fn range(&mut self, settings: &Settings, record: &SeriesRecord) -> Result<SlotRange, CliError> {
        // An end that lies days back needs no clock to be closed.
        let settled = settings.until()?.is_some_and(|until| until < wall_clock().plus(-2 * 86_400_000));
        let now = if settled { None } else { self.now(record.series.market).await };
        range(settings, record, now)
    }

    /// `None`, with a word of warning, when the exchange is out of reach.
    async fn now(&mut self, market: Market) -> Option<Millis> {
        if let Some(known) = self.known.get(&market) {
            return *known;
        }
        let asked = tokio::time::timeout(Duration::from_secs(4), self.client.now(market)).await;
        let why = match asked {
            Ok(Ok(now)) => {
                self.known.insert(market, Some(now));
                return Some(now);
            }
            Ok(Err(error)) => pipeline::error::chain(&error),
            Err(_) => "no answer within 4 s".to_owned(),
        };
        tracing::warn!(
            "{market}: the exchange's clock is out of reach, so gaps end with the last stored kline: {why}"
        );
        self.known.insert(market, None);
        None
    }
}

/// Asks the store what a range holds.
pub async fn coverage(
    store: &Store,
    series: &Series,
    slots: SlotRange,
    recount: bool,
) -> Result<Coverage, CliError> {
    let open =
        if recount { store.recount(series, slots).await? } else { store.missing(series, slots).await? };
    let absent = absent_slots(&store.absent(series, slots).await?).clip(slots).intersection(&open);
    Ok(Coverage { series: series.clone(), slots, missing: open.difference(&absent), absent })
}

fn as_json(found: &[Coverage]) -> Value {
    let gap = |c: &Coverage, run: &SlotRange| {
        let time = c.series.interval.time_range(*run);
        json!({"since": time.since.to_string(), "until": time.until.to_string(), "klines": run.len()})
    };
    let one = |c: &Coverage| {
        let time = c.series.interval.time_range(c.slots);
        json!({
            "market": c.series.market.as_str(),
            "symbol": c.series.symbol.as_str(),
            "interval": c.series.interval.as_str(),
            "since": time.since.to_string(),
            "until": time.until.to_string(),
            "expected": c.slots.len(),
            "stored": c.stored(),
            "absent": c.absent.len(),
            "missing": c.missing.len(),
            "gaps": c.missing.ranges().iter().map(|run| gap(c, run)).collect::<Vec<_>>(),
        })
    };
    let sum = |of: fn(&Coverage) -> u64| found.iter().map(of).sum::<u64>();
    json!({
        "series": found.iter().map(one).collect::<Vec<_>>(),
        "totals": {
            "expected": sum(|c| c.slots.len()),
            "stored": sum(Coverage::stored),
            "absent": sum(|c| c.absent.len()),
            "missing": sum(|c| c.missing.len()),
            "gaps": sum(|c| c.missing.runs() as u64),
        },
    })
}

fn human(found: &[Coverage], limit: Option<usize>, style: Style, width: usize) -> String {
    if found.is_empty() {
        return "nothing is stored yet: klines extract or klines fill-gaps --since brings it in\n".into();
    }
    let mut out = draw(&found.iter().collect::<Vec<_>>(), style, width);
    for coverage in found.iter().filter(|c| !c.missing.is_empty()) {
        out.push_str(&format!("\n{}\n", style.bold(&coverage.series.to_string())));
        out.push_str(&list(coverage, limit));
    }
    let missing: u64 = found.iter().map(|c| c.missing.len()).sum();
    let gaps: u64 = found.iter().map(|c| c.missing.runs() as u64).sum();
    out.push_str(&match missing {
        0 => format!("\n{}: no gaps\n", style.green("complete")),
        _ => format!("\n{} missing in {}\n", plural(missing, "kline"), plural(gaps, "gap")),
    });
    out
}

/// Fewest cells of a map.
const FEWEST: usize = 8;

/// The coverage map of several series, as wide as the terminal and no wider.
pub fn draw(found: &[&Coverage], style: Style, width: usize) -> String {
    let names: Vec<_> = found.iter().map(|c| c.series.to_string()).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let share = |c: &Coverage| format!(" {:>6}", percent(c.stored() + c.absent.len(), c.slots.len()));
    let missing = |c: &Coverage| match c.missing.len() {
        0 => String::new(),
        n => format!("  {} missing", grouped(n)),
    };
    let most =
        |of: &dyn Fn(&Coverage) -> String| found.iter().map(|c| of(c).chars().count()).max().unwrap_or(0);
    let (share_width, missing_width) = (most(&share), most(&missing));
    let left = width.saturating_sub(name_width + 2 + share_width);
    // How many are missing is in the lists, too: the map keeps its room first.
    let with_missing = left >= missing_width + 24;
    let cells = left.saturating_sub(if with_missing { missing_width } else { 0 }).max(FEWEST);
    let mut out = String::new();
    let mut axis = String::new();
    for (c, name) in found.iter().zip(&names) {
        let line = map::axis(&c.series, c.slots, cells.min(usize::try_from(c.slots.len()).unwrap_or(cells)));
        if line != axis && !c.slots.is_empty() {
            out.push_str(&style.dim(&format!("{:name_width$}  {line}", "")));
            out.push('\n');
            axis = line;
        }
        let cells = map::row(c.slots, &c.missing, &c.absent, cells, style);
        let missing = if with_missing { missing(c) } else { String::new() };
        out.push_str(&format!("{name:name_width$}  {cells}{}{missing}\n", share(c)));
    }
    out.push_str(&map::legend(style, name_width + 2, width));
    out.push('\n');
    out
}

fn list(c: &Coverage, limit: Option<usize>) -> String {
    let column = |title, align, rank| Column { title, align, rank };
    let columns = [
        column("from", Align::Left, 0),
        column("to", Align::Left, 2),
        column("klines", Align::Right, 0),
        column("time", Align::Right, 1),
    ];
    let shown = limit.unwrap_or(usize::MAX);
    let row = |run: &SlotRange| {
        let time = c.series.interval.time_range(*run);
        let length = u64::try_from(time.until.0 - time.since.0).unwrap_or(0);
        vec![time.since.minute(), time.until.minute(), grouped(run.len()), span(length)]
    };
    let rows: Vec<_> = c.missing.ranges().iter().take(shown).map(row).collect();
    let mut out = fit(&columns, &rows, ui::table_width());
    let left = c.missing.runs().saturating_sub(shown);
    if left > 0 {
        out.push_str(&format!("… and {} more (--limit {shown})\n", grouped(left as u64)));
    }
    out
}

//! `klines certify`: what is stored, month by month, with digests that are the same wherever klines are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use futures_util::{StreamExt, stream};
use kline::{Millis, RangeSet, Series, SlotRange};
use pipeline::certify::{self, Certificate, Change, Incremental, SeriesCertificate, Tally};
use pipeline::{JobError, Since};
use serde_json::json;
use store::{KlineStore, Store};

use super::gaps::records;
use super::jobs::{open_read_only, wall_clock};
use super::sources;
use super::symbols::Patterns;
use crate::args::{CertifyArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::settings::Settings;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural};

/// Series read at once: enough that two threads have work while others wait for pages.
const AT_ONCE: usize = 4;

/// Makes a certificate, or compares with one.
pub async fn run(settings: &Settings, args: &CertifyArgs) -> Result<ExitCode, CliError> {
    let output = settings.output()?;
    if let Some(path) = &args.check {
        return check(settings, args, path, output).await;
    }
    let series = match args.from.is_empty() {
        true => of_store(settings, args).await?,
        false => of_files(settings, args, None).await?,
    };
    let certificate = Certificate::new(if args.from.is_empty() { "store" } else { "files" }, series);
    let text = format!("{}\n", pretty(&certificate)?);
    if let Some(path) = &args.out {
        write(path, &text)?;
    }
    match output {
        OutputFormat::Json => ui::out(&text)?,
        OutputFormat::Human => ui::out(&human(&certificate, args.out.as_deref()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pretty(value: &impl serde::Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map_err(|error| CliError::Failed {
        message: format!("cannot render the certificate: {error}"),
        hint: None,
    })
}

/// Whole or not at all: a certificate cut short would be taken for a lesser one.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    fs::write(&part, text)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|source| CliError::Io { doing: format!("write {}", path.display()), source })
}

/// The range that the settings name, as far as they do.
pub fn asked(settings: &Settings, series: &Series) -> Result<(Option<i64>, Option<i64>), CliError> {
    let interval = series.interval;
    let up = |at: Millis| interval.slot_of(at) + i64::from(!interval.is_aligned(at));
    let since = match settings.since(false)? {
        Since::At(since) | Since::Begin(since) => Some(since),
        _ => None,
    };
    let until = settings.until()?;
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        return Err(CliError::usage(format!(
            "--until {until} is not after --since {since}: the range is empty"
        )));
    }
    Ok((since.map(up), until.map(up)))
}

/// The store, and what is read of it.
struct Reading {
    store: Store,
    incremental: bool,
    read: u64,
    reused: u64,
}

impl Reading {
    async fn open(settings: &Settings, args: &CertifyArgs) -> Result<Self, CliError> {
        let url = settings.store_url()?;
        let incremental = args.incremental && !store::is_new(&url)?;
        let store = match incremental {
            true => Store::open(&url).await?,
            false => open_read_only(&url).await?,
        };
        Ok(Self { store, incremental, read: 0, reused: 0 })
    }

    /// Certifies series, [`AT_ONCE`] at a time; their order stays.
    async fn certify(
        &mut self,
        wanted: Vec<(Series, SlotRange)>,
    ) -> Result<Vec<SeriesCertificate>, CliError> {
        let tasks = wanted.into_iter().map(|(series, slots)| {
            let (store, incremental) = (self.store.clone(), self.incremental);
            // A task of its own: digests are work for a processor, not for a disk alone.
            async move { tokio::spawn(async move { one(&store, incremental, &series, slots).await }).await }
        });
        let mut done = stream::iter(tasks).buffered(AT_ONCE);
        let mut out = Vec::new();
        while let Some(result) = done.next().await {
            let lost =
                |error| CliError::Failed { message: format!("certifying broke off: {error}"), hint: None };
            let Incremental { certificate, read, reused } = result.map_err(lost)??;
            self.read += read;
            self.reused += reused;
            out.push(certificate);
        }
        Ok(out)
    }

    async fn close(self) -> Result<(), CliError> {
        if self.incremental {
            let (read, reused) = (plural(self.read, "month"), plural(self.reused, "month"));
            tracing::info!("{read} read; {reused} unchanged since certified before");
        }
        Ok(self.store.close().await?)
    }
}

/// Certifies one series.
async fn one(
    store: &Store,
    incremental: bool,
    series: &Series,
    slots: SlotRange,
) -> Result<Incremental, JobError> {
    if incremental {
        return certify::incrementally(store, series, slots, wall_clock()).await;
    }
    let certificate = certify::of_store(store, series, slots).await?;
    Ok(Incremental { read: certificate.months.len() as u64, reused: 0, certificate })
}

async fn of_store(settings: &Settings, args: &CertifyArgs) -> Result<Vec<SeriesCertificate>, CliError> {
    let mut reading = Reading::open(settings, args).await?;
    let mut named: Vec<_> =
        records(settings, &reading.store).await?.into_iter().map(|record| record.series).collect();
    named.sort_unstable();
    let mut wanted = Vec::new();
    for series in named {
        let stored = certify::stored_slots(&reading.store, &series).await?;
        let (since, until) = asked(settings, &series)?;
        let start = since.or(stored.map(|s| s.start));
        let end = until.or(stored.map(|s| s.end));
        let (Some(start), Some(end)) = (start, end) else {
            return Err(CliError::Usage {
                message: format!("nothing is stored of {series}, so there is nothing to certify"),
                hint: Some(
                    "check the symbol, the interval and --store: klines status shows what is stored".into(),
                ),
            });
        };
        wanted.push((series, SlotRange::new(start, end.max(start))));
    }
    let out = reading.certify(wanted).await?;
    reading.close().await?;
    Ok(out)
}

/// From files; over the ranges of a certificate when there is one.
async fn of_files(
    settings: &Settings,
    args: &CertifyArgs,
    ranges: Option<&BTreeMap<Series, SlotRange>>,
) -> Result<Vec<SeriesCertificate>, CliError> {
    let mut out = Vec::new();
    for (series, files) in sources::by_series(settings, &args.from)? {
        let range = match ranges {
            None => None,
            Some(ranges) => match ranges.get(&series) {
                Some(range) => Some(*range),
                None => continue,
            },
        };
        let (since, until) = match range {
            Some(range) => (Some(range.start), Some(range.end)),
            None => asked(settings, &series)?,
        };
        let slots = SlotRange::new(since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
        let mut tally = Tally::new(&series);
        for file in &files {
            add(&mut tally, &series, file, slots).await?;
        }
        let found = tally.slots().unwrap_or_else(|| SlotRange::new(0, 0));
        let whole = SlotRange::new(since.unwrap_or(found.start), until.unwrap_or(found.end));
        out.push(tally.finish(whole, &RangeSet::new()));
    }
    Ok(out)
}

/// Takes the rows of a file that lie in a range.
async fn add(
    tally: &mut Tally,
    series: &Series,
    file: &files::KlineFile,
    slots: SlotRange,
) -> Result<(), CliError> {
    let (interval, path) = (series.interval, file.path().display());
    let (mut left_out, mut first) = (0, None);
    let mut rows = sources::rows(file);
    while let Some(batch) = rows.recv().await {
        let mut batch = batch?;
        batch.rows.retain(|row| slots.contains(interval.slot_of(row.open_time)));
        let checked = certify::believable(series, sources::slots_of(file, interval), batch.rows);
        let refused = checked.rejected.iter().chain(&batch.unreadable.shown).map(ToString::to_string);
        let disputed =
            batch.disputed.iter().map(|at| format!("kline of {at}: there are rows of it that differ"));
        first = first.or_else(|| refused.chain(disputed).next());
        left_out += checked.rejected.len() as u64 + batch.unreadable.rows + batch.disputed.len() as u64;
        for kline in &checked.accepted {
            tally.push(kline).map_err(|error| CliError::Failed {
                message: format!("{path}: {error}"),
                hint: Some(
                    "two of the files have klines of the same time: name files that do not overlap".into(),
                ),
            })?;
        }
    }
    if let Some(first) = first {
        tracing::warn!("{path}: {} left out, the first: {first}", plural(left_out, "row"));
    }
    Ok(())
}

async fn check(
    settings: &Settings,
    args: &CertifyArgs,
    path: &Path,
    output: OutputFormat,
) -> Result<ExitCode, CliError> {
    let certified = load(settings, path)?;
    let mut ranges = BTreeMap::new();
    for series in &certified.series {
        let broken = |why| CliError::usage(format!("{}: {why}", path.display()));
        ranges.insert(series.identity().map_err(broken)?, series.slots().map_err(broken)?);
    }
    let found = match args.from.is_empty() {
        true => Certificate::new("store", stored(settings, args, &ranges).await?),
        false => Certificate::new("files", of_files(settings, args, Some(&ranges)).await?),
    };
    let changes = certify::compare(&certified, &found);
    let months: usize = certified.series.iter().map(|s| s.months.len()).sum();
    match output {
        OutputFormat::Json => {
            let outcome = if changes.is_empty() { "same" } else { "different" };
            let report = json!({
                "job": "certify", "outcome": outcome, "certificate": path.display().to_string(), "months": months,
                "digest": {"certified": certified.digest, "found": found.digest}, "changes": changes,
            });
            ui::out(&format!("{}\n", pretty(&report)?))?;
        }
        OutputFormat::Human => ui::out(&verdict(&changes, months, Style::stdout()))?,
    }
    Ok(ExitCode::from(if changes.is_empty() { 0 } else { exit::INCOMPLETE }))
}

async fn stored(
    settings: &Settings,
    args: &CertifyArgs,
    ranges: &BTreeMap<Series, SlotRange>,
) -> Result<Vec<SeriesCertificate>, CliError> {
    let mut reading = Reading::open(settings, args).await?;
    let mut wanted = Vec::new();
    for (series, slots) in ranges {
        if reading.store.series(series).await?.is_some() {
            wanted.push((series.clone(), *slots));
        }
    }
    let out = reading.certify(wanted).await?;
    reading.close().await?;
    Ok(out)
}

/// Reads a certificate, and of it the series named, if some are.
fn load(settings: &Settings, path: &Path) -> Result<Certificate, CliError> {
    let text = fs::read_to_string(path).map_err(|error| {
        CliError::usage(format!("cannot read the certificate {}: {error}", path.display()))
    })?;
    let mut certificate = Certificate::parse(&text).map_err(|why| CliError::Usage {
        message: format!("{}: {why}", path.display()),
        hint: Some("klines certify --out FILE makes one".into()),
    })?;
    if let Some(patterns) = Patterns::of(settings) {
        certificate.series.retain(|s| s.identity().is_ok_and(|series| patterns.matches(&series.symbol)));
    } else if let Some(named) = settings.series()? {
        certificate.series.retain(|s| s.identity().is_ok_and(|series| named.contains(&series)));
    } else {
        return Ok(certificate);
    }
    if certificate.series.is_empty() {
        return Err(CliError::usage(format!("{} certifies none of the series named", path.display())));
    }
    Ok(certificate)
}

fn human(certificate: &Certificate, out: Option<&Path>) -> String {
    if certificate.series.is_empty() {
        return "nothing is stored yet, so there is nothing to certify\n".into();
    }
    let header = [
        ("series", Align::Left),
        ("month", Align::Left),
        ("expected", Align::Right),
        ("stored", Align::Right),
        ("absent", Align::Right),
        ("missing", Align::Right),
        ("digest (first 16 of 64)", Align::Left),
    ];
    let mut rows = Vec::new();
    for s in &certificate.series {
        let row = |month: &str, numbers: [u64; 4], digest: &str| {
            let mut row = vec![s.name(), month.to_owned()];
            row.extend(numbers.map(grouped));
            row.push(digest.get(..16).unwrap_or(digest).to_owned());
            row
        };
        rows.extend(
            s.months.iter().map(|m| row(&m.month, [m.expected, m.stored, m.absent, m.missing], &m.digest)),
        );
        rows.push(row("all", [s.expected, s.stored, s.absent, s.missing], &s.digest));
    }
    let mut text = render(&header, &rows);
    text.push_str(&format!("\nblake3 {}\n", certificate.digest));
    match out {
        Some(path) => {
            text.push_str(&format!("written to {0}; klines certify --check {0} compares\n", path.display()))
        }
        None => text.push_str("--out FILE keeps it, and --check FILE compares with it later\n"),
    }
    text
}

fn verdict(changes: &[Change], months: usize, style: Style) -> String {
    if changes.is_empty() {
        return format!("{}: {} as certified\n", style.green("same"), plural(months as u64, "month"));
    }
    let header = [
        ("series", Align::Left),
        ("month", Align::Left),
        ("certified", Align::Right),
        ("found", Align::Right),
        ("what", Align::Left),
    ];
    let row = |c: &Change| {
        let month = c.month.clone().unwrap_or_else(|| "all".to_owned());
        let series = format!("{} {} {}", c.market, c.symbol, c.interval);
        vec![series, month, grouped(c.certified), grouped(c.found), c.detail.clone()]
    };
    let mut out = render(&header, &changes.iter().map(row).collect::<Vec<_>>());
    let count = plural(changes.len() as u64, "month");
    out.push_str(&format!(
        "\n{}: {count} of {} not as certified; klines verify --since … --until … tells which klines\n",
        style.yellow("different"),
        grouped(months as u64)
    ));
    out
}

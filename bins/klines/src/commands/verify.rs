//! `klines verify`: stored klines beside those of the source.

use std::process::ExitCode;

use binance::Client;
use kline::Series;
use pipeline::verify::{Finding, VerifySeries};
use pipeline::{Against, FetchFrom, VerifyOptions, VerifyReport};
use store::{KlineStore, Store};

use super::Context;
use super::gaps::records;
use super::jobs::open_read_only;
use crate::args::{OutputFormat, VerifyArgs};
use crate::error::{CliError, exit};
use crate::observe::Observed;
use crate::settings::Settings;
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural, span};

/// Compares, repairs if asked to, and prints what was found.
pub async fn run(context: &Context, args: &VerifyArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let url = settings.store_url()?;
    let store = if args.repair { Store::open(&url).await? } else { open_read_only(&url).await? };
    let against = match settings.source()? {
        FetchFrom::Archive(archive) => Against::Archive(archive),
        _ => Against::Rest,
    };
    let series = records(settings, &store).await?.into_iter().map(|record| record.series).collect();
    let options = VerifyOptions {
        repair: args.repair,
        dry_run: args.dry_run,
        most_findings: args.limit,
        ..options(settings, against, series)?
    };
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let observed =
        Observed { progress: Progress::new(context.bars, &context.log), metrics: context.metrics.clone() };
    observed.watch(&client);
    let report = pipeline::verify(&store, &client, &options, &observed, &stop.token).await?;
    store.close().await?;
    match output {
        OutputFormat::Json => ui::out(&json(&report)?)?,
        OutputFormat::Human => ui::out(&human(&report, Style::stdout()))?,
    }
    let code = match report.outcome {
        "failed" => exit::FAILED,
        "found" => exit::INCOMPLETE,
        _ => 0,
    };
    Ok(ExitCode::from(stop.exit_code().filter(|_| report.interrupted()).unwrap_or(code)))
}

/// What the settings say of a comparison.
pub fn options(
    settings: &Settings,
    against: Against,
    series: Vec<Series>,
) -> Result<VerifyOptions, CliError> {
    Ok(VerifyOptions {
        since: settings.since(false)?,
        until: settings.until()?,
        series_at_once: settings.series_at_once()?,
        in_flight: settings.in_flight()?,
        chunk: settings.chunk()?,
        lease_wait: settings.lease_wait()?,
        ..VerifyOptions::new(series, against)
    })
}

fn json(report: &VerifyReport) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(report).map_err(|error| CliError::Failed {
        message: format!("cannot render the report: {error}"),
        hint: None,
    })?;
    Ok(format!("{text}\n"))
}

fn human(report: &VerifyReport, style: Style) -> String {
    if report.series.is_empty() {
        return "nothing is stored yet, so there is nothing to compare\n".into();
    }
    let mut out = if report.dry_run { plan(report) } else { table(report) };
    for series in &report.series {
        out.push_str(&details(series, style));
    }
    out.push_str(&verdict(report, style));
    out
}

fn table(report: &VerifyReport) -> String {
    let mut header = vec![("series", Align::Left), ("from", Align::Left), ("until", Align::Left)];
    let numbers =
        ["stored", "equal", "drift", "missing", "unexpected", "invalid", "off grid", "unchecked", "weight"];
    header.extend(numbers.map(|name| (name, Align::Right)));
    let row = |s: &VerifySeries| {
        let c = s.counts;
        let mut row = vec![s.name(), minute(&s.since), minute(&s.until)];
        let numbers = [
            c.stored,
            c.equal,
            c.drift,
            c.missing,
            c.unexpected,
            c.invalid,
            c.off_grid,
            c.unchecked,
            c.weight,
        ];
        row.extend(numbers.map(grouped));
        row
    };
    render(&header, &report.series.iter().map(row).collect::<Vec<_>>())
}

fn plan(report: &VerifyReport) -> String {
    let header = [
        ("series", Align::Left),
        ("from", Align::Left),
        ("until", Align::Left),
        ("stored", Align::Right),
        ("requests", Align::Right),
        ("weight", Align::Right),
        ("files", Align::Right),
    ];
    let row = |s: &VerifySeries| {
        let mut row = vec![s.name(), minute(&s.since), minute(&s.until)];
        row.extend([s.counts.stored, s.counts.requests, s.counts.weight, s.counts.files].map(grouped));
        row
    };
    render(&header, &report.series.iter().map(row).collect::<Vec<_>>())
}

fn minute(time: &Option<String>) -> String {
    time.as_deref().map_or("-".to_owned(), |t| t.get(..16).unwrap_or(t).replace('T', " "))
}

fn details(series: &VerifySeries, style: Style) -> String {
    let mut out = String::new();
    let name = series.name();
    if let Some(error) = &series.error {
        out.push_str(&format!("{} {name}: {error}\n", style.red("failed:")));
        if let Some(hint) = &series.hint {
            out.push_str(&format!("  {} {hint}\n", style.bold("hint:")));
        }
    }
    for reason in &series.refused_files {
        out.push_str(&format!("{} {name}: a file was refused: {reason}\n", style.yellow("note:")));
    }
    if !series.findings.is_empty() {
        out.push_str(&format!("\n{}\n", style.bold(&name)));
    }
    for finding in &series.findings {
        out.push_str(&words(finding));
    }
    if series.findings_left_out > 0 {
        out.push_str(&format!("… and {} more (--limit)\n", grouped(series.findings_left_out)));
    }
    out
}

fn words(finding: &Finding) -> String {
    let mut out = format!("  {:10}  {}", finding.kind, finding.open_time);
    if finding.klines > 1 {
        out.push_str(&format!(" to {}: {}", finding.last, plural(finding.klines, "kline")));
    }
    if let Some(detail) = &finding.detail {
        out.push_str(&format!("  {detail}"));
    }
    for field in &finding.fields {
        out.push_str(&format!("  {}: stored {}, source {}", field.field, field.stored, field.source));
    }
    out.push('\n');
    out
}

fn verdict(report: &VerifyReport, style: Style) -> String {
    let t = report.totals;
    let cost = format!(
        "{}, weight {}, {}, {}",
        plural(t.requests, "request"),
        grouped(t.weight),
        plural(t.files, "archive file"),
        span(report.duration_ms)
    );
    if report.dry_run {
        return format!("dry run, nothing compared: {cost}\n");
    }
    let unchecked = match t.unchecked {
        0 => String::new(),
        n => format!(", {} unchecked", grouped(n)),
    };
    let repaired = match (report.repair, t.repaired) {
        (false, _) if t.drift + t.missing > 0 => "; --repair writes the source's values".to_owned(),
        (true, n) if n > 0 => format!("; {} repaired, the old values are kept", grouped(n)),
        _ => String::new(),
    };
    match report.outcome {
        "clean" => {
            format!(
                "{}: {} the same as at the source{unchecked} ({cost})\n",
                style.green("clean"),
                plural(t.equal, "kline")
            )
        }
        "found" => format!(
            "{}: {} drifted, {} missing, {} unexpected, {} invalid{unchecked} ({cost}){repaired}\n",
            style.yellow("found"),
            grouped(t.drift),
            grouped(t.missing),
            grouped(t.unexpected),
            grouped(t.invalid)
        ),
        _ => {
            let failed = report.series.iter().filter(|s| s.error.is_some()).count();
            format!("{}: {failed} of {} series failed ({cost})\n", style.red("failed"), report.series.len())
        }
    }
}

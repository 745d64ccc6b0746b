//! `klines follow`: klines are stored as they close.

use std::process::ExitCode;
use std::time::Duration;

use binance::Client;
use kline::{Kline, Series};
use pipeline::follow::FollowedReport;
use pipeline::{Event, FollowOptions, FollowReport, Job, Observer, Since};
use serde_json::json;
use store::{KlineStore, Store};

use super::Context;
use super::jobs::{deliver, options_of, wall_clock};
use super::symbols;
use crate::args::{FetchArgs, FollowArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::observe::{self, Observed};
use crate::settings::parse_duration;
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, render};
use crate::ui::{self, Style, grouped, plural, span};

/// How often messages that wait are sent.
const DELIVERY: Duration = Duration::from_secs(10);

/// Follows the market until told to stop.
pub async fn run(context: &Context, args: &FollowArgs, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let nats = observe::nats(settings)?;
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let series = symbols::resolve(settings, false, &client).await?;
    let mut catch_up = options_of(settings, Job::Extract, &FetchArgs::default(), series, nats.is_on())?;
    // A start that the command line names is one for an empty store here: what is stored is gone on from.
    if let Since::At(since) = catch_up.since {
        catch_up.since = Since::Begin(since);
    }
    let time = |name: &str, text: &str| {
        let bad = |why| CliError::Usage { message: format!("{name}: {why}"), hint: None };
        parse_duration(text).map_err(bad)
    };
    let options = FollowOptions {
        grace: time("--grace", &args.grace)?,
        time: args.time.as_deref().map(|text| time("--time", text)).transpose()?,
        ..FollowOptions::new(catch_up)
    };
    let store = Store::open(&settings.store_url()?).await?;
    let observed =
        Observed { progress: Progress::new(false, &context.log), metrics: context.metrics.clone() };
    observed.watch(&client);
    let told = Told { observed: &observed, output };
    let following = pipeline::follow(&store, &client, &options, &told, wall_clock(), &stop.token);
    let delivering = async {
        loop {
            tokio::time::sleep(DELIVERY).await;
            deliver(&store, &nats, &observed).await;
        }
    };
    let report = tokio::select! {
        report = following => report?,
        () = delivering, if nats.is_on() => return Ok(ExitCode::FAILURE),
    };
    deliver(&store, &nats, &observed).await;
    store.close().await?;
    print(&report, output)?;
    let code = if report.outcome == "complete" { 0 } else { exit::INCOMPLETE };
    Ok(ExitCode::from(stop.exit_code().unwrap_or(code)))
}

/// Writes a line for everything that was stored.
struct Told<'a> {
    observed: &'a Observed,
    output: OutputFormat,
}

impl Observer for Told<'_> {
    fn event(&self, event: &Event<'_>) {
        self.observed.event(event);
        let json = self.output == OutputFormat::Json;
        let line = match event {
            Event::Pushed { series, kline } if json => kline_json(series, kline),
            Event::Pushed { series, kline } => {
                format!("{}  {series}  close {}  volume {}\n", kline.open_time, kline.close, kline.volume)
            }
            Event::Finished(report) if report.written > 0 && json => {
                let at = (report.market, report.symbol.as_str(), report.interval);
                format!(
                    "{}\n",
                    json!({ "event": "fetched", "market": at.0, "symbol": at.1, "interval": at.2, "klines": report.written })
                )
            }
            Event::Finished(report) if report.written > 0 => {
                format!("{}: {} fetched\n", report.name(), plural(report.written, "kline"))
            }
            Event::LineLost { error, .. } => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                tracing::warn!(
                    "{}{hint}; trying again, and asking by REST meanwhile",
                    pipeline::error::chain(*error)
                );
                return;
            }
            Event::LineOpened { market, streams } => {
                tracing::info!("{market}: {} open", plural(*streams as u64, "stream"));
                return;
            }
            _ => return,
        };
        // A reader that went away ends the program in there; any other trouble with stdout shows at the report.
        let _ = ui::out(&line);
    }
}

fn kline_json(series: &Series, kline: &Kline) -> String {
    let text = |value: &kline::Decimal| value.to_string();
    let line = json!({
        "event": "kline",
        "market": series.market.as_str(),
        "symbol": series.symbol.as_str(),
        "interval": series.interval.as_str(),
        "open_time": kline.open_time.to_string(),
        "open": text(&kline.open),
        "high": text(&kline.high),
        "low": text(&kline.low),
        "close": text(&kline.close),
        "volume": text(&kline.volume),
        "close_time": kline.close_time.to_string(),
        "quote_volume": text(&kline.quote_volume),
        "count": kline.count,
        "taker_buy_volume": text(&kline.taker_buy_volume),
        "taker_buy_quote_volume": text(&kline.taker_buy_quote_volume),
    });
    format!("{line}\n")
}

fn print(report: &FollowReport, output: OutputFormat) -> Result<(), CliError> {
    if output == OutputFormat::Json {
        let text = serde_json::to_string(report).map_err(|error| CliError::Failed {
            message: format!("cannot render the report: {error}"),
            hint: None,
        })?;
        return ui::out(&format!("{text}\n"));
    }
    let header = [
        ("series", Align::Left),
        ("until", Align::Left),
        ("pushed", Align::Right),
        ("fetched", Align::Right),
        ("still missing", Align::Right),
    ];
    let row = |s: &FollowedReport| {
        vec![
            format!("{} {} {}", s.market, s.symbol, s.interval),
            s.until.clone().unwrap_or_else(|| "-".into()),
            grouped(s.from_stream),
            grouped(s.from_rest),
            grouped(s.missing_after),
        ]
    };
    let mut out = render(&header, &report.series.iter().map(row).collect::<Vec<_>>());
    let style = Style::stdout();
    for series in &report.series {
        if let Some(error) = &series.error {
            let name = format!("{} {} {}", series.market, series.symbol, series.interval);
            out.push_str(&format!("{} {name}: {error}\n", style.yellow("note:")));
        }
    }
    let verdict = match report.outcome {
        "complete" => style.green("complete"),
        other => style.yellow(other),
    };
    out.push_str(&format!("{verdict}: followed for {}\n", span(report.duration_ms)));
    ui::out(&out)
}

//! What runs tell the outside: progress for people, metrics for operators.

use std::io::IsTerminal;
use std::time::Duration;

use binance::{Client, PoolUsage};
use kline::Market;
use pipeline::{Event, Observer, Report, SeriesReport};
use telemetry::{Guard, LogFormat, Metrics, SeriesLabels};

use crate::args::Command;
use crate::error::CliError;
use crate::settings::{Settings, keys};
use crate::ui::progress::Progress;

/// Sets up logs and telemetry from the settings and the standard `OTEL_*` variables.
pub fn start(settings: &Settings, command: &Command) -> Result<Guard, CliError> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut telemetry = telemetry::Settings::from_env(env);
    telemetry.log_filter = settings.log_filter(default_level(command))?;
    telemetry.log_format = settings.log_format()?;
    // There is nothing to say of a demo, and a check of the collector must not hang on it.
    if matches!(command, Command::Demo(_) | Command::Doctor(_) | Command::Schema) {
        (telemetry.traces, telemetry.metrics, telemetry.logs) = (None, None, None);
    }
    telemetry::init(telemetry)
        .map_err(|error| CliError::Failed { message: format!("cannot start the log: {error}"), hint: None })
}

/// On a terminal the results and bars speak for themselves, and a demo is a show; elsewhere the log is the story.
fn default_level(command: &Command) -> &'static str {
    if matches!(command, Command::Demo(_)) || std::io::stderr().is_terminal() { "warn" } else { "info" }
}

/// Formats of log lines by name.
pub fn log_format(name: &str) -> Result<LogFormat, String> {
    match name {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("unknown log format `{other}`: use text or json")),
    }
}

/// Shows progress and counts.
pub struct Observed {
    /// For people.
    pub progress: Progress,
    /// For operators.
    pub metrics: Metrics,
}

impl Observer for Observed {
    fn event(&self, event: &Event<'_>) {
        self.progress.event(event);
        if let Event::Finished(report) = event {
            self.count(report);
        }
    }
}

impl Observed {
    fn count(&self, report: &SeriesReport) {
        let labels =
            SeriesLabels { market: report.market, symbol: &report.symbol, interval: report.interval };
        self.metrics.rows_fetched(labels, report.fetched);
        self.metrics.rows_written(labels, report.written);
        self.metrics.gaps_found(labels, report.gaps);
        self.metrics.gaps_filled(labels, report.gaps_filled);
        for refused in &report.rejections {
            self.metrics.rows_rejected(labels, refused.reason, refused.rows);
        }
        // A series that failed before it was surveyed says nothing about what it lacks.
        if report.since.is_some() {
            self.metrics.missing(labels, report.missing_after);
        }
    }

    /// Counts what a client does, and logs what holds it up.
    pub fn watch(&self, client: &Client) {
        let metrics = self.metrics.clone();
        client.on_event(move |event| match event {
            binance::Event::Answered { host, status, class, took, .. } => {
                metrics.request(host, *status, *class, *took);
                if *class == Some("dns") {
                    metrics.dns_failure(host);
                }
                tracing::debug!("{event}");
            }
            // Waiting for the next minute is how a long job spends its life.
            binance::Event::BudgetSpent { .. } => tracing::info!("{event}"),
            _ => tracing::warn!("{event}"),
        });
    }

    /// Counts the end of a run.
    pub fn finished(&self, report: &Report, client: &Client) {
        let took = Duration::from_millis(report.duration_ms);
        self.metrics.run_finished(report.job, report.outcome, took);
        for (pool, market) in [("futures", Market::Um), ("spot", Market::Spot)] {
            let PoolUsage { requests, weight, reported, limit } = client.usage(market);
            if requests > 0 {
                let used = reported.map_or(weight, u64::from);
                self.metrics.weight(pool, used, u64::from(limit));
            }
        }
    }
}

/// Settings of NATS: ours by their keys, the rest from the environment.
pub fn nats(settings: &Settings) -> Result<events::NatsSettings, CliError> {
    let lookup = |name: &str| match name {
        "NATS_URL" => settings.text(keys::NATS_URL).map(str::to_owned),
        "NATS_ENABLED" => settings.text(keys::NATS_ENABLED).map(str::to_owned),
        other => std::env::var(other).ok(),
    };
    events::NatsSettings::from_lookup(lookup)
        .map_err(|error| CliError::Usage { message: error.to_string(), hint: error.hint() })
}

//! Progress of a run: bars on a terminal, log lines otherwise.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use kline::Series;
use pipeline::{Event, Observer};
use telemetry::LogSink;

use super::{grouped, plural};

/// Shows what a run does.
pub struct Progress {
    bars: Option<MultiProgress>,
    series: Mutex<HashMap<Series, ProgressBar>>,
}

impl Progress {
    /// Bars when stderr is a terminal and they are wanted; log lines then go through them, so that neither tears the
    /// other.
    pub fn new(wanted: bool, log: &LogSink) -> Self {
        let bars = (wanted && io::stderr().is_terminal()).then(MultiProgress::new);
        if let Some(bars) = bars.clone() {
            log.redirect(move |line| bars.suspend(|| drop(io::stderr().write_all(line))));
        }
        Self { bars, series: Mutex::default() }
    }

    fn with_bar(&self, series: &Series, act: impl FnOnce(&ProgressBar)) {
        if let Ok(bars) = self.series.lock()
            && let Some(bar) = bars.get(series)
        {
            act(bar);
        }
    }

    fn start_bar(&self, series: &Series, missing: u64) {
        let Some(bars) = &self.bars else { return };
        let style = ProgressStyle::with_template(
            "{prefix:24} {bar:32.green/dim} {human_pos:>10} of {human_len} klines  {rate:>9}  {eta:>4} left  {msg}",
        );
        let bar = bars.add(ProgressBar::new(missing));
        if let Ok(style) = style {
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("█▓░"));
        }
        bar.set_prefix(series.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Ok(mut series_bars) = self.series.lock() {
            series_bars.insert(series.clone(), bar);
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::WaitingForLease { series, owner } => {
                tracing::warn!(%series, %owner, "another job is at work on this series; waiting for it");
            }
            Event::Planned { series, missing, gaps, requests, weight, files } => {
                self.start_bar(series, *missing);
                tracing::info!(
                    %series,
                    "{} missing in {}: {}, weight {}, {}",
                    plural(*missing, "kline"),
                    plural(*gaps, "gap"),
                    plural(*requests, "request"),
                    grouped(*weight),
                    plural(*files, "file")
                );
            }
            Event::Fetched { series, useful, .. } => self.with_bar(series, |bar| bar.inc(*useful)),
            Event::FileRefused { series, reason } => {
                tracing::warn!(%series, "archive file refused: {reason}")
            }
            Event::Rejected { series, rejection } => tracing::warn!(%series, "refused {rejection}"),
            Event::Committed { series, klines } => {
                tracing::info!(%series, "{} stored", plural(*klines, "kline"))
            }
            Event::Finished(report) => {
                if let Ok(mut bars) = self.series.lock() {
                    let done: Vec<_> =
                        bars.keys().filter(|s| s.to_string() == report.name()).cloned().collect();
                    for series in done {
                        if let Some(bar) = bars.remove(&series) {
                            bar.finish_and_clear();
                        }
                    }
                }
                match &report.error {
                    Some(error) => tracing::error!(series = report.name(), "failed: {error}"),
                    None => {
                        let (written, missing) = (report.written, report.missing_after);
                        tracing::info!(series = report.name(), written, missing, "{}", report.outcome)
                    }
                }
            }
            _ => {}
        }
    }
}

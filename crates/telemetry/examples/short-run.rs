//! A process as short as a job with nothing to do, that reports by every means: to try out a collector with, and what
//! the tests look at.
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run -p telemetry --example short-run
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use telemetry::{SeriesLabels, Settings, current_traceparent, init, names};
use tracing::{Instrument, info, info_span};

fn main() -> ExitCode {
    let guard = match init(Settings::from_env(|name| std::env::var(name).ok())) {
        Ok(guard) => guard,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let traceparent = runtime.block_on(work(guard.metrics()));
    drop(runtime);
    let _ = writeln!(std::io::stdout(), "{}", traceparent.unwrap_or_default());
    for problem in guard.shutdown() {
        let hint = problem.hint.clone().unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "warning: {problem}\n  hint: {hint}");
    }
    ExitCode::SUCCESS
}

async fn work(metrics: telemetry::Metrics) -> Option<String> {
    let series = SeriesLabels { market: "um", symbol: "BTCUSDT", interval: "5m" };
    let run = info_span!(names::SPAN_RUN, klines.job = "fill-gaps", outcome = tracing::field::Empty);
    async {
        info!(gaps = 2, "gaps found");
        let inner = info_span!(names::SPAN_SERIES, market = "um", symbol = "BTCUSDT", interval = "5m");
        async { info!("series done") }.instrument(inner).await;
        metrics.gaps_found(series, 2);
        metrics.gaps_filled(series, 2);
        metrics.rows_fetched(series, 2480);
        metrics.rows_rejected(series, "low_above_open", 1);
        metrics.rows_written(series, 2479);
        metrics.missing(series, 0);
        metrics.weight("futures", 40, 2400);
        metrics.request("fapi.binance.com", Some(200), None, Duration::from_millis(80));
        metrics.request("fapi.binance.com", None, Some("timeout"), Duration::from_secs(10));
        metrics.dns_failure("fapi.binance.com");
        metrics.messages(2, 0);
        metrics.run_finished("fill-gaps", "complete", Duration::from_millis(1500));
        tracing::Span::current().record(names::OUTCOME, "complete");
        current_traceparent()
    }
    .instrument(run)
    .await
}

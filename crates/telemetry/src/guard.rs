//! Start and end.

use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::TelemetryError;
use crate::health::Problem;
use crate::logs::{LogSink, WithTrace};
use crate::metrics::Metrics;
use crate::pipes::Pipes;
use crate::settings::{LogFormat, SERVICE_NAME, Settings};

/// The longest that [`Guard::shutdown`] takes, whatever the collector does.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// What it allows the exporters of that: the rest is for threads to be told and to tell.
const EXPORT_LIMIT: Duration = Duration::from_millis(4500);
/// Modules that carry telemetry: what they say of that must not become telemetry.
const CARRIERS: [&str; 12] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
    "opentelemetry-otlp",
    "opentelemetry-http",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
];

/// Keeps telemetry running. [`Guard::shutdown`] ends it and says what was lost; dropping it ends it silently.
#[derive(Debug)]
pub struct Guard {
    settings: Settings,
    sink: LogSink,
    metrics: Metrics,
    pipes: Pipes,
}

/// Sets up logs, traces and metrics for the whole process. Call it from a plain `main`, before any runtime is started:
/// the exporters have threads of their own and outlive it.
///
/// A target that cannot be set up (a file that is not there) is a warning in the log, no error.
///
/// # Errors
/// [`TelemetryError::AlreadySetUp`] at the second call.
pub fn init(settings: Settings) -> Result<Guard, TelemetryError> {
    let mut warnings = settings.warnings.clone();
    let filter = settings.log_filter.as_str();
    if let Err(error) = EnvFilter::try_new(filter) {
        warnings.push(format!("the log filter `{filter}` cannot be read: {error}; info is used"));
    }
    let pipes = Pipes::start(&settings, &mut warnings);
    let sink = LogSink::default();
    let traces = pipes.traces.as_ref().map(|(provider, _)| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE_NAME));
        layer.with_location(false).with_threads(false).with_filter(without_carriers(LevelFilter::INFO))
    });
    let logs = pipes.logs.as_ref().map(|(provider, _)| {
        // The lines of stderr, whatever RUST_LOG says of those who carry them.
        let filter = env_filter(&settings).and(without_carriers(LevelFilter::TRACE));
        OpenTelemetryTracingBridge::new(provider).with_filter(filter)
    });
    tracing_subscriber::registry()
        .with(stderr_layer(&settings, &sink))
        .with(traces)
        .with(logs)
        .try_init()
        .map_err(|_| TelemetryError::AlreadySetUp)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let metrics = pipes.metrics.as_ref().map(|(provider, _)| Metrics::new(&provider.meter(SERVICE_NAME)));
    Ok(Guard { settings, sink, metrics: metrics.unwrap_or_default(), pipes })
}

fn without_carriers(level: LevelFilter) -> Targets {
    Targets::new().with_default(level).with_targets(CARRIERS.map(|module| (module, LevelFilter::OFF)))
}

fn env_filter(settings: &Settings) -> EnvFilter {
    EnvFilter::try_new(&settings.log_filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

fn stderr_layer<S>(settings: &Settings, sink: &LogSink) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(sink.clone());
    match settings.log_format {
        LogFormat::Text => {
            let is_terminal = || std::io::IsTerminal::is_terminal(&std::io::stderr());
            let color = settings.log_color.unwrap_or_else(is_terminal);
            layer.with_ansi(color).with_filter(env_filter(settings)).boxed()
        }
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(true);
            layer.map_event_format(WithTrace).with_filter(env_filter(settings)).boxed()
        }
    }
}

impl Guard {
    /// The program's numbers.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Where log lines go; a progress display redirects them.
    pub fn sink(&self) -> LogSink {
        self.sink.clone()
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends what is left and ends the exporters, within [`FLUSH_LIMIT`]. Call it after the runtime has ended; it blocks.
    ///
    /// Returns what did not get through, for the log: it is no reason to fail.
    #[must_use = "tell the user what was lost"]
    pub fn shutdown(mut self) -> Vec<Problem> {
        std::mem::take(&mut self.pipes).end(&self.settings, EXPORT_LIMIT)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        std::mem::take(&mut self.pipes).end(&self.settings, EXPORT_LIMIT);
    }
}

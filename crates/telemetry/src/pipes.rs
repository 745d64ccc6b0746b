//! What runs behind the scenes: a provider with its exporter and thread for each signal.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider};
use tokio::runtime::Runtime;

use crate::exporters;
use crate::health::{Health, Problem, joined};
use crate::settings::{Protocol, Sampler, Settings, Signal, Target};

/// Combinations of attributes kept per metric: 600 symbols in all intervals.
const CARDINALITY: usize = 10_000;

/// A provider, and how its exports go.
type Pipe<P> = (P, Arc<Health>);

/// What is being exported.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) traces: Option<Pipe<SdkTracerProvider>>,
    pub(crate) metrics: Option<Pipe<SdkMeterProvider>>,
    pub(crate) logs: Option<Pipe<SdkLoggerProvider>>,
    /// Drives gRPC.
    runtime: Option<Runtime>,
}

impl Pipes {
    /// Starts what is to be exported; what cannot be started becomes a warning.
    pub(crate) fn start(settings: &Settings, warnings: &mut Vec<String>) -> Self {
        if !settings.exports() {
            return Self::default();
        }
        // Whoever was first has chosen for the process; every choice in this workspace is ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = match runtime(settings) {
            Ok(runtime) => runtime,
            Err(error) => {
                warnings.push(format!("nothing is exported: no runtime for gRPC: {error}"));
                return Self::default();
            }
        };
        let entered = runtime.as_ref().map(Runtime::enter);
        let resource = resource(settings);
        let mut start = Start { settings, warnings };
        let traces = start.pipe(Signal::Traces, |target, health| {
            let exporter = exporters::spans(target, health)?;
            let builder = SdkTracerProvider::builder().with_resource(resource.clone());
            Ok(builder.with_sampler(sampler(settings.sampler)).with_batch_exporter(exporter).build())
        });
        let metrics = start.pipe(Signal::Metrics, |target, health| {
            let reader = PeriodicReader::builder(exporters::metrics(target, health)?).build();
            let builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader);
            let roomy = |_: &Instrument| Stream::builder().with_cardinality_limit(CARDINALITY).build().ok();
            Ok(builder.with_view(roomy).build())
        });
        let logs = start.pipe(Signal::Logs, |target, health| {
            let exporter = exporters::logs(target, health)?;
            let builder = SdkLoggerProvider::builder().with_resource(resource.clone());
            Ok(builder.with_batch_exporter(exporter).build())
        });
        drop(entered);
        Self { traces, metrics, logs, runtime }
    }

    /// Sends what is left and ends everything within `limit`. Says what did not get through.
    pub(crate) fn end(self, settings: &Settings, limit: Duration) -> Vec<Problem> {
        let (done, ended) = mpsc::channel();
        let mut flush = Flush { done, waiting: Vec::new() };
        if let Some((provider, health)) = self.traces {
            flush.start(Signal::Traces, health, move || provider.shutdown_with_timeout(limit));
        }
        if let Some((provider, health)) = self.metrics {
            flush.start(Signal::Metrics, health, move || provider.shutdown_with_timeout(limit));
        }
        if let Some((provider, health)) = self.logs {
            flush.start(Signal::Logs, health, move || provider.shutdown_with_timeout(limit));
        }
        let Flush { done, waiting } = flush;
        drop(done);
        let until = Instant::now() + limit;
        let mut sent = Vec::new();
        for _ in &waiting {
            match ended.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((signal, true)) => sent.push(signal),
                Ok((_, false)) => {}
                Err(_) => break,
            }
        }
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
        let problem = |(signal, health): &(Signal, Arc<Health>)| {
            health.problem(*signal, settings, !sent.contains(signal))
        };
        joined(waiting.iter().filter_map(problem))
    }
}

/// The start of one signal after the other.
struct Start<'a> {
    settings: &'a Settings,
    warnings: &'a mut Vec<String>,
}

impl Start<'_> {
    fn pipe<P>(
        &mut self,
        signal: Signal,
        build: impl FnOnce(&Target, &Arc<Health>) -> Result<P, String>,
    ) -> Option<Pipe<P>> {
        let target = self.settings.target(signal)?;
        let health = Arc::new(Health::new(self.settings.secrets()));
        match build(target, &health) {
            Ok(provider) => Some((provider, health)),
            Err(why) => {
                self.warnings.push(format!("{} are not exported: {why}", signal.as_str()));
                None
            }
        }
    }
}

/// All signals are flushed at once, each on a thread that nobody has to wait for.
struct Flush {
    done: mpsc::Sender<(Signal, bool)>,
    waiting: Vec<(Signal, Arc<Health>)>,
}

impl Flush {
    fn start(
        &mut self,
        signal: Signal,
        health: Arc<Health>,
        end: impl FnOnce() -> OTelSdkResult + Send + 'static,
    ) {
        let done = self.done.clone();
        let thread = std::thread::Builder::new().name(format!("flush {}", signal.as_str()));
        // Nobody listens any more when the time is up.
        let spawned = thread.spawn(move || {
            let _ = done.send((signal, end().is_ok()));
        });
        if spawned.is_err() {
            health.failed("there is no thread left to send them");
        }
        self.waiting.push((signal, health));
    }
}

/// A runtime, if anything is sent by gRPC.
fn runtime(settings: &Settings) -> std::io::Result<Option<Runtime>> {
    let is_grpc = |signal| settings.target(signal).is_some_and(|target| target.protocol == Protocol::Grpc);
    if !Signal::ALL.into_iter().any(is_grpc) {
        return Ok(None);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("telemetry").enable_all().build().map(Some)
}

fn resource(settings: &Settings) -> Resource {
    let attributes = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let builder = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
    builder.with_attributes(attributes).build()
}

fn sampler(wanted: Sampler) -> SdkSampler {
    let root = if wanted.ratio >= 1.0 {
        SdkSampler::AlwaysOn
    } else if wanted.ratio <= 0.0 {
        SdkSampler::AlwaysOff
    } else {
        SdkSampler::TraceIdRatioBased(wanted.ratio)
    };
    if wanted.parent_based { SdkSampler::ParentBased(Box::new(root)) } else { root }
}

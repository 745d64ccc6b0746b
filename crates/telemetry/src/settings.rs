//! What to export where, by the standard `OTEL_*` variables.

mod parse;
mod resource;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use parse::{filter_of as log_filter, mask_url};

/// Name of the service unless `OTEL_SERVICE_NAME` says otherwise.
pub const SERVICE_NAME: &str = "klines";

/// The three kinds of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, `metrics`, `logs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// `http/protobuf`, port 4318 by custom.
    #[default]
    HttpProtobuf,
    /// `grpc`, port 4317 by custom.
    Grpc,
}

impl Protocol {
    /// As in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// Headers sent to the collector. `Debug` shows their names alone: the values are keys and tokens.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Names and values, for a client of one's own. The values are secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, _)| (name, "***"))).finish()
    }
}

/// PEM files for an encrypted connection to the collector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// This client's certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// Where one signal goes. `Debug` shows no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Full URL: for HTTP with the signal's path.
    pub url: String,
    /// How.
    pub protocol: Protocol,
    /// Headers.
    pub headers: Headers,
    /// How long one export may take, its retries included.
    pub timeout: Duration,
    /// Whether bodies are compressed with gzip.
    pub gzip: bool,
    /// TLS.
    pub tls: Tls,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("url", &mask_url(&self.url))
            .field("protocol", &self.protocol)
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .field("tls", &self.tls)
            .finish()
    }
}

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Share of the traces, 0 to 1.
    pub ratio: f64,
    /// Whether the decision of a parent from outside counts more.
    pub parent_based: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Everything [`init`](crate::init) needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Attributes of everything exported: the service, the pod, the host.
    pub resource: Vec<(String, String)>,
    /// Where traces go; `None` for nowhere.
    pub traces: Option<Target>,
    /// Where metrics go.
    pub metrics: Option<Target>,
    /// Where logs go.
    pub logs: Option<Target>,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Filter of log lines on stderr, in the syntax of `RUST_LOG`: `info`, or `info,store=debug`.
    pub log_filter: String,
    /// How they look.
    pub log_format: LogFormat,
    /// Whether text lines have colours; `None` when stderr is a terminal that has them.
    pub log_color: Option<bool>,
    /// Whether this runs in a Kubernetes pod: hints then speak of network policies.
    pub in_cluster: bool,
    /// What was set but not understood, and what is done instead. [`init`](crate::init) logs them: no mistake here is
    /// worth a lost run.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from_env(|_| None)
    }
}

impl Settings {
    /// Settings from named values: the environment, or anything that answers to its names.
    ///
    /// Without an endpoint nothing is exported and nothing started. An unknown value is never an error: it is reported
    /// in [`Settings::warnings`] and the default holds, as the OpenTelemetry specification asks.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let env = parse::Env::new(&lookup);
        let in_cluster = env.get("KUBERNETES_SERVICE_HOST").is_some();
        let disabled = env.flag("OTEL_SDK_DISABLED");
        let target = |signal| if disabled { None } else { parse::target(&env, signal) };
        let (traces, metrics, logs) = (target(Signal::Traces), target(Signal::Metrics), target(Signal::Logs));
        Self {
            resource: resource::attributes(&env, in_cluster),
            traces,
            metrics,
            logs,
            sampler: parse::sampler(&env),
            log_filter: parse::log_filter(&env),
            log_format: parse::log_format(&env),
            log_color: env.get("NO_COLOR").map(|_| false),
            in_cluster,
            warnings: env.into_warnings(),
        }
    }

    /// Where a signal goes.
    pub fn target(&self, signal: Signal) -> Option<&Target> {
        match signal {
            Signal::Traces => self.traces.as_ref(),
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }

    /// Whether anything is exported.
    pub fn exports(&self) -> bool {
        Signal::ALL.iter().any(|signal| self.target(*signal).is_some())
    }

    /// Everything that must not be seen in a text: values of headers, passwords in URLs.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let targets = Signal::ALL.iter().filter_map(|signal| self.target(*signal));
        let mut secrets: Vec<String> = targets
            .flat_map(|target| {
                let headers = target.headers.0.iter().map(|(_, value)| value.clone());
                headers.chain(parse::url_credentials(&target.url))
            })
            .filter(|secret| !secret.is_empty())
            .collect();
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }
}

//! OpenTelemetry and logs: set-up, names, flush at exit.
//!
//! [`init`] is called once, from a plain `main` and before the runtime starts; what it returns, a [`Guard`], is shut
//! down by the same `main` after the runtime has ended. In between, the program uses `tracing` for spans and logs,
//! [`Metrics`] for numbers, and the names in [`names`] for all of them.
//!
//! ```no_run
//! # fn run(_: telemetry::Metrics) -> i32 { 0 }
//! let settings = telemetry::Settings::from_env(|name| std::env::var(name).ok());
//! let guard = telemetry::init(settings).expect("no other logger");
//! let code = run(guard.metrics());
//! for problem in guard.shutdown() {
//!     eprintln!("{problem}");
//! }
//! std::process::exit(code);
//! ```
//!
//! The promises:
//!
//! 1. Without an endpoint nothing is exported: no thread, no connection, no exporter.
//! 2. A short process loses nothing: [`Guard::shutdown`] sends what is left.
//! 3. A collector that is away or hangs delays the end by [`FLUSH_LIMIT`] at most, and never fails anything.
//! 4. Headers and passwords for the collector appear in no log line, no error and no span.

mod context;
mod error;
mod exporters;
mod guard;
mod health;
mod logs;
mod metrics;
pub mod names;
mod pipes;
mod settings;

pub use context::current_traceparent;
pub use error::TelemetryError;
pub use guard::{FLUSH_LIMIT, Guard, init};
pub use health::Problem;
pub use logs::{LogLine, LogSink};
pub use metrics::{Metrics, SeriesLabels};
pub use settings::{
    Headers, LogFormat, Protocol, SERVICE_NAME, Sampler, Settings, Signal, Target, Tls, log_filter, mask_url,
};

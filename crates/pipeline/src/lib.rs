//! The jobs: bring series up to date, and fill their gaps.
//!
//! One run of one series goes: resolve the range ([`range`]) → take the lease ([`lease`]) → ask the store what is
//! missing → plan windows (`binance::planner`) → fetch them a few at a time and check every kline ([`fill`]) → commit
//! in chunks ([`writer`]) → report ([`report`]) and message ([`message`]), the last chunk and the end of the run in one
//! transaction. [`run()`] does that for many series at once.
//!
//! The library prints nothing and reads no environment: what happens is told to an [`Observer`].

pub mod error;
pub mod event;
mod fill;
mod lease;
pub mod message;
mod range;
pub mod report;
mod run;
pub mod spec;
mod writer;

pub use error::JobError;
pub use event::{Event, Observer};
pub use report::{Report, SeriesReport, Totals};
pub use run::run;
pub use spec::{Job, Lookback, MessageOptions, Options, PreferSetting, Since};

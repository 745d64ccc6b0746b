//! The jobs: bring series up to date, and fill their gaps.
//!
//! One run of one series goes: resolve the range (`range`) → ask the store what is missing → take the lease (`lease`) →
//! plan files (`route`) and windows (`binance::planner`) → fetch them a few at a time and check every kline (`fill`), find out what the
//! exchange does not have (`holes`) → commit in chunks (`writer`) → report ([`report`]) and message ([`message`]), the last
//! chunk and the end of the run in one transaction. [`run()`] does that for many series at once.
//!
//! The library prints nothing and reads no environment: what happens is told to an [`Observer`].

pub mod certify;
pub mod error;
pub mod event;
mod fill;
pub mod follow;
mod holes;
pub mod import;
mod lease;
pub mod message;
mod range;
pub mod report;
mod route;
mod run;
pub mod spec;
mod task;
mod units;
pub mod verify;
mod writer;

pub use error::JobError;
pub use event::{Event, Observer};
pub use follow::{FollowOptions, FollowReport, follow};
pub use report::{Report, SeriesReport, Totals};
pub use route::{ArchiveReport, FetchFrom};
pub use run::run;
pub use spec::{Job, Lookback, MessageOptions, Options, PreferSetting, Since};
pub use units::{WorkUnit, units};
pub use verify::{Against, VerifyOptions, VerifyReport, verify};

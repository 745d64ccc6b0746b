//! Stored klines beside those of the source: what drifted, what is missing, what nobody else has.
//!
//! Every stored kline of a range is compared, field by field, with REST ([`Against::Rest`], window by window) or with the
//! archive's files ([`Against::Archive`], month by month). Memory is bounded: a window, or a month, is compared and
//! forgotten. Whatever differs between a month's file and the store is looked up in the file of the day, too, because the
//! archive is known to leave its months behind when it mends its days.
//!
//! A repair writes the source's values of what drifted and what is missing, under the series' lease; the store keeps the
//! values before. Klines that the source does not have are told and never deleted.

mod archive;
pub(crate) mod compare;
mod report;
mod rest;
mod task;

use std::time::Duration;

use binance::Client;
use binance::archive::Archive;
use futures_util::StreamExt;
use kline::{Millis, Series};
use store::KlineStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use compare::{FieldDifference, fields};
pub use report::{Finding, VerifyReport, VerifySeries, VerifyTotals};

use crate::error::JobError;
use crate::event::Observer;
use crate::lease;
use crate::run::millis;
use crate::spec::Since;
use task::Comparison;

/// What stored klines are compared with.
#[derive(Debug, Clone)]
pub enum Against {
    /// The REST interface, which is never out of date; costs weight.
    Rest,
    /// The public archive; costs no weight. It is known to lack klines and to be behind REST in some, so what it says
    /// against the store is worth a second look.
    Archive(Archive),
}

impl Against {
    /// `rest` or `archive`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Archive(_) => "archive",
        }
    }
}

/// A comparison in full.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The series to compare.
    pub series: Vec<Series>,
    /// With what.
    pub against: Against,
    /// Where each range begins; [`Since::Stored`] for the first stored kline.
    pub since: Since,
    /// Where each range ends, exclusive; `None` for the last stored kline.
    pub until: Option<Millis>,
    /// Write the source's values.
    pub repair: bool,
    /// Tell what it would cost; compare nothing.
    pub dry_run: bool,
    /// Findings told per series; the rest is counted.
    pub most_findings: usize,
    /// Series compared at once.
    pub series_at_once: usize,
    /// Requests in flight per series.
    pub in_flight: usize,
    /// Klines per commit.
    pub chunk: usize,
    /// How long a lease lasts without being renewed.
    pub lease_ttl: Duration,
    /// How long to wait for another job's lease.
    pub lease_wait: Duration,
}

impl VerifyOptions {
    /// A comparison with default settings, of all that is stored of some series.
    pub fn new(series: Vec<Series>, against: Against) -> Self {
        Self {
            series,
            against,
            since: Since::Stored,
            until: None,
            repair: false,
            dry_run: false,
            most_findings: 100,
            series_at_once: 4,
            in_flight: 6,
            chunk: 10_000,
            lease_ttl: Duration::from_secs(60),
            lease_wait: Duration::from_secs(90),
        }
    }
}

/// What all series of a comparison share.
pub(crate) struct Shared<'a, S> {
    pub store: &'a S,
    pub client: &'a Client,
    pub options: &'a VerifyOptions,
    pub observer: &'a dyn Observer,
    pub stop: &'a CancellationToken,
    /// Cancelled when an error forbids any further request.
    pub halted: CancellationToken,
    pub run: String,
    pub owner: String,
}

/// Compares stored klines with the source.
///
/// # Errors
/// [`JobError::Usage`] when the request makes no sense. Every other error belongs to a series and is in the report.
pub async fn verify<S: KlineStore>(
    store: &S,
    client: &Client,
    options: &VerifyOptions,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<VerifyReport, JobError> {
    let started = Instant::now();
    let shared = Shared {
        store,
        client,
        options,
        observer,
        stop,
        halted: CancellationToken::new(),
        run: uuid::Uuid::now_v7().to_string(),
        owner: lease::this_owner(),
    };
    let span = tracing::info_span!(
        "klines.run",
        klines.job = "verify",
        klines.run.id = shared.run,
        outcome = tracing::field::Empty
    );
    let report = all(&shared, started).instrument(span.clone()).await?;
    span.record("outcome", report.outcome);
    Ok(report)
}

async fn all<S: KlineStore>(shared: &Shared<'_, S>, started: Instant) -> Result<VerifyReport, JobError> {
    let options = shared.options;
    let compare = |(index, series)| async move { (index, Comparison::new(shared, series).run().await) };
    let mut results: Vec<_> = futures_util::stream::iter(options.series.iter().enumerate())
        .map(compare)
        .buffer_unordered(options.series_at_once.max(1))
        .collect()
        .await;
    results.sort_by_key(|(index, _)| *index);
    let (reports, errors): (Vec<_>, Vec<_>) = results.into_iter().map(|(_, result)| result).unzip();
    if reports.iter().all(|report| report.counts.repaired == 0)
        && let Some(error) = errors.into_iter().flatten().next()
    {
        return Err(error);
    }
    Ok(VerifyReport::new(
        shared.run.clone(),
        options.against.as_str(),
        options.repair,
        options.dry_run,
        millis(started.elapsed()),
        reports,
    ))
}

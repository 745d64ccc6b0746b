//! A whole run: many series at once, one report.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use binance::{Client, ExchangeInfo, FetchError};
use futures_util::StreamExt;
use kline::{Interval, Market, Millis};
use store::{Finish, KlineStore, Message};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::error::JobError;
use crate::event::Observer;
use crate::report::{Report, SeriesReport};
use crate::spec::Options;
use crate::task::Task;
use crate::{lease, message};

/// Runs a job over all its series.
///
/// `wall` is the local time of the start, for run records and messages only; what is closed is judged by the exchange's
/// clock. When `stop` is cancelled, chunks in hand are committed and the run ends.
///
/// # Errors
/// [`JobError::Usage`] when the request makes no sense. Every other error belongs to a series and is in the report.
pub async fn run<S: KlineStore>(
    store: &S,
    client: &Client,
    options: &Options,
    observer: &dyn Observer,
    wall: Millis,
    stop: &CancellationToken,
) -> Result<Report, JobError> {
    let started = Instant::now();
    let run = Run {
        store,
        client,
        options,
        observer,
        wall,
        started,
        stop,
        halted: CancellationToken::new(),
        id: uuid::Uuid::now_v7().to_string(),
        owner: lease::this_owner(),
        markets: options.series.iter().map(|s| (s.market, MarketState::default())).collect(),
    };
    let span = tracing::info_span!(
        "klines.run",
        klines.job = options.job.as_str(),
        klines.run.id = run.id,
        outcome = tracing::field::Empty
    );
    let report = run.all().instrument(span.clone()).await?;
    span.record("outcome", report.outcome);
    Ok(report)
}

/// Whole milliseconds of a time.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is learnt of a market once and shared by its series.
#[derive(Default)]
pub(crate) struct MarketState {
    pub clock: OnceCell<Result<(), Arc<FetchError>>>,
    pub info: OnceCell<Result<Arc<ExchangeInfo>, Arc<FetchError>>>,
}

/// A run: what its series share.
pub(crate) struct Run<'a, S> {
    pub store: &'a S,
    pub client: &'a Client,
    pub options: &'a Options,
    pub observer: &'a dyn Observer,
    wall: Millis,
    started: Instant,
    pub stop: &'a CancellationToken,
    /// Cancelled when an error forbids any further request of the run.
    pub halted: CancellationToken,
    pub id: String,
    pub owner: String,
    pub markets: HashMap<Market, MarketState>,
}

impl<S: KlineStore> Run<'_, S> {
    /// Every series, a few at a time, and the report in the order asked.
    async fn all(&self) -> Result<Report, JobError> {
        let mut tasks: Vec<_> = self.options.series.iter().map(|series| Task::new(self, series)).collect();
        let at_once = self.options.series_at_once.max(1);
        // A request that makes no sense for one series is refused before anything is done for another.
        let checks: Vec<_> = futures_util::stream::iter(&mut tasks)
            .map(Task::check_request)
            .buffer_unordered(at_once)
            .collect()
            .await;
        checks.into_iter().collect::<Result<(), _>>()?;
        let mut results: Vec<_> = futures_util::stream::iter(tasks.into_iter().enumerate())
            .map(|(index, task)| async move { (index, task.run().await) })
            .buffer_unordered(at_once)
            .collect()
            .await;
        results.sort_by_key(|(index, _)| *index);
        let (reports, errors): (Vec<_>, Vec<_>) = results.into_iter().map(|(_, result)| result).unzip();
        if reports.iter().all(|report| report.written == 0)
            && let Some(error) = errors.into_iter().flatten().next()
        {
            return Err(error);
        }
        self.send_batches(&reports).await?;
        let elapsed = millis(self.started.elapsed());
        Ok(Report::new(self.options.job, self.id.clone(), self.options.dry_run, elapsed, reports))
    }

    /// Local time now, by the start of the run and the monotonic clock.
    pub fn wall_now(&self) -> Millis {
        self.wall.plus(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0))
    }

    /// One message per interval, when all its series are done.
    async fn send_batches(&self, reports: &[SeriesReport]) -> Result<(), JobError> {
        let (Some(messages), false) = (&self.options.messages, self.options.dry_run) else { return Ok(()) };
        let mut by_interval: BTreeMap<Option<Interval>, Vec<SeriesReport>> = BTreeMap::new();
        for report in reports {
            by_interval.entry(report.interval.parse().ok()).or_default().push(report.clone());
        }
        let timestamp = self.wall_now().to_string();
        let batch = |reports: &Vec<SeriesReport>| {
            let interval = reports.first().map_or("", |r| r.interval);
            Message {
                traceparent: (messages.traceparent)(),
                ..message::of_batch(
                    &messages.prefix,
                    self.options.job,
                    &self.id,
                    &timestamp,
                    interval,
                    reports,
                )
            }
        };
        let messages = by_interval.values().map(batch).collect();
        Ok(self.store.finish(&Finish { run: None, messages }).await?)
    }
}

impl Report {
    /// Whether any series was interrupted.
    pub fn interrupted(&self) -> bool {
        self.series.iter().any(|s| s.error.as_deref() == Some(JobError::Interrupted.to_string().as_str()))
    }
}

//! A whole run: many series at once, one report.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use binance::planner::{self, Prefer, Rules};
use binance::{Client, ExchangeInfo, FetchError};
use futures_util::StreamExt;
use kline::{Interval, Market, Millis, RangeSet, Series, SlotRange};
use store::{Finish, KlineStore, Lease, Message, SeriesRecord, SeriesRun, types::absent_slots};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::error::{JobError, chain};
use crate::event::{Event, Observer};
use crate::fill::{Filler, Tally};
use crate::report::{PlanReport, RejectionCount, Report, SeriesReport};
use crate::spec::{Options, PreferSetting, Since};
use crate::writer::Writer;
use crate::{lease, message, range};

/// USD-M contracts older than the listing records all carry this onboard date; it says nothing.
const PLACEHOLDER_ONBOARD: Millis = Millis(1_569_398_400_000);

/// Faster lines never make fewer, larger requests worth their weight.
const SLOW_LINE: Duration = Duration::from_millis(250);

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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is learnt of a market once and shared by its series.
#[derive(Default)]
struct MarketState {
    clock: OnceCell<Result<(), Arc<FetchError>>>,
    info: OnceCell<Result<Arc<ExchangeInfo>, Arc<FetchError>>>,
}

struct Run<'a, S> {
    store: &'a S,
    client: &'a Client,
    options: &'a Options,
    observer: &'a dyn Observer,
    wall: Millis,
    started: Instant,
    stop: &'a CancellationToken,
    /// Cancelled when an error forbids any further request of the run.
    halted: CancellationToken,
    id: String,
    owner: String,
    markets: HashMap<Market, MarketState>,
}

/// What is to be done for one series.
struct Work {
    slots: SlotRange,
    missing: RangeSet,
    /// Nothing is stored before the first missing slot, and the listing is not known.
    leading: bool,
}

impl<S: KlineStore> Run<'_, S> {
    /// Every series, a few at a time, and the report in the order asked.
    async fn all(&self) -> Result<Report, JobError> {
        let mut results: Vec<_> = futures_util::stream::iter(self.options.series.iter().enumerate())
            .map(|(index, series)| async move { (index, self.series(series).await) })
            .buffer_unordered(self.options.series_at_once.max(1))
            .collect()
            .await;
        results.sort_by_key(|(index, _)| *index);
        let mut reports = Vec::with_capacity(results.len());
        for (_, result) in results {
            reports.push(result?);
        }
        self.send_batches(&reports).await?;
        let elapsed = millis(self.started.elapsed());
        Ok(Report::new(self.options.job, self.id.clone(), self.options.dry_run, elapsed, reports))
    }

    /// One series in a span of its own.
    async fn series(&self, series: &Series) -> Result<SeriesReport, JobError> {
        let span = tracing::info_span!(
            "klines.series",
            market = series.market.as_str(),
            symbol = series.symbol.as_str(),
            interval = series.interval.as_str(),
            outcome = tracing::field::Empty
        );
        let report = self.series_in_span(series).instrument(span.clone()).await?;
        span.record("outcome", report.outcome);
        Ok(report)
    }

    /// One series from start to end. Only a request that makes no sense is an error here; all else is in the report.
    async fn series_in_span(&self, series: &Series) -> Result<SeriesReport, JobError> {
        let started = Instant::now();
        let mut report = SeriesReport::new(series);
        let result = self.attempt(series, &mut report, started).await;
        if let Err(error) = result {
            if error.is_usage() {
                return Err(error);
            }
            self.fail(&mut report, &error);
            self.conclude(series, &mut report, started);
            if !self.options.dry_run && !matches!(error, JobError::Store(_)) {
                // The series has no chunk to carry the end of its run. If the store fails now, the report still tells
                // of the first error, which is the one to mend.
                if let Err(second) = self.store.finish(&self.finish(series, &report)).await {
                    tracing::warn!(%series, error = chain(&second), "the failed run could not be recorded");
                }
            }
        }
        self.observer.event(&Event::Finished(&report));
        Ok(report)
    }

    fn fail(&self, report: &mut SeriesReport, error: &JobError) {
        if let JobError::Fetch(fetch) = error
            && fetch.stops_run()
        {
            self.halted.cancel();
        }
        report.error = Some(chain(error));
        report.hint = error.hint();
    }

    async fn attempt(
        &self,
        series: &Series,
        report: &mut SeriesReport,
        started: Instant,
    ) -> Result<(), JobError> {
        if self.halted.is_cancelled() {
            return Err(JobError::Halted);
        }
        if self.stop.is_cancelled() {
            return Err(JobError::Interrupted);
        }
        let mut work = self.survey(series, report).await?;
        if self.options.dry_run || work.missing.is_empty() {
            if !work.missing.is_empty() {
                report.plan = Some(self.price(series, &work.missing).await?);
            }
            self.conclude(series, report, started);
            if !self.options.dry_run {
                self.store.finish(&self.finish(series, report)).await?;
            }
            return Ok(());
        }
        let ttl = self.options.lease_ttl;
        let wait = self.options.lease_wait;
        let lease = lease::acquire(self.store, series, &self.owner, ttl, wait, self.observer).await?;
        let result = async {
            if self.options.recheck_absent {
                self.store.forget_absent(&lease, work.slots).await?;
            }
            // Another job may have been at work while this one waited.
            work = self.survey(series, report).await?;
            self.fetch(series, report, work, &lease, started).await
        }
        .await;
        if let Err(error) = self.store.release(&lease).await {
            tracing::warn!(%series, error = chain(&error), "the lease could not be given back; it expires by itself");
        }
        result
    }

    /// Finds the range and what is missing in it.
    async fn survey(&self, series: &Series, report: &mut SeriesReport) -> Result<Work, JobError> {
        let record = self.store.series(series).await?;
        let now = if range::needs_clock(self.options) { Some(self.now(series.market).await?) } else { None };
        let listing = match self.options.since {
            Since::Listing => Some(self.listing(series, record.as_ref()).await?),
            _ => None,
        };
        let of_clock = |now| range::slots(self.options, series, record.as_ref(), listing, now);
        let mut slots = of_clock(now)?;
        let mut missing = self.missing(series, slots).await?;
        if now.is_none() && !missing.0.is_empty() {
            // Something has to be fetched, so the exchange is asked for its clock after all: only closed klines count.
            slots = of_clock(Some(self.now(series.market).await?))?;
            missing = self.missing(series, slots).await?;
        }
        let (missing, absent) = missing;
        report.set_range(series.interval.time_range(slots));
        report.expected = slots.len();
        report.absent = absent.len();
        report.missing_before = missing.len();
        report.missing_after = missing.len();
        report.gaps = missing.runs() as u64;
        report.stored_before = slots.len() - missing.len() - absent.len();
        let stored_from = record.as_ref().and_then(|r| r.extent).map(|e| series.interval.slot_of(e.first));
        let known = record.as_ref().and_then(|r| r.listed).map(|at| series.interval.slot_of(at));
        let leading = missing.first().is_some_and(|first| {
            stored_from.is_none_or(|stored| first < stored) && known.is_none_or(|listed| first < listed)
        });
        Ok(Work { slots, missing, leading })
    }

    /// Slots neither filled nor absent, and the absent ones.
    async fn missing(&self, series: &Series, slots: SlotRange) -> Result<(RangeSet, RangeSet), JobError> {
        let open = if self.options.recount {
            self.store.recount(series, slots).await?
        } else {
            self.store.missing(series, slots).await?
        };
        if self.options.recheck_absent {
            return Ok((open, RangeSet::new()));
        }
        let absent = absent_slots(&self.store.absent(series, slots).await?).clip(slots).intersection(&open);
        Ok((open.difference(&absent), absent))
    }

    async fn listing(&self, series: &Series, record: Option<&SeriesRecord>) -> Result<Millis, JobError> {
        match record.and_then(|r| r.listed) {
            Some(listed) => Ok(listed),
            None => range::listing(self.client, series).await,
        }
    }

    /// Fetches and stores, and commits the end of the run with the last chunk.
    async fn fetch(
        &self,
        series: &Series,
        report: &mut SeriesReport,
        work: Work,
        lease: &Lease,
        started: Instant,
    ) -> Result<(), JobError> {
        let options = self.options;
        let info = self.exchange_info(series.market).await?;
        let onboard =
            info.symbols.get(&series.symbol).and_then(|s| s.onboard).filter(|at| *at != PLACEHOLDER_ONBOARD);
        self.refuse_reused_ticker(series, onboard).await?;
        let prefer = self.prefer(series).await?;
        self.announce(series, report, &work.missing, prefer);
        let mut writer =
            Writer::new(self.store, self.observer, lease, options.lease_ttl, options.chunk, &self.id);
        if let Some(onboard) = onboard {
            writer.listed(onboard);
        }
        let gaps = work.missing.clone();
        let mut filler =
            Filler::new(self.client, self.observer, series, prefer, options.in_flight, self.stop);
        let result = filler.fill(work.missing, work.leading, &mut writer).await;
        let written = writer.committed().written() + writer.waiting();
        tally_up(report, &filler.tally, &gaps, written);
        match result {
            Ok(_) => {}
            // Nothing more can be written; the run record would fail as well.
            Err(error @ JobError::Store(_)) => return Err(error),
            Err(error) => self.fail(report, &error),
        }
        self.conclude(series, report, started);
        writer.flush(Some(self.finish(series, report))).await?;
        report.revised = writer.committed().replaced;
        Ok(())
    }

    /// Refuses to splice two assets: the exchange listed the symbol after klines that are stored already.
    async fn refuse_reused_ticker(&self, series: &Series, onboard: Option<Millis>) -> Result<(), JobError> {
        let Some(record) = self.store.series(series).await? else { return Ok(()) };
        let (Some(onboard), Some(known), Some(extent)) = (onboard, record.listed, record.extent) else {
            return Ok(());
        };
        let relisted = onboard > known
            && series.interval.slot_of(onboard) > series.interval.slot_of(known)
            && extent.first < onboard;
        if relisted {
            return Err(JobError::Relisted { series: series.clone(), listed: onboard, first: extent.first });
        }
        Ok(())
    }

    fn announce(&self, series: &Series, report: &SeriesReport, missing: &RangeSet, prefer: Prefer) {
        let windows = planner::plan(missing, &Rules::of(series.market, series.interval), prefer);
        self.observer.event(&Event::Planned {
            series,
            missing: report.missing_before,
            gaps: report.gaps,
            requests: windows.len() as u64,
            weight: windows.iter().map(|w| u64::from(w.weight)).sum(),
        });
    }

    /// What filling would cost.
    async fn price(&self, series: &Series, missing: &RangeSet) -> Result<PlanReport, JobError> {
        let limit = self.exchange_info(series.market).await?.weight_limit;
        let rtt = self.client.rtt(series.market).unwrap_or_default();
        let windows =
            planner::plan(missing, &Rules::of(series.market, series.interval), self.prefer(series).await?);
        let requests = windows.len() as u64;
        let weight: u64 = windows.iter().map(|w| u64::from(w.weight)).sum();
        // Within the first minute the whole limit is there at once; after that the limit sets the pace.
        let by_weight = weight / u64::from(limit.max(1)) * 60;
        let at_once = self.options.in_flight.max(1) as u64;
        let by_latency = millis(rtt).max(1) * requests.div_ceil(at_once) / 1000;
        Ok(PlanReport { requests, weight, seconds: by_weight.max(by_latency) })
    }

    /// The exchange's clock. When it cannot be read, every series of the market fails by the same error, at once.
    async fn now(&self, market: Market) -> Result<Millis, JobError> {
        if let Some(state) = self.markets.get(&market) {
            let ask = || async { self.client.now(market).await.map(|_| ()).map_err(Arc::new) };
            self.or_interrupted(state.clock.get_or_init(ask)).await?.clone()?;
        }
        Ok(self.client.now(market).await?)
    }

    async fn exchange_info(&self, market: Market) -> Result<Arc<ExchangeInfo>, JobError> {
        let Some(state) = self.markets.get(&market) else {
            return Ok(self.client.exchange_info(market).await?);
        };
        let ask = || async { self.client.exchange_info(market).await.map_err(Arc::new) };
        Ok(self.or_interrupted(state.info.get_or_init(ask)).await?.clone()?)
    }

    /// Waits for something unless the program is asked to stop.
    async fn or_interrupted<T>(&self, wait: impl Future<Output = T>) -> Result<T, JobError> {
        tokio::select! {
            done = wait => Ok(done),
            () = self.stop.cancelled() => Err(JobError::Interrupted),
        }
    }

    async fn prefer(&self, series: &Series) -> Result<Prefer, JobError> {
        Ok(match self.options.prefer {
            PreferSetting::Weight => Prefer::Weight,
            PreferSetting::Requests => Prefer::Requests,
            PreferSetting::Auto => {
                let market = series.market;
                let limit = self.exchange_info(market).await?.weight_limit;
                // Measured by now: the clock and the limits were two answers.
                let rtt = self.client.rtt(market).unwrap_or_default();
                if rtt < SLOW_LINE {
                    return Ok(Prefer::Weight);
                }
                let rules = Rules::of(market, series.interval);
                planner::prefer_for(&rules, rtt, self.options.in_flight, limit)
            }
        })
    }

    fn conclude(&self, series: &Series, report: &mut SeriesReport, started: Instant) {
        report.duration_ms = millis(started.elapsed());
        report.outcome = report.outcome().as_str();
        tracing::debug!(%series, outcome = report.outcome, "series done");
    }

    /// Local time now, by the start of the run and the monotonic clock.
    fn wall_now(&self) -> Millis {
        self.wall.plus(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0))
    }

    fn finish(&self, series: &Series, report: &SeriesReport) -> Finish {
        let ended = self.wall_now();
        let job = self.options.job;
        let messages = self.options.messages.as_ref();
        Finish {
            run: Some(SeriesRun {
                run: self.id.clone(),
                job: job.as_str().into(),
                series: series.clone(),
                started: ended.plus(-i64::try_from(report.duration_ms).unwrap_or(0)),
                ended,
                outcome: report.outcome(),
                report: serde_json::to_string(report).unwrap_or_default(),
            }),
            messages: messages
                .map(|options| Message {
                    traceparent: (options.traceparent)(),
                    ..message::of_series(&options.prefix, job, &self.id, &ended.to_string(), report)
                })
                .into_iter()
                .collect(),
        }
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

/// Enters what filling brought into the report.
fn tally_up(report: &mut SeriesReport, tally: &Tally, gaps: &RangeSet, written: u64) {
    let done = tally.filled.union(&tally.absent);
    let left = gaps.difference(&done);
    report.fetched = tally.fetched;
    report.written = written;
    report.rejected = tally.rejected;
    report.requests = tally.requests;
    report.weight = tally.weight;
    report.flagged = tally.flags.into();
    report.absent += tally.absent.len();
    report.missing_after = left.len();
    report.gaps_filled = gaps.ranges().iter().filter(|gap| left.clip(**gap).is_empty()).count() as u64;
    report.rejections = tally
        .rejections
        .iter()
        .map(|(reason, (rows, first))| RejectionCount {
            reason: reason.as_str(),
            rows: *rows,
            first: first.clone(),
        })
        .collect();
}

impl Report {
    /// Whether any series was interrupted.
    pub fn interrupted(&self) -> bool {
        self.series.iter().any(|s| s.error.as_deref() == Some(JobError::Interrupted.to_string().as_str()))
    }
}

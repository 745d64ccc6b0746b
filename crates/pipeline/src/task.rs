//! One series of a run, from the question what is missing to the record of its end.

use std::sync::Arc;
use std::time::Duration;

use binance::archive::plan::Choice;
use binance::planner::{self, Prefer, Rules, Window};
use binance::{Client, ExchangeInfo};
use kline::{Millis, RangeSet, Series, SlotRange};
use store::{Finish, KlineStore, Lease, Message, SeriesRecord, SeriesRun, types::absent_slots};
use tokio::time::Instant;
use tracing::Instrument;

use crate::error::{JobError, chain};
use crate::event::Event;
use crate::fill::{Filler, Tally};
use crate::report::{PlanReport, RejectionCount, SeriesReport};
use crate::route::{self, FetchFrom};
use crate::run::{Run, millis};
use crate::spec::{Job, PreferSetting, Since};
use crate::writer::Writer;
use crate::{lease, message, range};

/// USD-M contracts older than the listing records all carry this onboard date; it says nothing.
const PLACEHOLDER_ONBOARD: Millis = Millis(1_569_398_400_000);

/// Faster lines never make fewer, larger requests worth their weight.
const SLOW_LINE: Duration = Duration::from_millis(250);

/// Work on one series.
pub(crate) struct Task<'r, 'a, S> {
    run: &'r Run<'a, S>,
    series: &'r Series,
    /// A handle that counts what this series spends.
    client: Client,
    /// First kline at the exchange, once asked for.
    listing: Option<Millis>,
    report: SeriesReport,
    started: Instant,
}

/// What is to be done.
struct Work {
    slots: SlotRange,
    missing: RangeSet,
    /// Nothing is stored before the first missing slot, and the listing is not known.
    leading: bool,
    /// The last stored kline right before what is missing: read once more, it may have settled since.
    recheck: Option<kline::Slot>,
}

impl<'r, 'a, S: KlineStore> Task<'r, 'a, S> {
    pub fn new(run: &'r Run<'a, S>, series: &'r Series) -> Self {
        let report = SeriesReport::new(series);
        let client = run.client.metered();
        Self { run, series, client, listing: None, report, started: Instant::now() }
    }

    /// Whether the request makes sense for this series. Other errors are met again, and reported, by [`run`](Self::run).
    pub async fn check_request(&mut self) -> Result<(), JobError> {
        match self.survey().await {
            Err(error) if error.is_usage() => Err(error),
            _ => Ok(()),
        }
    }

    /// From start to end; whatever happens is in the report. An error that the caller's settings are to blame for (a locked
    /// store, for instance) is handed back as well.
    pub async fn run(mut self) -> (SeriesReport, Option<JobError>) {
        let span = tracing::info_span!(
            "klines.series",
            market = self.series.market.as_str(),
            symbol = self.series.symbol.as_str(),
            interval = self.series.interval.as_str(),
            outcome = tracing::field::Empty
        );
        let error = self.in_span().instrument(span.clone()).await.filter(JobError::is_usage);
        span.record("outcome", self.report.outcome);
        self.run.observer.event(&Event::Finished(&self.report));
        (self.report, error)
    }

    async fn in_span(&mut self) -> Option<JobError> {
        self.started = Instant::now();
        let error = self.attempt().await.err()?;
        self.fail(&error);
        self.conclude();
        if self.run.options.dry_run || matches!(error, JobError::Store(_)) {
            return Some(error);
        }
        // There is no chunk to carry the end of this run. If the store fails now, the report still tells of the first
        // error, which is the one to mend.
        if let Err(second) = self.run.store.finish(&self.finish()).await {
            tracing::warn!(series = %self.series, error = chain(&second), "the failed run could not be recorded");
        }
        Some(error)
    }

    fn fail(&mut self, error: &JobError) {
        if let JobError::Fetch(fetch) = error
            && fetch.stops_run()
        {
            self.run.halted.cancel();
        }
        self.report.error = Some(chain(error));
        self.report.hint = error.hint();
    }

    async fn attempt(&mut self) -> Result<(), JobError> {
        let run = self.run;
        if run.halted.is_cancelled() {
            return Err(JobError::Halted);
        }
        if run.stop.is_cancelled() {
            return Err(JobError::Interrupted);
        }
        let work = self.survey().await?;
        if run.options.dry_run || work.missing.is_empty() {
            if !work.missing.is_empty() {
                self.report.plan = Some(self.price(&work.missing).await?);
            }
            self.conclude();
            if !run.options.dry_run {
                run.store.finish(&self.finish()).await?;
            }
            return Ok(());
        }
        let (ttl, wait) = (run.options.lease_ttl, run.options.lease_wait);
        let lease =
            lease::acquire(run.store, self.series, &run.owner, ttl, wait, run.observer, run.stop).await?;
        let result = self.with_lease(&lease).await;
        if let Err(error) = run.store.release(&lease).await {
            let error = chain(&error);
            tracing::warn!(series = %self.series, error, "the lease could not be given back; it expires by itself");
        }
        result
    }

    async fn with_lease(&mut self, lease: &Lease) -> Result<(), JobError> {
        if self.run.options.recheck_absent {
            let slots = self.survey().await?.slots;
            self.run.store.forget_absent(lease, slots).await?;
        }
        // Another job may have been at work while this one waited.
        let work = self.survey().await?;
        self.fetch(work, lease).await
    }

    /// Finds the range and what is missing in it.
    async fn survey(&mut self) -> Result<Work, JobError> {
        let (options, interval) = (self.run.options, self.series.interval);
        let record = self.run.store.series(self.series).await?;
        let record = record.as_ref();
        let now = if range::needs_clock(options) { Some(self.now().await?) } else { None };
        let listing = match options.since {
            Since::Listing => Some(self.listing(record).await?),
            _ => None,
        };
        let of_clock = |now| range::slots(options, self.series, record, listing, now);
        let mut slots = of_clock(now)?;
        let mut found = self.missing(slots).await?;
        if now.is_none() && !found.0.is_empty() {
            // Something has to be fetched, so the exchange is asked for its clock after all: only closed klines count.
            slots = of_clock(Some(self.now().await?))?;
            found = self.missing(slots).await?;
        }
        let (missing, absent) = found;
        let report = &mut self.report;
        report.set_range(interval.time_range(slots));
        report.expected = slots.len();
        report.absent = absent.len();
        report.missing_before = missing.len();
        report.missing_after = missing.len();
        report.gaps = missing.runs() as u64;
        report.stored_before = slots.len() - missing.len() - absent.len();
        let extent = record.and_then(|r| r.extent);
        let stored_from = extent.map(|e| interval.slot_of(e.first));
        let known = record.and_then(|r| r.listed).map(|at| interval.slot_of(at));
        let leading = missing.first().is_some_and(|first| {
            stored_from.is_none_or(|stored| first < stored) && known.is_none_or(|listed| first < listed)
        });
        let last = extent.map(|e| interval.slot_of(e.last)).filter(|_| options.job == Job::Extract);
        let recheck = last.filter(|last| missing.first() == Some(last + 1));
        Ok(Work { slots, missing, leading, recheck })
    }

    /// Slots neither filled nor absent, and the absent ones.
    async fn missing(&self, slots: SlotRange) -> Result<(RangeSet, RangeSet), JobError> {
        let (store, options) = (self.run.store, self.run.options);
        let open = if options.recount {
            store.recount(self.series, slots).await?
        } else {
            store.missing(self.series, slots).await?
        };
        if options.recheck_absent {
            return Ok((open, RangeSet::new()));
        }
        let absent = absent_slots(&store.absent(self.series, slots).await?).clip(slots).intersection(&open);
        Ok((open.difference(&absent), absent))
    }

    async fn listing(&mut self, record: Option<&SeriesRecord>) -> Result<Millis, JobError> {
        if let Some(listed) = self.listing.or(record.and_then(|r| r.listed)) {
            return Ok(listed);
        }
        let listed = match self.run.options.from.only_archive() {
            Some(archive) => route::first_file(archive, self.series).await?,
            None => range::listing(&self.client, self.series).await?,
        };
        self.listing = Some(listed);
        Ok(listed)
    }

    /// Fetches and stores, and commits the end of the run with the last chunk.
    async fn fetch(&mut self, work: Work, lease: &Lease) -> Result<(), JobError> {
        let (run, options) = (self.run, self.run.options);
        let onboard = self.onboard().await?;
        self.refuse_reused_ticker(onboard).await?;
        let prefer = self.prefer().await?;
        self.announce(&work.missing, prefer).await?;
        let mut writer =
            Writer::new(run.store, run.observer, lease, options.lease_ttl, options.chunk, &run.id);
        if let Some(onboard) = onboard {
            writer.listed(onboard);
        }
        let client = self.client.clone();
        let mut filler = Filler {
            client: &client,
            observer: run.observer,
            series: self.series,
            prefer,
            in_flight: options.in_flight.max(1),
            stop: run.stop,
            recheck: work.recheck,
            leading: work.leading,
            from: &options.from,
            tally: Tally::default(),
        };
        let gaps = work.missing.clone();
        let result = filler.fill(work.missing, &mut writer).await;
        let tally = filler.tally;
        tally_up(&mut self.report, &tally, &gaps);
        self.report.archive = options.from.archive().map(|_| tally.archive);
        match result {
            Ok(_) => {}
            Err(error @ JobError::Store(_)) => {
                // Nothing more can be written, not even the record of this run: what was committed is all there is.
                self.report.written = writer.committed().inserted;
                self.report.missing_after = self.report.missing_before - self.report.written;
                return Err(error);
            }
            Err(error) => self.fail(&error),
        }
        self.conclude();
        writer.flush(Some(self.finish())).await?;
        self.report.revised = writer.committed().replaced;
        Ok(())
    }

    /// When the exchange listed the symbol; the archive does not say.
    async fn onboard(&self) -> Result<Option<Millis>, JobError> {
        if self.run.options.from.only_archive().is_some() {
            return Ok(None);
        }
        let info = self.exchange_info().await?;
        let onboard = info.symbols.get(&self.series.symbol).and_then(|s| s.onboard);
        Ok(onboard.filter(|at| *at != PLACEHOLDER_ONBOARD))
    }

    /// Refuses to splice two assets: the exchange listed the symbol after klines that are stored already.
    async fn refuse_reused_ticker(&self, onboard: Option<Millis>) -> Result<(), JobError> {
        let (series, record) = (self.series, self.run.store.series(self.series).await?);
        let Some(record) = record else { return Ok(()) };
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

    /// Files and REST windows that would be asked for, if every file had all it should have.
    async fn foresee(&self, missing: &RangeSet, prefer: Prefer) -> Result<(u64, Vec<Window>), JobError> {
        let options = self.run.options;
        let (files, rest) = match &options.from {
            FetchFrom::Rest => (0, missing.clone()),
            FetchFrom::Auto(archive) => {
                let choice = route::choice(&self.client, self.series, archive, prefer, options.in_flight);
                route::foresee(missing, self.series, self.now().await?, &choice)
            }
            FetchFrom::Archive(_) => {
                let all = route::foresee(missing, self.series, self.now().await?, &Choice::All);
                (all.0, RangeSet::new())
            }
        };
        let rules = Rules::of(self.series.market, self.series.interval);
        Ok((files, planner::plan(&rest, &rules, prefer)))
    }

    async fn announce(&self, missing: &RangeSet, prefer: Prefer) -> Result<(), JobError> {
        let (files, windows) = self.foresee(missing, prefer).await?;
        self.run.observer.event(&Event::Planned {
            series: self.series,
            missing: self.report.missing_before,
            gaps: self.report.gaps,
            requests: windows.len() as u64,
            weight: windows.iter().map(|w| u64::from(w.weight)).sum(),
            files,
        });
        Ok(())
    }

    /// What filling would cost.
    async fn price(&self, missing: &RangeSet) -> Result<PlanReport, JobError> {
        let only_archive = self.run.options.from.only_archive().is_some();
        let limit = if only_archive { 1 } else { self.exchange_info().await?.weight_limit };
        let rtt = self.client.rtt(self.series.market).unwrap_or_default();
        let (files, windows) = self.foresee(missing, self.prefer().await?).await?;
        let requests = windows.len() as u64;
        let weight: u64 = windows.iter().map(|w| u64::from(w.weight)).sum();
        // Within the first minute the whole limit is there at once; after that the limit sets the pace.
        let by_weight = weight / u64::from(limit.max(1)) * 60;
        let at_once = self.run.options.in_flight.max(1) as u64;
        let by_latency = millis(rtt).max(1) * requests.div_ceil(at_once) / 1000;
        // A file takes about half a second, a few at once, beside the requests.
        let seconds = by_weight.max(by_latency).max(files / 8).max(1);
        Ok(PlanReport { requests, weight, files, seconds })
    }

    /// The exchange's clock. When it cannot be read, every series of the market fails by the same error, at once.
    async fn now(&self) -> Result<Millis, JobError> {
        let market = self.series.market;
        if let Some(archive) = self.run.options.from.only_archive() {
            return Ok(self.or_interrupted(archive.now()).await??);
        }
        if let Some(state) = self.run.markets.get(&market) {
            let ask = || async { self.run.client.now(market).await.map(|_| ()).map_err(Arc::new) };
            self.or_interrupted(state.clock.get_or_init(ask)).await?.clone()?;
        }
        Ok(self.client.now(market).await?)
    }

    async fn exchange_info(&self) -> Result<Arc<ExchangeInfo>, JobError> {
        let market = self.series.market;
        let Some(state) = self.run.markets.get(&market) else {
            return Ok(self.client.exchange_info(market).await?);
        };
        let ask = || async { self.run.client.exchange_info(market).await.map_err(Arc::new) };
        Ok(self.or_interrupted(state.info.get_or_init(ask)).await?.clone()?)
    }

    /// Waits for something unless the program is asked to stop.
    async fn or_interrupted<T>(&self, wait: impl Future<Output = T>) -> Result<T, JobError> {
        tokio::select! {
            done = wait => Ok(done),
            () = self.run.stop.cancelled() => Err(JobError::Interrupted),
        }
    }

    async fn prefer(&self) -> Result<Prefer, JobError> {
        Ok(match self.run.options.prefer {
            PreferSetting::Weight => Prefer::Weight,
            PreferSetting::Requests => Prefer::Requests,
            PreferSetting::Auto if self.run.options.from.only_archive().is_some() => Prefer::Weight,
            PreferSetting::Auto => {
                let market = self.series.market;
                let limit = self.exchange_info().await?.weight_limit;
                // Measured by now: the clock and the limits were two answers.
                let rtt = self.client.rtt(market).unwrap_or_default();
                if rtt < SLOW_LINE {
                    return Ok(Prefer::Weight);
                }
                let rules = Rules::of(market, self.series.interval);
                planner::prefer_for(&rules, rtt, self.run.options.in_flight, limit)
            }
        })
    }

    fn conclude(&mut self) {
        let spent = self.client.spent();
        self.report.requests = spent.requests;
        self.report.weight = spent.weight;
        self.report.duration_ms = millis(self.started.elapsed());
        self.report.outcome = self.report.outcome().as_str();
    }

    fn finish(&self) -> Finish {
        let (run, report) = (self.run, &self.report);
        let ended = run.wall_now();
        let job = run.options.job;
        let messages = run.options.messages.as_ref().map(|options| Message {
            traceparent: (options.traceparent)(),
            ..message::of_series(&options.prefix, job, &run.id, &ended.to_string(), report)
        });
        Finish {
            run: Some(SeriesRun {
                run: run.id.clone(),
                job: job.as_str().into(),
                series: self.series.clone(),
                started: ended.plus(-i64::try_from(report.duration_ms).unwrap_or(0)),
                ended,
                outcome: report.outcome(),
                report: serde_json::to_string(report).unwrap_or_default(),
            }),
            messages: messages.into_iter().collect(),
        }
    }
}

/// Enters what filling brought into the report.
fn tally_up(report: &mut SeriesReport, tally: &Tally, gaps: &RangeSet) {
    let done = tally.filled.union(&tally.absent);
    let left = gaps.difference(&done);
    report.fetched = tally.fetched;
    report.written = tally.filled.len();
    report.rejected = tally.rejected;
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

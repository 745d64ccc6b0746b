//! One series of a comparison.

use binance::Client;
use kline::{Kline, Millis, RangeSet, Series, Slot, SlotRange};
use store::{Chunk, Fetched, KlineStore, Lease, SeriesRecord};

use super::compare::{Difference, Verdict};
use super::report::VerifySeries;
use super::{Against, Shared};
use crate::error::{JobError, chain};
use crate::spec::Since;
use crate::{lease, range, route};

/// Stored klines read at once.
const PAGE: usize = 5000;

/// Work on one series.
pub(crate) struct Comparison<'r, 'a, S> {
    pub shared: &'r Shared<'a, S>,
    pub series: &'r Series,
    /// A handle that counts what this series spends.
    pub client: Client,
    pub report: VerifySeries,
    lease: Option<Lease>,
    chunk: Chunk,
}

impl<'r, 'a, S: KlineStore> Comparison<'r, 'a, S> {
    pub fn new(shared: &'r Shared<'a, S>, series: &'r Series) -> Self {
        Self {
            shared,
            series,
            client: shared.client.metered(),
            report: VerifySeries::new(series),
            lease: None,
            chunk: Chunk { run: shared.run.clone(), ..Chunk::default() },
        }
    }

    /// From start to end; whatever happens is in the report. An error that the caller's settings are to blame for is
    /// handed back as well.
    pub async fn run(mut self) -> (VerifySeries, Option<JobError>) {
        let result = self.attempt().await;
        if !self.shared.options.dry_run {
            self.report.conclude();
        }
        let spent = self.client.spent();
        if !self.shared.options.dry_run {
            self.report.counts.requests = spent.requests;
            self.report.counts.weight = spent.weight;
        }
        let Err(error) = result else { return (self.report, None) };
        if let JobError::Fetch(fetch) = &error
            && fetch.stops_run()
        {
            self.shared.halted.cancel();
        }
        self.report.error = Some(chain(&error));
        self.report.hint = error.hint();
        (self.report, Some(error).filter(JobError::is_usage))
    }

    async fn attempt(&mut self) -> Result<(), JobError> {
        let shared = self.shared;
        if shared.halted.is_cancelled() {
            return Err(JobError::Halted);
        }
        self.check_stop()?;
        let now = self.now().await?;
        let slots = self.slots(now).await?;
        let range = self.series.interval.time_range(slots);
        self.report.since = Some(range.since.to_string());
        self.report.until = Some(range.until.to_string());
        self.report.counts.expected = slots.len();
        if shared.options.dry_run {
            return self.price(slots, now).await;
        }
        if !shared.options.repair {
            return self.compare(slots, now).await;
        }
        let (ttl, wait) = (shared.options.lease_ttl, shared.options.lease_wait);
        let lease =
            lease::acquire(shared.store, self.series, &shared.owner, ttl, wait, shared.observer, shared.stop)
                .await?;
        self.lease = Some(lease.clone());
        let keep = async {
            let mut renewal = tokio::time::interval(ttl / 3);
            renewal.tick().await;
            loop {
                renewal.tick().await;
                if let Err(error) = shared.store.renew(&lease, ttl).await {
                    return JobError::from(error);
                }
            }
        };
        let work = async {
            let result = self.compare(slots, now).await;
            // What was found before an error, or a signal, is repaired all the same.
            let flushed = self.flush().await;
            result.and(flushed)
        };
        let result = tokio::select! {
            result = work => result,
            error = keep => Err(error),
        };
        if let Err(error) = shared.store.release(&lease).await {
            let error = chain(&error);
            tracing::warn!(series = %self.series, error, "the lease could not be given back; it expires by itself");
        }
        result
    }

    async fn compare(&mut self, slots: SlotRange, now: Millis) -> Result<(), JobError> {
        match &self.shared.options.against {
            Against::Rest => self.compare_with_rest(slots).await,
            Against::Archive(archive) => self.compare_with_archive(archive, slots, now).await,
        }
    }

    async fn price(&mut self, slots: SlotRange, now: Millis) -> Result<(), JobError> {
        let counts = match &self.shared.options.against {
            Against::Rest => self.price_of_rest(slots).await?,
            Against::Archive(_) => (0, 0, self.price_of_archive(slots, now)),
        };
        let stored = slots.len() - self.shared.store.missing(self.series, slots).await?.len();
        let report = &mut self.report.counts;
        (report.requests, report.weight, report.files) = counts;
        report.stored = stored;
        Ok(())
    }

    async fn now(&self) -> Result<Millis, JobError> {
        let now = async {
            match &self.shared.options.against {
                Against::Rest => self.shared.client.now(self.series.market).await,
                Against::Archive(archive) => archive.now().await,
            }
        };
        tokio::select! {
            now = now => Ok(now?),
            () = self.shared.stop.cancelled() => Err(JobError::Interrupted),
        }
    }

    /// Ends the comparison when a signal came or another series met an error that forbids any further request.
    pub fn check_stop(&self) -> Result<(), JobError> {
        if self.shared.stop.is_cancelled() { Err(JobError::Interrupted) } else { Ok(()) }
    }

    /// The slots to compare: closed ones only.
    async fn slots(&self, now: Millis) -> Result<SlotRange, JobError> {
        let (options, interval) = (self.shared.options, self.series.interval);
        let record = self.shared.store.series(self.series).await?;
        let up = |at: Millis| interval.slot_of(at) + i64::from(!interval.is_aligned(at));
        let extent = record.as_ref().and_then(|r| r.extent);
        let nothing = || {
            JobError::Usage(format!(
                "nothing is stored of {}, so there is nothing to compare: check the symbol, the interval and --store, or say \
                 where to begin: --since",
                self.series
            ))
        };
        let start: Slot = match options.since {
            Since::At(since) | Since::Begin(since) => up(since),
            Since::Listing => interval.slot_of(self.listing(record.as_ref()).await?),
            Since::Back(back) => interval.slot_of(back.since(interval, options.until.unwrap_or(now))),
            Since::Stored => interval.slot_of(extent.ok_or_else(nothing)?.first),
        };
        let closed = interval.first_open_slot(now);
        let end = match (options.until, extent) {
            (Some(until), _) if now < until => {
                return Err(JobError::Usage(format!(
                    "--until {until} lies in the future: the clock of the source says {now}"
                )));
            }
            (Some(until), _) => up(until),
            (None, Some(extent)) => interval.slot_of(extent.last) + 1,
            (None, None) => closed,
        };
        let end = end.min(closed);
        if let (Since::At(since), Some(until)) = (options.since, options.until)
            && until <= since
        {
            return Err(JobError::Usage(format!(
                "--until {until} is not after --since {since}: the range is empty"
            )));
        }
        Ok(SlotRange::new(start, end.max(start)))
    }

    async fn listing(&self, record: Option<&SeriesRecord>) -> Result<Millis, JobError> {
        if let Some(listed) = record.and_then(|r| r.listed) {
            return Ok(listed);
        }
        match &self.shared.options.against {
            Against::Rest => range::listing(&self.client, self.series).await,
            Against::Archive(archive) => route::first_file(archive, self.series).await,
        }
    }

    /// Stored klines that open after `after` inside some slots, up to and including `last`.
    pub async fn stored(
        &self,
        slots: SlotRange,
        after: Option<Millis>,
        last: Option<Millis>,
    ) -> Result<Vec<Kline>, JobError> {
        let mut rows: Vec<Kline> = Vec::new();
        loop {
            let from = rows.last().map(|k| k.open_time).or(after);
            let page = self.shared.store.read(self.series, slots, from, PAGE).await?;
            let full = page.len() == PAGE;
            rows.extend(page);
            if let Some(last) = last {
                rows.truncate(rows.partition_point(|k| k.open_time <= last));
            }
            if !full || last.is_some_and(|last| rows.last().is_none_or(|k| k.open_time >= last)) {
                return Ok(rows);
            }
        }
    }

    /// Enters a verdict into the report, and what it gives to repair into the next commit.
    pub async fn settle(&mut self, verdict: Verdict) -> Result<(), JobError> {
        let interval = self.series.interval;
        for difference in verdict.differences.into_values() {
            self.report.count(interval, &difference, self.shared.options.most_findings);
            if let (true, Difference::Drift { source, .. } | Difference::Missing(source)) =
                (self.lease.is_some(), difference)
            {
                self.chunk.klines.push(source);
            }
        }
        if self.chunk.klines.len() >= self.shared.options.chunk.max(1) {
            self.flush().await?;
        }
        Ok(())
    }

    /// Notes what was asked, for the ledger of a repair.
    pub fn note(&mut self, fetched: Fetched) {
        if self.lease.is_some() {
            self.chunk.fetched.push(fetched);
        }
    }

    async fn flush(&mut self) -> Result<(), JobError> {
        let Some(lease) = &self.lease else { return Ok(()) };
        let chunk =
            std::mem::replace(&mut self.chunk, Chunk { run: self.shared.run.clone(), ..Chunk::default() });
        if chunk.klines.is_empty() {
            // A comparison that changed nothing leaves no trace.
            return Ok(());
        }
        self.report.counts.repaired += self.shared.store.commit(lease, &chunk).await?.written();
        Ok(())
    }
}

/// The slots of klines.
pub(crate) fn slots_of(interval: kline::Interval, times: impl Iterator<Item = Millis>) -> RangeSet {
    times.map(|at| interval.slot_of(at)).collect()
}

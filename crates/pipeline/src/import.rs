//! Klines out of files, through the same checks and into the same ledger as fetched ones.

use std::collections::BTreeMap;
use std::time::Duration;

use binance::archive::Batch;
use kline::validate::{self, Reason, Rejection};
use kline::{Millis, Series, SlotRange};
use serde::Serialize;
use store::{Chunk, Fetched, KlineStore, Lease, Source};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{JobError, chain};
use crate::event::Observer;
use crate::lease;
use crate::report::RejectionCount;
use crate::verify::compare::{Answer, Difference, Verdict};

/// Stored klines told that differ from those of a file.
const MOST_TOLD: usize = 10;

/// How files are taken in.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Replace stored klines that have other values.
    pub replace: bool,
    /// Check everything, write nothing.
    pub dry_run: bool,
    /// Klines per commit.
    pub chunk: usize,
    /// How long a lease lasts without being renewed.
    pub lease_ttl: Duration,
    /// How long to wait for another job's lease.
    pub lease_wait: Duration,
    /// Identifier of the run, in the ledger and on replaced values.
    pub run: String,
}

impl ImportOptions {
    /// Default settings, for a new run.
    pub fn new() -> Self {
        Self {
            replace: false,
            dry_run: false,
            chunk: 10_000,
            lease_ttl: Duration::from_secs(60),
            lease_wait: Duration::from_secs(90),
            run: uuid::Uuid::now_v7().to_string(),
        }
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of one file. `rows = new + unchanged + differing + rejected + duplicates + unfinished`, and of the differing
/// ones `replaced` were written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportReport {
    /// The file.
    pub path: String,
    /// `um`, `cm` or `spot`.
    pub market: &'static str,
    /// Symbol.
    pub symbol: String,
    /// Interval.
    pub interval: &'static str,
    /// Rows of the file.
    pub rows: u64,
    /// Klines that the store did not have; written, unless this was a dry run.
    pub new: u64,
    /// Klines that the store has with the same values.
    pub unchanged: u64,
    /// Klines that the store has with other values.
    pub differing: u64,
    /// Of these, replaced.
    pub replaced: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows that were there more than once, alike in everything.
    pub duplicates: u64,
    /// Klines that were not finished yet, and therefore neither stored nor wrong.
    pub unfinished: u64,
    /// Refused rows by reason.
    pub rejections: Vec<RejectionCount>,
    /// The first few klines that differ: open time, field, both values.
    pub differences: Vec<String>,
    /// What went wrong, or `null`; what was written before it is kept.
    pub error: Option<String>,
    /// What to do about it, or `null`.
    pub hint: Option<String>,
}

/// A file on its way in.
pub struct Import<'a, S> {
    /// Where to.
    pub store: &'a S,
    /// Whose klines.
    pub series: &'a Series,
    /// The slots they may fill.
    pub slots: SlotRange,
    /// An instant at which all that counts as finished was closed.
    pub now: Millis,
    /// How.
    pub options: &'a ImportOptions,
    /// Who wants to know.
    pub observer: &'a dyn Observer,
    /// Set when the program is asked to stop.
    pub stop: &'a CancellationToken,
}

struct State {
    report: ImportReport,
    rejections: BTreeMap<Reason, (u64, String)>,
    chunk: Chunk,
    /// Klines of the chunk that replace others.
    replacing: u64,
    /// All rows were taken.
    ended: bool,
}

impl<S: KlineStore> Import<'_, S> {
    /// Takes in the rows of a file; `path` names it in the report. The file's own error is the last thing to arrive.
    ///
    /// # Errors
    /// [`JobError`] when the store fails, the lease is not to be had, or a signal came: no other file will fare better.
    pub async fn run<E: std::error::Error>(
        &self,
        path: &str,
        mut rows: mpsc::Receiver<Result<Batch, E>>,
    ) -> Result<ImportReport, JobError> {
        let mut state = State {
            report: ImportReport {
                path: path.to_owned(),
                market: self.series.market.as_str(),
                symbol: self.series.symbol.to_string(),
                interval: self.series.interval.as_str(),
                ..ImportReport::default()
            },
            rejections: BTreeMap::new(),
            chunk: self.empty_chunk(),
            replacing: 0,
            ended: false,
        };
        if self.options.dry_run {
            self.take_all(None, &mut rows, &mut state).await?;
        } else {
            self.with_lease(&mut rows, &mut state).await?;
        }
        let count = |(reason, (rows, first)): (Reason, (u64, String))| RejectionCount {
            reason: reason.as_str(),
            rows,
            first,
        };
        state.report.rejections = state.rejections.into_iter().map(count).collect();
        Ok(state.report)
    }

    fn empty_chunk(&self) -> Chunk {
        Chunk { run: self.options.run.clone(), ..Chunk::default() }
    }

    async fn with_lease<E: std::error::Error>(
        &self,
        rows: &mut mpsc::Receiver<Result<Batch, E>>,
        state: &mut State,
    ) -> Result<(), JobError> {
        let (ttl, wait) = (self.options.lease_ttl, self.options.lease_wait);
        let owner = lease::this_owner();
        let lease =
            lease::acquire(self.store, self.series, &owner, ttl, wait, self.observer, self.stop).await?;
        let keep = async {
            let mut renewal = tokio::time::interval(ttl / 3);
            renewal.tick().await;
            loop {
                renewal.tick().await;
                if let Err(error) = self.store.renew(&lease, ttl).await {
                    return JobError::from(error);
                }
            }
        };
        let result = tokio::select! {
            done = self.take_all(Some(&lease), rows, state) => done,
            error = keep => Err(error),
        };
        if let Err(error) = self.store.release(&lease).await {
            let error = chain(&error);
            tracing::warn!(series = %self.series, error, "the lease could not be given back; it expires by itself");
        }
        result
    }

    async fn take_all<E: std::error::Error>(
        &self,
        lease: Option<&Lease>,
        rows: &mut mpsc::Receiver<Result<Batch, E>>,
        state: &mut State,
    ) -> Result<(), JobError> {
        let mut ready = self.next_chunk(rows, state).await?;
        while let Some((chunk, replacing)) = ready {
            // The next one is read and compared while this one is written. A file has no slot twice, so neither needs the other.
            let (next, written) = tokio::join!(self.next_chunk(rows, state), self.write(lease, chunk));
            written?;
            state.report.replaced += replacing;
            ready = next?;
        }
        if state.ended { Ok(()) } else { Err(JobError::Interrupted) }
    }

    /// A chunk of klines to write, and how many of them replace others; `None` when there is nothing more, or a signal came.
    async fn next_chunk<E: std::error::Error>(
        &self,
        rows: &mut mpsc::Receiver<Result<Batch, E>>,
        state: &mut State,
    ) -> Result<Option<(Chunk, u64)>, JobError> {
        while state.chunk.klines.len() < self.options.chunk.max(1) && !self.stop.is_cancelled() {
            match rows.recv().await {
                Some(Ok(batch)) => self.take(batch, state).await?,
                Some(Err(error)) => state.report.error = Some(chain(&error)),
                None => {
                    state.ended = true;
                    break;
                }
            }
        }
        let chunk = std::mem::replace(&mut state.chunk, self.empty_chunk());
        let replacing = std::mem::take(&mut state.replacing);
        // A file that brings nothing new leaves no trace.
        Ok((!chunk.klines.is_empty()).then_some((chunk, replacing)))
    }

    async fn write(&self, lease: Option<&Lease>, mut chunk: Chunk) -> Result<(), JobError> {
        let Some(lease) = lease else { return Ok(()) };
        chunk.klines.sort_by_key(|kline| kline.open_time);
        chunk.klines.dedup_by_key(|kline| kline.open_time);
        self.store.commit(lease, &chunk).await?;
        Ok(())
    }

    /// Checks a batch and sorts it by what the store has already.
    async fn take(&self, batch: Batch, state: &mut State) -> Result<(), JobError> {
        let interval = self.series.interval;
        let (good, bad) = (batch.rows.len() as u64, batch.unreadable.rows + batch.disputed.len() as u64);
        let rows = good + bad + batch.duplicates;
        state.report.rows += rows;
        state.report.duplicates += batch.duplicates;
        let checked = validate::check_page(interval, self.slots, self.now, batch.rows);
        state.report.unfinished += checked.unfinished;
        let disputed = batch.disputed.iter().map(|at| Rejection {
            open_time: Some(*at),
            reason: Reason::NotAscending,
            detail: "there are rows of it that differ, or it comes too late".into(),
        });
        let unshown = batch.unreadable.rows - batch.unreadable.shown.len() as u64;
        let refused: Vec<_> =
            checked.rejected.into_iter().chain(batch.unreadable.shown).chain(disputed).collect();
        let rejected = refused.len() as u64 + unshown;
        state.reject(&refused, unshown);
        let ends = checked.accepted.first().zip(checked.accepted.last());
        let Some((first, last)) = ends else { return Ok(()) };
        let slots = SlotRange::new(interval.slot_of(first.open_time), interval.slot_of(last.open_time) + 1);
        let stored = self.store.read(self.series, slots, None, usize::MAX).await?;
        let accepted = checked.accepted.len() as u64;
        let mut verdict = Verdict::default();
        verdict.compare(interval, &stored, Answer { rows: checked.accepted, ..Answer::default() });
        let mut known = accepted;
        for difference in verdict.differences.into_values() {
            match difference {
                Difference::Missing(kline) => {
                    (state.report.new, known) = (state.report.new + 1, known - 1);
                    state.chunk.klines.push(kline);
                }
                Difference::Drift { stored, source } => {
                    known -= 1;
                    state.differs(&stored, &source);
                    if self.options.replace {
                        state.replacing += 1;
                        state.chunk.klines.push(source);
                    }
                }
                // The store may well have more than the file.
                Difference::Unexpected(_) | Difference::Unchecked => {}
            }
        }
        state.report.unchanged += known;
        state.chunk.fetched.push(Fetched { slots, source: Source::Import, rows, rejected, at: self.now });
        Ok(())
    }
}

impl State {
    fn reject(&mut self, refused: &[Rejection], unshown: u64) {
        self.report.rejected += refused.len() as u64 + unshown;
        for rejection in refused {
            let first = || (0, rejection.to_string());
            self.rejections.entry(rejection.reason).or_insert_with(first).0 += 1;
        }
        if unshown > 0 {
            let first = || (0, Reason::Unreadable.to_string());
            self.rejections.entry(Reason::Unreadable).or_insert_with(first).0 += unshown;
        }
    }

    fn differs(&mut self, stored: &kline::Kline, source: &kline::Kline) {
        self.report.differing += 1;
        if self.report.differences.len() < MOST_TOLD {
            let fields = crate::verify::fields(stored, source);
            let words = fields.iter().map(|f| format!("{}: stored {}, file {}", f.field, f.stored, f.source));
            let words: Vec<_> = words.collect();
            self.report.differences.push(format!("{}  {}", stored.open_time, words.join("  ")));
        }
    }
}

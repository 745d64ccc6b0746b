//! Collects what was fetched and commits it in chunks.
//!
//! The last chunk is held back until the series is done, because it travels in one transaction with the end of the run:
//! its record and its message. A lease is renewed whenever a third of its life has passed, so that a long wait for the
//! exchange does not lose it.

use std::time::Duration;

use kline::Kline;
use store::{AbsentRange, Chunk, Committed, Fetched, Finish, KlineStore, Lease, StoreResult};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::event::{Event, Observer};

/// One checked answer on its way into the store.
pub(crate) struct Page {
    pub klines: Vec<Kline>,
    pub fetched: Fetched,
}

/// Writes one series.
pub(crate) struct Writer<'a, S> {
    store: &'a S,
    observer: &'a dyn Observer,
    lease: &'a Lease,
    ttl: Duration,
    most: usize,
    chunk: Chunk,
    committed: Committed,
}

impl<'a, S: KlineStore> Writer<'a, S> {
    pub fn new(
        store: &'a S,
        observer: &'a dyn Observer,
        lease: &'a Lease,
        ttl: Duration,
        most: usize,
        run: &str,
    ) -> Self {
        let chunk = Chunk { run: run.to_owned(), ..Chunk::default() };
        Self { store, observer, lease, ttl, most: most.max(1), chunk, committed: Committed::default() }
    }

    /// What all commits so far did.
    pub fn committed(&self) -> Committed {
        self.committed
    }

    /// Takes pages until the sender is gone; commits every full chunk.
    pub async fn drain(&mut self, mut pages: mpsc::Receiver<Page>) -> StoreResult<()> {
        let mut renewal = tokio::time::interval(self.ttl / 3);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        renewal.tick().await;
        loop {
            tokio::select! {
                page = pages.recv() => match page {
                    Some(page) => self.take(page).await?,
                    None => return Ok(()),
                },
                _ = renewal.tick() => self.store.renew(self.lease, self.ttl).await?,
            }
        }
    }

    async fn take(&mut self, page: Page) -> StoreResult<()> {
        self.chunk.klines.extend(page.klines);
        self.chunk.fetched.push(page.fetched);
        if self.chunk.klines.len() >= self.most { self.flush(None).await } else { Ok(()) }
    }

    /// Adds absences to the next chunk.
    pub fn absent(&mut self, ranges: impl IntoIterator<Item = AbsentRange>) {
        self.chunk.absent.extend(ranges);
    }

    /// Notes when the exchange listed the symbol.
    pub fn listed(&mut self, at: kline::Millis) {
        self.chunk.listed = Some(at);
    }

    /// Commits what was collected, with the end of the run if this is it.
    pub async fn flush(&mut self, finish: Option<Finish>) -> StoreResult<()> {
        let run = self.chunk.run.clone();
        let mut chunk = std::mem::replace(&mut self.chunk, Chunk { run, ..Chunk::default() });
        chunk.finish = finish;
        if chunk.is_empty() {
            return Ok(());
        }
        // Windows are fetched in order, but a second round may go back: one chunk is always ascending.
        chunk.klines.sort_by_key(|k| k.open_time);
        let span = tracing::info_span!(
            "klines.commit",
            db.system.name = self.store.engine(),
            db.operation.batch.size = chunk.klines.len()
        );
        let done = self.store.commit(self.lease, &chunk).instrument(span).await?;
        self.committed.add(&done);
        if !chunk.klines.is_empty() {
            self.observer
                .event(&Event::Committed { series: &self.lease.series, klines: chunk.klines.len() as u64 });
        }
        Ok(())
    }
}

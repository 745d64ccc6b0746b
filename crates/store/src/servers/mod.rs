//! What the engines with a database server share: nearly everything.
//!
//! An engine brings an [`Engine`] (how to connect, its tables) and a [`Session`] (how its driver talks, how its bulk
//! loader is fed). The SQL here is what all of them speak; where they differ, [`Session`] has a function.
//!
//! **A commit** is one transaction: the lease row is locked and stamped, the books of the touched buckets are locked,
//! klines that the books say are new go straight into the table by the engine's bulk loader, the rest is compared with
//! what is stored, and the books, absences, ledger, run record and messages follow. If the loader met a row that the
//! books did not know (somebody put it in by hand), the transaction is undone and done again with the books distrusted.
//!
//! **When the server goes away**, the transaction is undone by it and done again here, for as long as `retry` says. A
//! commit whose answer was lost is recognised by the stamp, so that a run's counts stay true.

mod book;
pub(crate) mod engine;
pub(crate) mod fail;
mod lease;
pub(crate) mod numbers;
mod pool;
mod read;
pub(crate) mod schema;
pub(crate) mod tls;
pub(crate) mod url;
pub(crate) mod value;
mod write;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

use self::engine::{Engine, Told};
use self::fail::Class;
use self::pool::Pool;
use self::url::Server;
use crate::rows::check_chunk;
use crate::{
    AbsentRange, Chunk, Committed, Finish, KlineStore, Lease, LedgerEntry, OpenOptions, PendingMessage,
    Revision, SeriesRecord, SeriesRun, StoreResult,
};

/// Buckets counted in one transaction of a recount, which keeps writers of these buckets waiting.
const RECOUNTED: usize = 256;

/// A store on a database server. Clones share it.
pub struct ServerStore<E: Engine> {
    pool: Arc<Pool<E>>,
    told: Told,
}

impl<E: Engine> Clone for ServerStore<E> {
    fn clone(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), told: self.told }
    }
}

impl<E: Engine> fmt::Debug for ServerStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStore").field("engine", self.pool.engine()).field("told", &self.told).finish()
    }
}

impl<E: Engine> ServerStore<E> {
    /// Connects, and creates or updates the tables if need be.
    pub(crate) async fn connect(engine: E, server: Arc<Server>, options: &OpenOptions) -> StoreResult<Self> {
        let place = server.place();
        let started = Instant::now();
        let prepared = async {
            let mut session = engine.connect().await?;
            schema::prepare::<E>(&mut session, &place, options.read_only, E::MIGRATIONS).await
        };
        let state = schema::opened(prepared.await, &place, started.elapsed())?;
        let pool = Arc::new(Pool::new(engine, server, options.read_only)?);
        Ok(Self { pool, told: state.told::<E>() })
    }
}

impl<E: Engine> KlineStore for ServerStore<E> {
    fn engine(&self) -> &'static str {
        E::NAME
    }

    async fn all_series(&self) -> StoreResult<Vec<SeriesRecord>> {
        let told = self.told;
        self.pool.read("listing the stored series", async |s| read::all_series(s, told).await).await
    }

    async fn series(&self, series: &Series) -> StoreResult<Option<SeriesRecord>> {
        let told = self.told;
        self.pool.read("reading about a series", async |s| read::series(s, series, told).await).await
    }

    async fn missing(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let told = self.told;
        self.pool.read("looking for gaps", async |s| book::missing(s, series, told, slots).await).await
    }

    async fn recount(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let told = self.told;
        let mut rest = slots;
        while !rest.is_empty() {
            rest = self
                .pool
                .write("counting rows", async |s| match read::series_id(s, series).await? {
                    Some(id) => {
                        let of = book::Of { id, interval: series.interval, told };
                        book::recount(s, of, rest, RECOUNTED).await
                    }
                    None => Ok(SlotRange::new(rest.end, rest.end)),
                })
                .await?;
        }
        self.missing(series, slots).await
    }

    async fn absent(&self, series: &Series, slots: SlotRange) -> StoreResult<Vec<AbsentRange>> {
        self.pool.read("reading absences", async |s| book::absent(s, series, slots).await).await
    }

    async fn forget_absent(&self, lease: &Lease, slots: SlotRange) -> StoreResult<()> {
        let told = self.told;
        self.pool
            .write("forgetting absences", async |s| write::forget_absent(s, lease, told, slots).await)
            .await
    }

    async fn read(
        &self,
        series: &Series,
        slots: SlotRange,
        after: Option<Millis>,
        limit: usize,
    ) -> StoreResult<Vec<Kline>> {
        self.pool.read("reading klines", async |s| read::klines(s, series, slots, after, limit).await).await
    }

    async fn acquire(&self, series: &Series, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let lease = Lease { series: series.clone(), owner: owner.into(), token: lease::token() };
        self.pool.write("taking a lease", async |s| lease::acquire(s, &lease, None, ttl).await).await?;
        Ok(lease)
    }

    async fn take_over(&self, series: &Series, dead: &str, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let lease = Lease { series: series.clone(), owner: owner.into(), token: lease::token() };
        self.pool
            .write("taking over a lease", async |s| lease::acquire(s, &lease, Some(dead), ttl).await)
            .await?;
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> StoreResult<()> {
        self.pool.write("renewing a lease", async |s| lease::renew(s, lease, ttl).await).await
    }

    async fn release(&self, lease: &Lease) -> StoreResult<()> {
        self.pool.write("giving a lease back", async |s| lease::release(s, lease).await).await
    }

    async fn commit(&self, lease: &Lease, chunk: &Chunk) -> StoreResult<Committed> {
        check_chunk(&lease.series, chunk)?;
        numbers::check(&lease.series, chunk)?;
        let stamp = lease::token();
        let trusted = AtomicBool::new(true);
        // What the last try did, in case it was committed and only the answer got lost.
        let before: Mutex<Option<Committed>> = Mutex::new(None);
        self.pool
            .write("writing a chunk", async |s| {
                let earlier = *before.lock().unwrap_or_else(PoisonError::into_inner);
                if let (true, Some(done)) = (lease::stamp(s, lease, &stamp).await?, earlier) {
                    return Ok(done);
                }
                let told = self.told;
                let result = write::commit(s, lease, chunk, told, trusted.load(Ordering::Relaxed)).await;
                if let Err(fault) = &result
                    && fault.class() == Some(Class::Duplicate)
                {
                    trusted.store(false, Ordering::Relaxed);
                }
                let done = result?;
                *before.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                Ok(done)
            })
            .await
    }

    async fn finish(&self, finish: &Finish) -> StoreResult<()> {
        self.pool.write("recording the end of a run", async |s| write::finish(s, finish).await).await
    }

    async fn runs(&self, series: Option<&Series>, limit: usize) -> StoreResult<Vec<SeriesRun>> {
        self.pool.read("reading the run history", async |s| read::runs(s, series, limit).await).await
    }

    async fn ledger(&self, series: &Series, limit: usize) -> StoreResult<Vec<LedgerEntry>> {
        self.pool.read("reading the ledger", async |s| read::ledger(s, series, limit).await).await
    }

    async fn revisions(&self, series: &Series, limit: usize) -> StoreResult<Vec<Revision>> {
        self.pool.read("reading revisions", async |s| read::revisions(s, series, limit).await).await
    }

    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        self.pool.read("reading the outbox", async |s| read::pending(s, limit).await).await
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        self.pool.write("marking messages as delivered", async |s| write::delivered(s, ids).await).await
    }

    async fn close(&self) -> StoreResult<()> {
        self.pool.close().await;
        Ok(())
    }
}

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

mod absent;
mod book;
mod certified;
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
use std::sync::Arc;
use std::time::{Duration, Instant};

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

use self::engine::{Engine, Told};
use self::pool::{Pool, transaction};
use self::url::Server;
use crate::rows::check_chunk;
use crate::{
    AbsentRange, Books, Certified, Chunk, Committed, Finish, HeldLease, KlineStore, Lease, LedgerEntry,
    OpenOptions, PendingMessage, Revision, SeriesRecord, SeriesRun, StoreResult,
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
        transaction!(self.pool, Read, "listing the stored series", s => read::all_series(s, self.told).await)
    }

    async fn series(&self, series: &Series) -> StoreResult<Option<SeriesRecord>> {
        transaction!(self.pool, Read, "reading about a series", s => read::series(s, series, self.told).await)
    }

    async fn missing(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        transaction!(self.pool, Read, "looking for gaps", s => book::missing(s, series, self.told, slots).await)
    }

    async fn recount(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let mut rest = slots;
        while !rest.is_empty() {
            rest = transaction!(self.pool, Write, "counting rows", s => {
                book::recount(s, series, self.told, rest, RECOUNTED).await
            })?;
        }
        self.missing(series, slots).await
    }

    async fn books(&self, series: &Series, slots: SlotRange) -> StoreResult<Books> {
        transaction!(self.pool, Read, "reading the books", s => book::survey(s, series, self.told, slots).await)
    }

    async fn certified(&self, series: &Series) -> StoreResult<Vec<Certified>> {
        transaction!(self.pool, Read, "reading what was certified", s => certified::read(s, series).await)
    }

    async fn keep_certified(&self, series: &Series, notes: &[Certified]) -> StoreResult<()> {
        transaction!(self.pool, Write, "noting what was certified", s => certified::keep(s, series, notes).await)
    }

    async fn absent(&self, series: &Series, slots: SlotRange) -> StoreResult<Vec<AbsentRange>> {
        transaction!(self.pool, Read, "reading absences", s => absent::inside(s, series, slots).await)
    }

    async fn forget_absent(&self, lease: &Lease, slots: SlotRange) -> StoreResult<()> {
        transaction!(self.pool, Write, "forgetting absences", s => {
            write::forget_absent(s, lease, self.told, slots).await
        })
    }

    async fn read(
        &self,
        series: &Series,
        slots: SlotRange,
        after: Option<Millis>,
        limit: usize,
    ) -> StoreResult<Vec<Kline>> {
        transaction!(self.pool, Read, "reading klines", s => read::klines(s, series, slots, after, limit).await)
    }

    async fn acquire(&self, series: &Series, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let lease = Lease { series: series.clone(), owner: owner.into(), token: lease::token() };
        transaction!(self.pool, Write, "taking a lease", s => lease::acquire(s, &lease, None, ttl).await)?;
        Ok(lease)
    }

    async fn take_over(&self, series: &Series, dead: &str, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let lease = Lease { series: series.clone(), owner: owner.into(), token: lease::token() };
        transaction!(self.pool, Write, "taking over a lease", s => {
            lease::acquire(s, &lease, Some(dead), ttl).await
        })?;
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> StoreResult<()> {
        transaction!(self.pool, Write, "renewing a lease", s => lease::renew(s, lease, ttl).await)
    }

    async fn release(&self, lease: &Lease) -> StoreResult<()> {
        transaction!(self.pool, Write, "giving a lease back", s => lease::release(s, lease).await)
    }

    async fn leases(&self) -> StoreResult<Vec<HeldLease>> {
        transaction!(self.pool, Read, "reading the leases", s => read::leases(s).await)
    }

    async fn commit(&self, lease: &Lease, chunk: &Chunk) -> StoreResult<Committed> {
        check_chunk(&lease.series, chunk)?;
        numbers::check(&lease.series, chunk)?;
        let mut attempt = write::Attempt::new();
        transaction!(self.pool, Write, "writing a chunk", s => attempt.make(s, lease, chunk, self.told).await)
    }

    async fn finish(&self, finish: &Finish) -> StoreResult<()> {
        transaction!(self.pool, Write, "recording the end of a run", s => write::finish(s, finish).await)
    }

    async fn runs(&self, series: Option<&Series>, limit: usize) -> StoreResult<Vec<SeriesRun>> {
        transaction!(self.pool, Read, "reading the run history", s => read::runs(s, series, limit).await)
    }

    async fn ledger(&self, series: &Series, limit: usize) -> StoreResult<Vec<LedgerEntry>> {
        transaction!(self.pool, Read, "reading the ledger", s => read::ledger(s, series, limit).await)
    }

    async fn revisions(&self, series: &Series, limit: usize) -> StoreResult<Vec<Revision>> {
        transaction!(self.pool, Read, "reading revisions", s => read::revisions(s, series, limit).await)
    }

    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        transaction!(self.pool, Read, "reading the outbox", s => read::pending(s, limit).await)
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        transaction!(self.pool, Write, "marking messages as delivered", s => write::delivered(s, ids).await)
    }

    async fn close(&self) -> StoreResult<()> {
        self.pool.close().await;
        Ok(())
    }
}

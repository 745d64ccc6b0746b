//! The MongoDB engine.
//!
//! **Two kinds of deployment.** A replica set or a sharded cluster has transactions: a chunk commits in one, and nothing
//! half-done is ever seen. A stand-alone server has none: there a chunk is written in an order that makes being killed
//! harmless (see [`write`]), and the lease is guarded by time. Which kind it is, the server says when it is connected to.
//!
//! **What survives.** Writes are confirmed by the majority of the servers unless the URL says otherwise (`w=…`), so that
//! what was confirmed stays when another becomes the primary.
//!
//! **When the server goes away**, the operation is done again, for a minute at most.

mod absent;
mod book;
mod certified;
mod doc;
mod fail;
mod lease;
mod pool;
mod read;
mod schema;
mod url;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

use self::pool::{Pool, operation};
use crate::rows::check_chunk;
use crate::{
    AbsentRange, Books, Certified, Chunk, Committed, Finish, HeldLease, KlineStore, Lease, LedgerEntry,
    OpenOptions, PendingMessage, Revision, SeriesRecord, SeriesRun, StoreResult,
};

/// What a URL of this engine begins with.
pub(crate) const SCHEMES: [&str; 2] = ["mongodb", "mongodb+srv"];

pub(crate) use self::schema::commands as schema_commands;

/// A store in a MongoDB database. Clones share it.
#[derive(Clone)]
pub struct MongoStore {
    pool: Arc<Pool>,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore").field("place", &self.pool.place()).finish_non_exhaustive()
    }
}

impl MongoStore {
    /// Connects to `mongodb://USER:PASSWORD@HOST,HOST/DATABASE?OPTIONS` or `mongodb+srv://…`, with the options that MongoDB
    /// documents for connection strings, and creates collections and indexes if need be.
    ///
    /// # Errors
    /// `BadUrl`; `Open` when no server answers, `Login` when it refuses the user; `NoTables` when the user may not create
    /// indexes; `Taken` when a collection holds documents of something else; `Newer` when a newer program wrote it
    /// (nothing is changed then).
    pub async fn open(url: &str, options: OpenOptions) -> StoreResult<Self> {
        let pool = Pool::connect(url::parse(url).await?, options.read_only).await?;
        let place = pool.place().to_owned();
        // Not as a write: a read-only store looks as well, and says what it finds.
        let prepared = operation!(pool, Read, "preparing the database", tx => {
            schema::prepare(tx, &place, options.read_only).await
        });
        schema::opened(prepared)?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Whether a chunk commits in a transaction.
    pub fn has_transactions(&self) -> bool {
        self.pool.has_transactions()
    }

    async fn take(
        &self,
        series: &Series,
        dead: Option<&str>,
        owner: &str,
        ttl: Duration,
    ) -> StoreResult<Lease> {
        let lease = Lease { series: series.clone(), owner: owner.into(), token: lease::token() };
        operation!(self.pool, Write, "taking a lease", tx => lease::acquire(tx, &lease, dead, ttl).await)?;
        Ok(lease)
    }
}

impl KlineStore for MongoStore {
    fn engine(&self) -> &'static str {
        "mongodb"
    }

    async fn all_series(&self) -> StoreResult<Vec<SeriesRecord>> {
        operation!(self.pool, Read, "listing the stored series", tx => read::all_series(tx).await)
    }

    async fn series(&self, series: &Series) -> StoreResult<Option<SeriesRecord>> {
        operation!(self.pool, Read, "reading about a series", tx => read::series(tx, series).await)
    }

    async fn missing(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        operation!(self.pool, Read, "looking for gaps", tx => book::missing(tx, series, slots).await)
    }

    async fn recount(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let mut rest = slots;
        while !rest.is_empty() {
            rest =
                operation!(self.pool, Write, "counting rows", tx => book::recount(tx, series, rest).await)?;
        }
        self.missing(series, slots).await
    }

    async fn books(&self, series: &Series, slots: SlotRange) -> StoreResult<Books> {
        operation!(self.pool, Read, "reading the books", tx => book::survey(tx, series, slots).await)
    }

    async fn certified(&self, series: &Series) -> StoreResult<Vec<Certified>> {
        operation!(self.pool, Read, "reading what was certified", tx => certified::read(tx, series).await)
    }

    async fn keep_certified(&self, series: &Series, notes: &[Certified]) -> StoreResult<()> {
        operation!(self.pool, Transaction, "noting what was certified", tx => {
            certified::keep(tx, series, notes).await
        })
    }

    async fn absent(&self, series: &Series, slots: SlotRange) -> StoreResult<Vec<AbsentRange>> {
        operation!(self.pool, Read, "reading absences", tx => absent::inside(tx, series, slots).await)
    }

    async fn forget_absent(&self, lease: &Lease, slots: SlotRange) -> StoreResult<()> {
        operation!(self.pool, Transaction, "forgetting absences", tx => {
            write::forget_absent(tx, lease, slots).await
        })
    }

    async fn read(
        &self,
        series: &Series,
        slots: SlotRange,
        after: Option<Millis>,
        limit: usize,
    ) -> StoreResult<Vec<Kline>> {
        operation!(self.pool, Read, "reading klines", tx => read::klines(tx, series, slots, after, limit).await)
    }

    async fn acquire(&self, series: &Series, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        self.take(series, None, owner, ttl).await
    }

    async fn take_over(&self, series: &Series, dead: &str, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        self.take(series, Some(dead), owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> StoreResult<()> {
        operation!(self.pool, Write, "renewing a lease", tx => lease::renew(tx, lease, ttl).await)
    }

    async fn release(&self, lease: &Lease) -> StoreResult<()> {
        operation!(self.pool, Write, "giving a lease back", tx => lease::release(tx, lease).await)
    }

    async fn leases(&self) -> StoreResult<Vec<HeldLease>> {
        operation!(self.pool, Read, "reading the leases", tx => read::leases(tx).await)
    }

    async fn commit(&self, lease: &Lease, chunk: &Chunk) -> StoreResult<Committed> {
        check_chunk(&lease.series, chunk)?;
        let memory = write::Memory::default();
        operation!(self.pool, Transaction, "writing a chunk", tx => {
            write::commit(tx, lease, chunk, &memory).await
        })
    }

    async fn finish(&self, finish: &Finish) -> StoreResult<()> {
        operation!(self.pool, Transaction, "recording the end of a run", tx => write::finish(tx, finish).await)
    }

    async fn runs(&self, series: Option<&Series>, limit: usize) -> StoreResult<Vec<SeriesRun>> {
        operation!(self.pool, Read, "reading the run history", tx => read::runs(tx, series, limit).await)
    }

    async fn ledger(&self, series: &Series, limit: usize) -> StoreResult<Vec<LedgerEntry>> {
        let found: Vec<(i64, LedgerEntry)> =
            operation!(self.pool, Read, "reading the ledger", tx => read::ledger(tx, series, limit).await)?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    async fn revisions(&self, series: &Series, limit: usize) -> StoreResult<Vec<Revision>> {
        operation!(self.pool, Read, "reading revisions", tx => read::revisions(tx, series, limit).await)
    }

    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        operation!(self.pool, Read, "reading the outbox", tx => read::pending(tx, limit).await)
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        operation!(self.pool, Write, "marking messages as delivered", tx => write::delivered(tx, ids).await)
    }

    async fn close(&self) -> StoreResult<()> {
        self.pool.close().await;
        Ok(())
    }
}

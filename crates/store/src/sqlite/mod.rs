//! The embedded engine: one SQLite file.
//!
//! One connection writes; a second and third read beside it, each from a consistent snapshot (write-ahead log). All run
//! on blocking threads; a call that is cancelled half-way still finishes its transaction there.
//!
//! **What survives.** A killed process loses nothing that was committed, and nothing half-done is ever seen. When the
//! power fails, the file is whole as well, but the newest chunks may be missing: to wait for the disk on each chunk would
//! cost a good part of the speed, and a lost chunk is an ordinary gap, since its rows and its ledger entry are lost
//! together. Not so the end of a run: whatever carries a run record or a message waits for the disk, and with it
//! everything before, so that no report or message ever tells of rows that a power failure can take back.
//!
//! **Memory.** Page caches are bounded ([`WRITER_CACHE_KIB`], [`READER_CACHE_KIB`]), nothing is memory-mapped, and the
//! log is cut back at checkpoints.

mod book;
mod certified;
mod fail;
mod lease;
mod pool;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod url;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

use self::pool::Pool;
use crate::leases::now;
use crate::rows::check_chunk;
use crate::{
    AbsentRange, Books, Certified, Chunk, Committed, Finish, HeldLease, KlineStore, Lease, LedgerEntry,
    OpenOptions, PendingMessage, Revision, SeriesRecord, SeriesRun, StoreResult,
};

/// Page cache of the writing connection, KiB.
pub const WRITER_CACHE_KIB: u32 = 8 * 1024;
/// Page cache of each of the [`READERS`] reading connections, KiB.
pub const READER_CACHE_KIB: u32 = 2 * 1024;
/// Connections that read at the same time.
pub const READERS: usize = 2;

/// The statements that make all tables, for the `sqlite3` shell.
pub(crate) fn schema_sql() -> String {
    schema::sql()
}

/// Whether the file is still to be made, in a folder that exists.
pub(crate) fn is_new(url: &str) -> StoreResult<bool> {
    Ok(match url::parse(url)? {
        url::File::Memory => true,
        url::File::Path(path) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let empty = std::fs::metadata(&path).map_or(true, |file| file.is_file() && file.len() == 0);
            empty && folder.is_none_or(std::path::Path::is_dir)
        }
    })
}

/// A store in one SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: Arc<Pool>,
}

impl SqliteStore {
    /// Opens `sqlite://PATH`, `sqlite::memory:` or a plain path, and creates the file and its tables if need be.
    ///
    /// # Errors
    /// `BadUrl`; `Open`, `ReadOnly`, `Locked` or `Corrupt` when the file is not to be had; `Newer` when a newer program
    /// wrote it (nothing is changed then).
    pub async fn open(url: &str, options: OpenOptions) -> StoreResult<Self> {
        let file = url::parse(url)?;
        let pool = pool::blocking("opening the store", move || Pool::open(file, &options)).await?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// The file, or `None` for a store in memory.
    pub fn path(&self) -> Option<PathBuf> {
        self.pool.path()
    }
}

impl KlineStore for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    async fn all_series(&self) -> StoreResult<Vec<SeriesRecord>> {
        self.pool.read("listing the stored series", read::all_series).await
    }

    async fn series(&self, series: &Series) -> StoreResult<Option<SeriesRecord>> {
        let series = series.clone();
        self.pool.read("reading about a series", move |conn| read::series(conn, &series)).await
    }

    async fn missing(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let series = series.clone();
        self.pool.read("looking for gaps", move |conn| book::missing(conn, &series, slots)).await
    }

    async fn recount(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet> {
        let series = series.clone();
        self.pool
            .write("counting rows", move |conn| {
                book::recount(conn, &series, slots)?;
                book::missing(conn, &series, slots)
            })
            .await
    }

    async fn books(&self, series: &Series, slots: SlotRange) -> StoreResult<Books> {
        let series = series.clone();
        self.pool.read("reading the books", move |conn| book::survey(conn, &series, slots)).await
    }

    async fn certified(&self, series: &Series) -> StoreResult<Vec<Certified>> {
        let series = series.clone();
        self.pool.read("reading what was certified", move |conn| certified::read(conn, &series)).await
    }

    async fn keep_certified(&self, series: &Series, notes: &[Certified]) -> StoreResult<()> {
        let (series, notes) = (series.clone(), notes.to_vec());
        self.pool.write("noting what was certified", move |conn| certified::keep(conn, &series, &notes)).await
    }

    async fn absent(&self, series: &Series, slots: SlotRange) -> StoreResult<Vec<AbsentRange>> {
        let series = series.clone();
        self.pool.read("reading absences", move |conn| book::absent(conn, &series, slots)).await
    }

    async fn forget_absent(&self, lease: &Lease, slots: SlotRange) -> StoreResult<()> {
        let lease = lease.clone();
        self.pool.write("forgetting absences", move |conn| write::forget_absent(conn, &lease, slots)).await
    }

    async fn read(
        &self,
        series: &Series,
        slots: SlotRange,
        after: Option<Millis>,
        limit: usize,
    ) -> StoreResult<Vec<Kline>> {
        let series = series.clone();
        self.pool.read("reading klines", move |conn| read::klines(conn, &series, slots, after, limit)).await
    }

    async fn acquire(&self, series: &Series, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let (series, owner) = (series.clone(), owner.to_owned());
        self.pool
            .write("taking a lease", move |conn| lease::acquire(conn, series, owner, None, ttl, now()))
            .await
    }

    async fn take_over(&self, series: &Series, dead: &str, owner: &str, ttl: Duration) -> StoreResult<Lease> {
        let (series, dead, owner) = (series.clone(), dead.to_owned(), owner.to_owned());
        self.pool
            .write("taking over a lease", move |conn| {
                lease::acquire(conn, series, owner, Some(&dead), ttl, now())
            })
            .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> StoreResult<()> {
        let lease = lease.clone();
        self.pool.write("renewing a lease", move |conn| lease::renew(conn, &lease, ttl, now())).await
    }

    async fn release(&self, lease: &Lease) -> StoreResult<()> {
        let lease = lease.clone();
        self.pool.write("giving a lease back", move |conn| lease::release(conn, &lease)).await
    }

    async fn leases(&self) -> StoreResult<Vec<HeldLease>> {
        self.pool.read("reading the leases", move |conn| read::leases(conn, now())).await
    }

    async fn commit(&self, lease: &Lease, chunk: &Chunk) -> StoreResult<Committed> {
        check_chunk(&lease.series, chunk)?;
        let (lease, chunk) = (lease.clone(), chunk.clone());
        self.pool
            .write_durably(chunk.finish.is_some(), "writing a chunk", move |conn| {
                write::commit(conn, &lease, &chunk, now())
            })
            .await
    }

    async fn finish(&self, finish: &Finish) -> StoreResult<()> {
        let finish = finish.clone();
        self.pool
            .write_durably(true, "recording the end of a run", move |conn| {
                write::finish(conn, &finish, now())
            })
            .await
    }

    async fn runs(&self, series: Option<&Series>, limit: usize) -> StoreResult<Vec<SeriesRun>> {
        let series = series.cloned();
        self.pool.read("reading the run history", move |conn| read::runs(conn, series.as_ref(), limit)).await
    }

    async fn ledger(&self, series: &Series, limit: usize) -> StoreResult<Vec<LedgerEntry>> {
        let series = series.clone();
        self.pool.read("reading the ledger", move |conn| read::ledger(conn, &series, limit)).await
    }

    async fn revisions(&self, series: &Series, limit: usize) -> StoreResult<Vec<Revision>> {
        let series = series.clone();
        self.pool.read("reading revisions", move |conn| read::revisions(conn, &series, limit)).await
    }

    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        self.pool.read("reading the outbox", move |conn| read::pending(conn, limit)).await
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        let ids = ids.to_vec();
        self.pool
            .write("marking messages as delivered", move |conn| write::delivered(conn, &ids, now()))
            .await
    }

    async fn close(&self) -> StoreResult<()> {
        self.pool.close().await
    }
}

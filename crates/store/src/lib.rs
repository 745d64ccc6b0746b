//! Where klines are kept, and what every engine must promise.
//!
//! [`KlineStore`] is the contract: [`types`] holds what goes in and out, one module per engine implements it, and one
//! conformance suite runs against all. The promises:
//!
//! 1. A [`Chunk`] commits as a whole or not at all: its rows, ledger entries, absences, outbox messages and run record.
//! 2. Writing is idempotent: the same chunk again changes no row.
//! 3. Only the holder of a live [`Lease`] on a series writes to it.
//! 4. What is read is what was written, digit for digit.
//! 5. Finding what is missing costs as much as there are buckets and holes, not as much as there are rows.

mod absences;
mod buckets;
mod digits;
pub mod error;
mod leases;
mod ledger;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "mysql")]
pub mod mysql;
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
#[cfg(feature = "servers")]
mod servers;
pub mod sqlite;
pub mod types;

use std::time::Duration;

pub use error::{StoreError, StoreResult};
#[cfg(feature = "mongodb")]
pub use mongodb::MongoStore;
#[cfg(feature = "mysql")]
pub use mysql::MysqlStore;
pub use open::{OpenOptions, Store, is_new, schema_sql};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
pub use types::{
    Absence, AbsentRange, Books, Certified, Chunk, Committed, Extent, Fetched, Finish, HeldLease, Lease,
    LedgerEntry, Message, Outcome, PendingMessage, Revision, SeriesRecord, SeriesRun, Source,
};

use kline::{Kline, Millis, RangeSet, Series, SlotRange};

/// A store of klines. All methods are safe to call from many tasks at once; writes to one series need its lease.
#[allow(async_fn_in_trait)] // implemented here only, by types whose futures are Send
pub trait KlineStore {
    /// Name of the engine for people and telemetry: `sqlite`, `mysql`, `postgresql`, `mongodb`.
    fn engine(&self) -> &'static str;

    /// Every series that has ever been written, ordered by market, symbol, interval.
    async fn all_series(&self) -> StoreResult<Vec<SeriesRecord>>;

    /// One series, or `None` when nothing was ever written to it.
    async fn series(&self, series: &Series) -> StoreResult<Option<SeriesRecord>>;

    /// The slots of a range in which no kline opens. Does not subtract what is known to be absent.
    async fn missing(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet>;

    /// As [`missing`](Self::missing), but counts the rows themselves and repairs the bookkeeping on the way: for when
    /// someone changed rows behind the store's back in a way that it cannot see.
    async fn recount(&self, series: &Series, slots: SlotRange) -> StoreResult<RangeSet>;

    /// What the books say of a range.
    async fn books(&self, series: &Series, slots: SlotRange) -> StoreResult<Books>;

    /// The notes of what was certified of a series, ascending.
    async fn certified(&self, series: &Series) -> StoreResult<Vec<Certified>>;

    /// Keeps notes of what was certified, in place of those whose slots overlap with them. Needs no lease: a note is true
    /// for ever of what the books said then. Of a series to which nothing was ever written, none is kept.
    async fn keep_certified(&self, series: &Series, notes: &[Certified]) -> StoreResult<()>;

    /// What the source is known not to have, inside a range.
    async fn absent(&self, series: &Series, slots: SlotRange) -> StoreResult<Vec<AbsentRange>>;

    /// Forgets absences inside a range, so that they are asked for again. Needs the lease.
    async fn forget_absent(&self, lease: &Lease, slots: SlotRange) -> StoreResult<()>;

    /// Klines of a series that open inside `slots` and after `after`, ascending, at most `limit`.
    async fn read(
        &self,
        series: &Series,
        slots: SlotRange,
        after: Option<Millis>,
        limit: usize,
    ) -> StoreResult<Vec<Kline>>;

    /// Takes the lease of a series for `ttl`. A lease that expired may be taken over.
    ///
    /// # Errors
    /// [`StoreError::Leased`] while another owner holds it.
    async fn acquire(&self, series: &Series, owner: &str, ttl: Duration) -> StoreResult<Lease>;

    /// Takes the lease away from `dead`, an owner that is known to run no more (the caller has made sure), whatever time
    /// it had left.
    ///
    /// # Errors
    /// [`StoreError::Leased`] when somebody other than `dead` holds it by now.
    async fn take_over(&self, series: &Series, dead: &str, owner: &str, ttl: Duration) -> StoreResult<Lease>;

    /// Extends a lease to `ttl` from now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when it expired and somebody else took it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> StoreResult<()>;

    /// Gives a lease back. Harmless when it was lost.
    async fn release(&self, lease: &Lease) -> StoreResult<()>;

    /// The leases that run now, ordered by series: who is at work on what. Needs no lease and changes nothing.
    async fn leases(&self) -> StoreResult<Vec<HeldLease>>;

    /// Writes a chunk in one transaction, if the lease is still held.
    async fn commit(&self, lease: &Lease, chunk: &Chunk) -> StoreResult<Committed>;

    /// Records the end of a run that has no chunk to travel with, and its messages, in one transaction.
    async fn finish(&self, finish: &Finish) -> StoreResult<()>;

    /// The newest runs, newest first; of one series, or of all.
    async fn runs(&self, series: Option<&Series>, limit: usize) -> StoreResult<Vec<SeriesRun>>;

    /// The newest ledger entries of a series, newest first. A store keeps the newest few thousand per series.
    async fn ledger(&self, series: &Series, limit: usize) -> StoreResult<Vec<LedgerEntry>>;

    /// The newest replaced values of a series, newest first. They are kept for ever.
    async fn revisions(&self, series: &Series, limit: usize) -> StoreResult<Vec<Revision>>;

    /// Messages not yet delivered, oldest first.
    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>>;

    /// Marks messages as delivered.
    async fn delivered(&self, ids: &[i64]) -> StoreResult<()>;

    /// Waits for running work and closes files and connections.
    async fn close(&self) -> StoreResult<()>;
}

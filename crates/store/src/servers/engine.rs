//! What an engine with a server brings; everything else is shared.

use std::fmt;
use std::future::Future;

use kline::{Interval, Kline};

use super::fail::Step;
use super::value::{Cells, Value};

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// One snapshot, nothing is changed.
    Read,
    /// What others have committed is seen at once; rows are locked as they are asked for.
    Write,
}

/// What the triggers tell of changes that others make to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Every insert, delete and move.
    All,
    /// Deletes and moves. What looks empty may have been inserted by hand.
    NoInserts,
    /// Nothing: there are no triggers.
    Nothing,
}

/// One step of the schema: its version, and the statements that lead to it from the version before.
#[derive(Debug)]
pub struct Migration {
    pub(crate) version: u32,
    /// Statements that must succeed.
    pub(crate) tables: fn() -> Vec<String>,
    /// Statements without which the store works as well, if more slowly.
    pub(crate) triggers: fn() -> Vec<String>,
}

/// A kind of database server.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// A connection to it.
    type Session: Session;
    /// Its name for people and telemetry.
    const NAME: &'static str;
    /// Every step of its schema, oldest first. A released step never changes; what is to change comes as a new step.
    const MIGRATIONS: &'static [Migration];
    /// Whether changes of the schema can be undone.
    const TRANSACTIONAL_SCHEMA: bool;
    /// What triggers tell where there are some.
    const TOLD: Told;

    /// Connects.
    fn connect(&self) -> impl Future<Output = Step<Self::Session>> + Send;
}

/// Writes rows whose key may be there already.
#[derive(Debug, Clone, Copy)]
pub struct Upsert<'a> {
    /// The table.
    pub table: &'a str,
    /// Columns, in the order of the values.
    pub columns: &'a [&'a str],
    /// Those of them that are the key.
    pub key: &'a [&'a str],
    /// Those that take the new value where the key is there already; none: what is there stays.
    pub update: &'a [&'a str],
    /// Those that become NULL there.
    pub clear: &'a [&'a str],
    /// Rows at once.
    pub rows: usize,
}

impl Upsert<'_> {
    /// `INSERT INTO … VALUES (?, …), …`.
    pub(crate) fn insert(&self) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let rows = vec![row.as_str(); self.rows].join(", ");
        format!("INSERT INTO {} ({}) VALUES {rows}", self.table, self.columns.join(", "))
    }
}

/// A connection. Its SQL is what all engines share, with `?` for parameters.
pub trait Session: Send + 'static {
    /// A row of an answer.
    type Row: Cells;
    /// The server's clock as an expression: whole milliseconds since 1970.
    const NOW: &'static str;

    /// Whether it is sound, and not in the middle of anything.
    fn is_idle(&self) -> bool;
    /// The statement for an upsert.
    fn upsert(what: &Upsert<'_>) -> String;
    /// The bucket of an instant as an expression; agrees with `bucket_of(interval.slot_of(_))` for every instant that can
    /// be stored.
    fn bucket_of(interval: Interval, at: &str) -> String;

    /// Begins a transaction.
    fn begin(&mut self, how: Begin) -> impl Future<Output = Step<()>> + Send;
    /// Ends it for good.
    fn commit(&mut self) -> impl Future<Output = Step<()>> + Send;
    /// Undoes it.
    fn rollback(&mut self) -> impl Future<Output = Step<()>> + Send;
    /// Asks for rows.
    fn query(&mut self, sql: &str, values: &[Value<'_>])
    -> impl Future<Output = Step<Vec<Self::Row>>> + Send;
    /// Changes rows, and says how many were found.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> impl Future<Output = Step<u64>> + Send;
    /// Runs a statement without parameters that is not worth preparing.
    fn run(&mut self, sql: &str) -> impl Future<Output = Step<()>> + Send;
    /// Inserts klines, ascending, as fast as the engine can, and says how many were inserted. Where a row is there
    /// already it may insert fewer or fail with [`Class::Duplicate`](super::fail::Class::Duplicate).
    fn load(
        &mut self,
        interval: Interval,
        id: i64,
        klines: &[&Kline],
    ) -> impl Future<Output = Step<u64>> + Send;
    /// Keeps other processes from changing the schema until [`unlock_schema`](Self::unlock_schema) or the end of the
    /// connection.
    fn lock_schema(&mut self) -> impl Future<Output = Step<()>> + Send;
    /// See [`lock_schema`](Self::lock_schema).
    fn unlock_schema(&mut self) -> impl Future<Output = Step<()>> + Send;

    /// Asks for one row.
    fn query_one(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Step<Option<Self::Row>>> + Send {
        async { Ok(self.query(sql, values).await?.into_iter().next()) }
    }
}

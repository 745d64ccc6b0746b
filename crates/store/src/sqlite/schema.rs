//! Tables, views and triggers, and how an older file becomes a current one.
//!
//! Per interval there is one table `kline_rows_<suffix>`, clustered by series and open time, and one view
//! `klines_<suffix>` for people. Decimals are text exactly as sent, times are integer milliseconds. A person may insert,
//! delete or change rows of a table with any SQLite shell: triggers then mark the bucket as unknown (see
//! [`crate::buckets`]). The store's own connection runs without triggers and keeps the books itself.

use kline::Interval;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::fail::{Doing, Place};
use crate::buckets::{SHIFT, SIZE};
use crate::leases::now;
use crate::{StoreError, StoreResult};

/// One step of the schema: its version, and the statements that lead to it from the version before.
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) sql: fn() -> String,
}

/// Every step, oldest first. A released step never changes; what is to change comes as a new step.
pub(super) const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, sql: first }, Migration { version: 2, sql: || CERTIFIED.into() }];

/// Columns of a kline in every table that holds one, in the order of `write::bind` and `read::kline`.
pub(super) const COLUMNS: &str = "open_time, open, high, low, close, volume, close_time, quote_volume, count, \
     taker_buy_volume, taker_buy_quote_volume";

/// The version a file has, 0 for an empty one.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<u32> {
    let known = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kline_migrations'";
    if conn.query_row(known, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    conn.query_row("SELECT coalesce(max(version), 0) FROM kline_migrations", [], |row| row.get(0))
}

/// Refuses a file that a newer program wrote. Changes nothing.
pub(super) fn check(conn: &Connection, place: &Place, steps: &[Migration]) -> StoreResult<u32> {
    let found = version(conn).doing(place, || "reading the schema version".into())?;
    let known = steps.last().map_or(0, |m| m.version);
    if found > known {
        return Err(StoreError::Newer { place: place.name.clone(), found, known });
    }
    Ok(found)
}

/// Brings a file to the newest version, in one transaction: nobody ever sees a version in between. Two processes may do so
/// at once.
pub(super) fn migrate(conn: &mut Connection, place: &Place, steps: &[Migration]) -> StoreResult<()> {
    if check(conn, place, steps)? == steps.last().map_or(0, |m| m.version) {
        return Ok(());
    }
    let doing = || format!("bringing the schema of {} up to date", place.name);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).doing(place, doing)?;
    // Somebody else may have done it while we waited for the lock.
    let found = check(&tx, place, steps)?;
    for step in steps.iter().filter(|step| step.version > found) {
        apply(&tx, place, step)?;
    }
    tx.commit().doing(place, doing)
}

fn apply(tx: &Connection, place: &Place, step: &Migration) -> StoreResult<()> {
    let doing = || format!("bringing {} to schema version {}", place.name, step.version);
    let sql = (step.sql)();
    taken(tx, place, &sql)?;
    tx.execute_batch(&sql).doing(place, doing)?;
    tx.execute("INSERT INTO kline_migrations (version, applied_at) VALUES (?1, ?2)", (step.version, now().0))
        .doing(place, doing)?;
    tracing::debug!(place = place.name, version = step.version, "schema migrated");
    Ok(())
}

/// Refuses a file in which something else has the name of a table or view that a step makes. Changes nothing.
fn taken(conn: &Connection, place: &Place, sql: &str) -> StoreResult<()> {
    let find = |name: &str| {
        conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = ?1", [name], |_| Ok(())).optional()
    };
    for made in sql.split("CREATE ").skip(1) {
        let Some(name) = made.split_whitespace().nth(1) else { continue };
        if find(name).doing(place, || "looking for other tables".into())?.is_some() {
            let source = format!("{name}, which this program did not make").into();
            return Err(StoreError::Taken { place: place.name.clone(), source });
        }
    }
    Ok(())
}

/// Everything that makes an empty file a current one.
pub(super) fn sql() -> String {
    let step = |step: &Migration| {
        let note = "INSERT INTO kline_migrations (version, applied_at) VALUES";
        format!("{}\n{note} ({}, unixepoch() * 1000);\n", (step.sql)(), step.version)
    };
    MIGRATIONS.iter().map(step).collect()
}

fn first() -> String {
    let mut sql = String::from(BOOKS);
    for interval in Interval::ALL {
        sql.push_str(&rows_of(interval));
    }
    sql
}

const BOOKS: &str = "
CREATE TABLE kline_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;

CREATE TABLE kline_series (
  id INTEGER PRIMARY KEY,
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  listed INTEGER,                 -- ms; when the exchange listed the symbol, as first learnt
  UNIQUE (market, symbol, interval)
) STRICT;

-- Which of 1024 consecutive slots are filled.
CREATE TABLE kline_buckets (
  series_id INTEGER NOT NULL,
  bucket INTEGER NOT NULL,        -- slot number >> 10
  filled INTEGER,                 -- filled slots; NULL: unknown, the rows must be asked
  bits BLOB,                      -- one bit per slot, lowest first; NULL when none or all are set
  row_count INTEGER NOT NULL,     -- klines; more than filled where two opened in one slot; void when unknown
  PRIMARY KEY (series_id, bucket)
) STRICT, WITHOUT ROWID;

-- What the source does not have: [since, until), ms.
CREATE TABLE kline_absent (
  series_id INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  how TEXT NOT NULL,
  established_at INTEGER NOT NULL,
  PRIMARY KEY (series_id, since)
) STRICT, WITHOUT ROWID;

-- What was asked of whom: [since, until), ms.
CREATE TABLE kline_ledger (
  series_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  run TEXT NOT NULL,
  source TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  row_count INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  fetched_at INTEGER NOT NULL,
  PRIMARY KEY (series_id, seq)
) STRICT, WITHOUT ROWID;

-- Values that were replaced, because the source revised them.
CREATE TABLE kline_audit (
  id INTEGER PRIMARY KEY,
  series_id INTEGER NOT NULL,
  run TEXT NOT NULL,
  replaced_at INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL
) STRICT;
CREATE INDEX kline_audit_by_series ON kline_audit (series_id, id);

CREATE TABLE kline_leases (
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  owner TEXT NOT NULL,
  token TEXT NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (market, symbol, interval)
) STRICT, WITHOUT ROWID;

CREATE TABLE kline_runs (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  job TEXT NOT NULL,
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  report TEXT NOT NULL,
  UNIQUE (run, market, symbol, interval)
) STRICT;
CREATE INDEX kline_runs_by_series ON kline_runs (market, symbol, interval, id);

CREATE TABLE kline_outbox (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  subject TEXT NOT NULL,
  payload TEXT NOT NULL,
  traceparent TEXT,
  created INTEGER NOT NULL,
  delivered INTEGER
) STRICT;
CREATE INDEX kline_outbox_pending ON kline_outbox (position) WHERE delivered IS NULL;
";

const CERTIFIED: &str = "
-- What was certified: digest of the klines of [since, until), ms, and what the books said of them.
CREATE TABLE kline_certified (
  series_id INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  books TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  digest TEXT NOT NULL,
  certified_at INTEGER NOT NULL,
  PRIMARY KEY (series_id, since)
) STRICT, WITHOUT ROWID;
";

/// Table, triggers and view of one interval.
fn rows_of(interval: Interval) -> String {
    let (suffix, name) = (interval.suffix(), interval.as_str());
    let forget = |row: &str| {
        let bucket = bucket_of(interval, &format!("{row}.open_time"));
        // Not one INSERT OR REPLACE: the OR of the person's own statement would rule in here, too.
        format!(
            "DELETE FROM kline_buckets WHERE series_id = {row}.series_id AND bucket = {bucket}; \
             INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES ({row}.series_id, {bucket}, 0);"
        )
    };
    let instant = |column: &str| format!("strftime('%Y-%m-%dT%H:%M:%fZ', k.{column} / 1000.0, 'unixepoch')");
    format!(
        "
CREATE TABLE kline_rows_{suffix} (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER kline_rows_{suffix}_inserted AFTER INSERT ON kline_rows_{suffix} BEGIN {new} END;
CREATE TRIGGER kline_rows_{suffix}_deleted AFTER DELETE ON kline_rows_{suffix} BEGIN {old} END;
CREATE TRIGGER kline_rows_{suffix}_moved AFTER UPDATE OF series_id, open_time ON kline_rows_{suffix} BEGIN {old} {new} END;
CREATE VIEW klines_{suffix} AS
  SELECT s.market AS market, s.symbol AS symbol, {open} AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, {close} AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_{suffix} k ON k.series_id = s.id WHERE s.interval = '{name}';
",
        new = forget("new"),
        old = forget("old"),
        open = instant("open_time"),
        close = instant("close_time"),
    )
}

/// The bucket of an instant as an SQL expression; agrees with `bucket_of(interval.slot_of(_))` for every instant that
/// can be stored.
pub(super) fn bucket_of(interval: Interval, at: &str) -> String {
    match interval.fixed_ms() {
        Some(step) => {
            let size = step * SIZE;
            match interval.anchor().0 {
                0 => format!("({at} / {size})"),
                // Before the anchor lies bucket -1, but division rounds towards zero: so count from one bucket earlier.
                anchor => format!("(({at} + {}) / {size} - 1)", size - anchor),
            }
        }
        None => {
            let part = |p: &str| format!("strftime('%{p}', {at} / 1000, 'unixepoch')");
            format!("((({} - 1970) * 12 + {} - 1) >> {SHIFT})", part("Y"), part("m"))
        }
    }
}

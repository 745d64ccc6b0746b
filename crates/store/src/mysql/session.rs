//! One connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::civil::{Date, DateTime, Time};
use kline::{Decimal, Interval, Kline, Millis};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value as Cell};
use tokio::time::error::Elapsed;

use super::{calendar, fail, load, schema};
use crate::StoreError;
use crate::servers::engine::{Begin, Session, Upsert};
use crate::servers::fail::{Class, Fault, Step};
use crate::servers::value::{COLUMNS, Cells, Value, unexpected};

/// Time beyond the server's own limit for a statement after which it is taken for dead.
const GRACE: Duration = Duration::from_secs(5);

/// A connection to a MySQL or MariaDB server.
#[derive(Debug)]
pub struct MysqlSession {
    conn: Conn,
    limit: Duration,
    no_local_infile: Arc<AtomicBool>,
    /// A call is under way, or was given up: the connection may be in the middle of an answer.
    busy: bool,
    in_transaction: bool,
}

impl MysqlSession {
    pub(super) fn new(conn: Conn, limit: Duration, no_local_infile: Arc<AtomicBool>) -> Self {
        Self { conn, limit: limit + GRACE, no_local_infile, busy: false, in_transaction: false }
    }

    /// What a call came to. Only after an orderly answer can the connection be used again.
    fn settle<T>(&mut self, result: Result<mysql_async::Result<T>, Elapsed>) -> Step<T> {
        match result {
            Ok(Ok(value)) => {
                self.busy = false;
                Ok(value)
            }
            Ok(Err(error)) => {
                let is_fatal = error.is_fatal();
                let fault = fail::fault(error);
                self.busy = is_fatal || fault.class() == Some(Class::Lost);
                Err(fault)
            }
            Err(_) => {
                let what = format!("the server did not answer for {} s", self.limit.as_secs());
                Err(Fault::Engine(Class::Lost, what.into()))
            }
        }
    }

    async fn say(&mut self, sql: &str) -> Step<()> {
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.conn.query_drop(sql)).await;
        self.settle(result)
    }

    /// Loads from memory as if from a file. `None` when the server forbids it.
    async fn load_lines(&mut self, interval: Interval, id: i64, klines: &[&Kline]) -> Step<Option<u64>> {
        let pieces = load::lines(id, klines);
        self.conn.set_infile_handler(async move {
            Ok(stream::iter(pieces.into_iter().map(|piece| Ok(piece.into()))).boxed())
        });
        let sql = format!(
            "LOAD DATA LOCAL INFILE 'klines' INTO TABLE kline_rows_{} CHARACTER SET utf8mb4 \
             FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n' (series_id, {COLUMNS})",
            interval.suffix()
        );
        match self.say(&sql).await {
            Ok(()) => {}
            Err(fault) if fault.class() == Some(Class::Unsupported) => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let loaded = self.conn.affected_rows();
        // From a client, what would be an error is a warning, and the value is bent to fit.
        if loaded == klines.len() as u64 && self.conn.get_warnings() > 0 {
            let what = format!("the server changed values of {} klines on loading", klines.len());
            return Err(StoreError::Corrupt { place: "LOAD DATA".into(), what }.into());
        }
        Ok(Some(loaded))
    }
}

impl Session for MysqlSession {
    type Row = Row;
    const NOW: &'static str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

    fn is_idle(&self) -> bool {
        !self.busy && !self.in_transaction
    }

    fn upsert(what: &Upsert<'_>) -> String {
        let mut changes: Vec<String> = what.update.iter().map(|c| format!("{c} = VALUES({c})")).collect();
        changes.extend(what.clear.iter().map(|c| format!("{c} = NULL")));
        if changes.is_empty() {
            changes.extend(what.key.first().map(|c| format!("{c} = {c}")));
        }
        format!("{} ON DUPLICATE KEY UPDATE {}", what.insert(), changes.join(", "))
    }

    fn bucket_of(interval: Interval, at: &str) -> String {
        schema::bucket_of(interval, at)
    }

    async fn begin(&mut self, how: Begin) -> Step<()> {
        self.in_transaction = true;
        match how {
            Begin::Read => self.say("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await,
            Begin::Write => {
                self.say("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                self.say("START TRANSACTION").await
            }
        }
    }

    async fn commit(&mut self) -> Step<()> {
        self.say("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn rollback(&mut self) -> Step<()> {
        if self.busy {
            return Ok(());
        }
        self.say("ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Step<Vec<Row>> {
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.conn.exec(sql, params(values))).await;
        self.settle(result)
    }

    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Step<u64> {
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.conn.exec_drop(sql, params(values))).await;
        self.settle(result)?;
        Ok(self.conn.affected_rows())
    }

    async fn run(&mut self, sql: &str) -> Step<()> {
        self.say(sql).await
    }

    async fn load(&mut self, interval: Interval, id: i64, klines: &[&Kline]) -> Step<u64> {
        if !self.no_local_infile.load(Ordering::Relaxed) {
            if let Some(loaded) = self.load_lines(interval, id, klines).await? {
                return Ok(loaded);
            }
            tracing::info!(
                "the server forbids LOAD DATA LOCAL: klines are inserted instead, which takes longer"
            );
            self.no_local_infile.store(true, Ordering::Relaxed);
        }
        let head = format!("INSERT INTO kline_rows_{} (series_id, {COLUMNS}) VALUES ", interval.suffix());
        let mut loaded = 0;
        for statement in load::inserts(&head, id, klines) {
            self.busy = true;
            let result = tokio::time::timeout(self.limit, self.conn.query_drop(statement)).await;
            self.settle(result)?;
            loaded += self.conn.affected_rows();
        }
        Ok(loaded)
    }

    async fn lock_schema(&mut self) -> Step<()> {
        // Names of locks are the server's, not the database's, and short.
        let sql = "SELECT GET_LOCK(CONCAT('klines.', SHA1(DATABASE())), 60)";
        match self.query_one(sql, &[]).await? {
            Some(row) if row.opt_int(0)? == Some(1) => Ok(()),
            _ => {
                let what = "another process has been creating the tables for a minute";
                Err(Fault::Engine(Class::Conflict, what.into()))
            }
        }
    }

    async fn unlock_schema(&mut self) -> Step<()> {
        if self.busy {
            return Ok(());
        }
        self.query("SELECT RELEASE_LOCK(CONCAT('klines.', SHA1(DATABASE())))", &[]).await.map(drop)
    }
}

fn params(values: &[Value<'_>]) -> Params {
    if values.is_empty() { Params::Empty } else { Params::Positional(values.iter().map(cell).collect()) }
}

fn cell(value: &Value<'_>) -> Cell {
    match value {
        Value::Null => Cell::NULL,
        Value::Int(number) => Cell::Int(*number),
        Value::Text(text) => Cell::Bytes(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Cell::Bytes(bytes.to_vec()),
        Value::Decimal(number) => Cell::Bytes(number.to_string().into_bytes()),
        Value::Time(at) => instant(*at),
    }
}

fn instant(at: Millis) -> Cell {
    let at = calendar::civil(at);
    Cell::Date(
        at.year().unsigned_abs(),
        at.month().unsigned_abs(),
        at.day().unsigned_abs(),
        at.hour().unsigned_abs(),
        at.minute().unsigned_abs(),
        at.second().unsigned_abs(),
        u32::from(at.millisecond().unsigned_abs()) * 1000,
    )
}

fn millis(cell: &Cell) -> Option<Millis> {
    let Cell::Date(year, month, day, hour, minute, second, micros) = *cell else { return None };
    let small = |n: u8| i8::try_from(n).ok();
    let nanos = i32::try_from(micros).ok()?.checked_mul(1000)?;
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()?;
    calendar::instant(DateTime::from_parts(date, time))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

impl Cells for Row {
    fn opt_int(&self, column: usize) -> Step<Option<i64>> {
        let number = match self.as_ref(column) {
            Some(Cell::NULL) => return Ok(None),
            Some(Cell::Int(number)) => Some(*number),
            Some(Cell::UInt(number)) => i64::try_from(*number).ok(),
            // Sums are decimals.
            Some(Cell::Bytes(bytes)) => text(bytes).and_then(|t| t.parse().ok()),
            _ => None,
        };
        number.map(Some).ok_or_else(|| unexpected(column, "no whole number"))
    }

    fn opt_text(&self, column: usize) -> Step<Option<String>> {
        match self.as_ref(column) {
            Some(Cell::NULL) => Ok(None),
            Some(Cell::Bytes(bytes)) => {
                text(bytes).map(|t| Some(t.to_owned())).ok_or_else(|| unexpected(column, "no UTF-8 text"))
            }
            _ => Err(unexpected(column, "no text")),
        }
    }

    fn opt_bytes(&self, column: usize) -> Step<Option<Vec<u8>>> {
        match self.as_ref(column) {
            Some(Cell::NULL) => Ok(None),
            Some(Cell::Bytes(bytes)) => Ok(Some(bytes.clone())),
            _ => Err(unexpected(column, "no bytes")),
        }
    }

    fn opt_time(&self, column: usize) -> Step<Option<Millis>> {
        match self.as_ref(column) {
            Some(Cell::NULL) => Ok(None),
            Some(cell) => millis(cell).map(Some).ok_or_else(|| unexpected(column, "no instant")),
            None => Err(unexpected(column, "no instant")),
        }
    }

    fn decimal(&self, column: usize) -> Step<Result<Decimal, String>> {
        let Some(Cell::Bytes(bytes)) = self.as_ref(column) else {
            return Err(unexpected(column, "no decimal"));
        };
        let digits = text(bytes).unwrap_or_default();
        // The column pads to twelve digits after the point; what was sent need not have had them.
        let digits = match digits.split_once('.') {
            Some(_) => digits.trim_end_matches('0').trim_end_matches('.'),
            None => digits,
        };
        Ok(Decimal::parse(digits).map_err(|e| e.to_string()))
    }
}

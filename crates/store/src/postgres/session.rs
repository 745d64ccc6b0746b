//! One connection.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use kline::{Decimal, Interval, Kline, Millis};
use tokio::time::error::Elapsed;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, CopyInSink, Row, Statement};

use super::{fail, load, numeric, schema};
use crate::servers::engine::{Begin, Session, Upsert};
use crate::servers::fail::{Class, Fault, Step};
use crate::servers::numbers::inside;
use crate::servers::value::{COLUMNS, Cells, Value, unexpected};

/// Time beyond the server's own limit for a statement after which it is taken for dead.
const GRACE: Duration = Duration::from_secs(5);
/// Statements kept prepared; more than all kinds there are for a few intervals.
const STATEMENTS: usize = 256;

/// A connection to a PostgreSQL server.
pub struct PostgresSession {
    client: Client,
    statements: HashMap<String, Statement>,
    limit: Duration,
    /// A call is under way, or was given up: the connection may be in the middle of an answer.
    busy: bool,
    in_transaction: bool,
}

impl PostgresSession {
    pub(super) fn new(client: Client, limit: Duration) -> Self {
        Self { client, statements: HashMap::new(), limit: limit + GRACE, busy: false, in_transaction: false }
    }

    /// What a call came to. Only after an orderly answer can the connection be used again.
    fn settle<T>(&mut self, result: Result<Result<T, tokio_postgres::Error>, Elapsed>) -> Step<T> {
        match result {
            Ok(Ok(value)) => {
                self.busy = false;
                Ok(value)
            }
            Ok(Err(error)) => {
                let fault = fail::fault(error);
                self.busy = fault.class() == Some(Class::Lost);
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
        let result = tokio::time::timeout(self.limit, self.client.batch_execute(sql)).await;
        self.settle(result)
    }

    async fn prepared(&mut self, sql: &str) -> Step<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.client.prepare(&numbered(sql))).await;
        let statement = self.settle(result)?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// `?` as PostgreSQL writes it: `$1`, `$2`, …
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    for (i, part) in sql.split('?').enumerate() {
        if i > 0 {
            out += &format!("${i}");
        }
        out += part;
    }
    out
}

impl Session for PostgresSession {
    type Row = Row;
    const NOW: &'static str = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";

    fn is_idle(&self) -> bool {
        !self.busy && !self.in_transaction && !self.client.is_closed()
    }

    fn upsert(what: &Upsert<'_>) -> String {
        let mut changes: Vec<String> = what.update.iter().map(|c| format!("{c} = EXCLUDED.{c}")).collect();
        changes.extend(what.clear.iter().map(|c| format!("{c} = NULL")));
        let action =
            if changes.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", changes.join(", ")) };
        format!("{} ON CONFLICT ({}) DO {action}", what.insert(), what.key.join(", "))
    }

    fn bucket_of(interval: Interval, at: &str) -> String {
        schema::bucket_of(interval, at)
    }

    async fn begin(&mut self, how: Begin) -> Step<()> {
        self.in_transaction = true;
        self.say(match how {
            Begin::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Begin::Write => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
        })
        .await
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
        let statement = self.prepared(sql).await?;
        let params: Vec<Param<'_>> = values.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.client.query(&statement, &params)).await;
        self.settle(result)
    }

    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Step<u64> {
        let statement = self.prepared(sql).await?;
        let params: Vec<Param<'_>> = values.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        self.busy = true;
        let result = tokio::time::timeout(self.limit, self.client.execute(&statement, &params)).await;
        self.settle(result)
    }

    async fn run(&mut self, sql: &str) -> Step<()> {
        self.say(sql).await
    }

    async fn load(&mut self, interval: Interval, id: i64, klines: &[&Kline]) -> Step<u64> {
        let sql = format!(
            "COPY kline_rows_{} (series_id, {COLUMNS}) FROM STDIN (FORMAT binary)",
            interval.suffix()
        );
        let statement = self.prepared(&sql).await?;
        let pieces = load::pieces(id, klines);
        self.busy = true;
        let copy = async {
            let sink: CopyInSink<Bytes> = self.client.copy_in(&statement).await?;
            let mut sink = Box::pin(sink);
            for piece in pieces {
                sink.feed(piece).await?;
            }
            sink.as_mut().finish().await
        };
        let result = tokio::time::timeout(self.limit, copy).await;
        self.settle(result)
    }

    async fn lock_schema(&mut self) -> Step<()> {
        self.say(&format!("SELECT pg_advisory_lock({LOCK})")).await
    }

    async fn unlock_schema(&mut self) -> Step<()> {
        if self.busy {
            return Ok(());
        }
        if self.in_transaction {
            self.rollback().await?;
        }
        self.say(&format!("SELECT pg_advisory_unlock({LOCK})")).await
    }
}

/// Of the database's advisory locks, the one for the tables of this program in the current schema: "klin" and a hash.
const LOCK: &str = "1802266990, hashtext(coalesce(current_schema(), ''))";

/// A [`Value`] for the driver.
#[derive(Debug)]
struct Param<'a>(&'a Value<'a>);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self.0, ty) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT8) => out.put_i64(*number),
            (Value::Int(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Value::Int(number), &Type::INT2) => out.put_i16(i16::try_from(*number)?),
            (Value::Text(text), &(Type::TEXT | Type::VARCHAR)) => out.put_slice(text.as_bytes()),
            (Value::Bytes(bytes), &Type::BYTEA) => out.put_slice(bytes),
            (Value::Time(at), &Type::TIMESTAMPTZ) => out.put_i64(load::micros(inside(*at))),
            (Value::Decimal(number), &Type::NUMERIC) => numeric::put(number, out),
            (value, ty) => return Err(format!("{value:?} is no {ty}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as the server sent it.
#[derive(Debug)]
struct Raw<'a>(Type, &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(ty.clone(), raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn raw(row: &Row, column: usize) -> Step<Option<Raw<'_>>> {
    row.try_get(column).map_err(fail::fault)
}

impl Cells for Row {
    fn opt_int(&self, column: usize) -> Step<Option<i64>> {
        let Some(Raw(ty, raw)) = raw(self, column)? else { return Ok(None) };
        let number = match ty {
            Type::INT8 => raw.try_into().ok().map(i64::from_be_bytes),
            Type::INT4 => raw.try_into().ok().map(|b| i32::from_be_bytes(b).into()),
            Type::INT2 => raw.try_into().ok().map(|b| i16::from_be_bytes(b).into()),
            // Sums are decimals.
            Type::NUMERIC => numeric::get(raw)
                .ok()
                .filter(|d| d.scale() == 0)
                .and_then(|d| i64::try_from(d.mantissa()).ok()),
            _ => None,
        };
        number.map(Some).ok_or_else(|| unexpected(column, "no whole number"))
    }

    fn opt_text(&self, column: usize) -> Step<Option<String>> {
        let Some(Raw(_, raw)) = raw(self, column)? else { return Ok(None) };
        match std::str::from_utf8(raw) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(unexpected(column, "no UTF-8 text")),
        }
    }

    fn opt_bytes(&self, column: usize) -> Step<Option<Vec<u8>>> {
        Ok(raw(self, column)?.map(|Raw(_, raw)| raw.to_vec()))
    }

    fn opt_time(&self, column: usize) -> Step<Option<Millis>> {
        match raw(self, column)? {
            None => Ok(None),
            Some(Raw(Type::TIMESTAMPTZ, &[a, b, c, d, e, f, g, h])) => {
                Ok(Some(load::millis(i64::from_be_bytes([a, b, c, d, e, f, g, h]))))
            }
            Some(_) => Err(unexpected(column, "no instant")),
        }
    }

    fn decimal(&self, column: usize) -> Step<Result<Decimal, String>> {
        match raw(self, column)? {
            Some(Raw(Type::NUMERIC, raw)) => Ok(numeric::get(raw)),
            _ => Err(unexpected(column, "no decimal")),
        }
    }
}

//! Queries that give back what is stored.

use std::str::FromStr;

use kline::{Interval, Kline, Market, Millis, Series, SlotRange, Symbol};

use super::book::{self, Of};
use super::engine::{Session, Told};
use super::fail::{Fault, Step};
use super::value::{self, COLUMNS, Cells, Value, values};
use crate::{
    Extent, Fetched, HeldLease, LedgerEntry, Message, Outcome, PendingMessage, Revision, SeriesRecord,
    SeriesRun, Source, StoreError,
};

/// A limit as a server wants it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn corrupt(table: &str, what: String) -> Fault {
    Fault::Store(StoreError::Corrupt { place: format!("table {table}"), what })
}

/// Number of a series, if anything was ever written to it.
pub(super) async fn series_id<S: Session>(session: &mut S, series: &Series) -> Step<Option<i64>> {
    let (market, symbol, period) = key(series);
    let row = session
        .query_one(
            "SELECT id FROM kline_series WHERE market = ? AND symbol = ? AND period = ?",
            values![market, symbol, period],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// A series as three values of a statement.
pub(super) fn key(series: &Series) -> (&str, &str, &str) {
    (series.market.as_str(), series.symbol.as_str(), series.interval.as_str())
}

/// A series from three columns.
fn series_at(row: &impl Cells, first: usize, table: &str) -> Step<Series> {
    let bad = |e: &dyn std::fmt::Display| corrupt(table, e.to_string());
    let market = Market::from_str(&row.text(first)?).map_err(|e| bad(&e))?;
    let symbol = Symbol::from_str(&row.text(first + 1)?).map_err(|e| bad(&e))?;
    let interval = Interval::from_str(&row.text(first + 2)?).map_err(|e| bad(&e))?;
    Series::new(market, symbol, interval).map_err(|e| bad(&e))
}

pub(super) async fn all_series<S: Session>(session: &mut S, told: Told) -> Step<Vec<SeriesRecord>> {
    let mut found = Vec::new();
    for row in session.query("SELECT DISTINCT period FROM kline_series", &[]).await? {
        let period = row.text(0)?;
        let interval = Interval::from_str(&period).map_err(|e| corrupt("kline_series", e.to_string()))?;
        found.extend(records(session, interval, told, "", &[]).await?);
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}

pub(super) async fn series<S: Session>(
    session: &mut S,
    series: &Series,
    told: Told,
) -> Step<Option<SeriesRecord>> {
    let (market, symbol, _) = key(series);
    let only = values![market, symbol];
    let found = records(session, series.interval, told, "AND s.market = ? AND s.symbol = ?", only).await?;
    Ok(found.into_iter().next())
}

/// What is known of the series of one interval: with one query, which reads two rows per series and its books.
async fn records<S: Session>(
    session: &mut S,
    interval: Interval,
    told: Told,
    only: &str,
    values: &[Value<'_>],
) -> Step<Vec<SeriesRecord>> {
    let end = |order: &str| {
        format!(
            "(SELECT k.open_time FROM kline_rows_{} k WHERE k.series_id = s.id ORDER BY k.open_time {order} LIMIT 1)",
            interval.suffix()
        )
    };
    let sql = format!(
        "SELECT s.market, s.symbol, s.period, s.id, s.listed, {}, {}, \
         (SELECT SUM(b.row_count) FROM kline_buckets b WHERE b.series_id = s.id), \
         (SELECT COUNT(*) FROM kline_buckets b WHERE b.series_id = s.id AND b.filled IS NULL) \
         FROM kline_series s WHERE s.period = ? {only}",
        end("ASC"),
        end("DESC")
    );
    let mut all = vec![Value::from(interval.as_str())];
    all.extend_from_slice(values);
    let mut found = Vec::new();
    for row in session.query(&sql, &all).await? {
        let mut extent = None;
        if let Some((first, last)) = row.opt_time(5)?.zip(row.opt_time(6)?) {
            let rows = match row.int(8)? {
                0 => row.opt_int(7)?.unwrap_or(0).unsigned_abs(),
                _ => book::rows(session, Of { id: row.int(3)?, interval, told }).await?,
            };
            extent = Some(Extent { first, last, rows: rows.max(1 + u64::from(first != last)) });
        }
        let listed = row.opt_int(4)?.map(Millis);
        found.push(SeriesRecord { series: series_at(&row, 0, "kline_series")?, listed, extent });
    }
    Ok(found)
}

pub(super) async fn klines<S: Session>(
    session: &mut S,
    series: &Series,
    slots: SlotRange,
    after: Option<Millis>,
    limit: usize,
) -> Step<Vec<Kline>> {
    let Some(id) = series_id(session, series).await? else {
        return Ok(Vec::new());
    };
    let table = format!("kline_rows_{}", series.interval.suffix());
    let (since, until) = book::span(series.interval, slots);
    let from = after.map_or(since, |after| since.max(after.plus(1)));
    let sql = format!(
        "SELECT {COLUMNS} FROM {table} WHERE series_id = ? AND open_time >= ? AND open_time < ? \
         ORDER BY open_time LIMIT ?"
    );
    let rows = session.query(&sql, values![id, from, until, limit_of(limit)]).await?;
    rows.iter()
        .map(|row| value::kline(row, 0)?.map_err(|what| corrupt(&table, format!("{series}: {what}"))))
        .collect()
}

pub(super) async fn runs<S: Session>(
    session: &mut S,
    series: Option<&Series>,
    limit: usize,
) -> Step<Vec<SeriesRun>> {
    const WHAT: &str =
        "SELECT run, job, started, ended, outcome, report, market, symbol, period FROM kline_runs";
    let limit = limit_of(limit);
    let rows = match series {
        Some(series) => {
            let (market, symbol, period) = key(series);
            let sql =
                format!("{WHAT} WHERE market = ? AND symbol = ? AND period = ? ORDER BY id DESC LIMIT ?");
            session.query(&sql, values![market, symbol, period, limit]).await?
        }
        None => session.query(&format!("{WHAT} ORDER BY id DESC LIMIT ?"), values![limit]).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let outcome = row.text(4)?;
        found.push(SeriesRun {
            run: row.text(0)?,
            job: row.text(1)?,
            series: series_at(&row, 6, "kline_runs")?,
            started: Millis(row.int(2)?),
            ended: Millis(row.int(3)?),
            outcome: Outcome::from_name(&outcome)
                .ok_or_else(|| corrupt("kline_runs", format!("outcome `{outcome}`")))?,
            report: row.text(5)?,
        });
    }
    Ok(found)
}

/// Leases that run now, by the server's clock.
pub(super) async fn leases<S: Session>(session: &mut S) -> Step<Vec<HeldLease>> {
    let sql =
        format!("SELECT market, symbol, period, owner, expires FROM kline_leases WHERE expires > {}", S::NOW);
    let mut found = Vec::new();
    for row in session.query(&sql, &[]).await? {
        let series = series_at(&row, 0, "kline_leases")?;
        found.push(HeldLease { series, owner: row.text(3)?, expires: Millis(row.int(4)?) });
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}

/// Columns of a ledger entry, in the order of [`fetch`].
pub(super) const FETCH: &str = "run, source, since, until, row_count, rejected, fetched_at";

/// The ledger entry in the columns from `first` on.
pub(super) fn fetch(row: &impl Cells, first: usize, interval: Interval) -> Step<LedgerEntry> {
    let source = row.text(first + 1)?;
    let slot = |ms: i64| interval.slot_of(Millis(ms));
    let fetched = Fetched {
        slots: SlotRange::new(slot(row.int(first + 2)?), slot(row.int(first + 3)?)),
        source: Source::from_name(&source)
            .ok_or_else(|| corrupt("kline_ledger", format!("source `{source}`")))?,
        rows: row.int(first + 4)?.unsigned_abs(),
        rejected: row.int(first + 5)?.unsigned_abs(),
        at: Millis(row.int(first + 6)?),
    };
    Ok(LedgerEntry { run: row.text(first)?, fetched })
}

pub(super) async fn ledger<S: Session>(
    session: &mut S,
    series: &Series,
    limit: usize,
) -> Step<Vec<LedgerEntry>> {
    let Some(id) = series_id(session, series).await? else {
        return Ok(Vec::new());
    };
    let sql = format!("SELECT {FETCH} FROM kline_ledger WHERE series_id = ? ORDER BY seq DESC LIMIT ?");
    let rows = session.query(&sql, values![id, limit_of(limit)]).await?;
    rows.iter().map(|row| fetch(row, 0, series.interval)).collect()
}

pub(super) async fn revisions<S: Session>(
    session: &mut S,
    series: &Series,
    limit: usize,
) -> Step<Vec<Revision>> {
    let Some(id) = series_id(session, series).await? else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT run, replaced_at, {COLUMNS} FROM kline_audit WHERE series_id = ? ORDER BY id DESC LIMIT ?"
    );
    let mut found = Vec::new();
    for row in session.query(&sql, values![id, limit_of(limit)]).await? {
        let old =
            value::kline(&row, 2)?.map_err(|what| corrupt("kline_audit", format!("{series}: {what}")))?;
        found.push(Revision { run: row.text(0)?, at: Millis(row.int(1)?), old });
    }
    Ok(found)
}

pub(super) async fn pending<S: Session>(session: &mut S, limit: usize) -> Step<Vec<PendingMessage>> {
    let rows = session
        .query(
            "SELECT position, id, subject, payload, traceparent, created FROM kline_outbox \
             WHERE delivered IS NULL ORDER BY position LIMIT ?",
            values![limit_of(limit)],
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let message = Message {
            id: row.text(1)?,
            subject: row.text(2)?,
            payload: row.text(3)?,
            traceparent: row.opt_text(4)?,
        };
        found.push(PendingMessage { position: row.int(0)?, message, created: Millis(row.int(5)?) });
    }
    Ok(found)
}

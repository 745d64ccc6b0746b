//! Queries that give back what is stored.

use std::str::FromStr;

use kline::{Decimal, Interval, Kline, Market, Millis, Series, SlotRange, Symbol};
use rusqlite::{Connection, OptionalExtension, Row};

use super::book;
use super::fail::{Fault, Step};
use super::schema::COLUMNS;
use crate::{
    Extent, Fetched, HeldLease, LedgerEntry, Message, Outcome, PendingMessage, Revision, SeriesRecord,
    SeriesRun, Source, StoreError,
};

/// A limit as SQLite wants it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn corrupt(table: &str, what: String) -> Fault {
    Fault::Store(StoreError::Corrupt { place: format!("table {table}"), what })
}

/// Number of a series, if anything was ever written to it.
pub(super) fn series_id(conn: &Connection, series: &Series) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM kline_series WHERE market = ?1 AND symbol = ?2 AND interval = ?3")?
        .query_row(key(series), |row| row.get(0))
        .optional()
}

/// A series as three values of a statement.
pub(super) fn key(series: &Series) -> (&str, &str, &str) {
    (series.market.as_str(), series.symbol.as_str(), series.interval.as_str())
}

/// A series from three columns.
fn series_at(row: &Row<'_>, first: usize, table: &str) -> Step<Series> {
    let (market, symbol, interval): (String, String, String) =
        (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
    let bad = |e: &dyn std::fmt::Display| corrupt(table, e.to_string());
    let market = Market::from_str(&market).map_err(|e| bad(&e))?;
    let symbol = Symbol::from_str(&symbol).map_err(|e| bad(&e))?;
    let interval = Interval::from_str(&interval).map_err(|e| bad(&e))?;
    Series::new(market, symbol, interval).map_err(|e| bad(&e))
}

pub(super) fn all_series(conn: &Connection) -> Step<Vec<SeriesRecord>> {
    let mut found = Vec::new();
    let mut statement =
        conn.prepare_cached("SELECT id, listed, market, symbol, interval FROM kline_series")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let series = series_at(row, 2, "kline_series")?;
        found.push(record(conn, row.get(0)?, row.get(1)?, series)?);
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}

pub(super) fn series(conn: &Connection, series: &Series) -> Step<Option<SeriesRecord>> {
    let found = conn
        .prepare_cached(
            "SELECT id, listed FROM kline_series WHERE market = ?1 AND symbol = ?2 AND interval = ?3",
        )?
        .query_row(key(series), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(id, listed)| record(conn, id, listed, series.clone())).transpose()
}

fn record(conn: &Connection, id: i64, listed: Option<i64>, series: Series) -> Step<SeriesRecord> {
    let suffix = series.interval.suffix();
    let end = |order: &str| {
        conn.prepare_cached(&format!(
            "SELECT open_time FROM kline_rows_{suffix} WHERE series_id = ?1 ORDER BY open_time {order} LIMIT 1"
        ))?
        .query_row([id], |row| row.get::<_, i64>(0))
        .optional()
    };
    let extent = match (end("ASC")?, end("DESC")?) {
        (Some(first), Some(last)) => {
            let rows = book::rows(conn, id, series.interval)?;
            Some(Extent { first: Millis(first), last: Millis(last), rows })
        }
        _ => None,
    };
    Ok(SeriesRecord { series, listed: listed.map(Millis), extent })
}

/// The kline in the columns from `first` on, in the order of [`COLUMNS`].
///
/// # Errors
/// In words: what is wrong with which value.
pub(super) fn kline(row: &Row<'_>, first: usize) -> rusqlite::Result<Result<Kline, String>> {
    let number = |i: usize| -> rusqlite::Result<i64> { row.get(first + i) };
    let (open_time, close_time, count) = (Millis(number(0)?), Millis(number(6)?), number(8)?);
    let decimal = |i: usize| -> rusqlite::Result<Result<Decimal, String>> {
        let text = row.get_ref(first + i)?.as_str()?;
        Ok(Decimal::parse(text).map_err(|e| format!("kline of {open_time}: {e}")))
    };
    let values = [
        decimal(1)?,
        decimal(2)?,
        decimal(3)?,
        decimal(4)?,
        decimal(5)?,
        decimal(7)?,
        decimal(9)?,
        decimal(10)?,
    ];
    let assemble = || -> Result<Kline, String> {
        let [open, high, low, close, volume, quote_volume, taker_buy_volume, taker_buy_quote_volume] = values;
        Ok(Kline {
            open_time,
            open: open?,
            high: high?,
            low: low?,
            close: close?,
            volume: volume?,
            close_time,
            quote_volume: quote_volume?,
            count: u64::try_from(count).map_err(|_| format!("kline of {open_time}: {count} trades"))?,
            taker_buy_volume: taker_buy_volume?,
            taker_buy_quote_volume: taker_buy_quote_volume?,
        })
    };
    Ok(assemble())
}

pub(super) fn klines(
    conn: &Connection,
    series: &Series,
    slots: SlotRange,
    after: Option<Millis>,
    limit: usize,
) -> Step<Vec<Kline>> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(Vec::new());
    };
    let table = format!("kline_rows_{}", series.interval.suffix());
    let range = series.interval.time_range(slots);
    let from = after.map_or(range.since, |after| range.since.max(after.plus(1)));
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {table} WHERE series_id = ?1 AND open_time >= ?2 AND open_time < ?3 \
         ORDER BY open_time LIMIT ?4"
    ))?;
    let mut rows = statement.query((id, from.0, range.until.0, limit_of(limit)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(kline(row, 0)?.map_err(|what| corrupt(&table, format!("{series}: {what}")))?);
    }
    Ok(found)
}

pub(super) fn runs(conn: &Connection, series: Option<&Series>, limit: usize) -> Step<Vec<SeriesRun>> {
    const WHAT: &str =
        "SELECT run, job, started, ended, outcome, report, market, symbol, interval FROM kline_runs";
    let limit = limit_of(limit);
    let mut statement;
    let mut rows = match series {
        Some(series) => {
            let (market, symbol, interval) = key(series);
            statement = conn.prepare_cached(&format!(
                "{WHAT} WHERE market = ?1 AND symbol = ?2 AND interval = ?3 ORDER BY id DESC LIMIT ?4"
            ))?;
            statement.query((market, symbol, interval, limit))?
        }
        None => {
            statement = conn.prepare_cached(&format!("{WHAT} ORDER BY id DESC LIMIT ?1"))?;
            statement.query([limit])?
        }
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let outcome: String = row.get(4)?;
        found.push(SeriesRun {
            run: row.get(0)?,
            job: row.get(1)?,
            series: series_at(row, 6, "kline_runs")?,
            started: Millis(row.get(2)?),
            ended: Millis(row.get(3)?),
            outcome: Outcome::from_name(&outcome)
                .ok_or_else(|| corrupt("kline_runs", format!("outcome `{outcome}`")))?,
            report: row.get(5)?,
        });
    }
    Ok(found)
}

/// Leases that end after `now`.
pub(super) fn leases(conn: &Connection, now: Millis) -> Step<Vec<HeldLease>> {
    let mut statement = conn.prepare_cached(
        "SELECT market, symbol, interval, owner, expires FROM kline_leases WHERE expires > ?1",
    )?;
    let mut rows = statement.query([now.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let series = series_at(row, 0, "kline_leases")?;
        found.push(HeldLease { series, owner: row.get(3)?, expires: Millis(row.get(4)?) });
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}

pub(super) fn ledger(conn: &Connection, series: &Series, limit: usize) -> Step<Vec<LedgerEntry>> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(
        "SELECT run, source, since, until, row_count, rejected, fetched_at FROM kline_ledger \
         WHERE series_id = ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let mut rows = statement.query((id, limit_of(limit)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let source: String = row.get(1)?;
        let slot = |ms: i64| series.interval.slot_of(Millis(ms));
        let fetched = Fetched {
            slots: SlotRange::new(slot(row.get(2)?), slot(row.get(3)?)),
            source: Source::from_name(&source)
                .ok_or_else(|| corrupt("kline_ledger", format!("source `{source}`")))?,
            rows: row.get::<_, i64>(4)?.unsigned_abs(),
            rejected: row.get::<_, i64>(5)?.unsigned_abs(),
            at: Millis(row.get(6)?),
        };
        found.push(LedgerEntry { run: row.get(0)?, fetched });
    }
    Ok(found)
}

pub(super) fn revisions(conn: &Connection, series: &Series, limit: usize) -> Step<Vec<Revision>> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT run, replaced_at, {COLUMNS} FROM kline_audit WHERE series_id = ?1 ORDER BY id DESC LIMIT ?2"
    ))?;
    let mut rows = statement.query((id, limit_of(limit)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let old = kline(row, 2)?.map_err(|what| corrupt("kline_audit", format!("{series}: {what}")))?;
        found.push(Revision { run: row.get(0)?, at: Millis(row.get(1)?), old });
    }
    Ok(found)
}

pub(super) fn pending(conn: &Connection, limit: usize) -> Step<Vec<PendingMessage>> {
    let mut statement = conn.prepare_cached(
        "SELECT position, id, subject, payload, traceparent, created FROM kline_outbox \
         WHERE delivered IS NULL ORDER BY position LIMIT ?1",
    )?;
    let rows = statement.query_map([limit_of(limit)], |row| {
        let message =
            Message { id: row.get(1)?, subject: row.get(2)?, payload: row.get(3)?, traceparent: row.get(4)? };
        Ok(PendingMessage { position: row.get(0)?, message, created: Millis(row.get(5)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

//! Transactions that change the store.

use kline::{Decimal, Interval, Kline, Millis, Series};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::book::{self, Mark};
use super::fail::Step;
use super::lease;
use super::read::{key, kline, series_id};
use super::schema::COLUMNS;
use crate::buckets::{Bits, bucket_of};
use crate::digits::Digits;
use crate::ledger::{self, KEPT_DELIVERED, KEPT_FETCHES, KEPT_RUNS};
use crate::rows::{Fate, fates, filled_slots, runs};
use crate::{Chunk, Committed, Fetched, Finish, Lease, LedgerEntry, Message, SeriesRun, Source};

/// Everything of a chunk, if the lease is still held.
pub(super) fn commit(conn: &Connection, lease: &Lease, chunk: &Chunk, now: Millis) -> Step<Committed> {
    lease::verify(conn, lease)?;
    let (series, interval) = (&lease.series, lease.series.interval);
    let mut done = Committed::default();
    let is_about_series = !(chunk.klines.is_empty()
        && chunk.fetched.is_empty()
        && chunk.absent.is_empty()
        && chunk.listed.is_none());
    if is_about_series {
        let id = series_id_or_new(conn, series, chunk.listed)?;
        done = write_klines(conn, id, interval, chunk, now)?;
        book::update_absent(conn, id, interval, &chunk.absent, &filled_slots(interval, &chunk.klines))?;
        write_ledger(conn, id, interval, chunk)?;
    }
    if let Some(end) = &chunk.finish {
        finish(conn, end, now)?;
    }
    Ok(done)
}

/// The number of a series, which is new if need be. When it was listed is kept as first learnt.
fn series_id_or_new(conn: &Connection, series: &Series, listed: Option<Millis>) -> Step<i64> {
    let id = match series_id(conn, series)? {
        Some(id) => id,
        None => {
            conn.prepare_cached("INSERT INTO kline_series (market, symbol, interval) VALUES (?1, ?2, ?3)")?
                .execute(key(series))?;
            conn.last_insert_rowid()
        }
    };
    if let Some(listed) = listed {
        conn.prepare_cached("UPDATE kline_series SET listed = ?2 WHERE id = ?1 AND listed IS NULL")?
            .execute((id, listed.0))?;
    }
    Ok(id)
}

/// The statements that write klines of one interval.
struct Writer<'c> {
    insert: CachedStatement<'c>,
    audit: CachedStatement<'c>,
    update: CachedStatement<'c>,
    digits: Digits,
}

impl<'c> Writer<'c> {
    fn new(conn: &'c Connection, interval: Interval) -> rusqlite::Result<Self> {
        let table = format!("kline_rows_{}", interval.suffix());
        Ok(Self {
            insert: conn.prepare_cached(&format!(
                "INSERT INTO {table} (series_id, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ))?,
            audit: conn.prepare_cached(&format!(
                "INSERT INTO kline_audit (series_id, run, replaced_at, {COLUMNS}) \
                 SELECT series_id, ?3, ?4, {COLUMNS} FROM {table} WHERE series_id = ?1 AND open_time = ?2"
            ))?,
            update: conn.prepare_cached(&format!(
                "UPDATE {table} SET open = ?3, high = ?4, low = ?5, close = ?6, volume = ?7, close_time = ?8, \
                 quote_volume = ?9, count = ?10, taker_buy_volume = ?11, taker_buy_quote_volume = ?12 \
                 WHERE series_id = ?1 AND open_time = ?2"
            ))?,
            digits: Digits::new(),
        })
    }

    fn insert(&mut self, id: i64, kline: &Kline) -> rusqlite::Result<()> {
        bind(&mut self.insert, &mut self.digits, id, kline)?;
        self.insert.raw_execute().map(drop)
    }

    fn replace(&mut self, id: i64, kline: &Kline, run: &str, now: Millis) -> rusqlite::Result<()> {
        self.audit.execute(params![id, kline.open_time.0, run, now.0])?;
        bind(&mut self.update, &mut self.digits, id, kline)?;
        self.update.raw_execute().map(drop)
    }
}

/// Gives a statement the series and the values of a kline, in the order of [`COLUMNS`].
fn bind(to: &mut CachedStatement<'_>, digits: &mut Digits, id: i64, kline: &Kline) -> rusqlite::Result<()> {
    let mut decimal = |to: &mut CachedStatement<'_>, at: usize, value: &Decimal| {
        to.raw_bind_parameter(at, digits.of(value))
    };
    to.raw_bind_parameter(1, id)?;
    to.raw_bind_parameter(2, kline.open_time.0)?;
    decimal(to, 3, &kline.open)?;
    decimal(to, 4, &kline.high)?;
    decimal(to, 5, &kline.low)?;
    decimal(to, 6, &kline.close)?;
    decimal(to, 7, &kline.volume)?;
    to.raw_bind_parameter(8, kline.close_time.0)?;
    decimal(to, 9, &kline.quote_volume)?;
    to.raw_bind_parameter(10, kline.count.cast_signed())?; // checked to fit before
    decimal(to, 11, &kline.taker_buy_volume)?;
    decimal(to, 12, &kline.taker_buy_quote_volume)
}

/// Inserts what is new, leaves what is equal, replaces what differs, and notes the slots.
fn write_klines(
    conn: &Connection,
    id: i64,
    interval: Interval,
    chunk: &Chunk,
    now: Millis,
) -> Step<Committed> {
    let mut done = Committed::default();
    let mut marks: Vec<Mark> = Vec::new();
    let mut writer = Writer::new(conn, interval)?;
    let mut lookup = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM kline_rows_{} WHERE series_id = ?1 AND open_time >= ?2 AND open_time <= ?3 \
         ORDER BY open_time",
        interval.suffix()
    ))?;
    for (range, _) in runs(interval, &chunk.klines) {
        let klines = &chunk.klines[range];
        let stored = match klines {
            [first, .., last] => stored_between(&mut lookup, id, first.open_time, last.open_time)?,
            [only] => stored_between(&mut lookup, id, only.open_time, only.open_time)?,
            [] => continue,
        };
        for (fate, kline) in fates(klines, &stored) {
            match fate {
                Fate::Insert => writer.insert(id, kline)?,
                Fate::Replace => writer.replace(id, kline, &chunk.run, now)?,
                Fate::Keep => {}
            }
            done.inserted += u64::from(fate == Fate::Insert);
            done.replaced += u64::from(fate == Fate::Replace);
            done.unchanged += u64::from(fate == Fate::Keep);
            note(&mut marks, interval, kline, fate);
        }
    }
    book::mark(conn, id, interval, &marks)?;
    Ok(done)
}

fn note(marks: &mut Vec<Mark>, interval: Interval, kline: &Kline, fate: Fate) {
    let slot = interval.slot_of(kline.open_time);
    let bucket = bucket_of(slot);
    if marks.last().is_none_or(|mark| mark.bucket != bucket) {
        marks.push(Mark { bucket, bits: Bits::default(), inserted: 0 });
    }
    if let Some(mark) = marks.last_mut() {
        mark.bits.set(slot);
        mark.inserted += i64::from(fate == Fate::Insert);
    }
}

fn stored_between(
    lookup: &mut CachedStatement<'_>,
    id: i64,
    first: Millis,
    last: Millis,
) -> rusqlite::Result<Vec<(Millis, Option<Kline>)>> {
    let rows =
        lookup.query_map((id, first.0, last.0), |row| Ok((Millis(row.get(0)?), kline(row, 0)?.ok())))?;
    rows.collect()
}

/// Appends to the ledger, joining pages of one fetch, and drops the oldest entries beyond what is kept.
fn write_ledger(conn: &Connection, id: i64, interval: Interval, chunk: &Chunk) -> Step<()> {
    let Some(mut last) = last_fetch(conn, id, interval)? else {
        return append_fetches(conn, id, interval, chunk, 0, None);
    };
    let entry = last.1.take();
    append_fetches(conn, id, interval, chunk, last.0, entry)
}

type LastFetch = (i64, Option<LedgerEntry>);

fn last_fetch(conn: &Connection, id: i64, interval: Interval) -> Step<Option<LastFetch>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, run, source, since, until, row_count, rejected, fetched_at FROM kline_ledger \
         WHERE series_id = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let found = statement.query_row([id], |row| {
        let source = Source::from_name(row.get_ref(2)?.as_str()?);
        let slot = |ms: i64| interval.slot_of(Millis(ms));
        let fetched = source.map(|source| {
            Ok::<_, rusqlite::Error>(Fetched {
                slots: kline::SlotRange::new(slot(row.get(3)?), slot(row.get(4)?)),
                source,
                rows: row.get::<_, i64>(5)?.unsigned_abs(),
                rejected: row.get::<_, i64>(6)?.unsigned_abs(),
                at: Millis(row.get(7)?),
            })
        });
        let entry = match fetched.transpose()? {
            Some(fetched) => Some(LedgerEntry { run: row.get(1)?, fetched }),
            None => None,
        };
        Ok((row.get(0)?, entry))
    });
    Ok(found.optional()?)
}

fn append_fetches(
    conn: &Connection,
    id: i64,
    interval: Interval,
    chunk: &Chunk,
    mut seq: i64,
    mut last: Option<LedgerEntry>,
) -> Step<()> {
    let mut save = conn.prepare_cached(
        "INSERT OR REPLACE INTO kline_ledger \
         (series_id, seq, run, source, since, until, row_count, rejected, fetched_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for new in &chunk.fetched {
        let joined = last.as_ref().and_then(|last| ledger::join(last, &chunk.run, new));
        seq += i64::from(joined.is_none());
        let fetched = joined.unwrap_or_else(|| new.clone());
        let (since, until) = ledger::times(interval, fetched.slots);
        save.execute(params![
            id,
            seq,
            chunk.run,
            fetched.source.as_str(),
            since,
            until,
            fetched.rows.cast_signed(),
            fetched.rejected.cast_signed(),
            fetched.at.0
        ])?;
        last = Some(LedgerEntry { run: chunk.run.clone(), fetched });
    }
    if !chunk.fetched.is_empty() {
        conn.prepare_cached("DELETE FROM kline_ledger WHERE series_id = ?1 AND seq <= ?2")?
            .execute((id, seq - KEPT_FETCHES))?;
    }
    Ok(())
}

/// The end of a run, and its messages.
pub(super) fn finish(conn: &Connection, finish: &Finish, now: Millis) -> Step<()> {
    if let Some(run) = &finish.run {
        write_run(conn, run)?;
    }
    for message in &finish.messages {
        post(conn, message, now)?;
    }
    Ok(())
}

fn write_run(conn: &Connection, run: &SeriesRun) -> Step<()> {
    let (market, symbol, interval) = key(&run.series);
    conn.prepare_cached(
        "INSERT INTO kline_runs (run, job, market, symbol, interval, started, ended, outcome, report) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (run, market, symbol, interval) DO UPDATE SET job = excluded.job, started = excluded.started, \
         ended = excluded.ended, outcome = excluded.outcome, report = excluded.report",
    )?
    .execute(params![
        run.run,
        run.job,
        market,
        symbol,
        interval,
        run.started.0,
        run.ended.0,
        run.outcome.as_str(),
        run.report
    ])?;
    conn.prepare_cached(
        "DELETE FROM kline_runs WHERE market = ?1 AND symbol = ?2 AND interval = ?3 AND id <= \
         (SELECT id FROM kline_runs WHERE market = ?1 AND symbol = ?2 AND interval = ?3 \
          ORDER BY id DESC LIMIT 1 OFFSET ?4)",
    )?
    .execute((market, symbol, interval, KEPT_RUNS))?;
    Ok(())
}

/// Puts a message into the outbox; one whose id is known already is the same message again.
fn post(conn: &Connection, message: &Message, now: Millis) -> Step<()> {
    conn.prepare_cached(
        "INSERT INTO kline_outbox (id, subject, payload, traceparent, created) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![message.id, message.subject, message.payload, message.traceparent, now.0])?;
    Ok(())
}

/// Marks messages as delivered, and forgets those delivered long ago.
pub(super) fn delivered(conn: &Connection, positions: &[i64], now: Millis) -> Step<()> {
    let mut statement = conn.prepare_cached(
        "UPDATE kline_outbox SET delivered = ?2, payload = '' WHERE position = ?1 AND delivered IS NULL",
    )?;
    for position in positions {
        statement.execute((position, now.0))?;
    }
    conn.prepare_cached(
        "DELETE FROM kline_outbox WHERE delivered IS NOT NULL AND position <= \
         (SELECT max(position) FROM kline_outbox) - ?1",
    )?
    .execute([KEPT_DELIVERED])?;
    Ok(())
}

/// Forgets absences inside a range, if the lease is still held.
pub(super) fn forget_absent(conn: &Connection, lease: &Lease, slots: kline::SlotRange) -> Step<()> {
    lease::verify(conn, lease)?;
    match series_id(conn, &lease.series)? {
        Some(id) => book::forget_absent(conn, id, lease.series.interval, slots),
        None => Ok(()),
    }
}

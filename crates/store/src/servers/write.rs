//! Transactions that change the store.

use std::collections::BTreeMap;

use kline::{Kline, Millis, Series};

use super::absent;
use super::book::{self, Book, Mark, Of};
use super::engine::{Session, Told, Upsert};
use super::fail::{Class, Fault, Step};
use super::lease;
use super::read::{self, FETCH, key, series_id};
use super::value::{self, COLUMNS, Cells, Value, values};
use crate::buckets::{Bits, bucket_of};
use crate::ledger::{self, KEPT_DELIVERED, KEPT_FETCHES, KEPT_RUNS};
use crate::rows::{Fate, fates, filled_slots, runs};
use crate::{Chunk, Committed, Finish, Lease, LedgerEntry, Message, SeriesRun};

/// Klines loaded with one statement: bounds the memory that their text form takes.
const LOADED: usize = 20_000;
/// Runs of klines looked up with one statement.
const LOOKUPS: usize = 32;
/// Rows of the ledger or the outbox written with one statement.
const BATCH: usize = 64;

/// The tries to commit one chunk, and what they learnt.
#[derive(Debug)]
pub(super) struct Attempt {
    stamp: String,
    /// Whether the books are believed where they say that a slot is empty.
    trusted: bool,
    /// What the last try did, in case it was committed and only the answer got lost.
    done: Option<Committed>,
}

impl Attempt {
    pub(super) fn new() -> Self {
        Self { stamp: lease::token(), trusted: true, done: None }
    }

    /// Writes everything of the chunk, if the lease is still held.
    pub(super) async fn make<S: Session>(
        &mut self,
        session: &mut S,
        lease: &Lease,
        chunk: &Chunk,
        told: Told,
    ) -> Step<Committed> {
        if let (true, Some(done)) = (lease::stamp(session, lease, &self.stamp).await?, self.done) {
            return Ok(done);
        }
        let result = commit(session, lease, chunk, told, self.trusted).await;
        match &result {
            Ok(done) => self.done = Some(*done),
            Err(fault) if fault.class() == Some(Class::Duplicate) => self.trusted = false,
            Err(_) => {}
        }
        result
    }
}

/// Everything of a chunk. `trusted`: the books are believed where they say that a slot is empty; if they are wrong, this
/// fails with [`Class::Duplicate`].
async fn commit<S: Session>(
    session: &mut S,
    lease: &Lease,
    chunk: &Chunk,
    told: Told,
    trusted: bool,
) -> Step<Committed> {
    let (series, interval) = (&lease.series, lease.series.interval);
    let mut done = Committed::default();
    let is_about_series = !(chunk.klines.is_empty()
        && chunk.fetched.is_empty()
        && chunk.absent.is_empty()
        && chunk.listed.is_none());
    if is_about_series {
        let id = series_id_or_new(session, series, chunk.listed).await?;
        let of = Of { id, interval, told };
        done = write_klines(session, of, chunk, trusted).await?;
        absent::update(session, of, &chunk.absent, &filled_slots(interval, &chunk.klines)).await?;
        write_ledger(session, of, chunk).await?;
    }
    if let Some(end) = &chunk.finish {
        finish(session, end).await?;
    }
    Ok(done)
}

/// The number of a series, which is new if need be. When it was listed is kept as first learnt.
async fn series_id_or_new<S: Session>(session: &mut S, series: &Series, listed: Option<Millis>) -> Step<i64> {
    let id = match series_id(session, series).await? {
        Some(id) => id,
        None => {
            let (market, symbol, period) = key(series);
            let sql = "INSERT INTO kline_series (market, symbol, period) VALUES (?, ?, ?)";
            session.execute(sql, values![market, symbol, period]).await?;
            series_id(session, series).await?.unwrap_or_default()
        }
    };
    if let Some(listed) = listed {
        let sql = "UPDATE kline_series SET listed = ? WHERE id = ? AND listed IS NULL";
        session.execute(sql, values![listed.0, id]).await?;
    }
    Ok(id)
}

/// Inserts what is new, leaves what is equal, replaces what differs, and notes the slots.
async fn write_klines<S: Session>(session: &mut S, of: Of, chunk: &Chunk, trusted: bool) -> Step<Committed> {
    if chunk.klines.is_empty() {
        return Ok(Committed::default());
    }
    let mut marks = marks_of(of, &chunk.klines);
    let buckets: Vec<i64> = marks.iter().map(|mark| mark.bucket).collect();
    let books = book::locked(session, of, &buckets).await?;
    let (mut new, doubtful) = sort(of, &chunk.klines, &books, trusted);

    let stored = stored(session, of, &doubtful).await?;
    let mut replaced = Vec::new();
    let mut done = Committed::default();
    for (fate, kline) in fates(&doubtful, &stored) {
        match fate {
            Fate::Insert => new.push(kline),
            Fate::Replace => replaced.push(kline),
            Fate::Keep => done.unchanged += 1,
        }
    }
    new.sort_unstable_by_key(|kline| kline.open_time);
    for some in new.chunks(LOADED) {
        let loaded = session.load(of.interval, of.id, some).await?;
        if loaded != some.len() as u64 {
            let what = format!("{loaded} of {} rows were new", some.len());
            return Err(Fault::Engine(Class::Duplicate, what.into()));
        }
        count_new(of, &mut marks, some);
    }
    if !replaced.is_empty() {
        let now = lease::now(session).await?;
        for kline in &replaced {
            replace(session, of, kline, &chunk.run, now).await?;
        }
    }
    book::mark(session, of, &marks, &books, trusted).await?;
    done.inserted = new.len() as u64;
    done.replaced = replaced.len() as u64;
    Ok(done)
}

/// One mark per bucket, with the slots of all its klines.
fn marks_of(of: Of, klines: &[Kline]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for kline in klines {
        let slot = of.interval.slot_of(kline.open_time);
        let bucket = bucket_of(slot);
        if marks.last().is_none_or(|mark| mark.bucket != bucket) {
            marks.push(Mark { bucket, bits: Bits::default(), inserted: 0 });
        }
        if let Some(mark) = marks.last_mut() {
            mark.bits.set(slot);
        }
    }
    marks
}

/// Adds klines that were inserted to the marks of their buckets; both ascend.
fn count_new(of: Of, marks: &mut [Mark], inserted: &[&Kline]) {
    let mut marks = marks.iter_mut().peekable();
    for kline in inserted {
        let bucket = bucket_of(of.interval.slot_of(kline.open_time));
        while marks.next_if(|mark| mark.bucket < bucket).is_some() {}
        if let Some(mark) = marks.peek_mut() {
            mark.inserted += 1;
        }
    }
}

/// Klines that are new for certain, and those that must be compared with what is stored.
fn sort<'a>(
    of: Of,
    klines: &'a [Kline],
    books: &BTreeMap<i64, Book>,
    trusted: bool,
) -> (Vec<&'a Kline>, Vec<Kline>) {
    let (mut new, mut doubtful) = (Vec::with_capacity(klines.len()), Vec::new());
    for kline in klines {
        let slot = of.interval.slot_of(kline.open_time);
        let is_empty = match books.get(&bucket_of(slot)) {
            None => true,
            Some(book) => book.bits.is_some_and(|bits| !bits.has(slot)),
        };
        if trusted && is_empty {
            new.push(kline);
        } else {
            doubtful.push(kline.clone());
        }
    }
    (new, doubtful)
}

type Stored = Vec<(Millis, Option<Kline>)>;

/// What is stored where some klines (ascending) open.
async fn stored<S: Session>(session: &mut S, of: Of, klines: &[Kline]) -> Step<Stored> {
    let one = format!(
        "SELECT {COLUMNS} FROM {} WHERE series_id = ? AND open_time >= ? AND open_time <= ?",
        of.table()
    );
    let mut found = Vec::new();
    for some in runs(of.interval, klines).chunks(LOOKUPS) {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(3 * some.len());
        for (range, _) in some {
            if let [first, ..] = &klines[range.clone()]
                && let Some(last) = klines[range.clone()].last()
            {
                values.extend_from_slice(values![of.id, first.open_time, last.open_time]);
            }
        }
        let sql = vec![one.as_str(); values.len() / 3].join(" UNION ALL ");
        for row in session.query(&sql, &values).await? {
            found.push((row.time(0)?, value::kline(&row, 0)?.ok()));
        }
    }
    found.sort_unstable_by_key(|(open, _)| *open);
    Ok(found)
}

async fn replace<S: Session>(session: &mut S, of: Of, k: &Kline, run: &str, now: Millis) -> Step<()> {
    let table = of.table();
    let audit = format!(
        "INSERT INTO kline_audit (series_id, run, replaced_at, {COLUMNS}) \
         SELECT series_id, ?, ?, {COLUMNS} FROM {table} WHERE series_id = ? AND open_time = ?"
    );
    session.execute(&audit, values![run, now.0, of.id, k.open_time]).await?;
    let update = format!(
        "UPDATE {table} SET open = ?, high = ?, low = ?, close = ?, volume = ?, close_time = ?, quote_volume = ?, \
         count = ?, taker_buy_volume = ?, taker_buy_quote_volume = ? WHERE series_id = ? AND open_time = ?"
    );
    let values = values![
        k.open,
        k.high,
        k.low,
        k.close,
        k.volume,
        k.close_time,
        k.quote_volume,
        k.count.cast_signed(), // checked to fit before
        k.taker_buy_volume,
        k.taker_buy_quote_volume,
        of.id,
        k.open_time
    ];
    session.execute(&update, values).await.map(drop)
}

/// Appends to the ledger, joining pages of one fetch, and drops the oldest entries beyond what is kept.
async fn write_ledger<S: Session>(session: &mut S, of: Of, chunk: &Chunk) -> Step<()> {
    if chunk.fetched.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT seq, {FETCH} FROM kline_ledger WHERE series_id = ? ORDER BY seq DESC LIMIT 1");
    let (mut seq, mut last) = match session.query_one(&sql, values![of.id]).await? {
        // An entry that makes no sense is left as it is, and nothing is joined to it.
        Some(row) => (row.int(0)?, read::fetch(&row, 1, of.interval).ok()),
        None => (0, None),
    };
    let mut entries: BTreeMap<i64, LedgerEntry> = BTreeMap::new();
    for new in &chunk.fetched {
        let joined = last.as_ref().and_then(|last| ledger::join(last, &chunk.run, new));
        seq += i64::from(joined.is_none());
        let fetched = joined.unwrap_or_else(|| new.clone());
        let entry = LedgerEntry { run: chunk.run.clone(), fetched };
        entries.insert(seq, entry.clone());
        last = Some(entry);
    }
    let entries: Vec<(i64, LedgerEntry)> = entries.into_iter().collect();
    for some in entries.chunks(BATCH) {
        save_fetches(session, of, some).await?;
    }
    let sql = "DELETE FROM kline_ledger WHERE series_id = ? AND seq <= ?";
    session.execute(sql, values![of.id, seq - KEPT_FETCHES]).await.map(drop)
}

async fn save_fetches<S: Session>(session: &mut S, of: Of, entries: &[(i64, LedgerEntry)]) -> Step<()> {
    const ALL: &[&str] =
        &["series_id", "seq", "run", "source", "since", "until", "row_count", "rejected", "fetched_at"];
    let sql = S::upsert(&Upsert {
        table: "kline_ledger",
        columns: ALL,
        key: &["series_id", "seq"],
        update: &["since", "until", "row_count", "rejected", "fetched_at"],
        clear: &[],
        rows: entries.len(),
    });
    let mut values: Vec<Value<'_>> = Vec::with_capacity(ALL.len() * entries.len());
    for (seq, LedgerEntry { run, fetched }) in entries {
        let (since, until) = ledger::times(of.interval, fetched.slots);
        let (rows, rejected) = (fetched.rows.cast_signed(), fetched.rejected.cast_signed());
        let source = fetched.source.as_str();
        values.extend_from_slice(values![
            of.id,
            *seq,
            run,
            source,
            since,
            until,
            rows,
            rejected,
            fetched.at.0
        ]);
    }
    session.execute(&sql, &values).await.map(drop)
}

/// The end of a run, and its messages.
pub(super) async fn finish<S: Session>(session: &mut S, finish: &Finish) -> Step<()> {
    if let Some(run) = &finish.run {
        write_run(session, run).await?;
    }
    if finish.messages.is_empty() {
        return Ok(());
    }
    let now = lease::now(session).await?;
    for message in &finish.messages {
        post(session, message, now).await?;
    }
    Ok(())
}

async fn write_run<S: Session>(session: &mut S, run: &SeriesRun) -> Step<()> {
    let (market, symbol, period) = key(&run.series);
    let sql = S::upsert(&Upsert {
        table: "kline_runs",
        columns: &["run", "job", "market", "symbol", "period", "started", "ended", "outcome", "report"],
        key: &["run", "market", "symbol", "period"],
        update: &["job", "started", "ended", "outcome", "report"],
        clear: &[],
        rows: 1,
    });
    let (started, ended) = (run.started.0, run.ended.0);
    let outcome = run.outcome.as_str();
    session
        .execute(
            &sql,
            values![&run.run, &run.job, market, symbol, period, started, ended, outcome, &run.report],
        )
        .await?;
    let oldest = session
        .query_one(
            "SELECT id FROM kline_runs WHERE market = ? AND symbol = ? AND period = ? \
             ORDER BY id DESC LIMIT 1 OFFSET ?",
            values![market, symbol, period, KEPT_RUNS],
        )
        .await?;
    if let Some(row) = oldest {
        let sql = "DELETE FROM kline_runs WHERE market = ? AND symbol = ? AND period = ? AND id <= ?";
        session.execute(sql, values![market, symbol, period, row.int(0)?]).await?;
    }
    Ok(())
}

/// Puts a message into the outbox; one whose id is known already is the same message again.
async fn post<S: Session>(session: &mut S, message: &Message, now: Millis) -> Step<()> {
    let sql = S::upsert(&Upsert {
        table: "kline_outbox",
        columns: &["id", "subject", "payload", "traceparent", "created"],
        key: &["id"],
        update: &[],
        clear: &[],
        rows: 1,
    });
    let parent = message.traceparent.as_ref();
    session
        .execute(&sql, values![&message.id, &message.subject, &message.payload, parent, now.0])
        .await
        .map(drop)
}

/// Marks messages as delivered, and forgets those delivered long ago.
pub(super) async fn delivered<S: Session>(session: &mut S, positions: &[i64]) -> Step<()> {
    let now = lease::now(session).await?;
    for some in positions.chunks(BATCH) {
        let marks = vec!["?"; some.len()].join(", ");
        let sql = format!(
            "UPDATE kline_outbox SET delivered = ?, payload = '' WHERE delivered IS NULL AND position IN ({marks})"
        );
        let mut values: Vec<Value<'_>> = vec![now.0.into()];
        values.extend(some.iter().copied().map(Value::from));
        session.execute(&sql, &values).await?;
    }
    let newest = session.query_one("SELECT MAX(position) FROM kline_outbox", &[]).await?;
    let newest = newest.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0);
    let sql = "DELETE FROM kline_outbox WHERE delivered IS NOT NULL AND position <= ?";
    session.execute(sql, values![newest - KEPT_DELIVERED]).await.map(drop)
}

/// Forgets absences inside a range, if the lease is still held.
pub(super) async fn forget_absent<S: Session>(
    session: &mut S,
    lease: &Lease,
    told: Told,
    slots: kline::SlotRange,
) -> Step<()> {
    lease::verify(session, lease).await?;
    match series_id(session, &lease.series).await? {
        Some(id) => {
            let of = Of { id, interval: lease.series.interval, told };
            absent::forget(session, of, slots).await
        }
        None => Ok(()),
    }
}

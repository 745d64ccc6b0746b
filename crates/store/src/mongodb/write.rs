//! Operations that change the store.
//!
//! Each may be done again from its beginning: where the deployment has transactions, a failed try left nothing; where it
//! has none, what a failed try did is met again and left as it is. The order is rows, absences, ledger, books, and last
//! what the world is told of (run record, outbox), so that nothing is ever told before it is true.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ::mongodb::bson::raw::RawDocumentBuf;
use ::mongodb::bson::{Document, doc};
use ::mongodb::options::FindOptions;
use kline::{Kline, Millis, Series};

use super::book::{self, Mark, Tally};
use super::doc::{self, collection, date, key, row, values, values_as_stored};
use super::fail::Step;
use super::pool::Tx;
use super::{absent, lease, read};
use crate::buckets::{Bits, bucket_of};
use crate::leases::now;
use crate::ledger::{self, KEPT_DELIVERED, KEPT_FETCHES, KEPT_RUNS};
use crate::rows::{Fate, fates, filled_slots, runs};
use crate::{Chunk, Committed, Finish, Lease, LedgerEntry, Message, SeriesRun};

/// Klines that are looked up by their exact open time at once.
const LOOKED_UP: usize = 5000;

/// What the tries of one commit remember of each other, so that what an earlier try did is not taken for what was there
/// before.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    committed: Option<Committed>,
    ledger: Option<Vec<(i64, LedgerEntry)>>,
}

impl Memory {
    fn with<T>(&self, f: impl FnOnce(&mut Remembered) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything of a chunk, if the lease is still held.
pub(super) async fn commit(tx: &mut Tx, lease: &Lease, chunk: &Chunk, memory: &Memory) -> Step<Committed> {
    let mut guard = Guard::new(tx, lease).await?;
    let series = &lease.series;
    let mut done = Committed::default();
    let is_about_series = !(chunk.klines.is_empty()
        && chunk.fetched.is_empty()
        && chunk.absent.is_empty()
        && chunk.listed.is_none());
    if is_about_series {
        know(tx, series, chunk.listed).await?;
        let marks;
        (done, marks) = write_klines(tx, &mut guard, chunk, memory).await?;
        guard.check(tx).await?;
        absent::update(tx, series, &chunk.absent, &filled_slots(series.interval, &chunk.klines)).await?;
        write_ledger(tx, series, chunk, memory).await?;
        guard.check(tx).await?;
        book::settle(tx, series, &marks).await?;
    }
    if let Some(end) = &chunk.finish {
        guard.check(tx).await?;
        finish(tx, end).await?;
    }
    Ok(done)
}

/// Keeps watch over the lease while there is no transaction to do so.
struct Guard<'a> {
    lease: &'a Lease,
    asked: Instant,
}

impl<'a> Guard<'a> {
    async fn new(tx: &mut Tx, lease: &'a Lease) -> Step<Self> {
        lease::verify(tx, lease).await?;
        Ok(Self { lease, asked: Instant::now() })
    }

    /// Asks again when the last answer gets old.
    async fn check(&mut self, tx: &mut Tx) -> Step<()> {
        if !tx.is_transactional() && self.asked.elapsed() > lease::GUARD / 4 {
            lease::verify(tx, self.lease).await?;
            self.asked = Instant::now();
        }
        Ok(())
    }
}

/// Makes a series known. When it was listed is kept as first learnt.
async fn know(tx: &mut Tx, series: &Series, listed: Option<Millis>) -> Step<()> {
    let id = key(series);
    let names = doc! {
        "market": series.market.as_str(), "symbol": series.symbol.as_str(), "interval": series.interval.as_str(),
    };
    let mut statements = vec![doc! { "q": { "_id": &id }, "u": { "$setOnInsert": names }, "upsert": true }];
    if let Some(listed) = listed {
        let unknown = doc! { "_id": &id, "listed": null };
        statements.push(doc! { "q": unknown, "u": { "$set": { "listed": date(listed) } } });
    }
    tx.update("kline_series", statements).await
}

/// Inserts what is new, leaves what is equal, replaces what differs and keeps its old values.
async fn write_klines(
    tx: &mut Tx,
    guard: &mut Guard<'_>,
    chunk: &Chunk,
    memory: &Memory,
) -> Step<(Committed, Vec<Mark>)> {
    let series = &guard.lease.series;
    let stored = stored(tx, series, &chunk.klines).await?;
    let known: Vec<(Millis, Option<Kline>)> =
        stored.iter().map(|(at, row)| (*at, doc::kline(row).ok())).collect();
    let (mut done, mut marks) = (Committed::default(), Vec::new());
    let (mut new, mut old, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (fate, kline) in fates(&chunk.klines, &known) {
        note(&mut marks, series, kline, fate);
        match fate {
            Fate::Insert => {
                new.push(row(series, kline));
                done.inserted += 1;
            }
            Fate::Replace => {
                old.extend(stored.get(&kline.open_time).map(|row| kept(series, kline, row, &chunk.run)));
                changed.push(doc! {
                    "q": book::between(series, kline.open_time, kline.open_time),
                    "u": { "$set": values(kline) },
                });
                done.replaced += 1;
            }
            Fate::Keep => done.unchanged += 1,
        }
    }
    // What the first try found is what was there before the commit. Later ones meet what it wrote, even where it ended in
    // the middle of writing.
    let done = memory.with(|m| *m.committed.get_or_insert(done));
    guard.check(tx).await?;
    let name = collection(series);
    tx.update("kline_audit", old).await?;
    tx.update(&name, changed).await?;
    tx.insert(&name, &new).await?;
    Ok((done, marks))
}

/// The statement that keeps the values of a stored kline; a second time it changes nothing.
fn kept(series: &Series, kline: &Kline, stored: &RawDocumentBuf, run: &str) -> Document {
    let mut old = doc! { "series": key(series), "open_time": date(kline.open_time), "run": run };
    old.extend(values_as_stored(stored));
    doc! { "q": old, "u": { "$setOnInsert": { "replaced_at": date(now()) } }, "upsert": true }
}

/// What is stored at the open times of klines.
async fn stored(tx: &mut Tx, series: &Series, klines: &[Kline]) -> Step<BTreeMap<Millis, RawDocumentBuf>> {
    let mut filters = Vec::new();
    match klines {
        [] => {}
        // Without a gap: a range is the shortest question.
        [first, .., last] if runs(series.interval, klines).len() == 1 => {
            filters.push(book::between(series, first.open_time, last.open_time));
        }
        scattered => filters.extend(scattered.chunks(LOOKED_UP).map(|part| {
            let at: Vec<_> = part.iter().map(|kline| date(kline.open_time)).collect();
            doc! {
                "market": series.market.as_str(), "symbol": series.symbol.as_str(), "open_time": { "$in": at },
            }
        })),
    }
    let name = collection(series);
    let mut found = BTreeMap::new();
    for filter in filters {
        for row in tx.find(&name, filter, None).await? {
            let at = doc::open_time(&row).ok_or_else(|| doc::corrupt(&name, "an open_time is no date"))?;
            found.insert(at, row);
        }
    }
    Ok(found)
}

fn note(marks: &mut Vec<Mark>, series: &Series, kline: &Kline, fate: Fate) {
    let slot = series.interval.slot_of(kline.open_time);
    let bucket = bucket_of(slot);
    if marks.last().is_none_or(|mark| mark.bucket != bucket) {
        marks.push(Mark { bucket, bits: Bits::default(), inserted: Tally::default() });
    }
    if let Some(mark) = marks.last_mut() {
        mark.bits.set(slot);
        if fate == Fate::Insert {
            mark.inserted.count(kline.open_time);
        }
    }
}

/// Appends to the ledger, joining pages of one fetch, and drops the oldest entries beyond what is kept. What is to be
/// written is decided once, by the first try.
async fn write_ledger(tx: &mut Tx, series: &Series, chunk: &Chunk, memory: &Memory) -> Step<()> {
    if chunk.fetched.is_empty() {
        return Ok(());
    }
    let entries = match memory.with(|m| m.ledger.clone()) {
        Some(entries) => entries,
        None => {
            let newest = read::ledger(tx, series, 1).await?.pop();
            let entries = entries(newest, chunk);
            memory.with(|m| m.ledger.insert(entries).clone())
        }
    };
    let statement = |(seq, entry): &(i64, LedgerEntry)| {
        let fetched = &entry.fetched;
        let (since, until) = ledger::times(series.interval, fetched.slots);
        let values = doc! {
            "run": &entry.run, "source": fetched.source.as_str(), "since": date(Millis(since)),
            "until": date(Millis(until)), "rows": fetched.rows.cast_signed(),
            "rejected": fetched.rejected.cast_signed(), "fetched_at": date(fetched.at),
        };
        doc! { "q": { "series": key(series), "seq": seq }, "u": { "$set": values }, "upsert": true }
    };
    let newest = entries.last().map_or(0, |(seq, _)| *seq);
    tx.update("kline_ledger", entries.iter().map(statement).collect()).await?;
    let old = doc! { "series": key(series), "seq": { "$lte": newest - KEPT_FETCHES } };
    tx.delete("kline_ledger", vec![old]).await
}

/// The entries that a chunk adds to the ledger or changes, each with its number.
fn entries(newest: Option<(i64, LedgerEntry)>, chunk: &Chunk) -> Vec<(i64, LedgerEntry)> {
    let mut entries: Vec<(i64, LedgerEntry)> = newest.into_iter().collect();
    for new in &chunk.fetched {
        let joined = entries.last().and_then(|(_, last)| ledger::join(last, &chunk.run, new));
        let entry = |fetched| LedgerEntry { run: chunk.run.clone(), fetched };
        match (joined, entries.last_mut()) {
            (Some(fetched), Some(last)) => last.1 = entry(fetched),
            _ => {
                let seq = entries.last().map_or(0, |(seq, _)| *seq) + 1;
                entries.push((seq, entry(new.clone())));
            }
        }
    }
    // Of many at once, those that would be dropped again are not worth writing.
    let kept = usize::try_from(KEPT_FETCHES).unwrap_or(usize::MAX);
    entries.split_off(entries.len().saturating_sub(kept))
}

/// The end of a run, and its messages.
pub(super) async fn finish(tx: &mut Tx, finish: &Finish) -> Step<()> {
    if let Some(run) = &finish.run {
        write_run(tx, run).await?;
    }
    for message in &finish.messages {
        post(tx, message).await?;
    }
    Ok(())
}

async fn write_run(tx: &mut Tx, run: &SeriesRun) -> Step<()> {
    const RUNS: &str = "kline_runs";
    let series = key(&run.series);
    let values = doc! {
        "job": &run.job, "started": date(run.started), "ended": date(run.ended),
        "outcome": run.outcome.as_str(), "report": &run.report,
    };
    let seq = tx.next(RUNS).await?;
    let update = doc! { "$set": values, "$setOnInsert": { "seq": seq } };
    let id = doc! { "run": &run.run, "series": &series };
    tx.update(RUNS, vec![doc! { "q": id, "u": update, "upsert": true }]).await?;
    let mut first_old = FindOptions::builder().sort(doc! { "seq": -1 }).projection(doc! { "seq": 1 }).build();
    first_old.skip = Some(KEPT_RUNS.unsigned_abs());
    if let Some(old) = tx.first(RUNS, doc! { "series": &series }, first_old).await? {
        let seq = doc::Fields(RUNS, &old).int("seq")?;
        tx.delete(RUNS, vec![doc! { "series": &series, "seq": { "$lte": seq } }]).await?;
    }
    Ok(())
}

/// Puts a message into the outbox; one whose id is known already is the same message again.
async fn post(tx: &mut Tx, message: &Message) -> Step<()> {
    const OUTBOX: &str = "kline_outbox";
    let id = doc! { "_id": &message.id };
    if tx.first(OUTBOX, id.clone(), FindOptions::default()).await?.is_some() {
        return Ok(());
    }
    let position = tx.next(OUTBOX).await?;
    let values = doc! {
        "position": position, "subject": &message.subject, "payload": &message.payload,
        "traceparent": message.traceparent.as_deref(), "created": date(now()), "delivered": null,
    };
    tx.update(OUTBOX, vec![doc! { "q": id, "u": { "$setOnInsert": values }, "upsert": true }]).await
}

/// Marks messages as delivered, and forgets those delivered long ago.
pub(super) async fn delivered(tx: &mut Tx, positions: &[i64]) -> Step<()> {
    const OUTBOX: &str = "kline_outbox";
    let which = doc! { "position": { "$in": positions }, "delivered": null };
    let update = doc! { "$set": { "delivered": date(now()), "payload": "" } };
    tx.update(OUTBOX, vec![doc! { "q": which, "u": update, "multi": true }]).await?;
    let Some(newest) = positions.iter().max() else {
        return Ok(());
    };
    let old = doc! { "delivered": { "$ne": null }, "position": { "$lte": newest - KEPT_DELIVERED } };
    tx.delete(OUTBOX, vec![old]).await
}

/// Forgets absences inside a range, if the lease is still held.
pub(super) async fn forget_absent(tx: &mut Tx, lease: &Lease, slots: kline::SlotRange) -> Step<()> {
    lease::verify(tx, lease).await?;
    absent::forget(tx, &lease.series, slots).await
}

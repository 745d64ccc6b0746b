//! The books beside the rows: which slots are filled. Rules in [`crate::buckets`].
//!
//! Beside them, on an engine whose triggers do not tell everything ([`Told`]), two questions are asked of the rows
//! themselves: whether somebody put rows into slots that look empty, and, where there are no triggers at all, how many
//! rows each bucket has.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kline::{Interval, Millis, RangeSet, Series, Slot, SlotRange};

use super::engine::{Session, Told, Upsert};
use super::fail::Step;
use super::read::series_id;
use super::value::{Cells, Value, values};
use crate::Books;
use crate::buckets::{Bits, bucket_of, slots_of};

/// Open times fetched at once.
const PAGE: usize = 20_000;
/// Buckets written with one statement.
const SAVED: usize = 64;
/// Buckets asked for with one statement, when they are named one by one.
const NAMED: usize = 64;
/// Ranges of slots looked into with one statement.
const RANGES: usize = 32;
/// Neighbouring ranges with no more slots than this between them are looked into as one: to read a few rows in sequence
/// costs less than another descent into the tree.
const WORTH_SCANNING: i64 = 12;

/// A series in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of {
    pub(super) id: i64,
    pub(super) interval: Interval,
    pub(super) told: Told,
}

impl Of {
    /// The table of the rows.
    pub(super) fn table(self) -> String {
        format!("kline_rows_{}", self.interval.suffix())
    }
}

/// The slots of a range in which no kline opens: what has no bit in a known bucket, and no row in an unknown one.
pub(super) async fn missing<S: Session>(
    session: &mut S,
    series: &Series,
    told: Told,
    slots: SlotRange,
) -> Step<RangeSet> {
    match series_id(session, series).await? {
        Some(id) => missing_in(session, Of { id, interval: series.interval, told }, slots).await,
        None => Ok(slots.into()),
    }
}

/// As [`missing`], for a series that is known.
pub(super) async fn missing_in<S: Session>(session: &mut S, of: Of, slots: SlotRange) -> Step<RangeSet> {
    Ok(look(session, of, slots).await?.0)
}

/// The slots in which no kline opens, and those of which the rows had to be asked.
async fn look<S: Session>(session: &mut S, of: Of, slots: SlotRange) -> Step<(RangeSet, RangeSet)> {
    if slots.is_empty() {
        return Ok(Default::default());
    }
    let (filled, unknown) = books(session, of, slots).await?;
    let unknown = unknown.clip(slots);
    let mut found = RangeSet::new();
    for range in unknown.ranges() {
        each_slot(session, of, *range, |slot| found.push_slot(slot)).await?;
    }
    let empty = RangeSet::from(slots).difference(&filled).difference(&found);
    if of.told == Told::All {
        return Ok((empty, unknown));
    }
    let by_hand = inserted_by_hand(session, of, &empty.difference(&unknown)).await?;
    Ok((empty.difference(&by_hand), unknown.union(&by_hand)))
}

/// What the books say of a range.
pub(super) async fn survey<S: Session>(
    session: &mut S,
    series: &Series,
    told: Told,
    slots: SlotRange,
) -> Step<Books> {
    let id = match series_id(session, series).await? {
        Some(id) if !slots.is_empty() => id,
        _ => return Ok(Books { missing: slots.into(), ..Books::default() }),
    };
    let of = Of { id, interval: series.interval, told };
    let (missing, unknown) = look(session, of, slots).await?;
    let touched = touched(slots);
    let rows = session
        .query(
            "SELECT bucket, row_count - filled FROM kline_buckets \
             WHERE series_id = ? AND bucket BETWEEN ? AND ? AND row_count > filled ORDER BY bucket",
            values![id, *touched.start(), *touched.end()],
        )
        .await?;
    let mut doubled = Vec::with_capacity(rows.len());
    for row in rows {
        doubled.push((slots_of(row.int(0)?), row.int(1)?.unsigned_abs()));
    }
    let (since, until) = span(of.interval, slots);
    let rows = session
        .query(
            "SELECT open_time, COUNT(*) FROM kline_audit \
             WHERE series_id = ? AND open_time >= ? AND open_time < ? GROUP BY open_time",
            values![id, since, until],
        )
        .await?;
    let mut replaced = BTreeMap::new();
    for row in rows {
        *replaced.entry(of.interval.slot_of(row.time(0)?)).or_default() += row.int(1)?.unsigned_abs();
    }
    Ok(Books { missing, unknown, doubled, replaced })
}

/// The slots that have a bit, and the slots of unknown buckets, in all buckets that a range touches.
async fn books<S: Session>(session: &mut S, of: Of, slots: SlotRange) -> Step<(RangeSet, RangeSet)> {
    let touched = touched(slots);
    let rows = session
        .query(
            "SELECT bucket, filled, bits, row_count FROM kline_buckets \
             WHERE series_id = ? AND bucket BETWEEN ? AND ? ORDER BY bucket",
            values![of.id, *touched.start(), *touched.end()],
        )
        .await?;
    let mut counted = match of.told {
        Told::Nothing => Some(count_buckets(session, of, &touched).await?),
        _ => None,
    };
    let (mut filled, mut unknown) = (RangeSet::new(), RangeSet::new());
    for row in rows {
        let bucket = row.int(0)?;
        let bits = Bits::decode(row.opt_int(1)?, row.opt_bytes(2)?.as_deref());
        let agrees = match &mut counted {
            Some(counted) => counted.remove(&bucket).unwrap_or(0) == row.int(3)?,
            None => true,
        };
        match bits.filter(|_| agrees) {
            Some(bits) => bits.push_into(bucket, &mut filled),
            None => unknown.push(slots_of(bucket)),
        }
    }
    let strangers: RangeSet = counted.into_iter().flatten().map(|(bucket, _)| slots_of(bucket)).collect();
    Ok((filled, unknown.union(&strangers)))
}

/// Number of rows per bucket, from the primary key alone.
async fn count_buckets<S: Session>(
    session: &mut S,
    of: Of,
    buckets: &RangeInclusive<i64>,
) -> Step<BTreeMap<i64, i64>> {
    let whole = SlotRange::new(slots_of(*buckets.start()).start, slots_of(*buckets.end()).end);
    let (from, to) = span(of.interval, whole);
    let rows = session
        .query(
            &format!(
                "SELECT {} AS bucket, COUNT(*) FROM {} \
                 WHERE series_id = ? AND open_time >= ? AND open_time < ? GROUP BY bucket",
                S::bucket_of(of.interval, "open_time"),
                of.table()
            ),
            values![of.id, from, to],
        )
        .await?;
    rows.iter().map(|row| Ok((row.int(0)?, row.int(1)?))).collect()
}

/// Slots in which a row is, out of some that look empty.
async fn inserted_by_hand<S: Session>(session: &mut S, of: Of, suspects: &RangeSet) -> Step<RangeSet> {
    let mut found = RangeSet::new();
    let mut few: Vec<SlotRange> = Vec::new();
    for range in near_joined(suspects) {
        // Few slots cannot hold many rows: such ranges share a query.
        if range.len() <= 1000 {
            few.push(range);
        } else {
            each_slot(session, of, range, |slot| found.push_slot(slot)).await?;
        }
    }
    let query = |ranges: usize| {
        let one = format!(
            "SELECT open_time FROM {} WHERE series_id = ? AND open_time >= ? AND open_time < ?",
            of.table()
        );
        vec![one.as_str(); ranges].join(" UNION ALL ")
    };
    let mut slots = Vec::new();
    for ranges in few.chunks(RANGES) {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(3 * RANGES);
        for range in ranges {
            let (from, to) = span(of.interval, *range);
            values.extend_from_slice(values![of.id, from, to]);
        }
        for row in session.query(&query(ranges.len()), &values).await? {
            slots.push(of.interval.slot_of(row.time(0)?));
        }
    }
    slots.sort_unstable();
    let few: RangeSet = slots.into_iter().map(|slot| SlotRange::new(slot, slot + 1)).collect();
    Ok(found.union(&few))
}

fn near_joined(set: &RangeSet) -> Vec<SlotRange> {
    let mut out: Vec<SlotRange> = Vec::with_capacity(set.runs());
    for range in set.ranges() {
        match out.last_mut() {
            Some(last) if range.start - last.end <= WORTH_SCANNING => last.end = range.end,
            _ => out.push(*range),
        }
    }
    out
}

/// Number of klines of a series, as far as the books can tell.
pub(super) async fn rows<S: Session>(session: &mut S, of: Of) -> Step<u64> {
    let known = session
        .query_one(
            "SELECT SUM(row_count) FROM kline_buckets WHERE series_id = ? AND filled IS NOT NULL",
            values![of.id],
        )
        .await?;
    let mut total = known.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0);
    let unknown = session
        .query("SELECT bucket FROM kline_buckets WHERE series_id = ? AND filled IS NULL", values![of.id])
        .await?;
    for row in unknown {
        each_slot(session, of, slots_of(row.int(0)?), |_| total += 1).await?;
    }
    Ok(total.unsigned_abs())
}

fn touched(slots: SlotRange) -> RangeInclusive<i64> {
    bucket_of(slots.start)..=bucket_of(slots.end - 1)
}

/// The instants from which and before which the klines of some slots open.
pub(super) fn span(interval: Interval, slots: SlotRange) -> (Millis, Millis) {
    let range = interval.time_range(slots);
    (range.since, range.until)
}

/// Visits the slot of every kline that opens inside `slots`, ascending; one that holds two klines is visited twice.
async fn each_slot<S: Session>(
    session: &mut S,
    of: Of,
    slots: SlotRange,
    mut visit: impl FnMut(Slot),
) -> Step<()> {
    let query = format!(
        "SELECT open_time FROM {} WHERE series_id = ? AND open_time >= ? AND open_time < ? \
         ORDER BY open_time LIMIT {PAGE}",
        of.table()
    );
    let (mut from, to) = span(of.interval, slots);
    loop {
        let rows = session.query(&query, values![of.id, from, to]).await?;
        for row in &rows {
            let open = row.time(0)?;
            visit(of.interval.slot_of(open));
            from = open.plus(1);
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

/// What a chunk did to one bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) bucket: i64,
    /// Slots of the chunk's klines.
    pub(super) bits: Bits,
    /// Klines that were not there before.
    pub(super) inserted: i64,
}

/// The books of one bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Book {
    /// `None` when unknown.
    pub(super) bits: Option<Bits>,
    pub(super) rows: i64,
}

/// The books of some buckets (ascending), kept from others until the transaction ends.
pub(super) async fn locked<S: Session>(
    session: &mut S,
    of: Of,
    buckets: &[i64],
) -> Step<BTreeMap<i64, Book>> {
    const WHAT: &str = "SELECT bucket, filled, bits, row_count FROM kline_buckets WHERE series_id = ? AND";
    let mut found = BTreeMap::new();
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return Ok(found);
    };
    let mut answers = Vec::new();
    if last - first < 2 * buckets.len() as i64 {
        let sql = format!("{WHAT} bucket BETWEEN ? AND ? ORDER BY bucket FOR UPDATE");
        answers = session.query(&sql, values![of.id, *first, *last]).await?;
    } else {
        for some in buckets.chunks(NAMED) {
            let marks = vec!["?"; some.len()].join(", ");
            let sql = format!("{WHAT} bucket IN ({marks}) ORDER BY bucket FOR UPDATE");
            let values: Vec<Value<'_>> =
                std::iter::once(of.id).chain(some.iter().copied()).map(Value::from).collect();
            answers.extend(session.query(&sql, &values).await?);
        }
    }
    for row in answers {
        let bits = Bits::decode(row.opt_int(1)?, row.opt_bytes(2)?.as_deref());
        found.insert(row.int(0)?, Book { bits, rows: row.int(3)? });
    }
    Ok(found)
}

/// Notes slots that are filled now. A bucket that was unknown, or all when the books are not to be `trusted`, is counted
/// again. `before` is what [`locked`] found.
pub(super) async fn mark<S: Session>(
    session: &mut S,
    of: Of,
    marks: &[Mark],
    before: &BTreeMap<i64, Book>,
    trusted: bool,
) -> Step<()> {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for mark in marks {
        let list = if before.contains_key(&mark.bucket) { &mut changed } else { &mut new };
        match before.get(&mark.bucket) {
            None if trusted => list.push((mark.bucket, mark.bits, mark.inserted)),
            Some(Book { bits: Some(bits), rows }) if trusted => {
                let mut bits = *bits;
                if bits.merge(&mark.bits) || mark.inserted > 0 {
                    list.push((mark.bucket, bits, rows + mark.inserted));
                }
            }
            _ => list.push(count(session, of, mark.bucket).await?),
        }
    }
    save(session, of, &new, false).await?;
    save(session, of, &changed, true).await
}

type Line = (i64, Bits, i64);

/// Writes books. Of those that were not `there` before, one that somebody else made meanwhile becomes unknown: what he
/// did to the rows is not in our bits.
async fn save<S: Session>(session: &mut S, of: Of, lines: &[Line], there: bool) -> Step<()> {
    const BITS: &[&str] = &["filled", "bits"];
    for some in lines.chunks(SAVED) {
        let sql = S::upsert(&Upsert {
            table: "kline_buckets",
            columns: &["series_id", "bucket", "filled", "bits", "row_count"],
            key: &["series_id", "bucket"],
            update: if there { &["filled", "bits", "row_count"] } else { &[] },
            clear: if there { &[] } else { BITS },
            rows: some.len(),
        });
        let encoded: Vec<_> =
            some.iter().map(|(bucket, bits, rows)| (*bucket, bits.encode(), *rows)).collect();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(5 * some.len());
        for (bucket, (filled, bytes), rows) in &encoded {
            let bytes = bytes.as_ref().map(|b| &b[..]);
            values.extend_from_slice(values![of.id, *bucket, *filled, bytes, *rows]);
        }
        session.execute(&sql, &values).await?;
    }
    Ok(())
}

/// Counts the rows of a bucket.
async fn count<S: Session>(session: &mut S, of: Of, bucket: i64) -> Step<Line> {
    let (mut bits, mut rows) = (Bits::default(), 0);
    each_slot(session, of, slots_of(bucket), |slot| {
        bits.set(slot);
        rows += 1;
    })
    .await?;
    Ok((bucket, bits, rows))
}

/// Counts the rows of every bucket that a range touches, at most `most` buckets with rows, and sets the books right.
/// Gives the slots that are still to be counted.
pub(super) async fn recount<S: Session>(
    session: &mut S,
    series: &Series,
    told: Told,
    slots: SlotRange,
    most: usize,
) -> Step<SlotRange> {
    let id = match series_id(session, series).await? {
        Some(id) if !slots.is_empty() => id,
        _ => return Ok(SlotRange::new(slots.end, slots.end)),
    };
    let of = Of { id, interval: series.interval, told };
    // Locked before the rows are read: whoever changes a row of these buckets waits, or has already made them unknown.
    let (first, last) = next_buckets(session, of, slots, most).await?;
    let whole = SlotRange::new(slots_of(first).start, slots_of(last).end);
    let before = session
        .query(
            "SELECT bucket FROM kline_buckets WHERE series_id = ? AND bucket BETWEEN ? AND ? ORDER BY bucket FOR UPDATE",
            values![of.id, first, last],
        )
        .await?;
    let before = before.iter().map(|row| row.int(0)).collect::<Step<Vec<_>>>()?;
    let mut counted: BTreeMap<i64, (Bits, i64)> =
        before.iter().map(|bucket| (*bucket, Default::default())).collect();
    each_slot(session, of, whole, |slot| {
        let (bits, rows) = counted.entry(bucket_of(slot)).or_default();
        bits.set(slot);
        *rows += 1;
    })
    .await?;
    let lines = |there: bool| -> Vec<Line> {
        let is_there = |bucket: &i64| before.binary_search(bucket).is_ok() == there;
        counted.iter().filter(|(bucket, _)| is_there(bucket)).map(|(b, (bits, n))| (*b, *bits, *n)).collect()
    };
    save(session, of, &lines(false), false).await?;
    save(session, of, &lines(true), true).await?;
    Ok(SlotRange::new(whole.end, slots.end.max(whole.end)))
}

/// The next buckets of a range to count together: from its first to the one with which `most` rows' worth of slots end,
/// over the empty ones in between, or to its end.
async fn next_buckets<S: Session>(
    session: &mut S,
    of: Of,
    slots: SlotRange,
    most: usize,
) -> Step<(i64, i64)> {
    let touched = touched(slots);
    let (first, last) = (*touched.start(), *touched.end());
    let (from, to) = span(of.interval, SlotRange::new(slots_of(first).start, slots_of(last).end));
    let sql = format!(
        "SELECT open_time FROM {} WHERE series_id = ? AND open_time >= ? AND open_time < ? ORDER BY open_time LIMIT 1",
        of.table()
    );
    // Nothing lives in most buckets of a boundless range: begin to measure where the first row is.
    let start = match session.query_one(&sql, values![of.id, from, to]).await? {
        Some(row) => bucket_of(of.interval.slot_of(row.time(0)?)),
        None => return Ok((first, last)),
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok((first, last.min(start.saturating_add(most))))
}

//! The books beside the rows: buckets and absences. Rules in [`crate::buckets`] and [`crate::absences`].

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kline::{Interval, Millis, RangeSet, Series, Slot, SlotRange};
use rusqlite::{Connection, OptionalExtension};

use super::fail::{Fault, Step};
use super::read::series_id;
use crate::buckets::{Bits, bucket_of, slots_of};
use crate::{Absence, AbsentRange, Books, StoreError, absences};

/// The slots of a range in which no kline opens: what has no bit in a known bucket, and no row in an unknown one.
pub(super) fn missing(conn: &Connection, series: &Series, slots: SlotRange) -> Step<RangeSet> {
    match series_id(conn, series)? {
        Some(id) => missing_in(conn, id, series.interval, slots),
        None => Ok(slots.into()),
    }
}

/// As [`missing`], for a series that is known.
pub(super) fn missing_in(conn: &Connection, id: i64, interval: Interval, slots: SlotRange) -> Step<RangeSet> {
    Ok(look(conn, id, interval, slots)?.0)
}

/// The slots in which no kline opens, and those of which the rows had to be asked.
fn look(conn: &Connection, id: i64, interval: Interval, slots: SlotRange) -> Step<(RangeSet, RangeSet)> {
    if slots.is_empty() {
        return Ok(Default::default());
    }
    let (filled, unknown) = books(conn, id, slots)?;
    let unknown = unknown.clip(slots);
    let mut found = RangeSet::new();
    for range in unknown.ranges() {
        each_slot(conn, id, interval, *range, |slot| found.push_slot(slot))?;
    }
    Ok((RangeSet::from(slots).difference(&filled).difference(&found), unknown))
}

/// What the books say of a range.
pub(super) fn survey(conn: &Connection, series: &Series, slots: SlotRange) -> Step<Books> {
    let id = match series_id(conn, series)? {
        Some(id) if !slots.is_empty() => id,
        _ => return Ok(Books { missing: slots.into(), ..Books::default() }),
    };
    let interval = series.interval;
    let (missing, unknown) = look(conn, id, interval, slots)?;
    let touched = touched(slots);
    let mut statement = conn.prepare_cached(
        "SELECT bucket, row_count - filled FROM kline_buckets \
         WHERE series_id = ?1 AND bucket BETWEEN ?2 AND ?3 AND row_count > filled ORDER BY bucket",
    )?;
    let doubled = statement
        .query_map((id, touched.start(), touched.end()), |row| {
            Ok((slots_of(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
        })?
        .collect::<Result<_, _>>()?;
    let mut replaced = BTreeMap::new();
    let mut statement = conn.prepare_cached(
        "SELECT open_time, count(*) FROM kline_audit WHERE series_id = ?1 AND open_time >= ?2 AND open_time < ?3 \
         GROUP BY open_time",
    )?;
    let time = interval.time_range(slots);
    let mut rows = statement.query((id, time.since.0, time.until.0))?;
    while let Some(row) = rows.next()? {
        let slot = interval.slot_of(Millis(row.get(0)?));
        *replaced.entry(slot).or_default() += row.get::<_, i64>(1)?.unsigned_abs();
    }
    Ok(Books { missing, unknown, doubled, replaced })
}

/// The slots that have a bit, and the slots of unknown buckets, in all buckets that a range touches.
fn books(conn: &Connection, id: i64, slots: SlotRange) -> Step<(RangeSet, RangeSet)> {
    let mut statement = conn.prepare_cached(
        "SELECT bucket, filled, bits FROM kline_buckets WHERE series_id = ?1 AND bucket BETWEEN ?2 AND ?3 \
         ORDER BY bucket",
    )?;
    let touched = touched(slots);
    let mut rows = statement.query((id, touched.start(), touched.end()))?;
    let (mut filled, mut unknown) = (RangeSet::new(), RangeSet::new());
    while let Some(row) = rows.next()? {
        let bucket = row.get(0)?;
        match Bits::decode(row.get(1)?, row.get_ref(2)?.as_blob_or_null()?) {
            Some(bits) => bits.push_into(bucket, &mut filled),
            None => unknown.push(slots_of(bucket)),
        }
    }
    Ok((filled, unknown))
}

/// Number of klines of a series.
pub(super) fn rows(conn: &Connection, id: i64, interval: Interval) -> Step<u64> {
    let known: i64 = conn
        .prepare_cached(
            "SELECT coalesce(sum(row_count), 0) FROM kline_buckets WHERE series_id = ?1 AND filled IS NOT NULL",
        )?
        .query_row([id], |row| row.get(0))?;
    let mut total = known.unsigned_abs();
    let mut unknown =
        conn.prepare_cached("SELECT bucket FROM kline_buckets WHERE series_id = ?1 AND filled IS NULL")?;
    let mut rows = unknown.query([id])?;
    while let Some(row) = rows.next()? {
        each_slot(conn, id, interval, slots_of(row.get(0)?), |_| total += 1)?;
    }
    Ok(total)
}

fn touched(slots: SlotRange) -> RangeInclusive<i64> {
    bucket_of(slots.start)..=bucket_of(slots.end - 1)
}

/// Visits the slot of every kline that opens inside `slots`, ascending; one that holds two klines is visited twice.
fn each_slot(
    conn: &Connection,
    id: i64,
    interval: Interval,
    slots: SlotRange,
    mut visit: impl FnMut(Slot),
) -> Step<()> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT open_time FROM kline_rows_{} WHERE series_id = ?1 AND open_time >= ?2 AND open_time < ?3 \
         ORDER BY open_time",
        interval.suffix()
    ))?;
    let range = interval.time_range(slots);
    let mut rows = statement.query((id, range.since.0, range.until.0))?;
    while let Some(row) = rows.next()? {
        visit(interval.slot_of(Millis(row.get(0)?)));
    }
    Ok(())
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

/// Notes slots that are filled now. A bucket that was unknown is counted again.
pub(super) fn mark(conn: &Connection, id: i64, interval: Interval, marks: &[Mark]) -> Step<()> {
    for mark in marks {
        let known = stored(conn, id, mark.bucket)?;
        match known {
            None => save(conn, id, mark.bucket, &mark.bits, mark.inserted)?,
            Some((Some(mut bits), rows)) => {
                if bits.merge(&mark.bits) || mark.inserted > 0 {
                    save(conn, id, mark.bucket, &bits, rows + mark.inserted)?;
                }
            }
            Some((None, _)) => count(conn, id, interval, mark.bucket)?,
        }
    }
    Ok(())
}

/// The books of a bucket: its bits, if they are known, and its number of klines.
fn stored(conn: &Connection, id: i64, bucket: i64) -> Step<Option<(Option<Bits>, i64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT filled, bits, row_count FROM kline_buckets WHERE series_id = ?1 AND bucket = ?2",
    )?;
    let found = statement.query_row((id, bucket), |row| {
        Ok((Bits::decode(row.get(0)?, row.get_ref(1)?.as_blob_or_null()?), row.get(2)?))
    });
    Ok(found.optional()?)
}

fn save(conn: &Connection, id: i64, bucket: i64, bits: &Bits, rows: i64) -> Step<()> {
    let (filled, bytes) = bits.encode();
    conn.prepare_cached(
        "INSERT OR REPLACE INTO kline_buckets (series_id, bucket, filled, bits, row_count) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((id, bucket, filled, bytes.as_ref().map(|b| &b[..]), rows))?;
    Ok(())
}

fn count(conn: &Connection, id: i64, interval: Interval, bucket: i64) -> Step<()> {
    let (mut bits, mut rows) = (Bits::default(), 0);
    each_slot(conn, id, interval, slots_of(bucket), |slot| {
        bits.set(slot);
        rows += 1;
    })?;
    save(conn, id, bucket, &bits, rows)
}

/// Counts the rows of every bucket that a range touches, and sets the books right.
pub(super) fn recount(conn: &Connection, series: &Series, slots: SlotRange) -> Step<()> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(());
    };
    if slots.is_empty() {
        return Ok(());
    }
    let touched = touched(slots);
    conn.prepare_cached("DELETE FROM kline_buckets WHERE series_id = ?1 AND bucket BETWEEN ?2 AND ?3")?
        .execute((id, touched.start(), touched.end()))?;
    let whole = SlotRange::new(slots_of(*touched.start()).start, slots_of(*touched.end()).end);
    let mut full: Vec<Mark> = Vec::new();
    let mut open: Option<Mark> = None;
    each_slot(conn, id, series.interval, whole, |slot| {
        let bucket = bucket_of(slot);
        if open.is_none_or(|mark| mark.bucket != bucket) {
            full.extend(open.replace(Mark { bucket, bits: Bits::default(), inserted: 0 }));
        }
        if let Some(mark) = &mut open {
            mark.bits.set(slot);
            mark.inserted += 1;
        }
    })?;
    full.extend(open);
    mark(conn, id, series.interval, &full)
}

/// Known absences inside a range.
pub(super) fn absent(conn: &Connection, series: &Series, slots: SlotRange) -> Step<Vec<AbsentRange>> {
    match series_id(conn, series)? {
        Some(id) => Ok(absences::clip(absent_near(conn, id, series.interval, slots)?, slots)),
        None => Ok(Vec::new()),
    }
}

/// Known absences that overlap a range, whole.
fn absent_near(conn: &Connection, id: i64, interval: Interval, slots: SlotRange) -> Step<Vec<AbsentRange>> {
    let mut statement = conn.prepare_cached(
        "SELECT since, until, how, established_at FROM kline_absent \
         WHERE series_id = ?1 AND since < ?3 AND since >= coalesce( \
           (SELECT max(since) FROM kline_absent WHERE series_id = ?1 AND since <= ?2), ?2) \
         AND until > ?2 ORDER BY since",
    )?;
    let range = interval.time_range(slots);
    let mut rows = statement.query((id, range.since.0, range.until.0))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let how: String = row.get(2)?;
        let slot = |ms: i64| interval.slot_of(Millis(ms));
        found.push(AbsentRange {
            slots: SlotRange::new(slot(row.get(0)?), slot(row.get(1)?)),
            how: Absence::from_name(&how).ok_or_else(|| {
                let what = format!("absence `{how}`");
                Fault::Store(StoreError::Corrupt { place: "table kline_absent".into(), what })
            })?,
            at: Millis(row.get(3)?),
        });
    }
    Ok(found)
}

/// Adds absences (only where no kline is stored) and drops those of slots that are `filled` now.
pub(super) fn update_absent(
    conn: &Connection,
    id: i64,
    interval: Interval,
    added: &[AbsentRange],
    filled: &RangeSet,
) -> Step<()> {
    let mut new = Vec::new();
    for range in added {
        let empty = missing_in(conn, id, interval, range.slots)?;
        new.extend(empty.ranges().iter().map(|slots| AbsentRange { slots: *slots, ..*range }));
    }
    let ends = new.iter().map(|a| a.slots).chain(filled.ranges().iter().copied());
    let Some(span) = ends.reduce(|a, b| SlotRange::new(a.start.min(b.start), a.end.max(b.end))) else {
        return Ok(());
    };
    // One slot more on either side, to find the neighbours to join with.
    let near = SlotRange::new(span.start.saturating_sub(1), span.end.saturating_add(1));
    let known = absent_near(conn, id, interval, near)?;
    replace_absent(conn, id, interval, &known, &absences::apply(&known, &new, filled))
}

/// Forgets absences inside a range.
pub(super) fn forget_absent(conn: &Connection, id: i64, interval: Interval, slots: SlotRange) -> Step<()> {
    let known = absent_near(conn, id, interval, slots)?;
    replace_absent(conn, id, interval, &known, &absences::cut(&known, &slots.into()))
}

fn replace_absent(
    conn: &Connection,
    id: i64,
    interval: Interval,
    known: &[AbsentRange],
    wanted: &[AbsentRange],
) -> Step<()> {
    if known == wanted {
        return Ok(());
    }
    let mut delete = conn.prepare_cached("DELETE FROM kline_absent WHERE series_id = ?1 AND since = ?2")?;
    for range in known {
        delete.execute((id, interval.slot_start(range.slots.start).0))?;
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO kline_absent (series_id, since, until, how, established_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for range in wanted {
        let time = interval.time_range(range.slots);
        insert.execute((id, time.since.0, time.until.0, range.how.as_str(), range.at.0))?;
    }
    Ok(())
}

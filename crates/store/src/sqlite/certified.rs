//! Notes of what was certified.

use kline::{Millis, Series, SlotRange};
use rusqlite::{Connection, params};

use super::fail::Step;
use super::read::series_id;
use crate::Certified;

/// The notes of a series, ascending.
pub(super) fn read(conn: &Connection, series: &Series) -> Step<Vec<Certified>> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(Vec::new());
    };
    // A file of version 1, opened for reading, has none.
    if !conn.table_exists(None, "kline_certified")? {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare_cached(
        "SELECT since, until, books, row_count, digest, certified_at FROM kline_certified \
         WHERE series_id = ?1 ORDER BY since",
    )?;
    let slot = |ms: i64| series.interval.slot_of(Millis(ms));
    let notes = statement.query_map([id], |row| {
        Ok(Certified {
            slots: SlotRange::new(slot(row.get(0)?), slot(row.get(1)?)),
            books: row.get(2)?,
            rows: row.get::<_, i64>(3)?.unsigned_abs(),
            digest: row.get(4)?,
            at: Millis(row.get(5)?),
        })
    })?;
    Ok(notes.collect::<Result<_, _>>()?)
}

/// Keeps notes, in place of those that overlap with them.
pub(super) fn keep(conn: &Connection, series: &Series, notes: &[Certified]) -> Step<()> {
    let Some(id) = series_id(conn, series)? else {
        return Ok(());
    };
    let mut delete = conn
        .prepare_cached("DELETE FROM kline_certified WHERE series_id = ?1 AND since < ?3 AND until > ?2")?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO kline_certified (series_id, since, until, books, row_count, digest, certified_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for note in notes {
        let time = series.interval.time_range(note.slots);
        delete.execute((id, time.since.0, time.until.0))?;
        insert.execute(params![
            id,
            time.since.0,
            time.until.0,
            note.books,
            note.rows.cast_signed(),
            note.digest,
            note.at.0
        ])?;
    }
    Ok(())
}

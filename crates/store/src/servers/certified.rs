//! Notes of what was certified.

use kline::{Millis, Series, SlotRange};

use super::engine::{Session, Upsert};
use super::fail::{Class, Step};
use super::read::series_id;
use super::value::{Cells, Value, values};
use crate::Certified;

/// Notes written with one statement.
const SAVED: usize = 64;

/// The notes of a series, ascending.
pub(super) async fn read<S: Session>(session: &mut S, series: &Series) -> Step<Vec<Certified>> {
    let Some(id) = series_id(session, series).await? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT since, until, books, row_count, digest, certified_at FROM kline_certified \
               WHERE series_id = ? ORDER BY since";
    let rows = match session.query(sql, values![id]).await {
        // A database of version 1, opened for reading, has no such table.
        Err(fault) if fault.class() == Some(Class::NoTable) => return Ok(Vec::new()),
        rows => rows?,
    };
    let slot = |ms: i64| series.interval.slot_of(Millis(ms));
    let note = |row: &S::Row| {
        Ok(Certified {
            slots: SlotRange::new(slot(row.int(0)?), slot(row.int(1)?)),
            books: row.text(2)?,
            rows: row.int(3)?.unsigned_abs(),
            digest: row.text(4)?,
            at: Millis(row.int(5)?),
        })
    };
    rows.iter().map(note).collect()
}

/// Keeps notes, in place of those that overlap with them.
pub(super) async fn keep<S: Session>(session: &mut S, series: &Series, notes: &[Certified]) -> Step<()> {
    const ALL: &[&str] = &["series_id", "since", "until", "books", "row_count", "digest", "certified_at"];
    let Some(id) = series_id(session, series).await? else {
        return Ok(());
    };
    for some in notes.chunks(SAVED) {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(ALL.len() * some.len());
        for note in some {
            let time = series.interval.time_range(note.slots);
            let (since, until) = (time.since.0, time.until.0);
            let sql = "DELETE FROM kline_certified WHERE series_id = ? AND since < ? AND until > ?";
            session.execute(sql, values![id, until, since]).await?;
            let rows = note.rows.cast_signed();
            values.extend_from_slice(values![id, since, until, &note.books, rows, &note.digest, note.at.0]);
        }
        let sql = S::upsert(&Upsert {
            table: "kline_certified",
            columns: ALL,
            key: &["series_id", "since"],
            update: &["until", "books", "row_count", "digest", "certified_at"],
            clear: &[],
            rows: some.len(),
        });
        session.execute(&sql, &values).await?;
    }
    Ok(())
}

//! Notes of what was certified.

use ::mongodb::bson::doc;
use ::mongodb::options::FindOptions;
use kline::{Millis, Series, SlotRange};

use super::doc::{Fields, date, key};
use super::fail::Step;
use super::pool::Tx;
use crate::Certified;

const CERTIFIED: &str = "kline_certified";

/// The notes of a series, ascending.
pub(super) async fn read(tx: &mut Tx, series: &Series) -> Step<Vec<Certified>> {
    let by_time = FindOptions::builder().sort(doc! { "since": 1 }).build();
    let slot = |ms: i64| series.interval.slot_of(Millis(ms));
    let mut notes = Vec::new();
    for document in tx.documents(CERTIFIED, doc! { "series": key(series) }, by_time).await? {
        let fields = Fields(CERTIFIED, &document);
        notes.push(Certified {
            slots: SlotRange::new(slot(fields.int("since")?), slot(fields.int("until")?)),
            books: fields.text("books")?.to_owned(),
            rows: fields.int("rows")?.unsigned_abs(),
            digest: fields.text("digest")?.to_owned(),
            at: fields.at("certified_at")?,
        });
    }
    Ok(notes)
}

/// Keeps notes, in place of those that overlap with them. To be killed between the two loses notes, which are made again.
pub(super) async fn keep(tx: &mut Tx, series: &Series, notes: &[Certified]) -> Step<()> {
    let known = tx.documents("kline_series", doc! { "_id": key(series) }, None).await?;
    if known.is_empty() {
        return Ok(());
    }
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for note in notes {
        let time = series.interval.time_range(note.slots);
        let (since, until) = (time.since.0, time.until.0);
        old.push(doc! { "series": key(series), "since": { "$lt": until }, "until": { "$gt": since } });
        let values = doc! {
            "until": until, "books": &note.books, "rows": note.rows.cast_signed(), "digest": &note.digest,
            "certified_at": date(note.at),
        };
        let id = doc! { "series": key(series), "since": since };
        new.push(doc! { "q": id, "u": { "$set": values }, "upsert": true });
    }
    tx.delete(CERTIFIED, old).await?;
    tx.update(CERTIFIED, new).await
}

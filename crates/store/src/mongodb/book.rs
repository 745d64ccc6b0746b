//! The books beside the rows: which slots are filled. Rules in [`crate::buckets`].
//!
//! MongoDB has no triggers: whoever inserts or deletes klines by hand tells nobody. So a bucket's bits come with the
//! number of its klines and the sum of their open times, and are believed only when the index of the collection has the
//! same. To ask it costs one query over the asked range that reads the index alone and answers with two numbers per
//! bucket. Bits that are not believed are a lost shortcut, never a wrong answer: the bucket's open times are read then.
//! That also makes the order of writes simple where there are no transactions: rows first, books after.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ::mongodb::bson::spec::BinarySubtype;
use ::mongodb::bson::{Binary, Bson, Document, doc};
use ::mongodb::options::{FindOptions, Hint};
use kline::{Interval, Millis, RangeSet, Series, SlotRange};

use super::doc::{Fields, collection, corrupt, date, key, open_time};
use super::fail::Step;
use super::pool::Tx;
use super::schema::KEY;
use crate::Books;
use crate::buckets::{Bits, SIZE, bucket_of, slots_of};

const BUCKETS: &str = "kline_buckets";
const AUDIT: &str = "kline_audit";
/// Last instant at which a kline can open.
const LAST: Millis = Millis(253_402_300_799_999);
/// Buckets counted at once by a recount.
const RECOUNTED: usize = 256;
/// Touched buckets so close to each other are looked up with all between them.
const NEAR: i64 = 64;

/// Number of klines, and sum of their open times, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    rows: i64,
    sum: i64,
}

impl Tally {
    pub(super) fn count(&mut self, open_time: Millis) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(open_time.0);
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// What is known of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Book {
    bits: Bits,
    tally: Tally,
}

/// What a chunk did to one bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) bucket: i64,
    /// Slots of the chunk's klines.
    pub(super) bits: Bits,
    /// Klines that were not there before.
    pub(super) inserted: Tally,
}

/// Klines of a series that open inside a range of slots.
pub(super) fn opening_in(series: &Series, slots: SlotRange) -> Document {
    let range = series.interval.time_range(slots);
    between(series, range.since, range.until.plus(-1))
}

/// Klines of a series that open from one instant to another, both included.
pub(super) fn between(series: &Series, first: Millis, last: Millis) -> Document {
    let (first, last) = (first.clamp(Millis(0), LAST.plus(1)), last.clamp(Millis(-1), LAST));
    // Nothing opens after the last instant; a date of the year 10000 is more than some tools can read.
    let (first, last) = if first > LAST { (LAST, LAST.plus(-1)) } else { (first, last) };
    doc! {
        "market": series.market.as_str(),
        "symbol": series.symbol.as_str(),
        "open_time": { "$gte": date(first), "$lte": date(last) },
    }
}

/// The part of a range in which klines can be.
fn bounded(interval: Interval, slots: SlotRange) -> SlotRange {
    slots.intersect(&SlotRange::new(interval.slot_of(Millis(0)), interval.slot_of(LAST) + 1))
}

fn touched(slots: SlotRange) -> RangeInclusive<i64> {
    bucket_of(slots.start)..=bucket_of(slots.end - 1)
}

fn slots_of_all(buckets: &RangeInclusive<i64>) -> SlotRange {
    SlotRange::new(slots_of(*buckets.start()).start, slots_of(*buckets.end()).end)
}

/// The slots of a range in which no kline opens.
pub(super) async fn missing(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<RangeSet> {
    Ok(look(tx, series, slots).await?.missing)
}

/// What the books say of a range.
pub(super) async fn survey(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Books> {
    let mut books = look(tx, series, slots).await?;
    let inside = bounded(series.interval, slots);
    if inside.is_empty() {
        return Ok(books);
    }
    let time = series.interval.time_range(inside);
    let pipeline = vec![
        doc! { "$match": {
            "series": key(series), "open_time": { "$gte": date(time.since), "$lte": date(time.until.plus(-1)) },
        } },
        doc! { "$group": { "_id": "$open_time", "times": { "$sum": 1_i64 } } },
    ];
    for group in tx.aggregate(AUDIT, pipeline, None).await? {
        let group = Fields(AUDIT, &group);
        let slot = series.interval.slot_of(group.at("_id")?);
        *books.replaced.entry(slot).or_default() += group.int("times")?.unsigned_abs();
    }
    Ok(books)
}

/// What the books of the buckets say.
async fn look(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Books> {
    let all = RangeSet::from(slots);
    let inside = bounded(series.interval, slots);
    if slots.is_empty() || inside.is_empty() {
        return Ok(Books { missing: all, ..Books::default() });
    }
    let books = books(tx, series, &touched(inside)).await?;
    let (mut filled, mut unknown, mut doubled) = (RangeSet::new(), RangeSet::new(), Vec::new());
    for (bucket, tally) in tallies(tx, series, &touched(inside)).await? {
        match books.get(&bucket) {
            Some(book) if book.tally == tally => {
                book.bits.push_into(bucket, &mut filled);
                let more = tally.rows.unsigned_abs().saturating_sub(book.bits.count().into());
                if more > 0 {
                    doubled.push((slots_of(bucket), more));
                }
            }
            _ => unknown.push(slots_of(bucket)),
        }
    }
    let unknown = unknown.clip(inside);
    let mut found = RangeSet::new();
    for range in unknown.ranges() {
        for open_time in open_times(tx, series, *range).await? {
            found.push_slot(series.interval.slot_of(open_time));
        }
    }
    let missing = all.difference(&filled).difference(&found);
    Ok(Books { missing, unknown, doubled, replaced: BTreeMap::new() })
}

/// What the collection's index has, per bucket that holds klines.
async fn tallies(tx: &mut Tx, series: &Series, buckets: &RangeInclusive<i64>) -> Step<BTreeMap<i64, Tally>> {
    let name = collection(series);
    let pipeline = vec![
        doc! { "$match": opening_in(series, slots_of_all(buckets)) },
        // Nothing but the index is needed for this.
        doc! { "$project": { "_id": 0, "open_time": 1 } },
        doc! { "$group": {
            "_id": group_of(series.interval),
            "rows": { "$sum": 1_i64 },
            "sum": { "$sum": { "$toLong": "$open_time" } },
        } },
    ];
    let mut found = BTreeMap::new();
    for group in tx.aggregate(&name, pipeline, Some(KEY)).await? {
        let group = Fields(&name, &group);
        let tally = Tally { rows: group.int("rows")?, sum: group.int("sum")? };
        found.insert(bucket_of_group(series.interval, group.int("_id")?), tally);
    }
    Ok(found)
}

/// What the open times of one bucket have in common, as an expression of the server: the instant at which the bucket
/// starts, or its number where buckets are of months.
fn group_of(interval: Interval) -> Document {
    let at = || doc! { "$toLong": "$open_time" };
    match interval.fixed_ms() {
        Some(step) => {
            let size = step * SIZE;
            // One bucket more, since a rest of a negative number is negative.
            let into = doc! { "$mod": [{ "$add": [at(), size - interval.anchor().0] }, size] };
            doc! { "$subtract": [at(), into] }
        }
        None => {
            let years = doc! { "$subtract": [{ "$year": "$open_time" }, 1970] };
            let month = doc! { "$subtract": [{ "$month": "$open_time" }, 1] };
            let months = doc! { "$add": [{ "$multiply": [years, 12] }, month] };
            doc! { "$toLong": { "$floor": { "$divide": [months, SIZE] } } }
        }
    }
}

fn bucket_of_group(interval: Interval, group: i64) -> i64 {
    match interval.fixed_ms() {
        Some(_) => bucket_of(interval.slot_of(Millis(group))),
        None => group,
    }
}

/// Open times of a series inside a range, ascending.
async fn open_times(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Vec<Millis>> {
    let options = FindOptions::builder()
        .projection(doc! { "_id": 0, "open_time": 1 })
        .sort(doc! { "open_time": 1 })
        .hint(Hint::Name(KEY.into()))
        .build();
    let name = collection(series);
    let rows = tx.find(&name, opening_in(series, slots), options).await?;
    rows.iter().map(|row| open_time(row).ok_or_else(|| corrupt(&name, "an open_time is no date"))).collect()
}

fn book_key(series: &Series, buckets: impl Into<Bson>) -> Document {
    doc! { "interval": series.interval.as_str(), "series": key(series), "bucket": buckets.into() }
}

/// What is known of buckets.
async fn books(tx: &mut Tx, series: &Series, buckets: &RangeInclusive<i64>) -> Step<BTreeMap<i64, Book>> {
    let range = doc! { "$gte": *buckets.start(), "$lte": *buckets.end() };
    let mut found = BTreeMap::new();
    for document in tx.documents(BUCKETS, book_key(series, range), None).await? {
        let fields = Fields(BUCKETS, &document);
        let bytes = document.get_binary_generic("bits").ok();
        if let Some(bits) = Bits::decode(Some(fields.int("filled")?), bytes.map(|b| &b[..])) {
            let tally = Tally { rows: fields.int("rows")?, sum: fields.int("sum")? };
            found.insert(fields.int("bucket")?, Book { bits, tally });
        }
    }
    Ok(found)
}

fn saved(series: &Series, bucket: i64, book: &Book) -> Document {
    let (filled, bits) = book.bits.encode();
    let bits = bits.map(|b| Binary { subtype: BinarySubtype::Generic, bytes: b.to_vec() });
    let values = doc! { "filled": filled, "bits": bits, "rows": book.tally.rows, "sum": book.tally.sum };
    doc! { "q": book_key(series, bucket), "u": { "$set": values }, "upsert": true }
}

/// What the rows themselves say of buckets, in one query.
async fn counted(tx: &mut Tx, series: &Series, buckets: &RangeInclusive<i64>) -> Step<BTreeMap<i64, Book>> {
    let mut found: BTreeMap<i64, Book> = BTreeMap::new();
    for open_time in open_times(tx, series, slots_of_all(buckets)).await? {
        let slot = series.interval.slot_of(open_time);
        let book = found.entry(bucket_of(slot)).or_default();
        book.bits.set(slot);
        book.tally.count(open_time);
    }
    Ok(found)
}

/// Notes slots that are filled now, once their rows are there. Where that does not lead to what the index has, the rows
/// of the bucket are asked. `marks` are ascending.
pub(super) async fn settle(tx: &mut Tx, series: &Series, marks: &[Mark]) -> Step<()> {
    for near in marks.chunk_by(|a, b| b.bucket - a.bucket <= NEAR) {
        let [first, ..] = near else { continue };
        let span = first.bucket..=near.last().map_or(first.bucket, |mark| mark.bucket);
        let before = books(tx, series, &span).await?;
        let there = tallies(tx, series, &span).await?;
        let mut changed = Vec::new();
        for mark in near {
            let old = before.get(&mark.bucket).copied();
            let mut book = old.unwrap_or_default();
            book.bits.merge(&mark.bits);
            book.tally.add(mark.inserted);
            if there.get(&mark.bucket) != Some(&book.tally) {
                let one = mark.bucket..=mark.bucket;
                book = counted(tx, series, &one).await?.remove(&mark.bucket).unwrap_or_default();
            }
            if old != Some(book) {
                changed.push(saved(series, mark.bucket, &book));
            }
        }
        tx.update(BUCKETS, changed).await?;
    }
    Ok(())
}

/// Counts the rows of the buckets at the beginning of a range, sets the books right, and gives the rest of the range.
pub(super) async fn recount(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<SlotRange> {
    let inside = bounded(series.interval, slots);
    let end = SlotRange::new(slots.end, slots.end);
    let ends = match inside.is_empty() {
        true => None,
        false => ends(tx, series, slots_of_all(&touched(inside))).await?,
    };
    let slot = |at| series.interval.slot_of(at);
    let Some((first, last)) = ends.map(|(first, last)| (bucket_of(slot(first)), bucket_of(slot(last))))
    else {
        if !inside.is_empty() {
            forget(tx, series, touched(inside)).await?;
        }
        return Ok(end);
    };
    let touched = touched(inside);
    if *touched.start() < first {
        forget(tx, series, *touched.start()..=first - 1).await?;
    }
    let now = first..=last.min(first + RECOUNTED as i64 - 1);
    let found = counted(tx, series, &now).await?;
    let empty: Vec<i64> = now.clone().filter(|bucket| !found.contains_key(bucket)).collect();
    tx.delete(BUCKETS, vec![book_key(series, doc! { "$in": empty })]).await?;
    tx.update(BUCKETS, found.iter().map(|(bucket, book)| saved(series, *bucket, book)).collect()).await?;
    Ok(SlotRange::new(slots_of(*now.end()).end.min(slots.end), slots.end))
}

async fn forget(tx: &mut Tx, series: &Series, buckets: RangeInclusive<i64>) -> Step<()> {
    let range = doc! { "$gte": *buckets.start(), "$lte": *buckets.end() };
    tx.delete(BUCKETS, vec![book_key(series, range)]).await
}

/// First and last open time inside a range.
pub(super) async fn ends(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Option<(Millis, Millis)>> {
    let name = collection(series);
    let mut found = [None; 2];
    for (end, way) in found.iter_mut().zip([1, -1]) {
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "open_time": 1 })
            .sort(doc! { "open_time": way })
            .hint(Hint::Name(KEY.into()))
            .build();
        if let Some(row) = tx.first(&name, opening_in(series, slots), options).await? {
            *end = Some(Fields(&name, &row).at("open_time")?);
        }
    }
    Ok(found[0].zip(found[1]))
}

/// Number of klines of each series of an interval by its books, or `None` when the collection does not hold as many: then
/// somebody changed it by hand, or is just writing.
pub(super) async fn rows_by_books(tx: &mut Tx, interval: Interval) -> Step<Option<BTreeMap<String, u64>>> {
    let pipeline = vec![
        doc! { "$match": { "interval": interval.as_str() } },
        doc! { "$group": { "_id": "$series", "rows": { "$sum": "$rows" } } },
    ];
    let mut rows = BTreeMap::new();
    for group in tx.aggregate(BUCKETS, pipeline, None).await? {
        let group = Fields(BUCKETS, &group);
        rows.insert(group.text("_id")?.to_owned(), group.int("rows")?.unsigned_abs());
    }
    let there = tx.estimate(&format!("klines_{}", interval.suffix())).await?;
    Ok((there == rows.values().sum::<u64>()).then_some(rows))
}

/// Number of klines of a series by the index.
pub(super) async fn rows(tx: &mut Tx, series: &Series) -> Step<u64> {
    let name = collection(series);
    let pipeline = vec![
        doc! { "$match": between(series, Millis(0), LAST) },
        doc! { "$project": { "_id": 0, "open_time": 1 } },
        doc! { "$group": { "_id": null, "rows": { "$sum": 1_i64 } } },
    ];
    match tx.aggregate(&name, pipeline, Some(KEY)).await?.first() {
        Some(group) => Ok(Fields(&name, group).int("rows")?.unsigned_abs()),
        None => Ok(0),
    }
}

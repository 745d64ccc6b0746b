//! Queries that give back what is stored.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::str::FromStr;

use ::mongodb::bson::{Document, doc};
use ::mongodb::options::{FindOptions, Hint};
use kline::{Interval, Kline, Market, Millis, Series, SlotRange, Symbol};

use super::book;
use super::doc::{Fields, collection, corrupt, key, kline};
use super::fail::Step;
use super::pool::Tx;
use super::schema::KEY;
use crate::{
    Extent, Fetched, HeldLease, LedgerEntry, Message, Outcome, PendingMessage, Revision, SeriesRecord,
    SeriesRun, Source,
};

/// A limit as a server wants it, for which 0 is none.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn sorted(sort: Document, limit: usize) -> FindOptions {
    FindOptions::builder().sort(sort).limit(limit_of(limit)).build()
}

/// A series from its name in the store's own collections.
fn series_of(name: &str, from: &str) -> Step<Series> {
    let bad = |e: &dyn std::fmt::Display| corrupt(from, format!("series `{name}`: {e}"));
    let mut parts = name.splitn(3, '/');
    let mut part = || parts.next().ok_or_else(|| bad(&"too few parts"));
    let market = Market::from_str(part()?).map_err(|e| bad(&e))?;
    let symbol = Symbol::from_str(part()?).map_err(|e| bad(&e))?;
    let interval = Interval::from_str(part()?).map_err(|e| bad(&e))?;
    Series::new(market, symbol, interval).map_err(|e| bad(&e))
}

pub(super) async fn all_series(tx: &mut Tx) -> Step<Vec<SeriesRecord>> {
    let mut known = Vec::new();
    for document in tx.documents("kline_series", doc! {}, None).await? {
        let fields = Fields("kline_series", &document);
        known.push((series_of(fields.text("_id")?, "kline_series")?, listed(&document)));
    }
    known.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut rows: BTreeMap<Interval, Option<BTreeMap<String, u64>>> = BTreeMap::new();
    let mut found = Vec::new();
    for (series, listed) in known {
        let interval = series.interval;
        let books = match rows.entry(interval) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(book::rows_by_books(tx, interval).await?),
        };
        found.push(record(tx, listed, series, books.as_ref()).await?);
    }
    Ok(found)
}

pub(super) async fn series(tx: &mut Tx, series: &Series) -> Step<Option<SeriesRecord>> {
    let found = tx.first("kline_series", doc! { "_id": key(series) }, FindOptions::default()).await?;
    let Some(document) = found else {
        return Ok(None);
    };
    let books = book::rows_by_books(tx, series.interval).await?;
    Ok(Some(record(tx, listed(&document), series.clone(), books.as_ref()).await?))
}

fn listed(document: &Document) -> Option<Millis> {
    document.get_datetime("listed").ok().map(|at| Millis(at.timestamp_millis()))
}

async fn record(
    tx: &mut Tx,
    listed: Option<Millis>,
    series: Series,
    books: Option<&BTreeMap<String, u64>>,
) -> Step<SeriesRecord> {
    let ever = SlotRange::new(i64::MIN, i64::MAX);
    let extent = match book::ends(tx, &series, ever).await? {
        Some((first, last)) => {
            let rows = match books {
                Some(books) => books.get(&key(&series)).copied().unwrap_or_default(),
                None => book::rows(tx, &series).await?,
            };
            Some(Extent { first, last, rows })
        }
        None => None,
    };
    Ok(SeriesRecord { series, listed, extent })
}

pub(super) async fn klines(
    tx: &mut Tx,
    series: &Series,
    slots: SlotRange,
    after: Option<Millis>,
    limit: usize,
) -> Step<Vec<Kline>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let range = series.interval.time_range(slots);
    let from = after.map_or(range.since, |after| range.since.max(after.plus(1)));
    let mut options = sorted(doc! { "open_time": 1 }, limit);
    options.hint = Some(Hint::Name(KEY.into()));
    let name = collection(series);
    let rows = tx.find(&name, book::between(series, from, range.until.plus(-1)), options).await?;
    rows.iter().map(|row| kline(row).map_err(|what| corrupt(&name, format!("{series}: {what}")))).collect()
}

pub(super) async fn runs(tx: &mut Tx, series: Option<&Series>, limit: usize) -> Step<Vec<SeriesRun>> {
    const RUNS: &str = "kline_runs";
    if limit == 0 {
        return Ok(Vec::new());
    }
    let filter = series.map_or_else(Document::new, |series| doc! { "series": key(series) });
    let mut found = Vec::new();
    for document in tx.documents(RUNS, filter, sorted(doc! { "seq": -1 }, limit)).await? {
        let fields = Fields(RUNS, &document);
        let outcome = fields.text("outcome")?;
        found.push(SeriesRun {
            run: fields.text("run")?.to_owned(),
            job: fields.text("job")?.to_owned(),
            series: series_of(fields.text("series")?, RUNS)?,
            started: fields.at("started")?,
            ended: fields.at("ended")?,
            outcome: Outcome::from_name(outcome)
                .ok_or_else(|| corrupt(RUNS, format!("outcome `{outcome}`")))?,
            report: fields.text("report")?.to_owned(),
        });
    }
    Ok(found)
}

/// Leases that run now, by the server's clock.
pub(super) async fn leases(tx: &mut Tx) -> Step<Vec<HeldLease>> {
    const LEASES: &str = "kline_leases";
    let running = doc! { "$expr": { "$gt": [{ "$toLong": "$expires" }, { "$toLong": "$$NOW" }] } };
    let mut found = Vec::new();
    for document in tx.documents(LEASES, running, sorted(doc! { "_id": 1 }, 100_000)).await? {
        let fields = Fields(LEASES, &document);
        let series = series_of(fields.text("_id")?, LEASES)?;
        found.push(HeldLease {
            series,
            owner: fields.text("owner")?.to_owned(),
            expires: fields.at("expires")?,
        });
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}

/// The newest ledger entries, each with its number.
pub(super) async fn ledger(tx: &mut Tx, series: &Series, limit: usize) -> Step<Vec<(i64, LedgerEntry)>> {
    const LEDGER: &str = "kline_ledger";
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let newest = sorted(doc! { "seq": -1 }, limit);
    for document in tx.documents(LEDGER, doc! { "series": key(series) }, newest).await? {
        let fields = Fields(LEDGER, &document);
        let slot = |at: Millis| series.interval.slot_of(at);
        let source = fields.text("source")?;
        let fetched = Fetched {
            slots: SlotRange::new(slot(fields.at("since")?), slot(fields.at("until")?)),
            source: Source::from_name(source).ok_or_else(|| corrupt(LEDGER, format!("source `{source}`")))?,
            rows: fields.int("rows")?.unsigned_abs(),
            rejected: fields.int("rejected")?.unsigned_abs(),
            at: fields.at("fetched_at")?,
        };
        found.push((fields.int("seq")?, LedgerEntry { run: fields.text("run")?.to_owned(), fetched }));
    }
    Ok(found)
}

pub(super) async fn revisions(tx: &mut Tx, series: &Series, limit: usize) -> Step<Vec<Revision>> {
    const AUDIT: &str = "kline_audit";
    if limit == 0 {
        return Ok(Vec::new());
    }
    let newest = sorted(doc! { "replaced_at": -1, "open_time": -1 }, limit);
    let mut found = Vec::new();
    for row in tx.find(AUDIT, doc! { "series": key(series) }, newest).await? {
        let document = Document::try_from(&*row).map_err(|e| corrupt(AUDIT, e))?;
        let fields = Fields(AUDIT, &document);
        let old = kline(&row).map_err(|what| corrupt(AUDIT, format!("{series}: {what}")))?;
        found.push(Revision { run: fields.text("run")?.to_owned(), at: fields.at("replaced_at")?, old });
    }
    Ok(found)
}

pub(super) async fn pending(tx: &mut Tx, limit: usize) -> Step<Vec<PendingMessage>> {
    const OUTBOX: &str = "kline_outbox";
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let oldest = sorted(doc! { "position": 1 }, limit);
    for document in tx.documents(OUTBOX, doc! { "delivered": null }, oldest).await? {
        let fields = Fields(OUTBOX, &document);
        let message = Message {
            id: fields.text("_id")?.to_owned(),
            subject: fields.text("subject")?.to_owned(),
            payload: fields.text("payload")?.to_owned(),
            traceparent: document.get_str("traceparent").ok().map(str::to_owned),
        };
        found.push(PendingMessage {
            position: fields.int("position")?,
            message,
            created: fields.at("created")?,
        });
    }
    Ok(found)
}

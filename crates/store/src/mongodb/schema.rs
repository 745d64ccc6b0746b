//! Collections and indexes, and how an older database becomes a current one.
//!
//! Per interval there is one collection `klines_<suffix>`, which a person queries. What the store keeps for itself is in
//! collections `kline_…`.

use ::mongodb::bson::{DateTime, Document, doc};
use ::mongodb::options::FindOptions;
use kline::Interval;

use super::doc::Fields;
use super::fail::{Class, Fault, Step};
use super::pool::Tx;
use crate::leases::now;
use crate::{StoreError, StoreResult};

const MIGRATIONS: &str = "kline_migrations";

/// Newest version of the schema. A released step never changes; what is to change comes as a new step.
const VERSION: i32 = 2;

/// Name of the index that makes a kline unique, and by which klines are counted.
pub(super) const KEY: &str = "key";

/// An index: collection, name, fields with their direction, whether a second document of the same key is refused.
struct Index {
    collection: String,
    name: &'static str,
    fields: &'static [(&'static str, i32)],
    unique: bool,
}

/// Every index. `_id` is indexed anyway. Version 2 added `kline_certified`.
fn indexes() -> Vec<Index> {
    let own = |collection: &str, name, fields, unique| Index {
        collection: collection.into(),
        name,
        fields,
        unique,
    };
    let klines = Interval::ALL.into_iter().map(|interval| Index {
        collection: format!("klines_{}", interval.suffix()),
        name: KEY,
        fields: &[("market", 1), ("symbol", 1), ("open_time", 1)],
        unique: true,
    });
    klines
        .chain([
            own("kline_buckets", KEY, &[("interval", 1), ("series", 1), ("bucket", 1)], true),
            own("kline_absent", KEY, &[("series", 1), ("since", 1)], true),
            own("kline_certified", KEY, &[("series", 1), ("since", 1)], true),
            own("kline_ledger", KEY, &[("series", 1), ("seq", 1)], true),
            own("kline_audit", "newest", &[("series", 1), ("replaced_at", -1), ("open_time", -1)], false),
            own("kline_runs", KEY, &[("run", 1), ("series", 1)], true),
            own("kline_runs", "newest", &[("seq", -1)], false),
            own("kline_runs", "newest_of_series", &[("series", 1), ("seq", -1)], false),
            own("kline_outbox", "pending", &[("delivered", 1), ("position", 1)], false),
        ])
        .collect()
}

/// Collections that need no index of their own, but must be there before a transaction writes to them.
const PLAIN: [&str; 3] = ["kline_series", "kline_leases", "kline_sequences"];

fn fields(index: &Index) -> Document {
    index.fields.iter().map(|(name, direction)| ((*name).to_owned(), (*direction).into())).collect()
}

/// The version a database has, 0 for an empty one.
pub(super) async fn version(tx: &mut Tx) -> Step<i64> {
    let newest = FindOptions::builder().sort(doc! { "_id": -1 }).build();
    match tx.first(MIGRATIONS, doc! {}, newest).await? {
        Some(document) => Fields(MIGRATIONS, &document).int("_id"),
        None => Ok(0),
    }
}

/// Refuses a database that a newer program wrote, or that a read-only store finds unprepared; brings any other to the
/// newest version. Two processes may do so at once: every step is harmless to repeat.
pub(super) async fn prepare(tx: &mut Tx, place: &str, read_only: bool) -> Step<()> {
    let found = version(tx).await?;
    if found > i64::from(VERSION) {
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        return Err(StoreError::Newer { place: place.into(), found, known: VERSION.unsigned_abs() }.into());
    }
    if found == i64::from(VERSION) {
        return Ok(());
    }
    if read_only {
        // An earlier version is read as it is: a collection that it has not is as good as an empty one.
        return match found {
            0 => Err(StoreError::Empty { place: place.into() }.into()),
            _ => Ok(()),
        };
    }
    migrate(tx).await.map_err(|fault| in_words(fault, place))
}

async fn migrate(tx: &mut Tx) -> Step<()> {
    let indexes = indexes();
    for same in indexes.chunk_by(|a, b| a.collection == b.collection) {
        let specs: Vec<Document> = same
            .iter()
            .map(|index| doc! { "key": fields(index), "name": index.name, "unique": index.unique })
            .collect();
        tx.command(doc! { "createIndexes": &same[0].collection, "indexes": specs }).await?;
    }
    for name in PLAIN {
        match tx.command(doc! { "create": name }).await {
            Err(Fault::Mongo(_, source)) if source.to_string().contains("exists") => {}
            done => drop(done?),
        }
    }
    let at = DateTime::from_millis(now().0);
    let done =
        doc! { "q": { "_id": VERSION }, "u": { "$setOnInsert": { "applied_at": at } }, "upsert": true };
    tx.update(MIGRATIONS, vec![done]).await
}

/// What a failed change of the schema means.
fn in_words(fault: Fault, place: &str) -> Fault {
    match fault {
        Fault::Mongo(Class::Denied, source) => {
            Fault::Store(StoreError::NoTables { place: place.into(), source })
        }
        Fault::Mongo(Class::Taken | Class::Duplicate, source) => {
            Fault::Store(StoreError::Taken { place: place.into(), source })
        }
        other => other,
    }
}

/// The commands for MongoDB's shell that make all collections and indexes.
pub(crate) fn commands() -> Vec<String> {
    let mut out = Vec::new();
    for index in indexes() {
        let unique = if index.unique { ", unique: true" } else { "" };
        let fields: Vec<String> = index.fields.iter().map(|(name, way)| format!("{name}: {way}")).collect();
        out.push(format!(
            "db.{}.createIndex({{ {} }}, {{ name: \"{}\"{unique} }})",
            index.collection,
            fields.join(", "),
            index.name
        ));
    }
    out.extend(PLAIN.map(|name| format!("db.createCollection(\"{name}\")")));
    out.push(format!("db.{MIGRATIONS}.insertOne({{ _id: {VERSION}, applied_at: new Date() }})"));
    out
}

/// Makes a result of opening a store's own.
pub(super) fn opened<T>(result: StoreResult<T>) -> StoreResult<T> {
    result.map_err(|error| match error {
        StoreError::Unreachable { place, source, .. } => StoreError::Open { place, source },
        other => other,
    })
}

//! The MongoDB engine: the suite on a replica set, which has transactions, and on a stand-alone server, which has none.
//!
//! `KLINES_TEST_MONGODB_URI` names a real deployment to test instead of a private server, for example
//! `mongodb://127.0.0.1:27017/?replicaSet=rs`; its databases `klines_test_…` are dropped again.

mod outages;

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::mongodb::bson::{DateTime, Decimal128, Document, doc};
use ::mongodb::{Client, Collection, Database};
use kline::{Interval, Kline, Market, Series};
use store::{Absence, Finish, KlineStore, Message, MongoStore, OpenOptions, StoreError};
use test_servers::daemon::{Daemon, Recipe};
use test_servers::mongo::{GIVEN, Mongo as Deployment, RECIPE};

use crate::common::*;
use crate::suite::Harness;

static REPLICA_SET: Recipe = Recipe { run, ..RECIPE };

/// A user must be made before the server asks for one: it does when there is a file `auth` beside its data.
fn run(data: &Path, port: u16) -> Vec<String> {
    let mut command = (RECIPE.run)(data, port);
    command.extend(data.with_file_name("auth").exists().then(|| "--auth".to_owned()));
    command
}

/// Runs async code where there is a runtime already.
pub fn aside<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let alone = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(alone).join().unwrap())
}

/// A server of its own; `None` when it is not to be had, which is printed.
pub fn start(args: &[&str]) -> Option<Daemon> {
    Daemon::start(&REPLICA_SET, args)
}

/// As [`start`], with TLS: certificate and key are made in a folder, `server.pem` and `server.key`.
pub fn start_encrypted(dir: &Path) -> Option<Daemon> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).display().to_string()
    };
    let certificate = format!("--tls-cert-file={}", file("server.pem", own.cert.pem()));
    let key = format!("--tls-key-file={}", file("server.key", own.signing_key.serialize_pem()));
    Daemon::start(&REPLICA_SET, &[&certificate, &key])
}

/// The deployment that most tests share.
fn replica_set() -> Option<&'static Deployment> {
    static SHARED: OnceLock<Option<Deployment>> = OnceLock::new();
    SHARED.get_or_init(|| Deployment::start_by(&REPLICA_SET)).as_ref()
}

fn stand_alone() -> Option<&'static Deployment> {
    static SHARED: OnceLock<Option<Deployment>> = OnceLock::new();
    SHARED.get_or_init(|| start(&["--standalone"]).map(Deployment::Private)).as_ref()
}

/// A store in a database of its own.
pub struct Mongo {
    url: String,
    given: bool,
    store: MongoStore,
}

impl Mongo {
    async fn on(shared: &Deployment) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let url = shared.uri(&format!("klines_test_{}_{n}", std::process::id()));
        let store = open(&url).await;
        Self { url, given: matches!(shared, Deployment::Given(_)), store }
    }

    /// Does something by hand, as a person with a client.
    fn by_hand<T: Send, F: Future<Output = T> + Send>(&self, work: impl FnOnce(Database) -> F + Send) -> T {
        aside(async {
            let client = Client::with_uri_str(&self.url).await.unwrap();
            let done = work(client.default_database().unwrap()).await;
            client.shutdown().await;
            done
        })
    }

    fn delete(&self, series: &Series, since: i64, until: i64) {
        let filter = doc! {
            "market": series.market.as_str(), "symbol": series.symbol.as_str(),
            "open_time": { "$gte": DateTime::from_millis(since), "$lt": DateTime::from_millis(until) },
        };
        let name = format!("klines_{}", series.interval.suffix());
        self.by_hand(async |db| db.collection::<Document>(&name).delete_many(filter).await.unwrap());
    }

    fn insert(&self, series: &Series, klines: &[Kline]) {
        let rows: Vec<Document> = klines.iter().map(|kline| by_a_person(series, kline)).collect();
        let name = format!("klines_{}", series.interval.suffix());
        self.by_hand(async |db| db.collection::<Document>(&name).insert_many(rows).await.unwrap());
    }
}

/// The document of a kline as a person writes it.
fn by_a_person(series: &Series, kline: &Kline) -> Document {
    let number = |d: kline::Decimal| d.to_string().parse::<Decimal128>().unwrap();
    doc! {
        "market": series.market.as_str(), "symbol": series.symbol.as_str(),
        "open_time": DateTime::from_millis(kline.open_time.0),
        "open": number(kline.open), "high": number(kline.high), "low": number(kline.low),
        "close": number(kline.close), "volume": number(kline.volume),
        "close_time": DateTime::from_millis(kline.close_time.0), "quote_volume": 0, "count": 1,
        "taker_buy_volume": 0, "taker_buy_quote_volume": 0,
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        if self.given {
            self.by_hand(async |db| db.drop().await.unwrap());
        }
    }
}

pub async fn open(url: &str) -> MongoStore {
    MongoStore::open(url, OpenOptions::default()).await.unwrap()
}

macro_rules! harness {
    ($name:ident, $shared:ident, $transactions:expr) => {
        /// A store on one kind of deployment.
        pub struct $name(pub Mongo);

        impl Harness for $name {
            type Store = MongoStore;

            fn is_slow() -> bool {
                std::env::var_os(GIVEN).is_none()
            }

            fn is_available() -> bool {
                $shared().is_some()
            }

            async fn new() -> Self {
                let mongo = Mongo::on($shared().unwrap()).await;
                if !mongo.given {
                    assert_eq!(mongo.store.has_transactions(), $transactions);
                }
                Self(mongo)
            }

            fn store(&self) -> &MongoStore {
                &self.0.store
            }

            async fn other(&self) -> Option<MongoStore> {
                Some(open(&self.0.url).await)
            }

            fn delete_by_hand(&self, series: &Series, since: i64, until: i64) -> bool {
                self.0.delete(series, since, until);
                true
            }

            fn insert_by_hand(&self, series: &Series, klines: &[Kline]) -> bool {
                self.0.insert(series, klines);
                true
            }
        }
    };
}

harness!(ReplicaSet, replica_set, true);
harness!(StandAlone, stand_alone, false);

mod on_a_replica_set {
    crate::conformance!(super::ReplicaSet);
}

/// What is written in another way there; the stand-in for a server is too slow to do all twice.
mod on_a_stand_alone_server {
    crate::conformance! { @async super::StandAlone;
        klines_come_back_digit_for_digit
        writing_again_changes_nothing
        a_revised_kline_is_replaced_and_its_old_values_kept
        two_klines_in_one_slot_are_both_kept_and_fill_one_slot
        gaps_at_the_start_in_the_middle_and_at_the_end_are_found
        the_books_are_right_again_after_a_write_or_a_recount
        absences_are_remembered_and_clipped
        a_stored_kline_ends_its_absence
        absences_are_forgotten_on_request
        the_ledger_joins_the_pages_of_one_fetch
        the_outbox_keeps_its_order_and_ignores_repeats
        delivered_messages_are_not_sent_again
        run_history_is_newest_first_and_a_repeat_replaces
        a_chunk_commits_with_its_run_and_messages
        one_owner_at_a_time
        running_leases_are_listed_and_no_others
        an_expired_lease_can_be_taken_over_and_the_old_one_writes_no_more
        an_expired_lease_that_nobody_took_goes_on
        a_dead_owners_lease_can_be_taken_over_at_once
        a_given_back_lease_writes_no_more
        a_refused_chunk_leaves_nothing_behind
        two_handles_see_each_other
        writers_on_different_series_do_not_disturb_each_other
    }
    crate::conformance! { @property super::StandAlone; gap_search_agrees_with_a_naive_model }
}

#[tokio::test]
async fn a_person_finds_the_contracts_fields_and_types() {
    if !ReplicaSet::is_available() {
        return;
    }
    let h = ReplicaSet::new().await;
    let s = series(Market::Um, "BTCUSDT", Interval::M5);
    let sent = Kline { volume: d("2328926384141.50"), ..kline(Interval::M5, base(Interval::M5)) };
    let lease = lease(h.store(), &s).await;
    h.store().commit(&lease, &rows(vec![sent])).await.unwrap();
    let found = h.0.by_hand(async |db| {
        let klines: Collection<Document> = db.collection("klines_m5");
        let filter =
            doc! { "market": "um", "symbol": "BTCUSDT", "open_time": { "$gte": DateTime::from_millis(0) } };
        klines.find_one(filter).await.unwrap().unwrap()
    });
    let names: Vec<&str> = found.keys().map(String::as_str).filter(|name| *name != "_id").collect();
    assert_eq!(names.join(","), VIEW_COLUMNS);
    assert_eq!(
        found.get_datetime("open_time").unwrap().try_to_rfc3339_string().unwrap(),
        "2023-01-01T00:00:00Z"
    );
    assert!(found.get_datetime("close_time").is_ok() && found.get_i64("count").is_ok());
    assert_eq!(found.get("volume").unwrap().to_string(), "2328926384141.50");
}

/// A chunk with everything in it.
fn full_chunk(s: &Series) -> store::Chunk {
    let b = base(s.interval);
    let message = Message { id: "m".into(), subject: "s".into(), payload: "{}".into(), traceparent: None };
    store::Chunk {
        fetched: vec![fetched(slots(b, b + 9), 9)],
        absent: vec![absent(slots(b + 20, b + 30), Absence::EmptyAnswer)],
        finish: Some(Finish { run: None, messages: vec![message] }),
        ..rows(klines(s.interval, b..b + 9))
    }
}

/// Makes the last step of a commit fail, or possible again.
fn break_outbox(mongo: &Mongo, broken: bool) {
    mongo.by_hand(async |db| {
        let sequences: Collection<Document> = db.collection("kline_sequences");
        sequences.delete_one(doc! { "_id": "kline_outbox" }).await.unwrap();
        if broken {
            sequences.insert_one(doc! { "_id": "kline_outbox", "last": "no number" }).await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_commit_that_fails_at_its_end_leaves_nothing_where_there_are_transactions() {
    if !ReplicaSet::is_available() {
        return;
    }
    let (h, s) = (ReplicaSet::new().await, btc(Interval::M5));
    break_outbox(&h.0, true);
    let held = lease(h.store(), &s).await;
    h.store().commit(&held, &full_chunk(&s)).await.unwrap_err();
    assert!(all(h.store(), &s).await.is_empty() && h.store().ledger(&s, 9).await.unwrap().is_empty());
    assert!(h.store().absent(&s, slots(0, i64::MAX)).await.unwrap().is_empty());
    assert_eq!(h.store().series(&s).await.unwrap(), None);
}

#[tokio::test]
async fn a_commit_that_failed_at_its_end_is_completed_by_a_repeat_where_there_are_none() {
    if !StandAlone::is_available() {
        return;
    }
    let (h, s) = (StandAlone::new().await, btc(Interval::M5));
    break_outbox(&h.0, true);
    let held = lease(h.store(), &s).await;
    h.store().commit(&held, &full_chunk(&s)).await.unwrap_err();
    assert_eq!(all(h.store(), &s).await.len(), 9);
    assert!(h.store().pending(9).await.unwrap().is_empty(), "nothing is told before it is true");
    break_outbox(&h.0, false);
    let again = h.store().commit(&held, &full_chunk(&s)).await.unwrap();
    assert_eq!((again.written(), again.unchanged), (0, 9));
    assert_eq!(h.store().pending(9).await.unwrap().len(), 1);
    assert_eq!(h.store().ledger(&s, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_swap_of_rows_by_hand_is_seen() {
    if !StandAlone::is_available() {
        return;
    }
    let (h, s, b) = (StandAlone::new().await, btc(Interval::M5), base(Interval::M5));
    put(h.store(), &s, (b..b + 50).filter(|slot| slot - b != 7)).await;
    let time = Interval::M5.time_range(slots(b + 30, b + 31));
    h.0.delete(&s, time.since.0, time.until.0);
    h.0.insert(&s, &klines(Interval::M5, [b + 7]));
    assert_eq!(h.store().missing(&s, slots(b, b + 50)).await.unwrap(), slots(b + 30, b + 31).into());
}

#[tokio::test]
async fn a_value_that_is_no_exact_number_is_reported_and_replaced() {
    if !ReplicaSet::is_available() {
        return;
    }
    let (h, s, b) = (ReplicaSet::new().await, btc(Interval::H1), base(Interval::H1));
    put(h.store(), &s, [b, b + 2]).await;
    let bad =
        Document::from_iter(by_a_person(&s, &kline(Interval::H1, b + 1)).into_iter().map(|(name, value)| {
            let value = if name == "open" { 1.5.into() } else { value };
            (name, value)
        }));
    h.0.by_hand(async |db| db.collection::<Document>("klines_h1").insert_one(bad).await.unwrap());
    let error = h.store().read(&s, slots(b, b + 3), None, 9).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { what, .. } if what.contains("open is missing or no")),
        "{error}"
    );
    let lease = lease(h.store(), &s).await;
    let done = h.store().commit(&lease, &rows(klines(Interval::H1, b..b + 3))).await.unwrap();
    assert_eq!((done.replaced, done.unchanged), (1, 2));
    assert_eq!(all(h.store(), &s).await, klines(Interval::H1, b..b + 3));
}

#[tokio::test]
async fn documents_of_something_else_are_not_touched() {
    if !ReplicaSet::is_available() {
        return;
    }
    let h = ReplicaSet::new().await;
    let url = format!("{}_old", h.0.url.split('?').next().unwrap());
    aside(async {
        let db = Client::with_uri_str(&url).await.unwrap().default_database().unwrap();
        let old: Collection<Document> = db.collection("klines_m5");
        old.insert_many([doc! { "s": 1 }, doc! { "s": 2 }]).await.unwrap();
    });
    let error = MongoStore::open(&url, OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { .. }), "{error:?}");
    aside(async {
        let db = Client::with_uri_str(&url).await.unwrap().default_database().unwrap();
        assert_eq!(db.collection::<Document>("klines_m5").count_documents(doc! {}).await.unwrap(), 2);
        db.drop().await.unwrap();
    });
}

#[tokio::test]
async fn a_read_only_store_changes_nothing() {
    if !ReplicaSet::is_available() {
        return;
    }
    let (h, s) = (ReplicaSet::new().await, btc(Interval::M5));
    put(h.store(), &s, 1..9).await;
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reader = MongoStore::open(&h.0.url, options.clone()).await.unwrap();
    assert_eq!(all(&reader, &s).await.len(), 8);
    assert!(matches!(reader.acquire(&s, "me", TTL).await, Err(StoreError::ReadOnly { .. })));
    let empty = format!("{}_none", h.0.url.split('?').next().unwrap());
    let error = MongoStore::open(&empty, options).await.unwrap_err();
    assert!(matches!(error, StoreError::Empty { .. }), "{error:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    if !ReplicaSet::is_available() {
        return;
    }
    let h = ReplicaSet::new().await;
    h.0.by_hand(async |db| {
        let migrations: Collection<Document> = db.collection("kline_migrations");
        migrations.insert_one(doc! { "_id": 99 }).await.unwrap()
    });
    let error = MongoStore::open(&h.0.url, OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_version_1_is_brought_up_to_date_by_writing_only() {
    if !ReplicaSet::is_available() {
        return;
    }
    let h = ReplicaSet::new().await;
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(h.store(), &s, b..b + 8).await;
    h.0.by_hand(async |db| {
        let migrations: Collection<Document> = db.collection("kline_migrations");
        migrations.delete_many(doc! {}).await.unwrap();
        migrations.insert_one(doc! { "_id": 1 }).await.unwrap();
        db.collection::<Document>("kline_certified").drop().await.unwrap();
    });
    let read_only = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reader = MongoStore::open(&h.0.url, read_only).await.unwrap();
    assert_eq!((all(&reader, &s).await.len(), reader.certified(&s).await.unwrap()), (8, vec![]));
    let store = MongoStore::open(&h.0.url, OpenOptions::default()).await.unwrap();
    assert_eq!(all(&store, &s).await, klines(Interval::M5, b..b + 8));
    assert_eq!(store.certified(&s).await.unwrap(), []);
}

/// A pause that lets the others go on.
pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

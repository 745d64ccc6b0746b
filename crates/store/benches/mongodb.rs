//! How fast the MongoDB engine writes, beside raw unordered inserts of the same documents into a collection with the same
//! unique index, in one run, on a server that is named:
//!
//! ```sh
//! KLINES_TEST_MONGODB_URI='mongodb://127.0.0.1:27017/?replicaSet=rs' \
//!     cargo bench -p store --no-default-features --features mongodb --bench mongodb -- 300000
//! ```
//!
//! The number is that of the klines; they are committed in chunks of 10,000 under a lease, as a job does, and inserted
//! raw in batches as large. Best of [`ROUNDS`], taken in turns. The database `klines_bench` is dropped. To reach: 70% of
//! the raw inserts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // printing is what it is for; a failure ends it

use std::time::{Duration, Instant};

use ::mongodb::bson::{DateTime, Decimal128, Document, doc};
use ::mongodb::{Client, IndexModel, options::IndexOptions};
use kline::{Decimal, Interval, Kline, Market, Millis, Series, Symbol};
use store::{Chunk, KlineStore, MongoStore, OpenOptions};

const CHUNK: usize = 10_000;
const ROUNDS: usize = 3;
const DAY_ONE: i64 = 1_672_531_200_000;
const DATABASE: &str = "klines_bench";

fn main() {
    let Ok(uri) = std::env::var("KLINES_TEST_MONGODB_URI") else {
        println!("skipped: mongodb (KLINES_TEST_MONGODB_URI names no server)");
        return;
    };
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(300_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(&uri, rows));
}

fn kline(n: i64) -> Kline {
    let d = |text: String| Decimal::parse(&text).unwrap();
    let cents = 40_000 + n % 977;
    Kline {
        open_time: Millis(DAY_ONE + n * 60_000),
        open: d(format!("{cents}.10")),
        high: d(format!("{cents}.90")),
        low: d(format!("{cents}.00")),
        close: d(format!("{cents}.50")),
        volume: d(format!("{}.{:03}", n % 311, n % 1000)),
        close_time: Millis(DAY_ONE + n * 60_000 + 59_999),
        quote_volume: d(format!("{}.{:05}", n % 7_000_003, n % 99_991)),
        count: n.unsigned_abs() % 5000,
        taker_buy_volume: d(format!("{}.{:03}", n % 150, n % 1000)),
        taker_buy_quote_volume: d(format!("{}.{:05}", n % 3_000_017, n % 99_991)),
    }
}

/// The document that the store keeps of a kline.
fn document(k: &Kline) -> Document {
    let number = |value: &Decimal| value.to_string().parse::<Decimal128>().unwrap();
    let date = |at: Millis| DateTime::from_millis(at.0);
    doc! {
        "market": "um", "symbol": "BTCUSDT", "open_time": date(k.open_time), "open": number(&k.open),
        "high": number(&k.high), "low": number(&k.low), "close": number(&k.close), "volume": number(&k.volume),
        "close_time": date(k.close_time), "quote_volume": number(&k.quote_volume), "count": k.count.cast_signed(),
        "taker_buy_volume": number(&k.taker_buy_volume), "taker_buy_quote_volume": number(&k.taker_buy_quote_volume),
    }
}

async fn measure(uri: &str, rows: i64) {
    let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
    let (scheme, hosts) = base.split_once("://").unwrap();
    let url = format!("{scheme}://{}/{DATABASE}?{options}", hosts.split('/').next().unwrap());
    let database = Client::with_uri_str(&url).await.unwrap().database(DATABASE);
    let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M1).unwrap();
    let klines: Vec<Kline> = (0..rows).map(kline).collect();
    let [mut ours, mut raw] = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        database.drop().await.unwrap();
        let store = MongoStore::open(&url, OpenOptions::default()).await.unwrap();
        let lease = store.acquire(&series, "bench", Duration::from_secs(6000)).await.unwrap();
        let chunks = klines.chunks(CHUNK).map(|some| Chunk { klines: some.to_vec(), ..Chunk::default() });
        let chunks: Vec<Chunk> = chunks.collect();
        let start = Instant::now();
        for chunk in &chunks {
            assert_eq!(store.commit(&lease, chunk).await.unwrap().inserted, chunk.klines.len() as u64);
        }
        ours = ours.min(start.elapsed());
        store.close().await.unwrap();

        let bare = database.collection::<Document>("bare");
        let unique = IndexOptions::builder().unique(true).build();
        let key = doc! { "market": 1, "symbol": 1, "open_time": 1 };
        bare.create_index(IndexModel::builder().keys(key).options(unique).build()).await.unwrap();
        // Made ready beforehand: the driver alone is the rival.
        let batches: Vec<Vec<Document>> =
            klines.chunks(CHUNK).map(|some| some.iter().map(document).collect()).collect();
        let start = Instant::now();
        for batch in &batches {
            bare.insert_many(batch).ordered(false).await.unwrap();
        }
        raw = raw.min(start.elapsed());
        assert_eq!(bare.count_documents(doc! {}).await.unwrap(), rows.unsigned_abs());
    }
    database.drop().await.unwrap();
    let rate = |t: Duration| rows as f64 / t.as_secs_f64();
    println!("MongoDB: write {rows} klines (best of {ROUNDS})");
    println!("  store, chunks of {CHUNK}        {:>9.0} rows/s", rate(ours));
    let share = 100. * rate(ours) / rate(raw);
    println!("  raw unordered inserts        {:>9.0} rows/s   store reaches {share:.0}%", rate(raw));
}

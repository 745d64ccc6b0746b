//! What can be seen from inside only.

use kline::{Decimal, Interval, Kline, Market, Millis, Series, Symbol};
use proptest::prelude::*;
use rusqlite::Connection;

use super::fail::Place;
use super::schema::{self, MIGRATIONS, Migration};
use super::*;
use crate::buckets::bucket_of;
use crate::{Chunk, StoreError};

fn place() -> Place {
    Place { name: "here".into(), busy_timeout: Duration::from_secs(1) }
}

fn series() -> Series {
    Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M1).unwrap()
}

fn klines(slots: std::ops::Range<i64>) -> Vec<Kline> {
    let one = Decimal::from(1);
    slots
        .map(|slot| Kline {
            open_time: Interval::M1.slot_start(slot),
            open: one,
            high: one,
            low: one,
            close: one,
            volume: one,
            close_time: Interval::M1.slot_end(slot).plus(-1),
            quote_volume: one,
            count: 1,
            taker_buy_volume: one,
            taker_buy_quote_volume: one,
        })
        .collect()
}

/// Tables and triggers of a file, and its version.
fn state(conn: &Connection) -> (u32, i64) {
    let objects = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    (schema::version(conn).unwrap(), objects)
}

const LATER: [Migration; 3] = [
    Migration { version: 1, sql: MIGRATIONS[0].sql },
    Migration { version: 2, sql: MIGRATIONS[1].sql },
    Migration { version: 3, sql: || "ALTER TABLE kline_series ADD COLUMN note TEXT;".into() },
];
const BROKEN: [Migration; 3] = [
    Migration { version: 1, sql: MIGRATIONS[0].sql },
    Migration { version: 2, sql: MIGRATIONS[1].sql },
    Migration { version: 3, sql: || "CREATE TABLE half (x) STRICT; no such statement;".into() },
];

#[test]
fn an_older_file_is_brought_up_to_date_and_keeps_its_rows() {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, &place(), MIGRATIONS).unwrap();
    conn.execute("INSERT INTO kline_series (market, symbol, interval) VALUES ('um', 'A', '1m')", []).unwrap();
    schema::migrate(&mut conn, &place(), &LATER).unwrap();
    schema::migrate(&mut conn, &place(), &LATER).unwrap();
    let kept: String =
        conn.query_row("SELECT symbol FROM kline_series WHERE note IS NULL", [], |row| row.get(0)).unwrap();
    assert_eq!((kept.as_str(), schema::version(&conn).unwrap()), ("A", 3));
    let refused = schema::migrate(&mut conn, &place(), MIGRATIONS).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 3, known: 2, .. }), "{refused}");
}

#[test]
fn a_migration_that_fails_leaves_the_version_before() {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, &place(), MIGRATIONS).unwrap();
    let before = state(&conn);
    assert!(schema::migrate(&mut conn, &place(), &BROKEN).is_err());
    assert_eq!(state(&conn), before);
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_the_chunk_leaves_nothing_behind() {
    let store = SqliteStore::open("sqlite::memory:", OpenOptions::default()).await.unwrap();
    let lease = store.acquire(&series(), "me", Duration::from_secs(60)).await.unwrap();
    let chunk = |slots| Chunk { klines: klines(slots), ..Chunk::default() };
    store.commit(&lease, &chunk(0..10)).await.unwrap();
    let no_more = "full test";
    store
        .pool
        .write(no_more, |tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.pragma_update_and_check(None, "max_page_count", pages + 5, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    let error = store.commit(&lease, &chunk(10..5000)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let all = store.read(&series(), SlotRange::new(0, 9999), None, 9999).await.unwrap();
    assert_eq!(all.len(), 10);
    let missing = store.missing(&series(), SlotRange::new(0, 5000)).await.unwrap();
    assert_eq!(missing, SlotRange::new(10, 5000).into());
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_the_chunk_whole() {
    let store = SqliteStore::open("sqlite::memory:", OpenOptions::default()).await.unwrap();
    let lease = store.acquire(&series(), "me", Duration::from_secs(60)).await.unwrap();
    let chunk = Chunk { klines: klines(0..3000), ..Chunk::default() };
    let work = tokio::time::timeout(Duration::ZERO, store.commit(&lease, &chunk)).await;
    // The next call waits for the transaction, if it began.
    let all = store.read(&series(), SlotRange::new(0, 9999), None, 9999).await.unwrap();
    assert!(all.len() == 3000 || (work.is_err() && all.is_empty()), "{}", all.len());
}

proptest! {
    #[test]
    fn triggers_and_the_store_agree_on_buckets(ms in 0i64..253_402_300_800_000, i in 0..Interval::ALL.len()) {
        let interval = Interval::ALL[i];
        let conn = Connection::open_in_memory().unwrap();
        let sql = format!("SELECT {}", schema::bucket_of(interval, "?1"));
        for ms in [ms, ms % 1_000_000_000_000] {
            let bucket: i64 = conn.query_row(&sql, [ms], |row| row.get(0)).unwrap();
            prop_assert_eq!(bucket, bucket_of(interval.slot_of(Millis(ms))), "{} {}", interval, ms);
        }
    }
}

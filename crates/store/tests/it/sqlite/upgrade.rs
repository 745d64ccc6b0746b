//! Files of other schema versions.

use kline::Interval;
use rusqlite::Connection;
use store::{KlineStore, OpenOptions, SqliteStore, StoreError};

use super::{File, open};
use crate::common::*;
use crate::suite::Harness;

/// A file as version 1 wrote it, in the statements of then; frozen, whatever becomes of the schema since. It holds
/// `spot BTCUSDT 1d` of 1, 2 and 4 January 2023, the 4th inserted by hand, and an absence on the 3rd.
const VERSION_1: &str = include_str!("version_1.sql");

#[tokio::test]
async fn a_file_of_version_1_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reader = SqliteStore::open(path.to_str().unwrap(), options).await.unwrap();
    let series = btc(Interval::D1);
    assert_eq!((all(&reader, &series).await.len(), reader.certified(&series).await.unwrap()), (3, vec![]));
    reader.close().await.unwrap();
    let shell = Connection::open(&path).unwrap();
    let version: u32 =
        shell.query_row("SELECT max(version) FROM kline_migrations", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1, "reading changes nothing");
    let store = open(&path).await;
    let (s, b) = (btc(Interval::D1), base(Interval::D1));
    let record = store.series(&s).await.unwrap().unwrap();
    assert_eq!(record.listed, Some(at("2017-08-17")));
    assert_eq!(record.extent.unwrap().rows, 3);
    let stored = all(&store, &s).await;
    assert_eq!(
        stored.iter().map(|k| k.volume).collect::<Vec<_>>(),
        [d("10.5"), d("2328926384141.0"), d("0.00000001")]
    );
    assert_eq!(
        store.missing(&s, slots(b - 1, b + 5)).await.unwrap().slots().collect::<Vec<_>>(),
        [b - 1, b + 2, b + 4]
    );
    assert_eq!(store.absent(&s, slots(b, b + 9)).await.unwrap()[0].slots, slots(b + 2, b + 3));
    put(&store, &s, [b + 4]).await;
    assert_eq!(all(&store, &s).await.len(), 4);
    let books = store.books(&s, slots(b, b + 5)).await.unwrap();
    assert!(books.missing.slots().eq([b + 2]) && store.certified(&s).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_alone() {
    let file = File::new().await;
    put(&file.store, &btc(Interval::D1), 0..3).await;
    file.store.close().await.unwrap();
    file.shell().execute("INSERT INTO kline_migrations VALUES (999, 0)", []).unwrap();
    let before = std::fs::read(file.path()).unwrap();
    for read_only in [false, true] {
        let options = OpenOptions { read_only, ..OpenOptions::default() };
        let error = SqliteStore::open(file.path().to_str().unwrap(), options).await.unwrap_err();
        assert!(matches!(&error, StoreError::Newer { found: 999, .. }) && error.is_usage(), "{error}");
    }
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
}

//! Files that are not there, not ours, not writable, or busy.

use std::error::Error;
use std::time::Duration;

use kline::Interval;
use rusqlite::Connection;
use store::{KlineStore, OpenOptions, SqliteStore, Store, StoreError};

use super::{File, open};
use crate::common::*;
use crate::suite::Harness;

const READ_ONLY: OpenOptions = OpenOptions { read_only: true, busy_timeout: Duration::from_secs(1) };

/// The error and its causes, as a person reads it.
fn told(error: &StoreError) -> String {
    let cause = error.source().map(|e| format!(": {e}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[tokio::test]
async fn a_store_outlives_its_process() {
    let file = File::new().await;
    let (s, b) = (btc(Interval::H4), base(Interval::H4));
    put(&file.store, &s, b..b + 2000).await;
    let before = file.store.series(&s).await.unwrap();
    file.store.close().await.unwrap();
    assert_eq!(std::fs::read_dir(file.dir.path()).unwrap().count(), 1, "one file is left, no log");
    let again = open(&file.path()).await;
    assert_eq!(again.series(&s).await.unwrap(), before);
    assert_eq!(all(&again, &s).await, klines(Interval::H4, b..b + 2000));
    assert!(again.missing(&s, slots(b, b + 2000)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_url_opens_the_engine_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/with space.db", dir.path().display());
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.engine(), "sqlite");
    put(&store, &btc(Interval::M5), 0..3).await;
    store.close().await.unwrap();
    assert!(dir.path().join("with space.db").is_file());
}

#[tokio::test]
async fn reading_only_creates_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("klines.db");
    let url = path.to_str().unwrap();
    let error = SqliteStore::open(url, READ_ONLY).await.unwrap_err();
    assert!(told(&error).contains("no such file"), "{}", told(&error));
    assert!(!path.exists());

    std::fs::write(&path, "").unwrap();
    let error = SqliteStore::open(url, READ_ONLY).await.unwrap_err();
    assert!(matches!(error, StoreError::Empty { .. }), "{}", told(&error));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);

    let (writer, s) = (open(&path).await, btc(Interval::M5));
    put(&writer, &s, 0..5).await;
    let store = SqliteStore::open(url, READ_ONLY).await.unwrap();
    assert_eq!(all(&store, &s).await.len(), 5, "beside a process that writes");
    assert!(matches!(store.acquire(&s, "me", TTL).await, Err(StoreError::ReadOnly { .. })));
    writer.close().await.unwrap();
    assert_eq!(store.missing(&s, slots(0, 6)).await.unwrap(), slots(5, 6).into());
    store.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();

    let store = SqliteStore::open(url, READ_ONLY).await.unwrap();
    assert_eq!(all(&store, &s).await.len(), 5);
    store.close().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no log is left beside the file");
    assert!(std::fs::read(&path).unwrap() == before, "not a byte changed");
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE klines_m5 (t, o, h, l, c)").unwrap();
    let error = SqliteStore::open(path.to_str().unwrap(), OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { .. }) && error.is_usage(), "{error:?}");
    let text = told(&error);
    assert!(text.contains("klines_m5") && !text.contains("CREATE"), "{text}");
    let tables: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "nothing was made");
}

#[tokio::test]
async fn a_path_that_cannot_be_a_store_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let refused = async |path: String| {
        let error = SqliteStore::open(&path, OpenOptions::default()).await.unwrap_err();
        assert!(error.is_usage(), "the settings are at fault: {error}");
        error.to_string()
    };

    assert!(refused(at("none/klines.db")).await.contains("none does not exist"));
    assert!(refused(dir.path().display().to_string()).await.contains("it is a folder"));
    std::fs::write(
        at("notes.txt"),
        "a text that is longer than the header of a database, so that it counts as content ".repeat(9),
    )
    .unwrap();
    let text = refused(at("notes.txt")).await;
    assert!(text.contains("notes.txt") && text.contains("not an SQLite database"), "{text}");
}

#[tokio::test]
async fn a_damaged_file_is_told_apart_from_a_bug() {
    let file = File::new().await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&file.store, &s, b..b + 3000).await;
    file.store.close().await.unwrap();
    let mut bytes = std::fs::read(file.path()).unwrap();
    let from = bytes.len() / 2;
    bytes[from..].fill(0xa5);
    std::fs::write(file.path(), bytes).unwrap();
    let told = match SqliteStore::open(file.path().to_str().unwrap(), OpenOptions::default()).await {
        Ok(store) => store.read(&s, slots(b, b + 3000), None, 9999).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(told.contains("klines.db") && told.contains("damaged"), "{told}");
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_waited_for_and_then_told() {
    let file = File::new().await;
    let options = OpenOptions { busy_timeout: Duration::from_millis(20), ..OpenOptions::default() };
    let store = SqliteStore::open(file.path().to_str().unwrap(), options).await.unwrap();
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&store, &s, b..b + 5).await;
    let lease = lease(&store, &s).await;
    let shell = file.shell();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.commit(&lease, &rows(klines(Interval::M5, [b + 5]))).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { place, waited_ms: 20 } if place.contains("klines.db")),
        "{error}"
    );
    assert!(error.is_usage());
    assert_eq!(all(&store, &s).await.len(), 5, "reading goes on meanwhile");
    shell.execute_batch("ROLLBACK").unwrap();
    store.commit(&lease, &rows(klines(Interval::M5, [b + 5]))).await.unwrap();
}

#[tokio::test]
async fn opening_a_file_locked_as_a_whole_is_told_as_a_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k.db");
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
    let options = OpenOptions { busy_timeout: Duration::from_millis(20), ..OpenOptions::default() };
    let error = SqliteStore::open(path.to_str().unwrap(), options).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}

#[tokio::test]
async fn klines_live_beside_other_tables_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 77; CREATE TABLE notes (x)")
        .unwrap();
    let store = open(&path).await;
    put(&store, &btc(Interval::M5), 0..3).await;
    store.close().await.unwrap();
    let shell = Connection::open(&path).unwrap();
    let version: i64 = shell.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(version, 77);
    shell.execute("INSERT INTO notes VALUES (1)", []).unwrap();
}

#[tokio::test]
async fn many_processes_may_create_the_same_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k.db");
    let (a, b, c, d) = tokio::join!(open(&path), open(&path), open(&path), open(&path));
    for (store, symbol) in [(a, "A"), (b, "B"), (c, "C"), (d, "D")] {
        put(&store, &series(kline::Market::Um, symbol, Interval::M5), 0..3).await;
    }
    assert_eq!(open(&path).await.all_series().await.unwrap().len(), 4);
}

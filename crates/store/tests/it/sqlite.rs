//! The SQLite engine: the suite on a file and in memory, and what is SQLite's own.

mod files;
mod killed;
mod upgrade;
mod views;

use std::path::PathBuf;

use kline::{Kline, Series};
use rusqlite::{Connection, params};
use store::{OpenOptions, SqliteStore};

use crate::suite::Harness;

/// A store in a file of its own.
pub struct File {
    pub dir: tempfile::TempDir,
    pub store: SqliteStore,
}

impl File {
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("klines.db")
    }

    /// A connection as the `sqlite3` shell has it.
    pub fn shell(&self) -> Connection {
        let conn = Connection::open(self.path()).unwrap();
        conn.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        conn
    }
}

pub async fn open(path: &std::path::Path) -> SqliteStore {
    SqliteStore::open(&format!("sqlite://{}", path.display()), OpenOptions::default()).await.unwrap()
}

impl Harness for File {
    type Store = SqliteStore;

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("klines.db")).await;
        Self { dir, store }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    async fn other(&self) -> Option<SqliteStore> {
        Some(open(&self.path()).await)
    }

    fn delete_by_hand(&self, series: &Series, since: i64, until: i64) -> bool {
        let (id, table) = (id_of(&self.shell(), series), table_of(series));
        let delete =
            format!("DELETE FROM {table} WHERE series_id = ?1 AND open_time >= ?2 AND open_time < ?3");
        self.shell().execute(&delete, (id, since, until)).unwrap();
        true
    }

    fn insert_by_hand(&self, series: &Series, klines: &[Kline]) -> bool {
        let (mut shell, table) = (self.shell(), table_of(series));
        let id = id_of(&shell, series);
        let tx = shell.transaction().unwrap();
        for k in klines {
            let [o, h, l, c, v] = [k.open, k.high, k.low, k.close, k.volume].map(|d| d.to_string());
            tx.execute(
                &format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '0', 1, '0', '0')"),
                params![id, k.open_time.0, o, h, l, c, v, k.close_time.0],
            )
            .unwrap();
        }
        tx.commit().unwrap();
        true
    }
}

pub fn table_of(series: &Series) -> String {
    format!("kline_rows_{}", series.interval.suffix())
}

pub fn id_of(conn: &Connection, series: &Series) -> i64 {
    let names = (series.market.as_str(), series.symbol.as_str(), series.interval.as_str());
    conn.query_row(
        "SELECT id FROM kline_series WHERE (market, symbol, interval) = (?1, ?2, ?3)",
        names,
        |r| r.get(0),
    )
    .unwrap()
}

/// A store in memory.
struct Memory(SqliteStore);

impl Harness for Memory {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(SqliteStore::open("sqlite::memory:", OpenOptions::default()).await.unwrap())
    }

    fn store(&self) -> &SqliteStore {
        &self.0
    }

    async fn other(&self) -> Option<SqliteStore> {
        None
    }

    fn delete_by_hand(&self, _: &Series, _: i64, _: i64) -> bool {
        false
    }

    fn insert_by_hand(&self, _: &Series, _: &[Kline]) -> bool {
        false
    }
}

mod on_a_file {
    crate::conformance!(super::File);
}

mod in_memory {
    crate::conformance!(super::Memory);
}

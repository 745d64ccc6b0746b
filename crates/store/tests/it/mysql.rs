//! The MySQL engine on a private MariaDB: the suite, and what is its own.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kline::{Kline, Series};
use store::{MysqlStore, OpenOptions};

use crate::servers::{self, Daemon, Recipe};
use crate::suite::Harness;

pub static MARIADB: Recipe = Recipe { name: "mysql", user: "mysql", init, run };

fn init(data: &Path) -> Vec<String> {
    let data = format!("--datadir={}", data.display());
    [
        "mariadb-install-db",
        "--no-defaults",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
        &data,
    ]
    .map(String::from)
    .to_vec()
}

fn run(data: &Path, port: u16) -> Vec<String> {
    let dir = data.display();
    vec![
        "mariadbd".into(),
        "--no-defaults".into(),
        format!("--datadir={dir}"),
        format!("--socket={dir}/s"),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".into(),
        "--innodb-flush-log-at-trx-commit=2".into(),
        "--max-connections=500".into(),
    ]
}

/// Runs SQL as root would in a shell.
pub fn sql(port: u16, database: &str, script: &str) -> Result<String, String> {
    let port = format!("--port={port}");
    let command = ["mariadb", "--no-defaults", "-h127.0.0.1", "-uroot", "--skip-ssl", "-N", &port, database];
    let command = if database.is_empty() { &command[..7] } else { &command[..] };
    servers::shell(command, &format!("SET time_zone = '+00:00';\n{script}"))
}

pub fn is_up(port: u16) -> bool {
    sql(port, "", "SELECT 1").is_ok()
}

/// The server that most tests share; `None` when it is not to be had.
pub fn shared() -> Option<&'static Daemon> {
    static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
    SHARED.get_or_init(|| Daemon::start(&MARIADB, &["--local-infile=1"], is_up)).as_ref()
}

/// A database of its own on a server.
pub fn database(server: &Daemon) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    sql(server.port, "", &format!("CREATE DATABASE {name}")).unwrap();
    name
}

/// A store in a database of its own.
pub struct Database {
    pub port: u16,
    pub name: String,
    pub store: MysqlStore,
}

impl Database {
    pub async fn on(server: &Daemon) -> Self {
        let name = database(server);
        let store = open(&format!("mysql://root@127.0.0.1:{}/{name}", server.port)).await;
        Self { port: server.port, name, store }
    }

    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/{}", self.port, self.name)
    }

    pub fn sql(&self, script: &str) -> String {
        sql(self.port, &self.name, script).unwrap()
    }
}

pub async fn open(url: &str) -> MysqlStore {
    MysqlStore::open(url, OpenOptions::default()).await.unwrap()
}

fn instant(ms: i64) -> String {
    format!("('1970-01-01' + INTERVAL {ms}000 MICROSECOND)")
}

fn id_of(series: &Series) -> String {
    format!(
        "(SELECT id FROM kline_series WHERE market = '{}' AND symbol = '{}' AND period = '{}')",
        series.market, series.symbol, series.interval
    )
}

fn table_of(series: &Series) -> String {
    format!("kline_rows_{}", series.interval.suffix())
}

fn delete(db: &Database, series: &Series, since: i64, until: i64) {
    db.sql(&format!(
        "DELETE FROM {} WHERE series_id = {} AND open_time >= {} AND open_time < {}",
        table_of(series),
        id_of(series),
        instant(since),
        instant(until)
    ));
}

fn insert(db: &Database, series: &Series, klines: &[Kline]) {
    let mut script = String::new();
    for k in klines {
        script += &format!(
            "INSERT INTO {} VALUES ({}, {}, {}, {}, {}, {}, {}, {}, 0, 1, 0, 0);\n",
            table_of(series),
            id_of(series),
            instant(k.open_time.0),
            k.open,
            k.high,
            k.low,
            k.close,
            k.volume,
            instant(k.close_time.0)
        );
    }
    db.sql(&script);
}

impl Harness for Database {
    type Store = MysqlStore;
    const COUNTS_INSERTS_BY_HAND: bool = false;

    fn is_available() -> bool {
        shared().is_some()
    }

    async fn new() -> Self {
        Self::on(shared().unwrap()).await
    }

    fn store(&self) -> &MysqlStore {
        &self.store
    }

    async fn other(&self) -> Option<MysqlStore> {
        Some(open(&self.url()).await)
    }

    fn delete_by_hand(&self, series: &Series, since: i64, until: i64) -> bool {
        delete(self, series, since, until);
        true
    }

    fn insert_by_hand(&self, series: &Series, klines: &[Kline]) -> bool {
        insert(self, series, klines);
        true
    }
}

crate::conformance!(Database);

//! The PostgreSQL engine on a private server: the suite, and what is its own.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kline::{Kline, Series};
use store::{OpenOptions, PostgresStore};

use crate::servers::{self, Daemon, Recipe};
use crate::suite::Harness;

pub static POSTGRES: Recipe = Recipe { name: "postgres", user: "postgres", init, run };

/// A program of the server: Debian keeps them off the path.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found: Option<PathBuf> =
        versions.map(|v| v.path().join("bin").join(name)).filter(|p| p.exists()).max();
    found.map_or(name.to_owned(), |path| path.display().to_string())
}

fn init(data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    let initdb = program("initdb");
    [&initdb, "-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        .map(String::from)
        .to_vec()
}

fn run(data: &Path, port: u16) -> Vec<String> {
    let (data, port, postgres) = (data.display().to_string(), port.to_string(), program("postgres"));
    [&postgres, "-D", &data, "-k", &data, "-p", &port, "-h", "127.0.0.1", "-c", "max_connections=300"]
        .map(String::from)
        .to_vec()
}

/// Runs SQL as a superuser would in a shell.
pub fn sql(port: u16, database: &str, script: &str) -> Result<String, String> {
    let port = port.to_string();
    let command = [
        "psql",
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
        "-p",
        &port,
        "-d",
        database,
    ];
    servers::shell(&command, script)
}

pub fn is_up(port: u16) -> bool {
    sql(port, "postgres", "SELECT 1").is_ok()
}

/// The server that most tests share; `None` when it is not to be had.
pub fn shared() -> Option<&'static Daemon> {
    static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
    SHARED.get_or_init(|| Daemon::start(&POSTGRES, &["-c", "fsync=off"], is_up)).as_ref()
}

/// A database of its own on a server.
pub fn database(server: &Daemon) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    sql(server.port, "postgres", &format!("CREATE DATABASE {name}")).unwrap();
    name
}

/// A store in a database of its own.
pub struct Database {
    pub port: u16,
    pub name: String,
    pub store: PostgresStore,
}

impl Database {
    pub async fn on(server: &Daemon) -> Self {
        let name = database(server);
        let store = open(&format!("postgres://postgres@127.0.0.1:{}/{name}", server.port)).await;
        Self { port: server.port, name, store }
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    pub fn sql(&self, script: &str) -> String {
        sql(self.port, &self.name, script).unwrap()
    }
}

pub async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, OpenOptions::default()).await.unwrap()
}

fn instant(ms: i64) -> String {
    format!("(TIMESTAMPTZ '1970-01-01 00:00:00+00' + {ms} * INTERVAL '1 millisecond')")
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

impl Harness for Database {
    type Store = PostgresStore;

    fn is_available() -> bool {
        shared().is_some()
    }

    async fn new() -> Self {
        Self::on(shared().unwrap()).await
    }

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn other(&self) -> Option<PostgresStore> {
        Some(open(&self.url()).await)
    }

    fn delete_by_hand(&self, series: &Series, since: i64, until: i64) -> bool {
        self.sql(&format!(
            "DELETE FROM {} WHERE series_id = {} AND open_time >= {} AND open_time < {}",
            table_of(series),
            id_of(series),
            instant(since),
            instant(until)
        ));
        true
    }

    fn insert_by_hand(&self, series: &Series, klines: &[Kline]) -> bool {
        let mut script = String::new();
        for k in klines {
            script += &format!(
                "INSERT INTO {} (series_id, open_time, open, high, low, close, volume, close_time, quote_volume, count, \
                 taker_buy_volume, taker_buy_quote_volume) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, 0, 1, 0, 0);\n",
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
        self.sql(&script);
        true
    }
}

crate::conformance!(Database);

//! The PostgreSQL engine on a private server: the suite, and what is its own.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kline::{Interval, Kline, Series};
use store::{KlineStore, OpenOptions, PostgresStore};
use test_servers::Daemon;
use test_servers::postgres::{RECIPE, sql};

use crate::common::{all, base, btc, d, kline, klines, lease, put, rows, slots};
use crate::on_servers::{self, Admin};
use crate::suite::Harness;

/// The server that most tests share; `None` when it is not to be had.
pub fn shared() -> Option<&'static Daemon> {
    static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
    SHARED.get_or_init(|| Daemon::start(&RECIPE, &["-c", "max_connections=300"])).as_ref()
}

/// A database of its own on a server.
pub fn database(server: &Daemon) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    sql(server.port(), "postgres", &format!("CREATE DATABASE {name}")).unwrap();
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
        let store = open(&format!("postgres://postgres@127.0.0.1:{}/{name}", server.port())).await;
        Self { port: server.port(), name, store }
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
        insert_into(self.port, &self.name, series, klines);
        true
    }
}

fn insert_into(port: u16, database: &str, series: &Series, klines: &[Kline]) {
    sql(port, database, &insert_script(series, klines)).unwrap();
}

fn insert_script(series: &Series, klines: &[Kline]) -> String {
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
    script
}

crate::conformance!(Database);

/// PostgreSQL in the hands of an administrator.
struct Superuser;

impl Admin for Superuser {
    const ROOT: &'static str = "postgres";
    const STOP: &'static str = "-INT";
    const AS_A_PERSON: &'static str = "\\set ON_ERROR_STOP 0\n";
    const SLEEP: &'static str = "pg_sleep(3)";

    fn shared() -> Option<&'static Daemon> {
        shared()
    }

    fn own(args: &[String]) -> Option<Daemon> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Daemon::start(&RECIPE, &args)
    }

    fn database(server: &Daemon) -> String {
        database(server)
    }

    fn sql(port: u16, database: &str, script: &str) -> Result<String, String> {
        sql(port, database, script)
    }

    fn url(server: &Daemon, user: &str, database: &str, options: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}{options}", server.port())
    }

    fn grant(_: &str, user: &str, password: &str, rights: &str) -> String {
        format!(
            "DO $$ BEGIN CREATE USER {user} PASSWORD '{password}'; EXCEPTION WHEN duplicate_object THEN END $$;
             GRANT {rights} ON ALL TABLES IN SCHEMA public TO {user};"
        )
    }

    fn kill_connections(port: u16, database: &str) {
        let kill = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        sql(port, "postgres", &kill).unwrap();
    }

    fn tls_args(dir: &Path) -> Vec<String> {
        open_to(dir, RECIPE.user.unwrap());
        let file = |name: &str| dir.join(name).display().to_string();
        let mut args = vec!["-c".into(), "ssl=on".into()];
        for (name, value) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            args.extend(["-c".into(), format!("{name}={}", file(value))]);
        }
        args
    }
}

/// Gives the files of a folder to the server's user: it insists that nobody else can read its key.
fn open_to(dir: &Path, owner: &str) {
    use std::os::unix::fs::PermissionsExt;
    let allow = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(dir, 0o755);
    allow(&dir.join("server.key"), 0o600);
    let _ = std::process::Command::new("chown").arg(owner).arg(dir.join("server.key")).status();
}

crate::on_servers!(Superuser);

#[tokio::test]
async fn klines_put_in_by_hand_meet_a_chunk() {
    if let Some(server) = shared() {
        let port = server.port();
        let by_hand = move |db: &str, s: &Series, k: &[Kline]| insert_into(port, db, s, k);
        on_servers::klines_put_in_by_hand_meet_a_chunk::<Superuser>(server, by_hand).await;
    }
}

#[tokio::test]
async fn a_row_that_the_books_do_not_know_is_no_obstacle() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&db.store, &s, b..b + 10).await;
    // With triggers off, nothing tells of this row.
    let row = insert_script(&s, &klines(Interval::M1, [b + 20]));
    db.sql(&format!("SET session_replication_role = replica; {row}"));
    put(&db.store, &s, b..b + 30).await;
    assert_eq!(all(&db.store, &s).await, klines(Interval::M1, b..b + 30));
    assert!(db.store.missing(&s, slots(b, b + 30)).await.unwrap().is_empty());
    assert_eq!(db.store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 30);
}

#[tokio::test]
async fn digits_come_back_as_they_were_sent() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    let mut sent = klines(Interval::M1, [b]);
    sent[0].volume = d("2328926384141.10");
    sent[0].open = d("0.00");
    let lease = lease(&db.store, &s).await;
    db.store.commit(&lease, &rows(sent)).await.unwrap();
    let read = all(&db.store, &s).await;
    assert_eq!(
        (read[0].volume.to_string(), read[0].open.to_string()),
        ("2328926384141.10".into(), "0.00".into())
    );
    assert_eq!(db.sql("SELECT volume, open FROM klines_m1").trim(), "2328926384141.10|0.00");
}

#[tokio::test]
async fn a_truncated_table_is_empty() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&db.store, &s, b..b + 3000).await;
    db.sql("TRUNCATE kline_rows_m1");
    assert_eq!(db.store.missing(&s, slots(b, b + 9)).await.unwrap(), slots(b, b + 9).into());
    assert_eq!(db.store.series(&s).await.unwrap().unwrap().extent, None);
    put(&db.store, &s, b..b + 5).await;
    assert_eq!(db.store.missing(&s, slots(b, b + 9)).await.unwrap(), slots(b + 5, b + 9).into());
}

#[tokio::test]
async fn tables_live_in_the_schema_that_is_asked_for() {
    let Some(server) = shared() else { return };
    let name = database(server);
    sql(server.port(), &name, "CREATE SCHEMA \"Kl ines\"").unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}?schema=Kl+ines", server.port());
    let store = open(&url).await;
    put(&store, &btc(Interval::M5), [1]).await;
    assert_eq!(sql(server.port(), &name, "SELECT count(*) FROM \"Kl ines\".klines_m5").unwrap().trim(), "1");
    // A person's search path is another one; the triggers find their tables all the same.
    sql(server.port(), &name, "DELETE FROM \"Kl ines\".kline_rows_m5").unwrap();
    assert_eq!(store.missing(&btc(Interval::M5), slots(1, 2)).await.unwrap(), slots(1, 2).into());
}

#[tokio::test]
async fn people_see_instants_and_exact_numbers_in_the_views() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let s = btc(Interval::M5);
    put(&db.store, &s, [base(Interval::M5)]).await;
    let columns = "SELECT string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns \
                   WHERE table_name = 'klines_m5'";
    assert_eq!(db.sql(columns).trim(), crate::common::VIEW_COLUMNS);
    let one = kline(Interval::M5, base(Interval::M5));
    let seen = db.sql(
        "SET timezone = 'UTC'; SELECT market, symbol, open_time, close_time, open, count FROM klines_m5",
    );
    let want =
        format!("spot|BTCUSDT|2023-01-01 00:00:00+00|2023-01-01 00:04:59.999+00|{}|{}", one.open, one.count);
    assert_eq!(seen.trim(), want);
    for interval in Interval::ALL {
        db.sql(&format!("SELECT * FROM klines_{}", interval.suffix()));
    }
}

#[tokio::test]
async fn a_range_of_a_view_is_found_by_the_primary_key() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&db.store, &s, b..b + 50_000).await;
    let plan = db.sql(
        "ANALYZE kline_rows_m1; EXPLAIN SELECT * FROM klines_m1 WHERE market = 'spot' AND symbol = 'BTCUSDT' \
         AND open_time >= '2023-01-02' AND open_time < '2023-01-02 01:00'",
    );
    assert!(plan.contains("kline_rows_m1_pkey") && !plan.contains("Seq Scan on kline_rows_m1"), "{plan}");
}

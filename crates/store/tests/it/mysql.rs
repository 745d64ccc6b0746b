//! The MySQL engine on a private MariaDB: the suite, and what is its own.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kline::{Interval, Kline, RangeSet, Series};
use store::{KlineStore, MysqlStore, OpenOptions, StoreError};
use test_servers::Daemon;
use test_servers::mariadb::{RECIPE, sql};

use crate::common::{all, base, btc, d, kline, lease, put, rows, slots};
use crate::on_servers::{self, Admin};
use crate::suite::Harness;

/// The server that most tests share; `None` when it is not to be had.
pub fn shared() -> Option<&'static Daemon> {
    static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
    SHARED.get_or_init(|| Daemon::start(&RECIPE, &["--max-connections=500"])).as_ref()
}

/// A database of its own on a server.
pub fn database(server: &Daemon) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    sql(server.port(), "", &format!("CREATE DATABASE {name}")).unwrap();
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
        let store = open(&format!("mysql://root@127.0.0.1:{}/{name}", server.port())).await;
        Self { port: server.port(), name, store }
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

fn insert_into(port: u16, database: &str, series: &Series, klines: &[Kline]) {
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
    sql(port, database, &script).unwrap();
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
        insert_into(self.port, &self.name, series, klines);
        true
    }
}

crate::conformance!(Database);

/// MariaDB in the hands of an administrator.
struct Mariadb;

impl Admin for Mariadb {
    const ROOT: &'static str = "root";
    const STOP: &'static str = "-TERM";
    const SLEEP: &'static str = "SLEEP(3)";

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
        format!("mariadb://{user}@127.0.0.1:{}/{database}{options}", server.port())
    }

    fn grant(database: &str, user: &str, password: &str, rights: &str) -> String {
        format!(
            "CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY '{password}'; GRANT {rights} ON {database}.* TO {user}@'%';"
        )
    }

    fn kill_connections(port: u16, database: &str) {
        let ids = format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{database}' AND id <> connection_id();"
        );
        for id in sql(port, "", &ids).unwrap().lines() {
            // It may be gone by now.
            let _ = sql(port, "", &format!("KILL {id};"));
        }
    }

    fn tls_args(dir: &Path) -> Vec<String> {
        open_to_all(dir);
        let file = |name: &str| dir.join(name).display().to_string();
        vec![format!("--ssl-cert={}", file("server.pem")), format!("--ssl-key={}", file("server.key"))]
    }
}

/// Lets the server's user read a folder's files.
fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}

crate::on_servers!(Mariadb);

fn hands(port: u16) -> impl Fn(&str, &Series, &[Kline]) {
    move |db, series, klines| insert_into(port, db, series, klines)
}

#[tokio::test]
async fn klines_put_in_by_hand_meet_a_chunk() {
    if let Some(server) = shared() {
        on_servers::klines_put_in_by_hand_meet_a_chunk::<Mariadb>(server, hands(server.port())).await;
    }
}

/// What a chunk of everything is, read back.
async fn fill_and_read(store: &MysqlStore) -> (Vec<Kline>, Vec<Kline>) {
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    let lease = lease(store, &s).await;
    let mut sent = crate::common::klines(Interval::M1, b..b + 30_000);
    sent[5].open = d("99999999999999999999999999");
    sent[5].volume = d("2328926384141.123456789012");
    let done = store.commit(&lease, &rows(sent.clone())).await.unwrap();
    assert_eq!(done.inserted, 30_000);
    (sent, all(store, &s).await)
}

#[tokio::test]
async fn a_server_that_forbids_local_infile_gets_inserts() {
    let Some(server) = Daemon::start(&RECIPE, &["--local-infile=0"]) else { return };
    let db = Database::on(&server).await;
    let (sent, read) = fill_and_read(&db.store).await;
    assert_eq!(read, sent);
    on_servers::klines_put_in_by_hand_meet_a_chunk::<Mariadb>(&server, hands(server.port())).await;
}

#[tokio::test]
async fn numbers_that_a_column_cannot_hold_are_refused_whole() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (sent, read) = fill_and_read(&db.store).await;
    assert_eq!(read, sent, "26 digits before the point and 12 after it are held");
    let (s, b) = (btc(Interval::H1), base(Interval::H1));
    let lease = lease(&db.store, &s).await;
    for spoil in [
        |k: &mut Kline| k.volume = d("999999999999999999999999999"),
        |k: &mut Kline| k.close_time = ::kline::Millis(-1),
        |k: &mut Kline| k.close_time = ::kline::Millis(253_402_300_800_000),
    ] {
        let mut chunk = rows(crate::common::klines(Interval::H1, b..b + 3));
        spoil(&mut chunk.klines[1]);
        let error = db.store.commit(&lease, &chunk).await.unwrap_err();
        assert!(matches!(error, StoreError::BadChunk { .. }), "{error}");
    }
    assert!(all(&db.store, &s).await.is_empty());
}

/// With the binary log on, who is no SUPER may make no triggers.
#[tokio::test]
async fn without_triggers_rows_are_counted() {
    let Some(server) = Daemon::start(&RECIPE, &["--log-bin=log"]) else { return };
    let name = database(&server);
    sql(server.port(), "", &Mariadb::grant(&name, "plain", "pw", "ALL")).unwrap();
    let store = open(&format!("mysql://plain:pw@127.0.0.1:{}/{name}", server.port())).await;
    assert_eq!(sql(server.port(), &name, "SHOW TRIGGERS;").unwrap(), "");
    let db = Database { port: server.port(), name, store };
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&db.store, &s, b..b + 5000).await;
    let time = |from, to| s.interval.time_range(slots(from, to));
    for (from, to) in [(b + 10, b + 12), (b + 2000, b + 4000)] {
        delete(&db, &s, time(from, to).since.0, time(from, to).until.0);
    }
    let want: RangeSet = [slots(b + 10, b + 12), slots(b + 2000, b + 4000)].into_iter().collect();
    assert_eq!(db.store.missing(&s, slots(b, b + 5000)).await.unwrap(), want);
    put(&db.store, &s, want.slots()).await;
    assert!(db.store.missing(&s, slots(b, b + 5000)).await.unwrap().is_empty());
    assert_eq!(all(&db.store, &s).await.len(), 5000);
}

#[tokio::test]
async fn people_see_instants_and_exact_numbers_in_the_views() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let s = btc(Interval::M5);
    put(&db.store, &s, [base(Interval::M5)]).await;
    let columns = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name = 'klines_m5';";
    assert_eq!(db.sql(columns).trim(), crate::common::VIEW_COLUMNS);
    let one = kline(Interval::M5, base(Interval::M5));
    let seen = db.sql("SELECT market, symbol, open_time, close_time, open + 0, count FROM klines_m5;");
    let want = format!(
        "spot\tBTCUSDT\t2023-01-01 00:00:00.000\t2023-01-01 00:04:59.999\t{}0000\t{}",
        one.open, one.count
    );
    assert_eq!(seen.trim(), want);
    for interval in Interval::ALL {
        db.sql(&format!("SELECT * FROM klines_{};", interval.suffix()));
    }
}

#[tokio::test]
async fn a_range_of_a_view_is_found_by_the_primary_key() {
    let Some(server) = shared() else { return };
    let db = Database::on(server).await;
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&db.store, &s, b..b + 5000).await;
    let script = "ANALYZE TABLE kline_rows_m1; FLUSH STATUS; SELECT COUNT(*) FROM klines_m1 WHERE market = 'spot' AND \
                  symbol = 'BTCUSDT' AND open_time >= '2023-01-02' AND open_time < '2023-01-02 01:00'; \
                  SHOW SESSION STATUS LIKE 'Handler_read_next';";
    let answer = db.sql(script);
    let read: u64 = answer.trim().rsplit('\t').next().unwrap().parse().unwrap();
    assert!(answer.contains("\n60\n") && read < 100, "{answer}");
}

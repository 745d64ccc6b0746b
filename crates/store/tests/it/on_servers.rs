//! What every engine with a server promises beyond the suite: rights, outages, encryption, many at once.

use std::path::Path;
use std::time::{Duration, Instant};

use kline::{Interval, RangeSet};
use store::{KlineStore, OpenOptions, Store, StoreError, StoreResult, schema_sql};
use test_servers::Daemon;

use crate::common::*;

/// A kind of server, and what an administrator does with it.
pub trait Admin: 'static {
    /// The user that may do everything.
    const ROOT: &'static str;
    /// The signal that asks it to stop without waiting for its clients to leave.
    const STOP: &'static str;
    /// What makes the shell of these tests go on after an error, as it does for a person by itself.
    const AS_A_PERSON: &'static str = "";
    /// A call that lasts three seconds.
    const SLEEP: &'static str;
    /// The server that most tests share; `None` when it is not to be had.
    fn shared() -> Option<&'static Daemon>;
    /// A server of its own for one test, with more arguments.
    fn own(args: &[String]) -> Option<Daemon>;
    /// A new, empty database.
    fn database(server: &Daemon) -> String;
    /// Runs SQL with all rights.
    fn sql(port: u16, database: &str, script: &str) -> Result<String, String>;
    /// The URL for a user (`name` or `name:password`).
    fn url(server: &Daemon, user: &str, database: &str, options: &str) -> String;
    /// SQL that makes a user with a password, if need be, and gives some rights on all tables of a database.
    fn grant(database: &str, user: &str, password: &str, rights: &str) -> String;
    /// Breaks all connections to a database.
    fn kill_connections(port: u16, database: &str);
    /// Arguments that make it offer TLS with `server.pem` and `server.key` in a folder.
    fn tls_args(dir: &Path) -> Vec<String>;
}

async fn open(url: &str) -> StoreResult<Store> {
    Store::open(url).await
}

/// An error with its causes and advice, as a person reads it.
pub fn told(error: &StoreError) -> String {
    let mut text = format!("{error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text + &error.hint().map(|h| format!(" ({h})")).unwrap_or_default()
}

/// What nobody may ever read.
const PASSWORD: &str = "s3cr3t-pass";

fn is_secret_kept(error: &StoreError) {
    let text = format!("{} {error:?}", told(error));
    assert!(!text.contains(PASSWORD), "{text}");
}

pub async fn a_user_who_may_only_read_is_told_so<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let root = open(&A::url(server, A::ROOT, &db, "")).await.unwrap();
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&root, &s, b..b + 10).await;
    A::sql(server.port(), &db, &A::grant(&db, &format!("reader_{db}"), PASSWORD, "SELECT")).unwrap();
    let url = A::url(server, &format!("reader_{db}:{PASSWORD}"), &db, "");
    for options in [OpenOptions::default(), OpenOptions { read_only: true, ..OpenOptions::default() }] {
        let reader = Store::open_with(&url, options).await.unwrap();
        assert_eq!(all(&reader, &s).await, klines(Interval::M5, b..b + 10));
        let error = reader.acquire(&s, "me", TTL).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{}", told(&error));
        is_secret_kept(&error);
        reader.close().await.unwrap();
    }
}

pub async fn a_user_who_may_not_create_tables_is_told_what_to_run<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let user = format!("writer_{db}");
    A::sql(server.port(), &db, &A::grant(&db, &user, PASSWORD, "SELECT, INSERT, UPDATE, DELETE")).unwrap();
    let url = A::url(server, &format!("{user}:{PASSWORD}"), &db, "");
    let error = open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::NoTables { .. }), "{}", told(&error));
    assert!(told(&error).contains("klines schema --store URL"), "{}", told(&error));
    is_secret_kept(&error);

    A::sql(server.port(), &db, &schema_sql(&url).unwrap()).unwrap();
    A::sql(server.port(), &db, &A::grant(&db, &user, PASSWORD, "SELECT, INSERT, UPDATE, DELETE")).unwrap();
    let store = open(&url).await.unwrap();
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&store, &s, b..b + 10).await;
    assert_eq!(all(&store, &s).await.len(), 10);
    assert_eq!(store.missing(&s, slots(b, b + 12)).await.unwrap(), slots(b + 10, b + 12).into());
}

pub async fn a_wrong_password_is_told_without_the_password<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    A::sql(server.port(), &db, &A::grant(&db, &format!("other_{db}"), "different", "SELECT")).unwrap();
    let error = open(&A::url(server, &format!("nobody_{db}:{PASSWORD}"), &db, "")).await.unwrap_err();
    assert!(matches!(error, StoreError::Login { .. }), "{}", told(&error));
    is_secret_kept(&error);
    let error = open(&A::url(server, A::ROOT, "no_such_database", "")).await.unwrap_err();
    assert!(told(&error).contains("no_such_database"), "{}", told(&error));
}

pub async fn no_server_is_told_at_once<A: Admin>(server: &Daemon) {
    let url = A::url(server, &format!("{}:{PASSWORD}", A::ROOT), "db", "");
    let nobody = url.replace(&server.port().to_string(), "9");
    let started = Instant::now();
    let error = open(&nobody).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{}", told(&error));
    assert!(
        told(&error).contains("refused") && started.elapsed() < Duration::from_secs(10),
        "{}",
        told(&error)
    );
    is_secret_kept(&error);
}

pub async fn a_busy_pool_is_told_after_a_time<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let store = open(&A::url(server, A::ROOT, &db, "?pool=1&connect_timeout=1")).await.unwrap();
    let s = btc(Interval::M5);
    put(&store, &s, 0..5).await;
    let lease = lease(&store, &s).await;
    // The only connection waits for a lock that a person holds.
    let (port, name) = (server.port(), db.clone());
    let hold = format!("BEGIN; SELECT * FROM kline_leases FOR UPDATE; SELECT {}; COMMIT;", A::SLEEP);
    let holder = std::thread::spawn(move || A::sql(port, &name, &hold).unwrap());
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let other = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.missing(&s, slots(0, 9)).await
    };
    let (blocked, other) = tokio::join!(store.renew(&lease, TTL), other);
    blocked.unwrap();
    holder.join().unwrap();
    let error = other.unwrap_err();
    assert!(matches!(error, StoreError::Busy { connections: 1, .. }), "{}", told(&error));
    assert!(told(&error).contains("pool=N"), "{}", told(&error));
    assert!(store.missing(&s, slots(0, 5)).await.unwrap().is_empty(), "the pool is whole again");
}

pub async fn a_cancelled_call_frees_its_locks<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let store = open(&A::url(server, A::ROOT, &db, "?pool=2")).await.unwrap();
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    let lease = lease(&store, &s).await;
    let chunk = rows(klines(Interval::M1, b..b + 20_000));
    for patience in [5, 20, 50, 100, 200] {
        let _ = tokio::time::timeout(Duration::from_millis(patience), store.commit(&lease, &chunk)).await;
    }
    store.commit(&lease, &chunk).await.unwrap();
    assert_eq!(all(&store, &s).await, chunk.klines);
    assert!(store.missing(&s, slots(b, b + 20_000)).await.unwrap().is_empty());
}

pub async fn many_may_open_a_new_store_at_once<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let url = A::url(server, A::ROOT, &db, "");
    let opened = futures_util::future::join_all((0..6).map(|_| open(&url))).await;
    for store in opened {
        store.unwrap().close().await.unwrap();
    }
    let versions =
        A::sql(server.port(), &db, "SELECT version FROM kline_migrations ORDER BY version;").unwrap();
    assert_eq!(versions.split_whitespace().collect::<Vec<_>>(), ["1", "2"], "each step is taken once");
}

pub async fn a_newer_schema_is_left_alone<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let url = A::url(server, A::ROOT, &db, "");
    open(&url).await.unwrap().close().await.unwrap();
    A::sql(server.port(), &db, "INSERT INTO kline_migrations VALUES (99, 0, 1);").unwrap();
    let error = open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{}", told(&error));
}

pub async fn a_database_of_version_1_is_brought_up_to_date_by_writing_only<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let url = A::url(server, A::ROOT, &db, "");
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&open(&url).await.unwrap(), &s, b..b + 10).await;
    let back = "DROP TABLE kline_certified; DELETE FROM kline_migrations WHERE version > 1;";
    A::sql(server.port(), &db, back).unwrap();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reader = Store::open_with(&url, options).await.unwrap();
    assert_eq!(all(&reader, &s).await.len(), 10);
    assert_eq!(reader.certified(&s).await.unwrap(), []);
    assert_eq!(all(&reader, &s).await.len(), 10, "what is not there breaks nothing");
    let versions = A::sql(server.port(), &db, "SELECT version FROM kline_migrations;").unwrap();
    assert_eq!(versions.trim(), "1", "reading changes nothing");
    let script = format!("{}{}", A::AS_A_PERSON, schema_sql(&url).unwrap());
    A::sql(server.port(), &db, &script).unwrap();
    assert_eq!(reader.certified(&s).await.unwrap(), []);
    let versions =
        A::sql(server.port(), &db, "SELECT version FROM kline_migrations ORDER BY version;").unwrap();
    assert_eq!(versions.split_whitespace().collect::<Vec<_>>(), ["1", "2"], "an administrator's way");

    A::sql(server.port(), &db, back).unwrap();
    let store = open(&url).await.unwrap();
    assert_eq!(all(&store, &s).await, klines(Interval::M5, b..b + 10));
    assert_eq!(store.books(&s, slots(b, b + 12)).await.unwrap().missing, slots(b + 10, b + 12).into());
    assert_eq!(store.certified(&s).await.unwrap(), []);
}

pub async fn an_empty_database_is_not_changed_by_reading<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let error = Store::open_with(&A::url(server, A::ROOT, &db, ""), options).await.unwrap_err();
    assert!(matches!(error, StoreError::Empty { .. }), "{}", told(&error));
    assert!(A::sql(server.port(), &db, "SELECT * FROM kline_migrations;").is_err());
}

pub async fn a_table_of_somebody_else_is_not_touched<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    A::sql(server.port(), &db, "CREATE TABLE klines_m5 (a INT); INSERT INTO klines_m5 VALUES (7);").unwrap();
    let error = open(&A::url(server, A::ROOT, &db, "")).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { .. }), "{}", told(&error));
    assert!(told(&error).contains("klines_m5"), "{}", told(&error));
    assert_eq!(A::sql(server.port(), &db, "SELECT a FROM klines_m5;").unwrap().trim(), "7");
}

pub async fn klines_put_in_by_hand_meet_a_chunk<A: Admin>(
    server: &Daemon,
    insert: impl Fn(&str, &kline::Series, &[kline::Kline]),
) {
    let db = A::database(server);
    let store = open(&A::url(server, A::ROOT, &db, "")).await.unwrap();
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    put(&store, &s, b..b + 10).await;
    // The hand-made rows have other values than the chunk's.
    insert(&db, &s, &klines(Interval::M1, [b + 20, b + 21, b + 3000]));
    let lease = lease(&store, &s).await;
    let chunk = rows(klines(Interval::M1, b..b + 5000));
    let done = store.commit(&lease, &chunk).await.unwrap();
    assert_eq!((done.inserted, done.replaced, done.unchanged), (4987, 3, 10));
    assert_eq!(all(&store, &s).await, chunk.klines);
    assert_eq!(store.missing(&s, slots(b, b + 5001)).await.unwrap(), slots(b + 5000, b + 5001).into());
    let record = store.series(&s).await.unwrap().unwrap();
    assert_eq!(record.extent.unwrap().rows, 5000);
    assert_eq!(store.revisions(&s, 9).await.unwrap().len(), 3);
}

/// Fills a series in chunks while `disturb` does its worst, and checks that every chunk says the truth and that the end
/// is whole.
async fn fill_under<D: Fn(usize) + Send + Sync + 'static>(store: &Store, chunks: i64, disturb: D) {
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    let lease = lease(store, &s).await;
    let disturb = std::sync::Arc::new(disturb);
    let mut disturbances = Vec::new();
    for n in 0..chunks {
        let disturb = std::sync::Arc::clone(&disturb);
        disturbances.push(tokio::task::spawn_blocking(move || disturb(n as usize)));
        let from = b + n * 2000;
        let chunk = store::Chunk {
            fetched: vec![fetched(slots(from, from + 2000), 2000)],
            ..rows(klines(Interval::M1, from..from + 2000))
        };
        let done = store.commit(&lease, &chunk).await.unwrap();
        assert_eq!((done.inserted, done.replaced, done.unchanged), (2000, 0, 0), "chunk {n}");
    }
    for disturbance in disturbances {
        disturbance.await.unwrap();
    }
    let (first, end) = (b, b + chunks * 2000);
    assert_eq!(all(store, &s).await, klines(Interval::M1, first..end));
    assert_eq!(store.missing(&s, slots(first, end)).await.unwrap(), RangeSet::new());
    assert_eq!(store.recount(&s, slots(first, end)).await.unwrap(), RangeSet::new());
    let ledger = store.ledger(&s, 10).await.unwrap();
    assert_eq!((ledger.len(), ledger[0].fetched.rows), (1, 2000 * chunks.unsigned_abs()));
}

pub async fn a_server_that_is_killed_in_mid_write_loses_and_doubles_nothing<A: Admin>(args: &[String]) {
    let Some(server) = A::own(args).map(std::sync::Arc::new) else { return };
    let db = A::database(&server);
    let store = open(&A::url(&server, A::ROOT, &db, "?retry=120")).await.unwrap();
    let restarted = std::sync::Arc::clone(&server);
    fill_under(&store, 30, move |n| {
        let signal = match n {
            4 | 18 => "-9",
            11 => A::STOP,
            _ => return,
        };
        std::thread::sleep(Duration::from_millis(20));
        restarted.stop(signal);
        restarted.up();
    })
    .await;
    server.down();
    let store = open(&A::url(&server, A::ROOT, &db, "?retry=2")).await;
    assert!(matches!(store, Err(StoreError::Open { .. })), "a server that is down is told at once");
}

pub async fn broken_connections_lose_and_double_nothing<A: Admin>(server: &Daemon) {
    let db = A::database(server);
    let store = open(&A::url(server, A::ROOT, &db, "")).await.unwrap();
    let (port, name) = (server.port(), db.clone());
    fill_under(&store, 40, move |n| {
        if n % 2 == 0 {
            std::thread::sleep(Duration::from_millis((n * 7 % 60) as u64));
            A::kill_connections(port, &name);
        }
    })
    .await;
}

pub async fn a_server_that_stays_away_is_told_after_the_time_to_retry<A: Admin>(args: &[String]) {
    let Some(server) = A::own(args) else { return };
    let db = A::database(&server);
    let store = open(&A::url(&server, A::ROOT, &db, "?retry=2")).await.unwrap();
    let s = btc(Interval::M5);
    let lease = lease(&store, &s).await;
    server.down();
    let error = store.commit(&lease, &rows(klines(Interval::M5, [1]))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { waited_ms: 2000.., .. }), "{}", told(&error));
    server.up();
    store.commit(&lease, &rows(klines(Interval::M5, [1]))).await.unwrap();
    assert_eq!(all(&store, &s).await.len(), 1);
}

pub async fn certificates_are_checked_as_asked<A: Admin>(server: &Daemon) {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    // The shared server offers no certificate that anybody could trust.
    for mode in ["verify-ca", "verify-full"] {
        let db = A::database(server);
        let ca = dir.path().join("ca.pem").display().to_string();
        let url = A::url(server, A::ROOT, &db, &format!("?sslmode={mode}&sslrootcert={ca}"));
        assert!(matches!(open(&url).await, Err(StoreError::Open { .. })), "{mode}");
    }
    let Some(server) = A::own(&A::tls_args(dir.path())) else { return };
    let db = A::database(&server);
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    let good = [
        "?sslmode=require".into(),
        "?sslmode=prefer".into(),
        format!("?sslrootcert={ca}"),
        format!("?sslmode=verify-ca&ssl-ca={ca}"),
    ];
    for options in good {
        let store = open(&A::url(&server, A::ROOT, &db, &options)).await;
        let store = store.unwrap_or_else(|e| panic!("{options}: {}", told(&e)));
        store.all_series().await.unwrap();
    }
    for options in [
        format!("?sslrootcert={other}"),
        format!("?sslmode=verify-ca&sslrootcert={other}"),
        format!("?sslrootcert={}", file("none.pem")),
    ] {
        let error = open(&A::url(&server, A::ROOT, &db, &options)).await.unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{options}: {}", told(&error));
    }
    // Issued for 127.0.0.1, not for this name of it.
    let elsewhere = |options: &str| A::url(&server, A::ROOT, &db, options).replace("127.0.0.1", "localhost");
    let error = open(&elsewhere(&format!("?sslmode=verify-full&sslrootcert={ca}"))).await.unwrap_err();
    assert!(told(&error).to_lowercase().contains("not valid for name"), "{}", told(&error));
    open(&elsewhere(&format!("?sslmode=verify-ca&sslrootcert={ca}"))).await.unwrap();
}

/// An authority, a certificate of it for 127.0.0.1, and an authority that issued nothing.
fn certificates(dir: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let authority = |name: &str| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), Issuer::new(params, key))
    };
    let ((ca, issuer), (other, _)) = (authority("test"), authority("other"));
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let files = [
        ("ca.pem", ca),
        ("other.pem", other),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ];
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

/// Makes one test of every case for a kind of server.
#[macro_export]
macro_rules! on_servers {
    ($admin:ty; $($shared:ident)*; $($own:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $shared() {
            if let Some(server) = <$admin as $crate::on_servers::Admin>::shared() {
                $crate::on_servers::$shared::<$admin>(server).await;
            }
        })*
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $own() {
            $crate::on_servers::$own::<$admin>(&[]).await;
        })*
    };
    ($admin:ty) => {
        $crate::on_servers! { $admin;
            a_user_who_may_only_read_is_told_so
            a_user_who_may_not_create_tables_is_told_what_to_run
            a_wrong_password_is_told_without_the_password
            no_server_is_told_at_once
            a_busy_pool_is_told_after_a_time
            a_cancelled_call_frees_its_locks
            many_may_open_a_new_store_at_once
            a_newer_schema_is_left_alone
            a_database_of_version_1_is_brought_up_to_date_by_writing_only
            an_empty_database_is_not_changed_by_reading
            a_table_of_somebody_else_is_not_touched
            broken_connections_lose_and_double_nothing
            certificates_are_checked_as_asked;
            a_server_that_is_killed_in_mid_write_loses_and_doubles_nothing
            a_server_that_stays_away_is_told_after_the_time_to_retry
        }
    };
}

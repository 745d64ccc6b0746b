//! What the program talks to goes away, hangs, restarts, is full: nothing is lost, nothing doubled, clear words.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use exchange_sim::Faults;
use kline::{Interval, Kline, Series, SlotRange};
use store::{KlineStore, Store};
use test_servers::{Daemon, Mariadb, Mongo, Nats, Postgres, daemon, nats};

use crate::scene::*;
use crate::support::*;

const SINCE: &str = "2024-02-27";
const UNTIL: &str = "2024-03-01T00:00:00Z";

fn exchange(latency_ms: u64) -> Exchange {
    let symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT"];
    Exchange::start(&symbols, "2024-03-01T00:00:01Z", Faults { latency_ms, ..Faults::default() })
}

fn minutes() -> SlotRange {
    slots(Interval::M1, SINCE, UNTIL)
}

// NATS.

/// Subject, id and run of every message that a stream keeps, in its order.
fn kept(nats: &Nats) -> Vec<(String, String)> {
    wait(async {
        let stream = stream(nats).await;
        let mut kept = Vec::new();
        for sequence in 1..=stream.get_info().await.unwrap().state.messages {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let id = message.headers.get("Nats-Msg-Id").unwrap().to_string();
            kept.push((message.subject.to_string(), id));
        }
        kept
    })
}

async fn stream(nats: &Nats) -> stream::Stream {
    let client = async_nats::connect(format!("127.0.0.1:{}", nats.port())).await.unwrap();
    let config = stream::Config {
        name: "EXTRACTION".into(),
        subjects: vec!["binance.extraction.>".into()],
        ..stream::Config::default()
    };
    jetstream::new(client).get_or_create_stream(config).await.unwrap()
}

#[test]
fn messages_of_runs_without_nats_go_out_later_in_order_and_once() {
    let Some(nats) = Nats::reserve(nats::JETSTREAM) else { return };
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let job = |interval: &str| {
        let mut job = fill(folder.path(), &exchange.url(), "BTCUSDT,ETHUSDT", interval, SINCE);
        job.env("NATS_URL", format!("nats://127.0.0.1:{}", nats.port()));
        job
    };
    let mut runs = Vec::new();
    for (waiting, interval) in [(3, "5m"), (6, "1h")] {
        let (code, out, err) = run(&mut job(interval));
        assert_eq!((code, &json(&out)["outcome"]), (0, &"complete".into()), "{err}");
        let told = format!("{waiting} messages in the outbox for the next run");
        assert!(err.contains(&told) && err.contains("refused the connection"), "{err}");
        runs.push((json(&out)["run"].as_str().unwrap().to_owned(), interval));
    }
    nats.up();
    wait(stream(&nats));
    // Two jobs come back at once and find the same outbox.
    let both: Vec<Child> = (0..2).map(|_| quiet(&mut job("5m")).spawn().unwrap()).collect();
    for child in both {
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        runs.push((json(&String::from_utf8(done.stdout).unwrap())["run"].as_str().unwrap().to_owned(), "5m"));
    }
    // What one of them left while the other sent, if anything, goes with the next.
    assert_eq!(run(&mut job("5m")).0, 0);
    let kept = kept(&nats);
    let mut ids: Vec<_> = kept.iter().map(|(_, id)| id.clone()).collect();
    for (id, _) in &runs {
        assert_eq!(ids.iter().filter(|i| i.starts_with(id.as_str())).count(), 3, "{id} in {kept:?}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), kept.len()), (15, 15), "{kept:?}");
    let of_first_two: Vec<_> = kept
        .iter()
        .filter_map(|(_, id)| runs[..2].iter().position(|(run, _)| id.starts_with(run.as_str())))
        .collect();
    assert_eq!(of_first_two, [0, 0, 0, 1, 1, 1], "oldest first: {kept:?}");
    for part in [0, 3] {
        assert!(kept[part + 2].0.contains(".batch."), "a batch comes after its series: {kept:?}");
    }
}

#[test]
fn nats_switched_off_is_never_connected_to() {
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    hanging.set_nonblocking(true).unwrap();
    let mut job = fill(folder.path(), &exchange.url(), "BTCUSDT", "1h", SINCE);
    job.env("NATS_URL", format!("nats://{}", hanging.local_addr().unwrap())).env("NATS_ENABLED", "false");
    let (code, out, err) = run(&mut job);
    assert_eq!(code, 0, "{out}{err}");
    assert!(hanging.accept().is_err(), "somebody connected");
    assert!(!err.to_lowercase().contains("outbox"), "{err}");
    let waiting = wait(async {
        let store = Store::open(&sqlite(folder.path())).await.unwrap();
        store.pending(10).await.unwrap().len()
    });
    assert_eq!(waiting, 0, "nobody will ever fetch such messages");
}

#[test]
fn a_nats_that_hangs_costs_its_time_out_and_no_message() {
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut job = fill(folder.path(), &exchange.url(), "BTCUSDT", "1h", SINCE);
    job.env("NATS_URL", format!("nats://{}", hanging.local_addr().unwrap())).env("NATS_TIMEOUT", "1s");
    let began = Instant::now();
    let (code, out, err) = run(&mut job);
    assert_eq!(code, 0, "{out}{err}");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(err.contains("2 messages in the outbox for the next run"), "{err}");
}

// The collector.

#[test]
fn a_collector_that_hangs_or_refuses_changes_no_exit_code_and_delays_by_5_s_at_most() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let nowhere = "http://127.0.0.1:1".to_owned();
    let url = exchange.url();
    // Complete, incomplete (a dry run finds something to do), failed.
    let cases = [(0, &url, "1h", false), (3, &url, "15m", true), (1, &nowhere, "15m", false)];
    for collector in [hanging.local_addr().unwrap(), refusing] {
        for protocol in ["http/protobuf", "grpc"] {
            for (expected, exchange, interval, dry) in cases {
                let job = |endpoint: Option<String>| {
                    let mut job = fill(folder.path(), exchange, "BTCUSDT", interval, SINCE);
                    job.args(dry.then_some("--dry-run")).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
                    if let Some(endpoint) = endpoint {
                        job.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
                    }
                    let began = Instant::now();
                    let (code, out, err) = run(&mut job);
                    assert_eq!(code, expected, "{out}{err}");
                    (began.elapsed(), err)
                };
                if expected == 1 && collector == refusing {
                    continue; // the exchange's retries take their time, and the case above says it all
                }
                let (without, _) = job(None);
                let (with, err) = job(Some(format!("http://{collector}")));
                // 5 s, and what a machine under load needs for everything else.
                assert!(
                    with < without + Duration::from_secs(5 + 6),
                    "{protocol}: {with:?}, without {without:?}"
                );
                assert!(err.contains(&format!("were not delivered to http://{collector}")), "{err}");
            }
        }
    }
}

// Databases.

/// A fill of three days of minutes, slow enough to be disturbed.
struct Disturbed<'a> {
    exchange: Exchange,
    series: Series,
    rows: Vec<Kline>,
    folder: tempfile::TempDir,
    store: &'a str,
}

impl<'a> Disturbed<'a> {
    fn on(store: &'a str) -> Self {
        let exchange = exchange(80);
        let series = series("BTCUSDT", Interval::M1);
        let rows = truth(&exchange.url(), &series, minutes());
        Self { exchange, series, rows, folder: tempfile::tempdir().unwrap(), store }
    }

    fn job(&self) -> Command {
        let mut job = fill(self.folder.path(), &self.exchange.url(), "BTCUSDT", "1m", SINCE);
        job.env("KLINES_STORE", self.store).env("KLINES_CHUNK", "100").env("BINANCE_IN_FLIGHT", "1");
        job.env("BINANCE_PREFER", "weight").env("NO_PROXY", "127.0.0.1");
        job
    }

    /// Restarts the server when some rows are there; gives exit code, stdout and stderr of the job.
    fn restart(&self, server: &Daemon, signal: &str) -> (i32, String, String) {
        // The first run makes the tables: what is tested is the fill.
        wait(async { Store::open(self.store).await.unwrap().close().await.unwrap() });
        let child = quiet(&mut self.job()).spawn().unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        let rows = || stored(self.store, &self.series, minutes()).len();
        while rows() == 0 {
            assert!(Instant::now() < patience, "no rows arrive");
            std::thread::sleep(Duration::from_millis(20));
        }
        server.stop(signal);
        std::thread::sleep(Duration::from_millis(500));
        server.up();
        assert!(rows() < self.rows.len(), "the restart came too late");
        let done = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
    }

    fn is_complete(&self) {
        assert_same(&stored(self.store, &self.series, minutes()), &self.rows, self.store);
    }
}

/// Killed, and asked to stop by a signal.
fn survives_restarts(server: &Daemon, stores: [&str; 2], stop: &str) {
    for (store, signal) in stores.into_iter().zip(["-KILL", stop]) {
        let fill = Disturbed::on(store);
        let (code, out, err) = fill.restart(server, signal);
        assert_eq!(code, 0, "{signal}: {out}{err}");
        let totals = &json(&out)["totals"];
        assert_eq!(
            (&totals["written"], &totals["missing_after"]),
            (&4320.into(), &0.into()),
            "{signal}: {out}"
        );
        fill.is_complete();
    }
}

#[test]
fn mysql_restarted_in_the_middle_of_a_fill_loses_and_doubles_nothing() {
    let Some(server) = Mariadb::start(&[]) else { return };
    let stores = ["a", "b"].map(|name| format!("mysql://klines:k@{}", server.database(name, "klines", "k")));
    survives_restarts(&server.daemon, stores.each_ref().map(String::as_str), "-TERM");
}

#[test]
fn postgres_restarted_in_the_middle_of_a_fill_loses_and_doubles_nothing() {
    let Some(server) = Postgres::start(&[]) else { return };
    let stores = ["a", "b"].map(|name| format!("postgres://{name}@{}", server.database(name, name)));
    // On TERM it would wait for its clients to leave.
    survives_restarts(&server.daemon, stores.each_ref().map(String::as_str), "-INT");
}

#[test]
fn mongodb_restarted_in_the_middle_of_a_fill_loses_and_doubles_nothing() {
    let Some(server) = Mongo::start() else { return };
    let store = server.uri("klines_restart");
    let Some(daemon) = server.daemon() else {
        println!("skipped: restart of mongodb (the server is not ours)");
        return;
    };
    let fill = Disturbed::on(&store);
    let (code, out, err) = fill.restart(daemon, "-TERM");
    assert_eq!(code, 0, "{out}{err}");
    fill.is_complete();
}

/// Four series at once.
fn four(folder: &Path, exchange: &Exchange, store: &str) -> (i32, String, String) {
    let mut job = fill(folder, &exchange.url(), "BTCUSDT,ETHUSDT,BNBUSDT,XRPUSDT", "5m", SINCE);
    job.args(["--series-at-once", "4"]).env("KLINES_STORE", store).env("KLINES_CHUNK", "50");
    run(&mut job)
}

#[test]
fn a_pool_of_one_connection_serves_four_series() {
    let (my, pg) = (Mariadb::start(&[]), Postgres::start(&[]));
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let mut stores = Vec::new();
    stores.extend(my.iter().map(|s| format!("mysql://k:k@{}?pool=1", s.database("one", "k", "k"))));
    stores.extend(pg.iter().map(|s| format!("postgres://k@{}?pool=1", s.database("one", "k"))));
    for store in stores {
        let (code, out, err) = four(folder.path(), &exchange, &store);
        assert_eq!(code, 0, "{store}: {out}{err}");
        assert_eq!(json(&out)["totals"]["written"], 4 * 864, "{store}");
    }
}

#[test]
fn a_server_that_grants_fewer_connections_than_asked_for_is_lived_with() {
    let (my, pg) = (Mariadb::start(&[]), Postgres::start(&[]));
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let mut stores = Vec::new();
    if let Some(server) = &my {
        stores.push(format!("mysql://k:k@{}", server.database("few", "k", "k")));
        server.sql("", "ALTER USER k@'%' WITH MAX_USER_CONNECTIONS 2");
    }
    if let Some(server) = &pg {
        stores.push(format!("postgres://k@{}", server.database("few", "k")));
        server.sql("postgres", "ALTER USER k CONNECTION LIMIT 2");
    }
    for store in stores {
        let (code, out, err) = four(folder.path(), &exchange, &store);
        assert_eq!(code, 0, "{store}: {out}{err}");
        assert_eq!(json(&out)["totals"]["written"], 4 * 864, "{store}");
    }
}

#[test]
fn a_server_without_a_free_connection_is_said_so() {
    let Some(server) = Postgres::start(&[]) else { return };
    let (exchange, folder) = (exchange(0), tempfile::tempdir().unwrap());
    let store = format!("postgres://k@{}", server.database("taken", "k"));
    server.sql("postgres", "ALTER USER k CONNECTION LIMIT 0");
    let (code, out, err) = four(folder.path(), &exchange, &format!("{store}?retry=2&connect_timeout=2"));
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("too many connections") && err.contains("hint:"), "{err}");
    server.sql("postgres", "ALTER USER k CONNECTION LIMIT 8");
    assert_eq!(four(folder.path(), &exchange, &store).0, 0);
}

// The disk.

/// A file system of some KiB; unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if daemon::is_root() && mount.is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        None
    }

    fn grow(&self, kib: u32) {
        let size = format!("remount,size={kib}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_so_and_costs_nothing_once_there_is_space() {
    let Some(disk) = Disk::of(1024) else {
        println!("skipped: full disk (a small file system needs root)");
        return;
    };
    let exchange = exchange(0);
    let series = series("BTCUSDT", Interval::M1);
    let range = slots(Interval::M1, "2024-02-15", UNTIL);
    let rows = truth(&exchange.url(), &series, range);
    let job = || {
        let mut job = fill(disk.0.path(), &exchange.url(), "BTCUSDT", "1m", "2024-02-15");
        job.env("KLINES_CHUNK", "500");
        job
    };
    let (code, out, err) = run(&mut job());
    assert_eq!(code, 1, "{out}{err}");
    let said = format!("{out}{err}");
    assert!(said.contains("no space left for"), "{said}");
    assert!(said.contains("hint"), "{said}");
    disk.grow(64 * 1024);
    let before = stored(&sqlite(disk.0.path()), &series, range).len();
    assert!(0 < before && before < rows.len(), "{before} rows fitted");
    let (code, out, err) = run(&mut job());
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(json(&out)["totals"]["written"], rows.len() - before);
    assert_same(&stored(&sqlite(disk.0.path()), &series, range), &rows, "sqlite");
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("klines.db").display())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

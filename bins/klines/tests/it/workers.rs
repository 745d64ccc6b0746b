//! Many workers on one queue, one database and one address: killed at random, they finish all of it, once, inside the
//! exchange's limit. `KLINES_TEST_WORKERS_MINUTES=5` gives them work, and kills them, for as many minutes; 1 without it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exchange_sim::{Config, DataSource, Faults, Limits, Now};
use kline::{Interval, Market, Millis, Symbol};
use test_servers::mariadb::Mariadb;
use test_servers::nats::{self, Nats};

use crate::scene::{assert_same, series, slots, stored, truth};
use crate::support::*;

const SYMBOLS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"];
const WORKERS: usize = 4;
/// Weight per minute that the exchange allows; the work of [`DAYS`] is about half as much again. A tenth is left to others, and that is
/// where the first request of every new process goes, which cannot know yet what its address has used.
const LIMIT: u32 = 1000;
const UNIT: u64 = 2000;
const SINCE: &str = "2024-01-01";
/// Days of every symbol for each minute of killing.
const DAYS: i64 = 35;
const NOW: &str = "2025-12-01T00:00:00Z";

fn minutes() -> u32 {
    let minutes = std::env::var("KLINES_TEST_WORKERS_MINUTES");
    minutes.map_or(1, |n| n.parse::<u32>().unwrap().clamp(1, 19))
}

/// The end of the work, exclusive.
fn until() -> String {
    let since: Millis = SINCE.parse().unwrap();
    Millis(since.0 + i64::from(minutes()) * DAYS * 86_400_000).to_string()
}

fn exchange() -> Exchange {
    let made_up = |symbol: &str| DataSource::Synthetic {
        market: Market::Um,
        symbol: Symbol::new(symbol).unwrap(),
        from: "2020-01-01".parse().unwrap(),
        until: None,
        seed: 1,
    };
    Exchange::of(Config {
        data: SYMBOLS.map(made_up).into(),
        now: Now::From(NOW.parse().unwrap()),
        faults: Faults { latency_ms: 30, jitter_ms: 30, ..Faults::default() },
        limits: Limits { futures_weight: LIMIT, ..Limits::default() },
        ..Config::default()
    })
}

struct Team {
    exchange: Exchange,
    database: String,
    nats: Nats,
    folder: tempfile::TempDir,
    // Dropped last: the server goes when everybody is done with it.
    _server: Mariadb,
}

impl Team {
    fn meets() -> Option<Self> {
        let nats = Nats::start(nats::JETSTREAM)?;
        let server = Mariadb::start(&[])?;
        let database = format!("mysql://team:secret@{}", server.database("klines", "team", "secret"));
        let folder = tempfile::tempdir().unwrap();
        Some(Self { exchange: exchange(), database, nats, folder, _server: server })
    }

    fn klines(&self) -> Command {
        let mut command = klines(self.folder.path(), &self.exchange.url());
        command
            .env("KLINES_STORE", &self.database)
            .env("NATS_URL", format!("nats://127.0.0.1:{}", self.nats.port()))
            .env("KLINES_OUTPUT", "json")
            .env("LOG_LEVEL", "error");
        command
    }

    fn plan(&self) -> serde_json::Value {
        let mut command = self.klines();
        command.args(["plan", "--publish", "--symbols", &SYMBOLS.join(","), "--intervals", "1m"]);
        command.args(["--since", SINCE, "--until", &until(), "--unit", &UNIT.to_string()]);
        let (code, out, err) = run(&mut command);
        assert_eq!(code, 0, "{err}");
        json(&out)
    }

    fn worker(&self) -> Child {
        self.klines().arg("worker").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Keeps the team at work until the queue is empty, and kills one of them every now and then.
    fn work(&self) -> usize {
        let mut team: Vec<Child> = (0..WORKERS).map(|_| self.worker()).collect();
        let (began, mut kills, mut dice) = (Instant::now(), 0, 12_345_u32);
        let killing = Duration::from_secs(60) * minutes();
        loop {
            std::thread::sleep(Duration::from_millis(700));
            assert!(
                began.elapsed() < Duration::from_secs(600 * u64::from(minutes())),
                "the queue is never empty"
            );
            if team.iter_mut().all(|worker| worker.try_wait().unwrap().is_some()) {
                return kills;
            }
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unlucky = &mut team[(dice >> 16) as usize % WORKERS];
            // Every second time somebody falls, as long as there is much left to do; then they may finish in peace.
            let alive = unlucky.try_wait().unwrap().is_none();
            if dice >> 31 == 0 && alive && began.elapsed() < killing {
                unlucky.kill().unwrap();
                unlucky.wait().unwrap();
                *unlucky = self.worker();
                kills += 1;
            }
        }
    }
}

#[test]
fn workers_that_are_killed_lose_nothing_do_nothing_twice_and_keep_the_limit() {
    let Some(team) = Team::meets() else { return };
    let plan = team.plan();
    let range = slots(Interval::M1, SINCE, &until());
    let wanted = range.len() * SYMBOLS.len() as u64;
    assert_eq!(plan["missing"], wanted);
    let again = team.plan();
    assert_eq!(again["already_there"], again["units"].as_array().unwrap().len(), "nothing is planned twice");

    let kills = team.work();
    assert!(kills >= 5, "only {kills} were killed");
    let spent = team.exchange.stats();
    println!(
        "{kills} kills; {} requests, weight {}, {} klines sent",
        spent.requests, spent.weight, spent.rows
    );
    assert_eq!(spent.over_limit, 0, "the limit was never exceeded");
    // What a worker had in hand when it was killed may be fetched again; all else is fetched once.
    assert!(spent.rows >= wanted && spent.rows <= wanted + kills as u64 * UNIT, "{spent:?}");

    let source = Exchange::start(&SYMBOLS, NOW, Faults::default());
    for symbol in SYMBOLS {
        let series = series(symbol, Interval::M1);
        let expected = truth(&source.url(), &series, range);
        assert_same(&stored(&team.database, &series, range), &expected, symbol);
    }
    let (code, out, _) = run(team.klines().arg("worker"));
    assert_eq!((code, &json(&out)["units"]), (0, &0.into()), "the queue is empty");
}

#[test]
fn a_worker_without_a_queue_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(klines(folder.path(), "http://127.0.0.1:1").arg("worker"));
    assert!(code == 2 && err.contains("set NATS_URL"), "{code} {err}");
}

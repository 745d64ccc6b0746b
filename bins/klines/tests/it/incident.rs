//! The incident, on what its jobs talked to: MariaDB, NATS, a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use async_nats::{ConnectOptions, Message};
use exchange_sim::{Config, DataSource, Limits, Now};
use futures_util::StreamExt;
use kline::{Interval, Kline, Market, Series, SlotRange, Symbol};
use serde_json::{Value, json};
use test_servers::collector::Got;
use test_servers::{Collector, Mariadb, Nats, nats};

use crate::received::{Log, Point, Span, logs, points, resources, spans};
use crate::scene::*;
use crate::support::*;

const SINCE: &str = "2025-09-12";
const UNTIL: &str = "2025-10-21T02:00:00Z";
const BTC_HOLES: Holes = &[
    (0, 150),
    (700, 1),
    (703, 1),
    (1000, 12),
    (2000, 1300),
    (4000, 1),
    (5000, 499),
    (7000, 288),
    (11_029, 227),
];
const ETH_HOLES: Holes =
    &[(0, 1), (300, 96), (1200, 1), (2500, 1600), (4800, 288), (6000, 1), (8200, 244), (11_005, 251)];

const DATABASE_PASSWORD: &str = "dbs3cret@42";
const NATS_PASSWORD: &str = "natsS3cret7";
const COLLECTOR_KEY: &str = "0tlpK3y";

fn exchange() -> Exchange {
    let made_up = |symbol: &str| DataSource::Synthetic {
        market: Market::Um,
        symbol: Symbol::new(symbol).unwrap(),
        from: "2024-01-01".parse().unwrap(),
        until: None,
        seed: 7,
    };
    Exchange::of(Config {
        data: ["BTCUSDT", "ETHUSDT"].map(made_up).into(),
        now: Now::From(UNTIL.parse().unwrap()),
        limits: Limits { futures_weight: 1_000_000, ..Limits::default() },
        ..Config::default()
    })
}

/// The night: both series with their holes in MariaDB, and everybody listening.
struct Night {
    exchange: Exchange,
    database: Mariadb,
    address: String,
    nats: Nats,
    collector: Collector,
    series: [Series; 2],
    rows: [Vec<Kline>; 2],
    folder: tempfile::TempDir,
}

impl Night {
    fn falls() -> Option<Self> {
        let (exchange, collector) = (exchange(), Collector::http());
        let login = format!("authorization {{ user: petrosa, password: \"{NATS_PASSWORD}\" }}");
        let nats = Nats::start(&format!("{}\n{login}", nats::JETSTREAM))?;
        let database = Mariadb::start(&[])?;
        let address = database.database("klines", "petrosa", DATABASE_PASSWORD);
        let series = ["BTCUSDT", "ETHUSDT"].map(|symbol| series(symbol, Interval::M5));
        let rows = series.each_ref().map(|series| truth(&exchange.url(), series, range()));
        let folder = tempfile::tempdir().unwrap();
        let night = Self { exchange, database, address, nats, collector, series, rows, folder };
        for (i, holes) in [BTC_HOLES, ETH_HOLES].into_iter().enumerate() {
            stock(&night.store(), &night.series[i], &night.rows[i], holes);
        }
        Some(night)
    }

    fn store(&self) -> String {
        format!("mysql://petrosa:{}@{}", DATABASE_PASSWORD.replace('@', "%40"), self.address)
    }

    /// The job as the CronJob runs it: everything by the environment's names.
    fn job(&self, level: &str) -> (i32, String, String) {
        let mut command = fill(self.folder.path(), &self.exchange.url(), "BTCUSDT,ETHUSDT", "5m", SINCE);
        command
            .env("DB_ADAPTER", "mysql")
            .env("MYSQL_URI", self.store().replace("mysql://", "mysql+pymysql://"))
            .env("NATS_URL", format!("nats://petrosa:{NATS_PASSWORD}@127.0.0.1:{}", self.nats.port()))
            .env("NATS_ENABLED", "true")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url())
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{COLLECTOR_KEY}"))
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=production")
            .env("POD_NAME", "binance-klines-gap-filler-m5-29350000-x7k2p")
            .env("RUST_LOG", level);
        run(&mut command)
    }

    /// What a subscriber hears and what the stream keeps while something happens.
    fn listening<T>(&self, act: impl FnOnce() -> T) -> (T, Vec<Message>, Vec<String>) {
        wait(async {
            let login = ConnectOptions::with_user_and_password("petrosa".into(), NATS_PASSWORD.into());
            let client = login.connect(format!("127.0.0.1:{}", self.nats.port())).await.unwrap();
            let config = stream::Config {
                name: "EXTRACTION".into(),
                subjects: vec!["binance.extraction.>".into()],
                ..stream::Config::default()
            };
            let stream = jetstream::new(client.clone()).get_or_create_stream(config).await.unwrap();
            let mut heard = client.subscribe("binance.extraction.>").await.unwrap();
            client.flush().await.unwrap();
            let done = tokio::task::block_in_place(act);
            let kept = stream.get_info().await.unwrap().state.messages;
            let mut subjects = Vec::new();
            for sequence in 1..=kept {
                subjects.push(stream.get_raw_message(sequence).await.unwrap().subject.to_string());
            }
            // What was published before this mark comes before it.
            client.publish("binance.extraction.mark", "".into()).await.unwrap();
            let mut messages = Vec::new();
            while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(10), heard.next()).await {
                if message.subject.ends_with(".mark") {
                    break;
                }
                messages.push(message);
            }
            (done, messages, subjects)
        })
    }
}

fn range() -> SlotRange {
    slots(Interval::M5, SINCE, UNTIL)
}

#[test]
fn the_incident_is_mended_and_told_to_all_who_listen() {
    let Some(night) = Night::falls() else { return };
    let ((code, out, err), messages, kept) = night.listening(|| night.job("debug"));
    assert_eq!(code, 0, "{out}{err}");
    let report = json(&out);
    assert_eq!(report["outcome"], "complete");
    let written: Vec<_> =
        report["series"].as_array().unwrap().iter().map(|s| s["written"].as_u64().unwrap()).collect();
    assert_eq!(written, [2479, 2482]);
    for (series, rows) in night.series.iter().zip(&night.rows) {
        assert_same(&stored(&night.store(), series, range()), rows, &series.to_string());
        let count = "SELECT count(*), count(DISTINCT open_time) FROM klines_m5 WHERE symbol";
        let counted = night.database.sql("klines", &format!("{count} = '{}'", series.symbol));
        assert_eq!(counted.trim(), "11256\t11256");
    }
    {
        let got = night.collector.got.lock().unwrap();
        let trace = one_trace(&spans(&got));
        on_the_wire(&messages, &kept, &report, &trace);
        measured(&points(&got), &report);
        logged(&logs(&got), &trace);
        for resource in resources(&got) {
            assert_eq!(resource["service.name"], "klines");
            assert_eq!(resource["deployment.environment.name"], "production");
            assert_eq!(resource["k8s.pod.name"], "binance-klines-gap-filler-m5-29350000-x7k2p");
        }
        let key = format!("Bearer {COLLECTOR_KEY}");
        assert!(
            got.header("authorization").iter().all(|sent| **sent == *key),
            "the key reaches the collector"
        );
        assert_secretless(&out, &err, &messages, &got);
    }

    // Whatever is asked of the log, and when everything is refused, no password is told.
    let ((code, out, err), messages, _) = night.listening(|| night.job("trace"));
    assert_eq!((code, &json(&out)["totals"]["written"]), (0, &0.into()), "{err}");
    assert_secretless(&out, &err, &messages, &night.collector.got.lock().unwrap());
    night.nats.down();
    night.database.sql("", "ALTER USER petrosa@'%' IDENTIFIED BY 'changed'");
    let (code, out, err) = night.job("trace");
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("refuses the user"), "{err}");
    assert_secretless(&out, &err, &[], &night.collector.got.lock().unwrap());
}

/// Two series and the batch: subjects, fields and headers of the contract.
fn on_the_wire(messages: &[Message], kept: &[String], report: &Value, trace: &str) {
    let subjects: Vec<_> = messages.iter().map(|m| m.subject.to_string()).collect();
    assert_eq!(kept, subjects, "the stream keeps what the subscriber hears");
    let prefix = "binance.extraction.gap-filler.klines_gap_filling";
    assert_eq!(subjects[2], format!("{prefix}.batch.5m"), "the batch comes last");
    let bodies: BTreeMap<_, Value> = subjects
        .iter()
        .zip(messages)
        .map(|(s, m)| (s.clone(), json(std::str::from_utf8(&m.payload).unwrap())))
        .collect();
    assert_eq!(bodies.len(), 3);
    let expect = |token: &str, event: &str, records: u64, gaps: u64| {
        let body = &bodies[&format!("{prefix}.{token}.5m")];
        assert_eq!(body["event_type"], event);
        assert_eq!(body["extraction_type"], "klines_gap_filling");
        assert_eq!((&body["symbol"], &body["period"]), (&json!(token), &json!("5m")));
        assert_eq!((&body["success"], &body["errors"]), (&json!(true), &json!([])));
        assert_eq!(body["run"], report["run"]);
        let timestamp = body["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z') && timestamp.parse::<kline::Millis>().is_ok(), "{timestamp}");
        let metrics = &body["metrics"];
        for (name, value) in [
            ("records_fetched", records),
            ("records_written", records),
            ("gaps_found", gaps),
            ("gaps_filled", gaps),
        ] {
            assert_eq!(metrics[name], value, "{token} {name}");
        }
        assert!(metrics["duration_seconds"].as_f64().unwrap() > 0.0);
    };
    expect("BTCUSDT", "extraction_completed", 2479, 9);
    expect("ETHUSDT", "extraction_completed", 2482, 8);
    expect("batch", "batch_extraction_completed", 4961, 17);
    let header = |m: &Message, name: &str| m.headers.as_ref().unwrap().get(name).unwrap().to_string();
    let ids: BTreeSet<_> = messages.iter().map(|m| header(m, "Nats-Msg-Id")).collect();
    assert_eq!(ids.len(), 3);
    for message in messages {
        let parent = header(message, "traceparent");
        assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
    }
}

/// Every span belongs to the run, in the documented order; gives the trace's id.
fn one_trace(spans: &[Span]) -> String {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let named = |name: &str| spans.iter().filter(|s| s.name == name).collect::<Vec<_>>();
    let runs = named("klines.run");
    assert_eq!(runs.len(), 1);
    let run = runs[0];
    assert_eq!(run.parent, "");
    assert_eq!((&*run.attributes["klines.job"], &*run.attributes["outcome"]), ("fill-gaps", "complete"));
    let stray: Vec<_> = spans.iter().filter(|s| s.trace != run.trace).collect();
    assert!(stray.iter().all(|s| s.name == "klines.deliver"), "outside of the run's trace: {stray:?}");

    let parent = |span: &Span| by_id.get(span.parent.as_str()).map_or("", |p| p.name.as_str()).to_owned();
    let series = named("klines.series");
    let symbols: BTreeSet<_> = series.iter().map(|s| s.attributes["symbol"].as_str()).collect();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT"].into());
    for span in &series {
        assert_eq!(parent(span), "klines.run");
        let told = ["market", "interval", "outcome"].map(|name| &*span.attributes[name]);
        assert_eq!(told, ["um", "5m", "complete"]);
    }
    let windows = named("klines.window");
    assert!(windows.len() >= 17 / 2 && windows.iter().all(|s| parent(s) == "klines.series"), "{windows:?}");
    assert!(windows.iter().all(|s| s.attributes["klines.source"] == "rest"));
    let commits = named("klines.commit");
    assert!(!commits.is_empty() && commits.iter().all(|s| parent(s) == "klines.series"), "{commits:?}");
    let rows: u64 =
        commits.iter().map(|s| s.attributes["db.operation.batch.size"].parse::<u64>().unwrap()).sum();
    assert_eq!(rows, 4961);
    assert!(commits.iter().all(|s| s.attributes["db.system.name"] == "mysql"), "{commits:?}");
    let gets = named("GET");
    let of_windows = gets.iter().filter(|s| parent(s) == "klines.window").count();
    assert_eq!(of_windows, windows.len(), "one request per window");
    for get in gets {
        assert_eq!(get.attributes["http.response.status_code"], "200");
        assert!(get.attributes["url.full"].contains("/fapi/v1/"), "{get:?}");
    }
    assert_eq!(named("klines.deliver").len(), 1);
    run.trace.clone()
}

fn measured(points: &[Point], report: &Value) {
    let sum = |name: &str, with: &[(&str, &str)]| {
        let fits = |p: &&Point| {
            p.name == name && with.iter().all(|(k, v)| p.attributes.get(*k).is_some_and(|found| found == v))
        };
        let found: Vec<_> = points.iter().filter(fits).collect();
        assert!(!found.is_empty(), "no {name} {with:?}");
        found.iter().map(|p| p.value).sum::<f64>()
    };
    for (i, (symbol, rows, gaps)) in [("BTCUSDT", 2479., 9.), ("ETHUSDT", 2482., 8.)].into_iter().enumerate()
    {
        let of = [("market", "um"), ("symbol", symbol), ("interval", "5m")];
        let fetched = report["series"][i]["fetched"].as_f64().unwrap();
        let told = [
            "klines.rows.fetched",
            "klines.rows.written",
            "klines.gaps.found",
            "klines.gaps.filled",
            "klines.missing",
        ]
        .map(|name| sum(name, &of));
        assert_eq!(told, [fetched, rows, gaps, gaps, 0.], "{symbol}");
    }
    assert_eq!(sum("klines.runs", &[("klines.job", "fill-gaps"), ("outcome", "complete")]), 1.);
    assert_eq!(sum("klines.run.duration", &[("klines.job", "fill-gaps")]), 1.);
    let requests = report["totals"]["requests"].as_f64().unwrap();
    let answered = sum("klines.request.duration", &[("http.response.status_code", "200")]);
    assert!(answered >= requests, "{answered} of {requests}");
    assert!(sum("klines.weight.used", &[]) >= report["totals"]["weight"].as_f64().unwrap());
    assert_eq!(sum("klines.weight.limit", &[]), 1_000_000.);
    assert_eq!(sum("klines.messages.published", &[]), 3.);
    assert_eq!(sum("klines.messages.pending", &[]), 0.);
}

fn logged(logs: &[Log], trace: &str) {
    let traced = logs.iter().filter(|log| !log.trace.is_empty()).collect::<Vec<_>>();
    assert!(!traced.is_empty() && traced.iter().all(|log| log.trace == trace), "{logs:?}");
    assert!(logs.iter().any(|log| log.text.contains("3 messages published")), "{logs:?}");
}

fn assert_secretless(out: &str, err: &str, messages: &[Message], got: &Got) {
    let signals = format!("{:?}{:?}{:?}", got.traces, got.metrics, got.logs);
    let places =
        [("stdout", out), ("stderr", err), ("telemetry", &signals), ("messages", &format!("{messages:?}"))];
    let escaped = DATABASE_PASSWORD.replace('@', "%40");
    for (place, text) in places {
        for secret in [DATABASE_PASSWORD, &escaped, NATS_PASSWORD, COLLECTOR_KEY] {
            let at = text
                .find(secret)
                .map(|at| text[at.saturating_sub(200)..].chars().take(300).collect::<String>());
            assert_eq!(at, None, "{place} tells {secret}");
        }
    }
}

#[test]
fn a_collector_by_grpc_gets_the_same_signals() {
    let (exchange, collector) = (exchange(), Collector::grpc(None));
    let folder = tempfile::tempdir().unwrap();
    let mut job = fill(folder.path(), &exchange.url(), "BTCUSDT,ETHUSDT", "5m", "2025-10-20");
    job.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let (code, out, err) = run(&mut job);
    assert_eq!(code, 0, "{out}{err}");
    let got = collector.got.lock().unwrap();
    let spans = spans(&got);
    let run = spans.iter().find(|s| s.name == "klines.run").unwrap();
    assert!(spans.iter().filter(|s| s.name != "klines.deliver").all(|s| s.trace == run.trace), "{spans:?}");
    let written: f64 = points(&got).iter().filter(|p| p.name == "klines.rows.written").map(|p| p.value).sum();
    assert_eq!(written, json(&out)["totals"]["written"].as_f64().unwrap());
    assert!(logs(&got).iter().any(|log| log.trace == run.trace));
}

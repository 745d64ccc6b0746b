//! Following the market: whatever the streams do, every kline that closed is stored once, as REST has it.

use std::time::Duration;

use binance::{Client, ClientConfig, Endpoints};
use exchange_sim::{Config, DataSource, Faults, Now, Sim};
use kline::{Interval, Market, Millis, Series, SlotRange, Symbol};
use pipeline::{FollowOptions, FollowReport, Job, Lookback, Options, Since};
use store::{KlineStore, Store};
use tokio_util::sync::CancellationToken;

/// Seconds close often enough to see many klines in a short test.
fn seconds(symbol: &str) -> Series {
    Series { market: Market::Spot, symbol: Symbol::new(symbol).unwrap(), interval: Interval::S1 }
}

async fn exchange(faults: Faults) -> Sim {
    let made_up = |symbol: &str| DataSource::Synthetic {
        market: Market::Spot,
        symbol: Symbol::new(symbol).unwrap(),
        from: "2024-01-01".parse().unwrap(),
        until: None,
        seed: 7,
    };
    let now = Now::From("2024-02-01T10:00:00.500Z".parse().unwrap());
    let data = vec![made_up("BTCUSDT"), made_up("ETHUSDT")];
    Sim::start(Config { data, now, faults, ..Config::default() }).await.unwrap()
}

fn client(url: &str, streams: &str) -> Client {
    let all = |base: String| Endpoints { um: base.clone(), cm: base.clone(), spot: base };
    let config = ClientConfig {
        endpoints: all(url.to_owned()),
        streams: all(format!("{streams}/spot")),
        backoff: Duration::from_millis(20),
        ..ClientConfig::default()
    };
    Client::new(config).unwrap()
}

async fn follow(store: &Store, client: &Client, time: Duration) -> FollowReport {
    let catch_up = Options {
        since: Since::Back(Lookback::Klines(20)),
        ..Options::new(Job::Extract, vec![seconds("BTCUSDT"), seconds("ETHUSDT")])
    };
    let catch_up =
        Options { since: if extent(store).await { Since::Stored } else { catch_up.since }, ..catch_up };
    let options =
        FollowOptions { grace: Duration::from_millis(700), time: Some(time), ..FollowOptions::new(catch_up) };
    pipeline::follow(store, client, &options, &(), Millis(0), &CancellationToken::new()).await.unwrap()
}

async fn extent(store: &Store) -> bool {
    store.series(&seconds("BTCUSDT")).await.unwrap().is_some_and(|s| s.extent.is_some())
}

/// From the first stored kline to where the report says: nothing is missing, and every row is what REST has.
async fn holds_what_rest_has(store: &Store, client: &Client, report: &FollowReport) {
    for (followed, series) in report.series.iter().zip([seconds("BTCUSDT"), seconds("ETHUSDT")]) {
        let extent = store.series(&series).await.unwrap().unwrap().extent.unwrap();
        let until: Millis = followed.until.as_ref().unwrap().parse().unwrap();
        let slots = SlotRange::new(Interval::S1.slot_of(extent.first), Interval::S1.slot_of(until));
        assert!(store.missing(&series, slots).await.unwrap().is_empty(), "{report:?}");
        let stored = store.read(&series, slots, None, 10_000).await.unwrap();
        let there = client.klines(&series, slots).await.unwrap().rows;
        assert_eq!(stored.len() as u64, slots.len(), "{report:?}");
        assert_eq!(stored, there);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn klines_are_stored_as_they_close_and_the_seam_is_closed() {
    let sim = exchange(Faults::default()).await;
    let client = client(&sim.url(), &sim.url());
    let store = Store::open("sqlite::memory:").await.unwrap();
    let first = follow(&store, &client, Duration::from_secs(4)).await;
    assert_eq!((first.outcome, first.lines_lost), ("complete", 0), "{first:?}");
    assert!(first.series.iter().all(|s| s.from_stream >= 2 && s.from_rest >= 20), "{first:?}");
    holds_what_rest_has(&store, &client, &first).await;

    tokio::time::sleep(Duration::from_secs(2)).await;
    let second = follow(&store, &client, Duration::from_secs(3)).await;
    assert!(second.series.iter().all(|s| s.from_rest >= 2), "what closed in between: {second:?}");
    holds_what_rest_has(&store, &client, &second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_doubled_and_late_pushes_and_cut_lines_lose_and_double_nothing() {
    let faults = Faults {
        stream_lost_close_rate: 0.4,
        stream_double_rate: 0.4,
        stream_late_close_ms: 300,
        stream_cut_after_ms: 2_500,
        ..Faults::default()
    };
    let sim = exchange(faults).await;
    let client = client(&sim.url(), &sim.url());
    let store = Store::open("sqlite::memory:").await.unwrap();
    let report = follow(&store, &client, Duration::from_secs(12)).await;
    assert!(report.lines_lost >= 1, "{report:?}");
    assert!(report.series.iter().any(|s| s.repeated > 0 && s.from_stream > 0), "{report:?}");
    // The last second may have ended without its push, and not have been asked for yet.
    assert!(report.series.iter().all(|s| s.missing_after <= 2), "{report:?}");
    let settled = follow(&store, &client, Duration::from_secs(2)).await;
    holds_what_rest_has(&store, &client, &settled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_stream_rest_alone_keeps_up() {
    let sim = exchange(Faults::default()).await;
    let client = client(&sim.url(), "http://127.0.0.1:1");
    let store = Store::open("sqlite::memory:").await.unwrap();
    let report = follow(&store, &client, Duration::from_secs(5)).await;
    assert!(report.lines_lost >= 1 && report.series.iter().all(|s| s.from_stream == 0 && s.from_rest >= 22));
    holds_what_rest_has(&store, &client, &report).await;
}

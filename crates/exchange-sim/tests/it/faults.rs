//! Every fault really happens, and happens again the same way.

use std::time::{Duration, Instant};

use exchange_sim::{BadRow, Config, Faults, Limits, Revision, RowRange, Sim};
use kline::validate::{Reason, check_values};
use kline::{Interval, Market, Millis};
use serde_json::Value;

use crate::support::*;

const ASK: &str = "/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=50";

async fn with(faults: Faults) -> Sim {
    start(Config { faults, ..config() }).await
}

/// Replaces the faults of a running exchange, over HTTP.
async fn set(sim: &Sim, faults: &str) -> u16 {
    let url = format!("{}/__faults", sim.url());
    client().post(url).body(faults.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn faults_are_set_read_and_lifted_while_it_runs() {
    let sim = with(Faults::default()).await;
    assert_eq!(get(&sim, ASK).await.status, 200);
    assert_eq!(set(&sim, r#"{"error_rate":1,"error_status":503,"endpoints":["klines"]}"#).await, 200);
    assert_eq!(get(&sim, ASK).await.error(), (503, -1008));
    assert_eq!(get(&sim, "/fapi/v1/time").await.status, 200, "out of scope");
    assert_eq!(get(&sim, "/__faults").await.json()["error_status"], 503);
    assert_eq!(set(&sim, r#"{"error_rte":1}"#).await, 400);
    assert_eq!(sim.control().faults().error_status, 503, "a refused setting changes nothing");
    assert_eq!(set(&sim, "{}").await, 200);
    assert_eq!(get(&sim, ASK).await.status, 200);
    assert_eq!(sim.stats().faults.get("error"), Some(&1));
}

#[tokio::test]
async fn error_answers_look_like_those_of_the_exchange() {
    let sim = with(Faults { error_rate: 1.0, ..Faults::default() }).await;
    let reply = get(&sim, ASK).await;
    assert_eq!(reply.error(), (500, -1001));
    assert_eq!(reply.used(), 1);
    set(&sim, r#"{"forbidden_rate":1}"#).await;
    let reply = get(&sim, ASK).await;
    assert_eq!((reply.status, reply.header("content-type")), (403, Some("text/html")));
    assert!(reply.body.contains("<html>") && reply.header("x-mbx-used-weight-1m").is_none());
    set(&sim, r#"{"restricted_rate":1}"#).await;
    let reply = get(&sim, ASK).await;
    assert_eq!(reply.error(), (451, 0));
    assert!(reply.body.contains("restricted location"));
}

#[tokio::test]
async fn a_storm_of_429_and_a_ban_come_with_and_without_retry_after() {
    let sim = with(Faults { too_many_rate: 1.0, retry_after_s: Some(7), ..Faults::default() }).await;
    let reply = get(&sim, ASK).await;
    assert_eq!((reply.error(), reply.header("retry-after")), ((429, -1003), Some("7")));
    set(&sim, r#"{"too_many_rate":1}"#).await;
    assert_eq!(get(&sim, ASK).await.header("retry-after"), None);
    set(&sim, r#"{"banned_rate":1,"ban_s":90}"#).await;
    let reply = get(&sim, ASK).await;
    assert_eq!((reply.error(), reply.header("retry-after")), ((418, -1003), Some("90")));
    assert!(reply.body.contains(&format!("banned until {}.", at(NOW).0 + 90_000)), "{}", reply.body);
    let stats = sim.stats();
    assert_eq!(
        (stats.answered_429, stats.over_limit, stats.answered_418),
        (2, 0, 1),
        "no limit was exceeded"
    );
}

#[tokio::test]
async fn bodies_are_cut_short_and_broken() {
    let sim = with(Faults { truncate_rate: 1.0, ..Faults::default() }).await;
    let response = client().get(format!("{}{ASK}", sim.url())).send().await.unwrap();
    let promised = response.content_length().unwrap();
    assert!(promised > 1000 && response.status() == 200);
    assert!(response.bytes().await.is_err(), "the body ends before its length");
    set(&sim, r#"{"malformed_rate":1}"#).await;
    let reply = get(&sim, ASK).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.starts_with("[[") && serde_json::from_str::<Value>(&reply.body).is_err());
    set(&sim, r#"{"empty_rate":1}"#).await;
    assert_eq!(get(&sim, ASK).await.body, "[]");
    assert_eq!(get(&sim, "/fapi/v1/time").await.json()["serverTime"], at(NOW).0);
}

#[tokio::test]
async fn connections_are_reset_and_left_hanging() {
    let sim = with(Faults { reset_rate: 1.0, ..Faults::default() }).await;
    let error = try_get(&client(), &sim, ASK).await.err().expect("no answer");
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let is_reset = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(causes.any(|e| e.downcast_ref().is_some_and(is_reset)), "{error:?}");

    set(&sim, r#"{"hang_rate":1}"#).await;
    let request = client().get(format!("{}{ASK}", sim.url())).timeout(Duration::from_millis(150));
    assert!(request.send().await.err().unwrap().is_timeout());
    let stats = sim.stats();
    assert_eq!((stats.faults.get("reset"), stats.faults.get("hang")), (Some(&1), Some(&1)));
    assert!(stats.endpoints.iter().any(|e| e.status == 0 && e.requests == 2), "{stats:?}");

    // A request that hangs does not keep the exchange from closing.
    let hanging = tokio::spawn(client().get(format!("{}{ASK}", sim.url())).send());
    while sim.stats().faults.get("hang") == Some(&1) {
        tokio::task::yield_now().await;
    }
    sim.shutdown().await;
    assert!(!hanging.await.unwrap().is_ok_and(|reply| reply.status().is_success()));
}

#[tokio::test]
async fn answers_wait_for_the_latency() {
    let sim = with(Faults { latency_ms: 60, jitter_ms: 20, ..Faults::default() }).await;
    let before = Instant::now();
    get(&sim, ASK).await;
    assert!(before.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn weight_headers_can_be_missing() {
    let sim = with(Faults { hide_weight: true, ..Faults::default() }).await;
    for path in [ASK, "/api/v3/time"] {
        let reply = get(&sim, path).await;
        assert!(reply.status == 200 && !reply.headers.keys().any(|name| name.as_str().starts_with("x-mbx")));
    }
}

#[tokio::test]
async fn holes_are_never_served_and_pages_reach_past_them() {
    let btc = series(Market::Um, "BTCUSDT", Interval::M5);
    let from = at("2025-01-05").0;
    let hole = RowRange::of(&btc, Millis(from + 2 * M5), Millis(from + 5 * M5));
    let sim = with(Faults { holes: vec![hole], ..Faults::default() }).await;
    let page = |symbol: &str| format!("/fapi/v1/klines?symbol={symbol}&interval=5m&startTime={from}&limit=4");
    assert_eq!(get(&sim, &page("BTCUSDT")).await.opens(), [0, 1, 5, 6].map(|i| from + i * M5));
    assert_eq!(get(&sim, &page("ETHUSDT")).await.opens(), [0, 1, 2, 3].map(|i| from + i * M5));
}

#[tokio::test]
async fn the_last_kline_can_be_late_or_the_open_one_missing() {
    let sim = with(Faults::default()).await;
    let newest = async || get(&sim, "/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=1").await.opens()[0];
    let open = newest().await;
    assert_eq!(open, at("2025-03-10T12:05").0);
    set(&sim, r#"{"open_candle":false}"#).await;
    assert_eq!(newest().await, open - M5);
    // 12:07:12.345 is 132.345 s after the open kline opened.
    set(&sim, r#"{"late_ms":132345}"#).await;
    assert_eq!(newest().await, open);
    set(&sim, r#"{"late_ms":132346}"#).await;
    assert_eq!(newest().await, open - M5);
}

#[tokio::test]
async fn the_open_kline_differs_from_what_it_becomes() {
    let sim = with(Faults::default()).await;
    let ask =
        format!("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&startTime={}&limit=1", at("2025-03-10T12:05").0);
    let before = parse_row(&get(&sim, &ask).await.json()[0]);
    sim.control().set_now(exchange_sim::Now::Frozen(at("2025-03-10T12:10")));
    let after = parse_row(&get(&sim, &ask).await.json()[0]);
    assert_eq!(
        (before.open_time, before.open, before.close_time),
        (after.open_time, after.open, after.close_time)
    );
    assert!(before.volume < after.volume && before.count < after.count);
    assert_eq!(check_values(&before), Ok(()));
}

#[tokio::test]
async fn rows_are_restated_from_an_instant_on() {
    let rows = RowRange { until: Some(at("2025-02-01")), ..RowRange::default() };
    let revision = Revision { rows, from: at("2025-03-10T13:00") };
    let sim = with(Faults { revisions: vec![revision], ..Faults::default() }).await;
    let ask =
        |day: &str| format!("/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime={}&limit=1", at(day).0);
    let (old, recent) = (get(&sim, &ask("2025-01-05")).await.body, get(&sim, &ask("2025-02-05")).await.body);
    sim.control().set_now(exchange_sim::Now::Frozen(at("2025-03-10T13:00")));
    let restated = get(&sim, &ask("2025-01-05")).await;
    assert_ne!(restated.body, old);
    assert_eq!(check_values(&parse_row(&restated.json()[0])), Ok(()));
    assert_eq!(get(&sim, &ask("2025-02-05")).await.body, recent);
}

#[tokio::test]
async fn rows_come_twice_and_out_of_order() {
    let sim = with(Faults { duplicate_rate: 0.2, ..Faults::default() }).await;
    let opens = get(&sim, ASK).await.opens();
    let doubled = opens.windows(2).filter(|w| w[0] == w[1]).count();
    assert!(doubled > 0 && opens.len() == 50 + doubled, "{doubled}");
    assert_eq!(sim.stats().faults.get("duplicate_rows"), Some(&(doubled as u64)));
    set(&sim, r#"{"unordered_rate":0.2}"#).await;
    let mut opens = get(&sim, ASK).await.opens();
    assert!(opens.windows(2).any(|w| w[0] > w[1]));
    opens.sort_unstable();
    assert!(opens.windows(2).all(|w| w[1] - w[0] == M5) && opens.len() == 50);
}

#[tokio::test]
async fn every_kind_of_bad_row_is_bad_in_its_way() {
    for kind in BadRow::ALL {
        let sim = with(Faults { bad_row_rate: 1.0, bad_rows: vec![kind], ..Faults::default() }).await;
        let row = &get(&sim, ASK).await.json()[7];
        match kind {
            BadRow::LowAboveHigh => assert_eq!(check_values(&parse_row(row)), Err(Reason::LowNotLowest)),
            BadRow::NegativeVolume => assert_eq!(check_values(&parse_row(row)), Err(Reason::NegativeVolume)),
            BadRow::Microseconds => assert!(row[0].as_i64().unwrap() > 1_000_000_000_000_000),
            BadRow::Garbage => assert!(row[3].is_null() && row[2] == "n/a"),
            BadRow::Short => assert_eq!(row.as_array().unwrap().len(), 3),
        }
    }
    let sim = with(Faults { bad_row_rate: 0.3, sticky_rows: true, ..Faults::default() }).await;
    let (first, second) = (get(&sim, ASK).await.body, get(&sim, ASK).await.body);
    assert_eq!(first, second, "sticky rows are bad at every request");
    let sim = with(Faults { bad_row_rate: 0.3, ..Faults::default() }).await;
    assert_ne!(get(&sim, ASK).await.body, get(&sim, ASK).await.body, "others are not");
}

#[tokio::test]
async fn the_clock_can_be_wrong_in_time_date_and_klines() {
    let sim = with(Faults { clock_offset_ms: -3_600_000, ..Faults::default() }).await;
    let reply = get(&sim, "/fapi/v1/time").await;
    assert_eq!(reply.json()["serverTime"], at(NOW).0 - 3_600_000);
    assert_eq!(reply.header("date"), Some("Mon, 10 Mar 2025 11:07:12 GMT"));
    let newest = get(&sim, ASK).await.opens()[49];
    assert_eq!(newest, at("2025-03-10T11:05").0);
}

/// Statuses and bodies of many requests, made one after the other or all at once.
async fn outcomes(at_once: bool) -> Vec<(u16, String)> {
    let faults =
        Faults { seed: 5, error_rate: 0.2, empty_rate: 0.1, bad_row_rate: 0.05, ..Faults::default() };
    let limits = Limits { futures_weight: 100_000, ..Limits::default() };
    let sim = start(Config { faults, limits, ..config() }).await;
    let client = client();
    let ask = |i: i64| {
        let url = format!(
            "{}/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=5&endTime={}",
            sim.url(),
            at(NOW).0 - i * 3_600_000
        );
        let request = client.get(url).send();
        async move {
            let response = request.await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    let mut all = Vec::new();
    if at_once {
        let tasks: Vec<_> = (0..60).map(|i| tokio::spawn(ask(i))).collect();
        for task in tasks {
            all.push(task.await.unwrap());
        }
    } else {
        for i in 0..60 {
            all.push(ask(i).await);
        }
    }
    all
}

#[tokio::test]
async fn equal_seeds_give_equal_answers_whatever_the_order_of_requests() {
    let (one_by_one, at_once) = (outcomes(false).await, outcomes(true).await);
    assert_eq!(one_by_one, at_once);
    assert!(one_by_one.iter().any(|(status, _)| *status == 500));
}

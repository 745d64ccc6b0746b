//! Weights, limits, and what comes of exceeding them.

use std::time::Duration;

use exchange_sim::{Config, Limits};

use crate::support::*;

fn limited(futures: u32, spot: u32) -> Config {
    // An hour as a window, so that none ends while a test runs.
    let window = Duration::from_secs(3600);
    Config {
        limits: Limits {
            futures_weight: futures,
            spot_weight: spot,
            window,
            ban_after: 3,
            ..Limits::default()
        },
        ..config()
    }
}

#[tokio::test]
async fn weight_is_charged_by_the_limit_sent_and_shown_in_the_header() {
    let sim = start(limited(2400, 6000)).await;
    let mut before = 0;
    for (path, weight) in [
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=99", 1),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=100", 2),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=499", 2),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=500", 5),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m", 5),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=1500", 10),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=99&startTime=0&endTime=1", 1),
        ("/fapi/v1/klines?symbol=NOPE&interval=5m&limit=99", 1),
        ("/dapi/v1/klines?symbol=BTCUSD_PERP&interval=5m&limit=1000", 5),
        ("/fapi/v1/exchangeInfo", 1),
        ("/dapi/v1/time", 1),
        ("/fapi/v1/ping", 1),
    ] {
        let reply = get(&sim, path).await;
        assert_eq!(reply.used() - before, weight, "{path}");
        assert_eq!(reply.header("x-mbx-used-weight"), None, "futures send the one header alone");
        before = reply.used();
    }
    let spot = get(&sim, "/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=1000").await;
    assert_eq!((spot.used(), spot.header("x-mbx-used-weight")), (2, Some("2")), "spot has a pool of its own");
    assert_eq!(get(&sim, "/api/v3/exchangeInfo").await.used(), 22);
}

#[tokio::test]
async fn exactly_the_request_that_exceeds_the_limit_is_refused() {
    let sim = start(limited(10, 4)).await;
    let ask = "/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=499";
    for used in [2, 4, 6, 8, 10] {
        let reply = get(&sim, ask).await;
        assert_eq!((reply.status, reply.used()), (200, used));
    }
    // COIN-M draws on the same pool.
    let refused = get(&sim, "/dapi/v1/ping").await;
    assert_eq!(refused.error(), (429, -1003));
    assert!(
        refused.body.contains("current limit of IP(127.0.0.1) is 10 requests per minute"),
        "{}",
        refused.body
    );
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    // Spot has its own.
    let spot = "/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=1";
    assert_eq!([get(&sim, spot).await.status, get(&sim, spot).await.status], [200, 200]);
    let refused = get(&sim, spot).await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("current limit is 4 request weight per 1 MINUTE"), "{}", refused.body);
    let stats = sim.stats();
    assert_eq!((stats.answered_429, stats.over_limit, stats.answered_418), (2, 2, 0));
    assert_eq!((stats.pools.futures.max_used, stats.pools.spot.max_used), (11, 6));
}

#[tokio::test]
async fn the_next_window_starts_from_nothing() {
    let limits = Limits { futures_weight: 1, window: Duration::from_millis(200), ..Limits::default() };
    let sim = start(Config { limits, ..config() }).await;
    let mut refused = 0;
    // Twice the weight of a window: the second half has to wait for the next one.
    for _ in 0..2 {
        while get(&sim, "/fapi/v1/ping").await.status == 429 {
            refused += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(sim.stats().over_limit, refused);
    assert_eq!(sim.stats().endpoints.iter().filter(|e| e.status == 200).map(|e| e.requests).sum::<u64>(), 2);
}

#[tokio::test]
async fn going_on_after_429_is_banned_until_the_epoch_in_the_message() {
    let sim = start(limited(1, 6000)).await;
    let statuses = async |n: usize| {
        let mut all = Vec::new();
        for _ in 0..n {
            all.push(get(&sim, "/fapi/v1/ping").await.status);
        }
        all
    };
    assert_eq!(statuses(6).await, [200, 429, 429, 429, 418, 418]);
    let banned = get(&sim, "/fapi/v1/time").await;
    assert_eq!(banned.error(), (418, -1003));
    let until: i64 =
        banned.body.split("banned until ").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
    let left = until - at(NOW).0;
    assert!((60_000..=120_000).contains(&left), "{left}");
    let wait: i64 = banned.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, (left + 999) / 1000);
    assert_eq!(get(&sim, "/api/v3/ping").await.status, 200, "spot is another counter");
    assert_eq!(get(&sim, "/__stats").await.json()["answered_418"], 3);
}

#[tokio::test]
async fn exchange_info_names_the_limits_and_the_symbols() {
    let sim = start(limited(600, 700)).await;
    for (path, limit) in [("/fapi/v1", 600), ("/dapi/v1", 600), ("/api/v3", 700)] {
        let info = get(&sim, &format!("{path}/exchangeInfo")).await.json();
        let weight = &info["rateLimits"][0];
        assert_eq!(
            (&weight["rateLimitType"], &weight["interval"]),
            (&"REQUEST_WEIGHT".into(), &"MINUTE".into())
        );
        assert_eq!((&weight["intervalNum"], &weight["limit"]), (&1.into(), &limit.into()));
        assert_eq!(info["serverTime"], at(NOW).0);
        assert_eq!(get(&sim, &format!("{path}/time")).await.json()["serverTime"], at(NOW).0);
    }
    let um = &get(&sim, "/fapi/v1/exchangeInfo").await.json()["symbols"];
    assert_eq!((&um[0]["symbol"], &um[1]["symbol"]), (&"BTCUSDT".into(), &"ETHUSDT".into()));
    assert_eq!((&um[0]["contractType"], &um[0]["status"]), (&"PERPETUAL".into(), &"TRADING".into()));
    assert_eq!(
        (&um[0]["onboardDate"], &um[0]["deliveryDate"]),
        (&at(LISTED).0.into(), &4_133_404_800_000_i64.into())
    );
    assert_eq!(
        (&um[0]["pair"], &um[0]["baseAsset"], &um[0]["marginAsset"]),
        (&"BTCUSDT".into(), &"BTC".into(), &"USDT".into())
    );
    let cm = &get(&sim, "/dapi/v1/exchangeInfo").await.json()["symbols"][0];
    assert_eq!(
        (&cm["contractStatus"], &cm["pair"], &cm["contractSize"]),
        (&"TRADING".into(), &"BTCUSD".into(), &100.into())
    );
    assert!(cm.get("status").is_none());
    let spot = &get(&sim, "/api/v3/exchangeInfo?symbol=BTCUSDT").await.json()["symbols"];
    assert_eq!((spot.as_array().unwrap().len(), &spot[0]["quoteAsset"]), (1, &"USDT".into()));
    assert!(spot[0].get("onboardDate").is_none(), "spot does not say when a symbol was listed");
    assert_eq!(get(&sim, "/api/v3/exchangeInfo?symbol=NOPE").await.error(), (400, -1121));
}

#[tokio::test]
async fn requests_weight_and_rows_are_counted_and_logged() {
    let sim = start(config()).await;
    let ask = "/fapi/v1/klines?symbol=BTCUSDT&interval=5m&limit=150";
    get(&sim, ask).await;
    get(&sim, ask).await;
    get(&sim, "/fapi/v1/klines?symbol=BTCUSDT&interval=7m").await;
    let stats = sim.stats();
    assert_eq!((stats.requests, stats.weight, stats.rows), (3, 9, 300));
    let [series] = stats.series.as_slice() else { panic!("one series: {stats:?}") };
    assert_eq!((series.interval, series.requests, series.weight, series.rows), ("5m", 2, 4, 300));
    let by_status: Vec<_> =
        stats.endpoints.iter().map(|e| (e.market, e.endpoint, e.status, e.requests)).collect();
    assert_eq!(by_status, [("um", "klines", 200, 2), ("um", "klines", 400, 1)]);
    let log = get(&sim, "/__requests?after=1").await.json();
    assert_eq!(
        (log.as_array().unwrap().len(), &log[0]["request"], &log[0]["weight"]),
        (2, &ask.into(), &2.into())
    );
    assert_eq!(get(&sim, "/__stats").await.json()["requests"], 3, "control requests are not counted");
    client().post(format!("{}/__stats/reset", sim.url())).send().await.unwrap();
    assert_eq!((sim.stats().requests, sim.stats().series.len()), (0, 0));
}

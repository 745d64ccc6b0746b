//! Which rows a request gets, and which error.

use exchange_sim::Config;
use kline::validate::check_values;

use crate::support::*;

const UM: &str = "/fapi/v1/klines?symbol=BTCUSDT&interval=5m";
const CM: &str = "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=5m";
const SPOT: &str = "/api/v3/klines?symbol=BTCUSDT&interval=5m";

fn now() -> i64 {
    at(NOW).0
}

/// Open time of the kline that is open at [`NOW`].
fn open_now() -> i64 {
    now() - now().rem_euclid(M5)
}

#[tokio::test]
async fn without_times_the_newest_rows_come_and_the_last_one_is_still_open() {
    let sim = start(config()).await;
    for base in [UM, CM, SPOT] {
        let opens = get(&sim, base).await.opens();
        assert_eq!(opens.len(), 500, "{base}");
        assert_eq!(opens.last(), Some(&open_now()), "{base}");
        assert!(opens.windows(2).all(|w| w[1] - w[0] == M5), "{base}");
    }
    let row = parse_row(&get(&sim, &format!("{UM}&limit=1")).await.json()[0]);
    assert!(row.close_time.0 > now());
}

#[tokio::test]
async fn start_and_end_are_inclusive_on_the_open_time_and_need_not_be_aligned() {
    let sim = start(config()).await;
    let from = at("2025-01-05T10:00").0;
    for base in [UM, CM, SPOT] {
        for (start, end, rows, first) in [
            (from, from, 1, from),
            (from, from + M5, 2, from),
            (from, from + M5 - 1, 1, from),
            (from + 1, from + 2 * M5, 2, from + M5),
            (from + 1, from + M5 - 1, 0, 0),
        ] {
            let opens = get(&sim, &format!("{base}&startTime={start}&endTime={end}")).await.opens();
            assert_eq!(
                (opens.len(), opens.first().copied().unwrap_or(0)),
                (rows, first),
                "{base} {start} {end}"
            );
        }
    }
}

#[tokio::test]
async fn usd_m_and_spot_page_upward_from_a_start_and_coin_m_backward_from_an_end() {
    let sim = start(config()).await;
    let from = at("2025-01-05").0;
    let to = from + 99 * M5;
    let page = format!("&startTime={from}&endTime={to}&limit=10");
    for (base, first) in [(UM, from), (SPOT, from), (CM, from + 90 * M5)] {
        let opens = get(&sim, &format!("{base}{page}")).await.opens();
        assert_eq!((opens.len(), opens[0]), (10, first), "{base}");
    }
    // A start alone: upward from it, or on COIN-M the newest rows of the 200 days after it.
    let alone = format!("&startTime={from}&limit=10");
    for (base, first) in [(UM, from), (SPOT, from), (CM, open_now() - 9 * M5)] {
        assert_eq!(get(&sim, &format!("{base}{alone}")).await.opens()[0], first, "{base}");
    }
    let early = at("2024-03-01").0;
    let opens = get(&sim, &format!("{CM}&startTime={early}&limit=3")).await.opens();
    assert_eq!(opens.last(), Some(&(early + 200 * DAY)));
    // An end alone: the newest rows up to it, everywhere.
    for base in [UM, CM, SPOT] {
        let opens = get(&sim, &format!("{base}&endTime={}&limit=3", to + 7)).await.opens();
        assert_eq!(opens, [to - 2 * M5, to - M5, to], "{base}");
    }
}

#[tokio::test]
async fn nothing_is_served_before_the_listing_and_start_zero_finds_the_first_row() {
    let sim = start(config()).await;
    let listed = at(LISTED).0;
    for base in [UM, SPOT] {
        assert_eq!(get(&sim, &format!("{base}&startTime=0&limit=1")).await.opens(), [listed], "{base}");
    }
    for base in [UM, CM, SPOT] {
        let before = format!("{base}&startTime={}&endTime={}", listed - DAY, listed - 1);
        assert_eq!(get(&sim, &before).await.body, "[]", "{base}");
    }
    assert_eq!(get(&sim, &format!("{UM}&startTime={}", now() + DAY)).await.body, "[]");
}

#[tokio::test]
async fn coin_m_refuses_windows_over_200_days() {
    let sim = start(config()).await;
    let from = at("2024-03-01").0;
    let exactly = get(&sim, &format!("{CM}&startTime={from}&endTime={}", from + 200 * DAY)).await;
    assert_eq!(exactly.status, 200);
    let over = get(&sim, &format!("{CM}&startTime={from}&endTime={}", from + 200 * DAY + 1)).await;
    assert_eq!(over.status, 400);
    assert_eq!(over.body, r#"{"code":-4088,"msg":"Maximum time interval is 200 days."}"#);
    assert_eq!(get(&sim, &format!("{UM}&startTime={from}&endTime={}", from + 300 * DAY)).await.status, 200);
}

#[tokio::test]
async fn the_limit_has_a_default_and_a_maximum_per_market() {
    let sim = start(config()).await;
    for base in [UM, CM] {
        assert_eq!(get(&sim, &format!("{base}&limit=1500")).await.opens().len(), 1500, "{base}");
        let over = get(&sim, &format!("{base}&limit=1501")).await;
        assert_eq!(over.error(), (400, -1130), "{base}");
        assert_eq!(over.json()["msg"], "Data sent for parameter 'limit' is not valid.");
    }
    assert_eq!(get(&sim, &format!("{SPOT}&limit=1001")).await.opens().len(), 1000);
}

#[tokio::test]
async fn a_wrong_request_gets_the_code_binance_gives() {
    let sim = start(config()).await;
    for (query, code) in [
        ("symbol=NOPE&interval=5m", -1121),
        ("symbol=BTCUSDT&interval=7m", -1120),
        ("symbol=BTCUSDT&interval=1mo", -1120),
        ("symbol=BTCUSDT&interval=1s", -1120),
        ("interval=5m", -1102),
        ("symbol=BTCUSDT", -1102),
        ("symbol=&interval=5m", -1105),
        ("symbol=BTCUSDT&interval=", -1105),
        ("symbol=BTCUSDT&interval=5m&limit=", -1105),
        ("symbol=BTCUSDT&interval=5m&limit=None", -1100),
        ("symbol=BTCUSDT&interval=5m&startTime=2024-01-01", -1100),
        ("symbol=BTCUSDT&interval=5m&limit=0", -1130),
        ("symbol=BTCUSDT&interval=5m&startTime=99999999999999999999", -1130),
        ("symbol=BTCUSDT&symbol=BTCUSDT&interval=5m", -1101),
        ("symbol=BTCUSDT&interval=5m&startTime=1704067200001&endTime=1704067200000", -1023),
    ] {
        assert_eq!(get(&sim, &format!("/fapi/v1/klines?{query}")).await.error(), (400, code), "{query}");
    }
    let spot = |query: &str| format!("/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=1{query}");
    assert_eq!(get(&sim, &spot("")).await.opens().len(), 1);
    let unread = get(&sim, &spot("&colour=red")).await;
    assert_eq!(unread.error(), (400, -1104));
    assert!(unread.body.contains("read '3' parameter(s) but was sent '4'"), "{}", unread.body);
    assert_eq!(get(&sim, "/api/v3/klines?symbol=btcusdt&interval=1m").await.error(), (400, -1100));
    assert_eq!(get(&sim, "/fapi/v1/depth").await.error(), (404, -5000));
    assert_eq!(get(&sim, "/nowhere").await.status, 404);
}

#[tokio::test]
async fn an_interval_without_data_is_empty_and_no_error() {
    let rows = vec![parse_row(&serde_json::json!([
        1_704_067_200_000_i64,
        "1",
        "2",
        "1",
        "2",
        "3",
        1_704_067_259_999_i64,
        "4",
        5,
        "1",
        "2",
        "0"
    ]))];
    let series = series(kline::Market::Um, "LTCUSDT", kline::Interval::M1);
    let data = vec![exchange_sim::DataSource::Rows { series, rows }];
    let sim = start(Config { data, ..config() }).await;
    assert_eq!(get(&sim, "/fapi/v1/klines?symbol=LTCUSDT&interval=5m").await.body, "[]");
    assert_eq!(
        get(&sim, "/fapi/v1/klines?symbol=LTCUSDT&interval=1m").await.body,
        r#"[[1704067200000,"1","2","1","2","3",1704067259999,"4",5,"1","2","0"]]"#
    );
}

#[tokio::test]
async fn perpetual_continuous_klines_are_those_of_the_symbol() {
    let sim = start(config()).await;
    let um =
        get(&sim, "/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1h&limit=3").await;
    assert_eq!(um.json(), get(&sim, "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=3").await.json());
    let cm =
        get(&sim, "/dapi/v1/continuousKlines?pair=BTCUSD&contractType=PERPETUAL&interval=1h&limit=3").await;
    assert_eq!(cm.json(), get(&sim, "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1h&limit=3").await.json());
}

#[tokio::test]
async fn a_row_has_the_layout_that_binance_sends() {
    let sim = start(config()).await;
    for base in [UM, CM, SPOT] {
        let rows = get(&sim, &format!("{base}&limit=99")).await.json();
        for row in rows.as_array().unwrap() {
            assert_eq!(row.as_array().unwrap().len(), 12);
            assert_eq!(row[11], "0");
            assert!(
                [0, 6, 8].iter().all(|i| row[*i].is_i64())
                    && [1, 2, 3, 4, 5, 7, 9, 10].iter().all(|i| row[*i].is_string())
            );
            assert_eq!(check_values(&parse_row(row)), Ok(()), "{row}");
        }
    }
    let spot = get(&sim, &format!("{SPOT}&limit=1")).await;
    assert_eq!(spot.json()[0][1].as_str().unwrap().split('.').nth(1).unwrap().len(), 8);
    assert_eq!(spot.header("content-type"), Some("application/json;charset=UTF-8"));
}

#[tokio::test]
async fn a_delisted_symbol_keeps_its_history_and_says_that_it_is_over() {
    let listed = |market, until| exchange_sim::DataSource::Synthetic {
        market,
        symbol: kline::Symbol::new("OLDUSDT").unwrap(),
        from: at(LISTED),
        until: Some(until),
        seed: 1,
    };
    let end = at("2024-06-01T00:07");
    let data = vec![listed(kline::Market::Um, end), listed(kline::Market::Spot, end)];
    let sim = start(Config { data, ..config() }).await;
    for (base, status) in [("/fapi/v1", "SETTLING"), ("/api/v3", "BREAK")] {
        let newest = get(&sim, &format!("{base}/klines?symbol=OLDUSDT&interval=5m&limit=1")).await;
        assert_eq!(newest.opens(), [at("2024-06-01T00:05").0], "{base}");
        let info = get(&sim, &format!("{base}/exchangeInfo")).await.json();
        assert_eq!(info["symbols"][0]["status"], status);
    }
}

#[tokio::test]
async fn given_rows_win_over_made_up_ones_of_their_interval() {
    let row = r#"[[1709251200000,"1","2","1","2","3",1709251499999,"4",5,"1","2","0"]]"#;
    let rows: Vec<serde_json::Value> = serde_json::from_str(row).unwrap();
    let series = series(kline::Market::Um, "BTCUSDT", kline::Interval::M5);
    let given = exchange_sim::DataSource::Rows { series, rows: rows.iter().map(parse_row).collect() };
    let data = vec![made_up(kline::Market::Um, "BTCUSDT"), given];
    let sim = start(Config { data, ..config() }).await;
    assert_eq!(get(&sim, UM).await.body, row);
    assert_eq!(get(&sim, "/fapi/v1/klines?symbol=BTCUSDT&interval=15m").await.opens().len(), 500);
}

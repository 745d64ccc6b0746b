//! What is asked for and what becomes of the answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use binance::Event;
use kline::{Interval, Market, Millis, Series, SlotRange, Symbol};

use crate::server::{NOW, Server, ok, rows, status, window};

const STEP: i64 = 300_000;

pub fn series(market: Market) -> Series {
    Series::new(market, Symbol::new("BTCUSDT").unwrap(), Interval::M5).unwrap()
}

/// `n` slots that end `back` slots before the server's present.
pub fn slots(back: i64, n: i64) -> SlotRange {
    let now = Interval::M5.slot_of(Millis(NOW));
    SlotRange::new(now - back - n, now - back)
}

fn opens(slots: SlotRange) -> Vec<i64> {
    (slots.start..slots.end).map(|s| s * STEP).collect()
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_window_is_asked_for_exactly_and_comes_back_as_sent() {
    let server = Server::start(|r, _| window(r, &opens(slots(0, 1000)), STEP, false)).await;
    let client = server.client();
    let asked = slots(100, 499);
    let page = assert_send(client.klines(&series(Market::Um), asked)).await.unwrap();
    assert_eq!(page.rows.iter().map(|k| k.open_time.0).collect::<Vec<_>>(), opens(asked));
    assert_eq!(page.rows[0].open.to_string(), "10.10", "digits are kept as sent");
    assert_eq!((page.requests, page.weight, page.rows_received), (1, 2, 499));
    assert!((NOW..NOW + 60_000).contains(&page.exchange_now.0));
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "a full page that reaches the end needs no second request");
    assert_eq!(seen[0].path, "/fapi/v1/klines");
    assert_eq!(seen[0].number("startTime"), asked.start * STEP);
    assert_eq!(seen[0].number("endTime"), asked.end * STEP - 1);
    assert_eq!(seen[0].number("limit"), 499);
    let usage = client.usage(Market::Um);
    assert_eq!((usage.requests, usage.weight, usage.limit), (2, 3, 2400), "the time was asked for as well");
    assert!(client.rtt(Market::Um).is_some() && client.rtt(Market::Spot).is_none());
}

#[tokio::test]
async fn every_market_has_its_own_path_and_both_futures_share_a_pool() {
    let server = Server::start(|r, _| window(r, &opens(slots(0, 100)), STEP, false)).await;
    let client = server.client();
    for market in Market::ALL {
        client.klines(&series(market), slots(0, 10)).await.unwrap();
    }
    let paths: Vec<_> = server.seen().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/fapi/v1/klines", "/dapi/v1/klines", "/api/v3/klines"]);
    assert_eq!((client.usage(Market::Um).weight, client.usage(Market::Cm).weight), (4, 4));
    assert_eq!(client.usage(Market::Spot).weight, 3);
}

#[tokio::test]
async fn the_future_is_never_asked_for() {
    let server = Server::start(|r, _| window(r, &opens(slots(-5, 100)), STEP, false)).await;
    let client = server.client();
    let page = client.klines(&series(Market::Um), slots(-10, 20)).await.unwrap();
    assert!(server.seen()[0].number("endTime") < NOW + 60_000, "the end is clamped to the present");
    assert!(!page.rows.is_empty());
    let page = client.klines(&series(Market::Um), slots(-100, 20)).await.unwrap();
    assert_eq!((page.rows.len(), page.requests, server.seen().len()), (0, 0, 1));
}

#[tokio::test]
async fn a_window_that_holds_more_klines_than_slots_is_fetched_to_its_end() {
    // Off-grid extras, as spot had in February 2018.
    let mut all = opens(slots(0, 300));
    all.extend(all.clone().iter().skip(100).step_by(20).map(|o| o + 14_789));
    all.sort_unstable();
    for (market, newest) in [(Market::Um, false), (Market::Spot, false), (Market::Cm, true)] {
        let script = all.clone();
        let server = Server::start(move |r, _| window(r, &script, STEP, newest)).await;
        let asked = slots(50, 99);
        let page = server.client().klines(&series(market), asked).await.unwrap();
        let mut got: Vec<i64> = page.rows.iter().map(|k| k.open_time.0).collect();
        got.sort_unstable();
        got.dedup();
        let range = asked.start * STEP..asked.end * STEP;
        let want: Vec<i64> = all.iter().copied().filter(|o| range.contains(o)).collect();
        assert_eq!(got, want, "{market}");
        assert!(page.requests > 1 && page.requests < 5, "{market}: {}", page.requests);
    }
}

#[tokio::test]
async fn a_source_that_goes_in_circles_is_left() {
    let first = slots(0, 10).start;
    let server =
        Server::start(move |r, _| ok(rows(vec![first * STEP; r.number("limit") as usize], STEP))).await;
    let page = server.client().klines(&series(Market::Um), slots(0, 10)).await.unwrap();
    assert!(page.requests <= 20, "{}", page.requests);
}

#[tokio::test]
async fn an_unreadable_row_does_not_spoil_the_page() {
    let server = Server::start(|r, _| {
        let good = rows([r.number("startTime")], STEP);
        let bad = r#"[1762400000000,"x","1","1","1","1",1762400299999,"1",1,"1","1","0"],["?"],7,[1762400000,"1","1","1","1","1",1762400299,"1",1,"1","1","0"]"#;
        ok(format!("{},{bad}]", good.trim_end_matches(']').to_owned() + "]"))
    })
    .await;
    let page = server.client().klines(&series(Market::Um), slots(0, 10)).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable.len(), page.rows_received), (1, 4, 5));
    assert_eq!(page.unreadable[0].open_time, Some(Millis(1_762_400_000_000)));
    assert!(page.unreadable[0].detail.contains("open: `x`"), "{:?}", page.unreadable[0]);
}

#[tokio::test]
async fn a_window_larger_than_the_market_allows_is_refused_at_once() {
    let server = Server::start(|_, _| ok("[]")).await;
    for n in [0, 1501] {
        let error = server.client().klines(&series(Market::Um), slots(0, n)).await.unwrap_err();
        assert_eq!(error.class(), "usage");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn limits_and_symbols_come_from_the_exchange() {
    let server = Server::start(|_, _| {
        ok(r#"{"timezone":"UTC","rateLimits":[{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000},
            {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1234}],
            "symbols":[{"symbol":"BTCUSD_PERP","contractStatus":"TRADING","onboardDate":1597042800000,"contractType":"PERPETUAL","filters":[{"a":1}]},
            {"symbol":"NEW币USDT","status":"SOMETHING_NEW","contractType":""}]}"#)
    })
    .await;
    let client = server.client();
    let (a, b) = tokio::join!(client.exchange_info(Market::Cm), client.exchange_info(Market::Cm));
    assert_eq!(server.seen().len(), 1, "asked for once");
    let info = a.unwrap();
    assert_eq!(
        (info.weight_limit, b.unwrap().symbols.len(), client.usage(Market::Um).limit),
        (1234, 2, 1234)
    );
    let perpetual = &info.symbols[&Symbol::new("BTCUSD_PERP").unwrap()];
    assert_eq!((perpetual.status.as_str(), perpetual.onboard), ("TRADING", Some(Millis(1_597_042_800_000))));
    assert_eq!(info.symbols[&Symbol::new("NEW币USDT").unwrap()].contract_type, None);
}

#[tokio::test]
async fn the_first_kline_of_a_coin_m_series_is_found_with_few_requests() {
    // Listed years before the server's present; klines begin 450 days after the listing.
    let onboard = NOW - 900 * 86_400_000;
    let first = Interval::M5.slot_of(Millis(onboard + 450 * 86_400_000));
    let last = Interval::M5.slot_of(Millis(NOW));
    let all = opens(SlotRange::new(first, last));
    let server = Server::start(move |r, _| match r.path.ends_with("exchangeInfo") {
        true => {
            ok(format!(r#"{{"rateLimits":[],"symbols":[{{"symbol":"BTCUSDT","onboardDate":{onboard}}}]}}"#))
        }
        false if r.number("endTime") - r.number("startTime") > 200 * 86_400_000 => {
            status("400 Bad Request", "", r#"{"code":-4088,"msg":"Maximum time interval is 200 days."}"#)
        }
        false => window(r, &all, STEP, true),
    })
    .await;
    let found = server.client().first_kline(&series(Market::Cm)).await.unwrap();
    assert_eq!(found, Some(Millis(first * STEP)));
    assert!(server.seen().len() < 20, "{}", server.seen().len());
}

#[tokio::test]
async fn the_first_kline_elsewhere_costs_one_request() {
    let all = opens(slots(0, 100));
    let want = all[0];
    let server = Server::start(move |r, _| window(r, &all, STEP, false)).await;
    let client = server.client();
    assert_eq!(client.first_kline(&series(Market::Um)).await.unwrap(), Some(Millis(want)));
    assert_eq!(server.seen()[0].number("startTime"), 0);
    let empty = Server::start(|_, _| ok("[]")).await;
    for market in Market::ALL.into_iter().filter(|m| *m != Market::Cm) {
        assert_eq!(empty.client().first_kline(&series(market)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_weight_others_use_holds_us_back_until_the_next_minute() {
    // The server's minute ends 300 ms after its time was read; others have used nearly everything.
    let late = NOW - NOW % 60_000 + 59_700;
    let server = Server::start_raw(move |r, n| match (r.path.ends_with("/time"), n) {
        (true, _) => status("200 OK", "x-mbx-used-weight-1m: 5\r\n", format!("{{\"serverTime\":{late}}}")),
        (_, 0) => status("200 OK", "X-Mbx-Used-Weight-1M: 2159\r\n", "[]"),
        _ => status("200 OK", "x-mbx-used-weight-1m: 2\r\n", "[]"),
    })
    .await;
    let client = server.client();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = events.clone();
    client.on_event(move |event| {
        if !matches!(event, Event::Answered { .. }) {
            log.lock().unwrap().push(event.clone());
        }
    });
    client.klines(&series(Market::Um), slots(5, 400)).await.unwrap();
    assert_eq!(client.usage(Market::Um).reported, Some(2159));
    let page = client.klines(&series(Market::Um), slots(5, 400)).await.unwrap();
    assert!(page.exchange_now.0 >= late + 300, "sent in the next minute");
    let events = events.lock().unwrap();
    assert!(
        matches!(&events[..], [Event::BudgetSpent { wait, .. }] if *wait <= Duration::from_millis(400)),
        "{events:?}"
    );
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    use std::sync::atomic::{AtomicI64, Ordering};
    let (now, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let (n, m) = (now.clone(), most.clone());
    let server = Server::start(move |_, _| {
        m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        n.fetch_sub(1, Ordering::SeqCst);
        ok("[]")
    })
    .await;
    let client = server.client();
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(
                async move { client.klines(&series(Market::Um), slots(0, 5)).await.map(|p| p.requests) },
            )
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    assert!(most.load(Ordering::SeqCst) <= 6);
    assert_eq!(client.usage(Market::Um).requests, 41);
}

#[tokio::test]
async fn symbols_of_any_script_are_percent_encoded() {
    let server = Server::start(|_, _| ok("[]")).await;
    let series = Series::new(Market::Um, Symbol::new("币安USDT").unwrap(), Interval::M5).unwrap();
    server.client().klines(&series, slots(0, 5)).await.unwrap();
    assert_eq!(server.seen()[0].query["symbol"], "%E5%B8%81%E5%AE%89USDT");
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let server = Server::start(|_, _| ok("[]")).await;
    let client =
        binance::Client::new(crate::server::config_for(&format!("http://{}/mirror/", server.addr))).unwrap();
    client.klines(&series(Market::Spot), slots(0, 5)).await.unwrap();
    assert_eq!(server.seen()[0].path, "/mirror/api/v3/klines");
}

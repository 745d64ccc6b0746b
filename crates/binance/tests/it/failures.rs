//! Every way a fetch can fail, and the reaction.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use binance::{Client, ClientConfig, Event, FetchError};
use kline::{Market, Millis};

use crate::klines::{series, slots};
use crate::server::{NOW, Reply, Request, Server, config_for, ok, rows, status};

/// Runs one klines request against a script; returns the result and how many requests it took.
async fn ask(
    script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
) -> (Result<u32, FetchError>, usize) {
    let server = Server::start(script).await;
    let result = server.client().klines(&series(Market::Um), slots(0, 10)).await;
    (result.map(|page| page.requests), server.seen().len())
}

fn good(request: &Request) -> Reply {
    ok(rows([request.number("startTime")], 300_000))
}

#[tokio::test]
async fn what_passes_by_itself_is_retried_until_it_succeeds() {
    let troubles: Vec<fn() -> Reply> = vec![
        || status("500 Internal Server Error", "", "oops"),
        || status("503 Service Unavailable", "", r#"{"code":-1008,"msg":"Server is currently overloaded."}"#),
        || status("408 Request Timeout", "", r#"{"code":-1007,"msg":"Timeout waiting for response."}"#),
        || status("400 Bad Request", "", r#"{"code":-1003,"msg":"Too many requests."}"#),
        || ok(r#"{"code":-1001,"msg":"Internal error"}"#),
        || ok("[[1762400000000,\"1\""),
        || ok("<html>hello</html>"),
        || ok(r#""a string""#),
        || Reply::Truncated(b"[[1762400000000,".to_vec()),
        || Reply::Reset,
        || {
            status(
                "429 Too Many Requests",
                "Retry-After: 0\r\n",
                r#"{"code":-1003,"msg":"Too many requests."}"#,
            )
        },
    ];
    for (i, trouble) in troubles.into_iter().enumerate() {
        let (result, seen) = ask(move |r, n| if n < 2 { trouble() } else { good(r) }).await;
        assert_eq!((result, seen), (Ok(3), 3), "trouble {i}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_reported_with_what_was_received() {
    let (result, seen) = ask(|_, _| ok(format!("<html>{}</html>", "x".repeat(5000)))).await;
    let error = result.unwrap_err();
    assert_eq!((error.class(), seen), ("malformed", 8));
    let text = error.to_string();
    assert!(
        text.contains("klines of um BTCUSDT 5m") && text.contains("<html>xxx") && text.len() < 500,
        "{text}"
    );

    let (result, _) = ask(|_, _| Reply::Truncated(b"[".to_vec())).await;
    assert_eq!(result.unwrap_err().class(), "interrupted");
    let (result, _) = ask(|_, _| status("502 Bad Gateway", "", "<h1>Bad\n gateway</h1>")).await;
    let error = result.unwrap_err();
    assert!(error.to_string().contains("HTTP 502: <h1>Bad gateway</h1>"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_repeated() {
    for (code, class) in
        [(-1121, "unknown_symbol"), (-1120, "refused"), (-4088, "refused"), (-1130, "refused")]
    {
        let (result, seen) =
            ask(move |_, _| status("400 Bad Request", "", format!(r#"{{"code":{code},"msg":"No."}}"#))).await;
        let error = result.unwrap_err();
        assert_eq!((error.class(), seen), (class, 1));
        assert_eq!(error.is_permanent_for_symbol(), code == -1121);
        assert!(!error.stops_run() && error.hint().is_some());
    }
    // The same object with status 200 is no success either.
    let (result, seen) = ask(|_, _| ok(r#"{"code":-1121,"msg":"Invalid symbol."}"#)).await;
    assert!(result.unwrap_err().is_permanent_for_symbol() && seen == 1);
}

#[tokio::test]
async fn a_429_holds_up_the_whole_pool_and_no_other() {
    // The server's next minute begins 400 ms after its time was read; the 429 names no time.
    let late = NOW - NOW % 60_000 + 59_600;
    let server = Server::start_raw(move |r, n| match r.path.as_str() {
        path if path.ends_with("/time") => ok(format!("{{\"serverTime\":{late}}}")),
        "/fapi/v1/klines" if n == 0 => status("429 Too Many Requests", "", "slow down"),
        _ => ok("[]"),
    })
    .await;
    let client = server.client();
    for market in Market::ALL {
        client.now(market).await.unwrap();
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = events.clone();
    client.on_event(move |event| {
        if !matches!(event, Event::Answered { .. }) {
            log.lock().unwrap().push(event.clone());
        }
    });
    let um = client.clone();
    let um = tokio::spawn(async move { um.klines(&series(Market::Um), slots(5, 10)).await });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let spot = client.klines(&series(Market::Spot), slots(5, 10)).await.unwrap();
    assert!(spot.exchange_now.0 < late + 400, "another pool goes on");
    let cm = client.klines(&series(Market::Cm), slots(5, 10)).await.unwrap();
    assert!(cm.exchange_now.0 >= late + 400, "the other market of the pool waits");
    assert_eq!(um.await.unwrap().unwrap().requests, 2);
    assert!(matches!(&events.lock().unwrap()[..], [Event::Throttled { .. }]), "told once: {events:?}");
}

#[tokio::test]
async fn a_429_that_asks_for_more_than_patience_is_an_error() {
    let (result, seen) = ask(|_, _| status("429 Too Many Requests", "Retry-After: 3600\r\n", "")).await;
    let error = result.unwrap_err();
    assert!(matches!(error, FetchError::Throttled { until, .. } if until.0 >= NOW + 3_600_000), "{error:?}");
    assert_eq!((error.stops_run(), seen), (false, 1));
}

#[tokio::test]
async fn a_ban_stops_everything_and_says_until_when() {
    for (headers, body, until) in [
        ("Retry-After: 600\r\n", r#"{"code":-1003,"msg":"banned"}"#, NOW + 600_000),
        (
            "",
            r#"{"code":-1003,"msg":"Way too many requests; IP banned until 1762500900000. Please"}"#,
            1_762_500_900_000,
        ),
        ("", "", NOW + 120_000),
    ] {
        let server = Server::start(move |_, _| status("418 I'm a teapot", headers, body)).await;
        let client = server.client();
        let error = client.klines(&series(Market::Um), slots(0, 10)).await.unwrap_err();
        let FetchError::Banned { until: got } = error else { panic!("{error:?}") };
        assert!((until..until + 5000).contains(&got.0), "{got} for {headers:?} {body}");
        assert!(error.stops_run() && error.to_string().contains(&got.to_string()));
        // Nothing is sent while banned, on either market of the pool.
        assert!(client.klines(&series(Market::Cm), slots(0, 10)).await.is_err());
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_firewall_page_is_given_time_and_then_explained() {
    let html = "<html><head><title>403 Forbidden</title></head></html>";
    let (result, seen) = ask(move |_, _| status("403 Forbidden", "", html)).await;
    let error = result.unwrap_err();
    assert_eq!((error.class(), seen), ("forbidden", 4));
    assert!(error.to_string().contains("403 Forbidden</title>") && !error.stops_run(), "{error}");
    let (result, _) = ask(move |r, n| if n == 0 { status("403 Forbidden", "", html) } else { good(r) }).await;
    assert_eq!(result, Ok(2));
}

#[tokio::test]
async fn a_restricted_place_is_told_so_and_stops_the_run() {
    let body =
        r#"{"code":0,"msg":"Service unavailable from a restricted location according to 'b. Eligibility'"}"#;
    for line in ["451 Unavailable For Legal Reasons", "200 OK", "400 Bad Request"] {
        let (result, seen) = ask(move |_, _| status(line, "", body)).await;
        let error = result.unwrap_err();
        assert_eq!((error.class(), error.stops_run(), seen), ("region", true, 1), "{line}");
        assert!(
            error.to_string().contains("restricted location")
                && error.hint().unwrap().contains("allowed place")
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (result, _) = ask(|_, _| status("302 Found", "Location: http://portal.example/login\r\n", "")).await;
    let error = result.unwrap_err();
    assert!(error.class() == "unexpected" && error.to_string().contains("portal.example/login"), "{error}");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let config = ClientConfig { timeout: Duration::from_millis(50), attempts: 2, ..server.config() };
    let error = Client::new(config).unwrap().klines(&series(Market::Um), slots(0, 10)).await.unwrap_err();
    assert_eq!((error.class(), server.seen().len()), ("timeout", 2));
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let (result, seen) = ask(|_, _| ok(vec![b' '; 2 * 1024 * 1024 + 1])).await;
    assert_eq!((result.unwrap_err().class(), seen), ("too_large", 3));
}

#[tokio::test]
async fn nobody_listening_is_named_with_host_and_port() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let client = Client::new(config_for(&format!("http://127.0.0.1:{port}"))).unwrap();
    let error = client.now(Market::Um).await.unwrap_err();
    assert_eq!(error.class(), "connect");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(client.usage(Market::Um).weight, 0, "what never arrived was not charged");
}

#[tokio::test]
async fn no_secure_connection_is_told_from_no_connection() {
    // A server that answers plain HTTP where TLS is expected.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = Client::new(config_for(&base)).unwrap().now(Market::Um).await.unwrap_err();
    assert_eq!(error.class(), "tls", "{error:?}");
    assert!(error.hint().unwrap().contains("CA bundle"));
}

#[tokio::test]
async fn missing_headers_are_no_trouble() {
    let (result, _) = ask(|r, _| good(r)).await;
    assert_eq!(result, Ok(1));
}

#[tokio::test]
async fn a_person_watching_hears_about_retries() {
    let server = Server::start(|r, n| if n == 0 { Reply::Reset } else { good(r) }).await;
    let client = server.client();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = events.clone();
    client.on_event(move |event| {
        if matches!(event, Event::Retrying { .. }) {
            log.lock().unwrap().push(event.to_string());
        }
    });
    client.klines(&series(Market::Um), slots(0, 10)).await.unwrap();
    let events = events.lock().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("the answer broke off") && events[0].contains("attempt 2"), "{events:?}");
}

#[tokio::test]
async fn a_base_url_that_is_none_is_refused() {
    for base in ["", "fapi.binance.com", "ftp://x", "http://", "https://x/?a=b"] {
        let error = Client::new(config_for(base)).unwrap_err();
        assert!(error.to_string().contains("base URL of um"), "{base}: {error}");
    }
}

#[tokio::test]
async fn the_clock_is_the_exchanges_and_is_read_once() {
    let server = Server::start_raw(|_, _| ok(r#"{"serverTime":1500000000000}"#)).await;
    let client = server.client();
    let first = client.now(Market::Spot).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = client.now(Market::Spot).await.unwrap();
    assert!(
        Millis(1_500_000_000_000) <= first && first.plus(20) <= second && second < Millis(1_500_000_060_000)
    );
    assert_eq!(client.usage(Market::Spot).requests, 1);
}

#[tokio::test]
async fn a_ban_before_anything_else_is_dated_by_the_answer() {
    let server = Server::start_raw(|_, _| {
        let headers = "Date: Fri, 07 Nov 2025 07:20:00 GMT\r\nRetry-After: 600\r\n";
        status("418 I'm a teapot", headers, "")
    })
    .await;
    let error = server.client().now(Market::Um).await.unwrap_err();
    let FetchError::Banned { until } = error else { panic!("{error:?}") };
    assert!((NOW + 600_000..NOW + 605_000).contains(&until.0), "{until}");
}

#[tokio::test]
async fn a_request_that_is_dropped_gives_its_place_back() {
    let server = Server::start(|r, n| if n < 6 { Reply::Silence } else { good(r) }).await;
    let client = server.client();
    client.now(Market::Um).await.unwrap();
    for _ in 0..6 {
        let series = series(Market::Um);
        let one = client.klines(&series, slots(0, 10));
        assert!(tokio::time::timeout(Duration::from_millis(20), one).await.is_err());
    }
    assert!(client.klines(&series(Market::Um), slots(0, 10)).await.is_ok());
}

#[tokio::test]
async fn exchange_information_that_breaks_off_is_fetched_again() {
    let body = r#"{"rateLimits":[],"symbols":[{"symbol":"BTCUSDT","status":"TRADING"}]}"#;
    let server = Server::start(move |_, n| match n {
        0 => Reply::Truncated(body.as_bytes()[..40].to_vec()),
        1 => ok(&body.as_bytes()[..40]),
        2 => ok("<html>"),
        3 => ok(r#"{"code":-1001,"msg":"Internal error"}"#),
        _ => ok(body),
    })
    .await;
    let info = server.client().exchange_info(Market::Um).await.unwrap();
    assert_eq!((info.symbols.len(), server.seen().len()), (1, 5));
}

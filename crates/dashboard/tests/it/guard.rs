//! Who may ask, and what browsers are told.

use axum::body::Body;
use axum::http::{Request, header};
use dashboard::{Config, OPENAPI};

use crate::fixture::*;

async fn asked_as(app: &axum::Router, host: &str) -> u16 {
    let request =
        Request::builder().uri("/api/v1/overview").header(header::HOST, host).body(Body::empty()).unwrap();
    ask(app, request).await.status.as_u16()
}

#[tokio::test]
async fn on_this_machine_alone_other_names_are_refused() {
    let stage = stage().await;
    for host in ["127.0.0.1:8080", "localhost", "[::1]:8080"] {
        assert_eq!(asked_as(&stage.app, host).await, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.168.1.5:8080"] {
        assert_eq!(asked_as(&stage.app, host).await, 421, "{host}");
    }
    let nameless = Request::builder().uri("/").body(Body::empty()).unwrap();
    assert_eq!(ask(&stage.app, nameless).await.status, 421);
    let named = Config { hosts: vec!["klines.example".into()], ..config(&stage.url()) };
    let named = dashboard::app(named, Default::default());
    assert_eq!(asked_as(&named, "klines.example:8443").await, 200);
    let open = dashboard::app(Config { loopback: false, ..config(&stage.url()) }, Default::default());
    assert_eq!(asked_as(&open, "klines.petrosa-apps.svc").await, 200);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_start_a_job() {
    let stage = stage().await;
    let body = r#"{"series": [{"market": "um", "symbol": "BTCUSDT", "interval": "5m"}]}"#;
    let from = |origin: &str| {
        request("POST", "/api/v1/fill")
            .header(header::ORIGIN, origin)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Body::from(body))
            .unwrap()
    };
    for origin in ["http://evil.example", "null", "http://127.0.0.1:9999"] {
        assert_eq!(ask(&stage.app, from(origin)).await.status, 403, "{origin}");
    }
    assert_eq!(ask(&stage.app, from("http://127.0.0.1:8080")).await.status, 202);
    let preflight = request("OPTIONS", "/api/v1/fill").header(header::ORIGIN, "http://evil.example");
    let answer = ask(&stage.app, preflight.body(Body::empty()).unwrap()).await;
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{:?}", answer.headers);
}

#[tokio::test]
async fn every_answer_carries_the_policy() {
    let stage = stage().await;
    for path in ["/", "/css/app.css", "/api/v1/overview", "/api/v1/series/um/X", "/nothing", "/metrics"] {
        let reply = get(&stage.app, path).await;
        let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(reply.headers.contains_key(header::CACHE_CONTROL), "{path}");
    }
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let stage = stage().await;
    let mut seen = 0;
    for path in [
        "/",
        "/css/app.css",
        "/js/app.js",
        "/js/chart.js",
        "/js/dom.js",
        "/js/api.js",
        "/js/live.js",
        "/js/proof.js",
    ] {
        let text = get(&stage.app, path).await.text;
        for (at, _) in text.match_indices("http") {
            let rest = &text[at..];
            if rest.starts_with("http://") || rest.starts_with("https://") {
                assert!(
                    rest.starts_with("https://www.tradingview.com/\""),
                    "{path}: {}",
                    &rest[..rest.len().min(60)]
                );
                seen += 1;
            }
        }
        assert!(!text.contains("style=\"") && !text.contains("onclick=\""), "{path}");
    }
    assert_eq!(seen, 1, "the link that the chart library's licence asks for");
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let stage = stage().await;
    let secret = format!("mysql://user:s3cret@127.0.0.1:9/{}", "x");
    let app = dashboard::app(config(&secret), Default::default());
    for path in ["/api/v1/overview", "/readyz", "/api/v1/jobs", "/api/v1/series", "/metrics", "/"] {
        let text = get(&app, path).await.text;
        assert!(!text.contains("s3cret"), "{path}: {text}");
    }
    let open = get(&stage.app, "/api/v1/overview").await.text + &get(&stage.app, "/").await.text + OPENAPI;
    assert!(!open.contains(TOKEN));
}

#[tokio::test]
async fn reading_changes_nothing() {
    let stage = stage().await;
    let file = stage.folder.path().join("klines.db");
    let before = std::fs::read(&file).unwrap();
    for path in
        ["/api/v1/overview", "/api/v1/jobs", "/api/v1/series/um/BTCUSDT/5m/klines", "/metrics", "/readyz"]
    {
        assert_eq!(get(&stage.app, path).await.status, 200);
    }
    assert!(std::fs::read(&file).unwrap() == before);
}

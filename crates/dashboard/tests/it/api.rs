//! The answers, and their description.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header;
use dashboard::{METRICS, OPENAPI, ROUTES};
use serde_json::{Value, json};

use crate::fixture::*;

pub fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

const BTC: &str = "/api/v1/series/{market}/{symbol}/{interval}";

/// Compares an answer with what the document says of its path and status.
pub fn check(document: &Value, method: &str, template: &str, reply: &Reply) {
    let status = reply.status.as_str();
    let content = &document["paths"][template][method]["responses"][status]["content"];
    let kind = reply.headers[header::CONTENT_TYPE].to_str().unwrap();
    let kind = kind.split(';').next().unwrap();
    let mut schema = content[kind]["schema"].clone();
    assert!(schema.is_object(), "{method} {template}: {status} {kind} is not described: {}", reply.text);
    if kind != "application/json" {
        return;
    }
    schema["components"] = document["components"].clone();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&reply.json()).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {template} {status}: {errors:?}\n{}", reply.text);
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |m| (m.clone(), path.clone()))
        })
        .collect();
    let routes: BTreeSet<_> = ROUTES.iter().map(|(m, p)| ((*m).to_owned(), (*p).to_owned())).collect();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let (stage, document) = (stage().await, document());
    let of = |rest: &str| format!("{BTC}{rest}");
    let good = [
        ("/api/openapi.json".to_owned(), "/api/openapi.json"),
        ("/api/v1/jobs".into(), "/api/v1/jobs"),
        ("/api/v1/overview".into(), "/api/v1/overview"),
        ("/api/v1/runs".into(), "/api/v1/runs?outcome=failed&limit=5"),
        ("/api/v1/runs".into(), "/api/v1/runs?market=um&symbol=BTCUSDT&interval=5m"),
        ("/api/v1/series".into(), "/api/v1/series?months=true&sort=missing"),
        (of(""), "/api/v1/series/um/BTCUSDT/5m"),
        (of("/absent"), "/api/v1/series/um/BTCUSDT/5m/absent"),
        (of("/gaps"), "/api/v1/series/um/BTCUSDT/5m/gaps"),
        (of("/klines"), "/api/v1/series/um/BTCUSDT/5m/klines?around=2025-01-02"),
        (of("/ledger"), "/api/v1/series/um/BTCUSDT/5m/ledger"),
        (of("/map"), "/api/v1/series/um/BTCUSDT/5m/map?by=hour"),
        (of("/map"), "/api/v1/series/um/BTCUSDT/1M/map"),
        ("/healthz".into(), "/healthz"),
        ("/metrics".into(), "/metrics"),
        ("/readyz".into(), "/readyz"),
    ];
    for (template, path) in good {
        let reply = get(&stage.app, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        check(&document, "get", &template, &reply);
    }
    let bad = [
        (of(""), "/api/v1/series/um/NOPEUSDT/5m", 404),
        (of(""), "/api/v1/series/um/BTCUSDT/5x", 400),
        (of("/map"), "/api/v1/series/um/ETHUSDT/1h/map?by=second", 400),
        (of("/gaps"), "/api/v1/series/um/BTCUSDT/5m/gaps?since=yesterday", 400),
        (of("/klines"), "/api/v1/series/um/BTCUSDT/5m/klines?limit=100000", 400),
        ("/api/v1/series".into(), "/api/v1/series?sort=luck", 400),
        ("/api/v1/series".into(), "/api/v1/series?limits=5", 400),
        ("/api/v1/runs".into(), "/api/v1/runs?market=um", 400),
        ("/api/v1/access".into(), "/api/v1/access", 401),
    ];
    for (template, path, status) in bad {
        let reply = get(&stage.app, path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
        check(&document, "get", &template, &reply);
    }
}

#[tokio::test]
async fn numbers_add_up_and_the_gaps_are_where_they_are() {
    let stage = stage().await;
    let whole = get(&stage.app, "/api/v1/overview").await.json();
    let t = &whole["totals"];
    assert_eq!(
        (t["series"].as_u64(), t["complete"].as_u64(), t["gaps"].as_u64()),
        (Some(3), Some(2), Some(2))
    );
    assert_eq!((t["missing"].as_u64(), t["absent"].as_u64()), (Some(52), Some(12)));
    assert_eq!(whole["last_run"]["reason"], "Invalid symbol");
    let row = get(&stage.app, "/api/v1/series/um/BTCUSDT/5m").await.json();
    assert_eq!((row["rows"].as_u64(), row["expected"].as_u64()), (Some(800), Some(864)));
    assert_eq!(row["months"], json!({"first": "2025-01", "cells": [[864, 52, 12]]}));
    let gaps = get(&stage.app, "/api/v1/series/um/BTCUSDT/5m/gaps?limit=1").await.json();
    assert_eq!((gaps["total"].as_u64(), gaps["klines"].as_u64()), (Some(2), Some(52)));
    assert_eq!(
        gaps["ranges"],
        json!([{"since": "2025-01-01T08:20:00Z", "until": "2025-01-01T11:40:00Z", "klines": 40}])
    );
    let absent = get(&stage.app, "/api/v1/series/um/BTCUSDT/5m/absent").await.json();
    assert_eq!(absent["ranges"][0]["how"], "empty_answer");
    let days = get(&stage.app, "/api/v1/series/um/BTCUSDT/5m/map?by=day&since=2025-01-02&until=2025-01-03")
        .await
        .json();
    assert_eq!(
        days["cells"],
        json!([{"at": "2025-01-02T00:00:00Z", "expected": 288, "stored": 276, "missing": 0, "absent": 12}])
    );
}

#[tokio::test]
async fn a_window_of_candles_keeps_to_its_limit_and_its_side() {
    let stage = stage().await;
    let ask = async |query: &str| {
        get(&stage.app, &format!("/api/v1/series/um/ETHUSDT/1h/klines?{query}")).await.json()
    };
    let window = |answer: &Value| {
        let of = |name: &str| answer[name].as_str().unwrap()[..13].to_owned();
        (of("since"), of("until"), answer["klines"].as_array().unwrap().len())
    };
    let last = ask("limit=10").await;
    assert_eq!(window(&last), ("2025-03-24T22".into(), "2025-03-25T08".into(), 10));
    assert_eq!(last["klines"][0], json!([1_742_853_600_000_i64, "1.10", "1.30", "0.90", "1.20", "5"]));
    assert_eq!(
        window(&ask("since=2025-01-02&limit=3").await),
        ("2025-01-02T00".into(), "2025-01-02T03".into(), 3)
    );
    assert_eq!(
        window(&ask("until=2025-01-02&limit=3").await),
        ("2025-01-01T21".into(), "2025-01-02T00".into(), 3)
    );
    assert_eq!(
        window(&ask("around=2025-01-02&limit=4").await),
        ("2025-01-01T22".into(), "2025-01-02T02".into(), 4)
    );
    assert_eq!(
        window(&ask("around=2025-01-01&limit=4").await),
        ("2025-01-01T00".into(), "2025-01-01T04".into(), 4)
    );
    assert_eq!(
        window(&ask("around=2030-01-01&limit=4").await),
        ("2025-03-25T04".into(), "2025-03-25T08".into(), 4)
    );
    assert_eq!(ask("since=2030-01-01").await["klines"], json!([]));
}

#[tokio::test]
async fn series_are_found_by_words_and_sorted() {
    let stage = stage().await;
    let names = async |query: &str| {
        let page = get(&stage.app, &format!("/api/v1/series?{query}")).await.json();
        let name =
            |s: &Value| format!("{} {}", s["symbol"].as_str().unwrap(), s["interval"].as_str().unwrap());
        page["series"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["BTCUSDT 5m", "BTCUSDT 1M", "ETHUSDT 1h"]);
    assert_eq!(names("q=btc").await, ["BTCUSDT 5m", "BTCUSDT 1M"]);
    assert_eq!(names("q=BTC+1M").await, ["BTCUSDT 1M"]);
    assert!(names("q=BTC+1m").await.is_empty(), "a minute is no month");
    assert_eq!(names("state=incomplete").await, ["BTCUSDT 5m"]);
    assert_eq!(names("sort=rows&limit=1&offset=1").await, ["BTCUSDT 5m"]);
    assert_eq!(names("sort=behind").await, ["BTCUSDT 1M", "BTCUSDT 5m", "ETHUSDT 1h"]);
}

#[tokio::test]
async fn a_store_that_is_still_to_be_made_is_empty_and_is_not_made() {
    let stage = bare();
    for path in ["/api/v1/overview", "/api/v1/series", "/api/v1/runs", "/api/v1/jobs", "/readyz", "/metrics"]
    {
        let reply = get(&stage.app, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    assert_eq!(get(&stage.app, "/readyz").await.json()["status"], "empty");
    assert!(!stage.folder.path().join("klines.db").exists());
    std::fs::write(stage.folder.path().join("klines.db"), "no database, but long enough to be looked at")
        .unwrap();
    let reply = get(&stage.app, "/readyz").await;
    assert_eq!(reply.status, 503);
    check(&document(), "get", "/readyz", &reply);
    assert_eq!(get(&stage.app, "/healthz").await.status, 200, "the process itself is well");
}

#[tokio::test]
async fn metrics_are_those_that_are_documented() {
    let stage = stage().await;
    let text = get(&stage.app, "/metrics").await.text;
    let documented = include_str!("../../../../docs/dashboard.md");
    for (name, kind, labels, _) in METRICS {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}\n{text}");
        assert!(documented.contains(&format!("| `{name}` | {kind} |")), "{name} is not in docs/dashboard.md");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(labels.iter().all(|label| line.contains(&format!("{label}=\""))), "{line}");
    }
    assert!(
        text.contains("klines_store_missing{market=\"um\",symbol=\"BTCUSDT\",interval=\"5m\"} 52\n"),
        "{text}"
    );
    let known = |line: &str| {
        METRICS.iter().any(|m| line.strip_prefix(m.0).is_some_and(|rest| rest.starts_with([' ', '{'])))
    };
    assert!(text.lines().filter(|line| !line.starts_with('#')).all(known), "{text}");
}

#[tokio::test]
async fn assets_are_asked_for_once() {
    let stage = stage().await;
    let first = get(&stage.app, "/js/app.js").await;
    assert_eq!(first.headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    let tag = first.headers[header::ETAG].clone();
    let again = request("GET", "/js/app.js").header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
    let again = ask(&stage.app, again).await;
    assert_eq!((again.status.as_u16(), again.text.len()), (304, 0));
    let nothing = get(&stage.app, "/js/../../Cargo.toml").await;
    assert_eq!(nothing.status, 404);
}

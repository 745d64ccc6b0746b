//! What was certified, and has changed since.

use kline::{Interval, SlotRange};
use serde_json::{Value, json};
use store::{Chunk, KlineStore, Store};

use crate::api::{check, document};
use crate::fixture::*;

/// What a dashboard opened now says of a series.
async fn told(stage: &Stage, name: &str) -> Value {
    let app = dashboard::app(config(&stage.url()), stage.stop.clone());
    let reply = get(&app, &format!("/api/v1/series/um/{name}")).await;
    check(&document(), "get", "/api/v1/series/{market}/{symbol}/{interval}", &reply);
    reply.json()["certified"].clone()
}

#[tokio::test]
async fn a_series_is_never_certified_until_it_is_and_then_until_it_changes() {
    let stage = stage().await;
    let store = Store::open(&stage.url()).await.unwrap();
    let eth = series("ETHUSDT", Interval::H1);
    let never = json!({"months": 3, "current": 0, "grown": 0, "changed": 0, "since": null});
    assert_eq!(told(&stage, "ETHUSDT/1h").await, never);

    certify(&store, &eth, "2025-04-02").await;
    let whole = json!({"months": 3, "current": 3, "grown": 0, "changed": 0, "since": "2025-04-02T00:00:00Z"});
    assert_eq!(told(&stage, "ETHUSDT/1h").await, whole);

    // Klines after the last one: March has more than was certified, and what was has not changed.
    put(&store, &eth, "2025-03-25T08:00:00Z", 24, &[], Chunk::default()).await;
    let grown = json!({"months": 3, "current": 2, "grown": 1, "changed": 0, "since": "2025-04-02T00:00:00Z"});
    assert_eq!(told(&stage, "ETHUSDT/1h").await, grown);

    // A kline of February with another value: the books say that it was replaced.
    let slot = eth.interval.slot_of(at("2025-02-11"));
    let mut other = kline(eth.interval, slot);
    other.close = kline::Decimal::parse("1.25").unwrap();
    let lease = store.acquire(&eth, "writer", std::time::Duration::from_secs(60)).await.unwrap();
    store.commit(&lease, &Chunk { run: "r".into(), klines: vec![other], ..Chunk::default() }).await.unwrap();
    store.release(&lease).await.unwrap();
    let changed =
        json!({"months": 3, "current": 1, "grown": 1, "changed": 1, "since": "2025-04-02T00:00:00Z"});
    assert_eq!(told(&stage, "ETHUSDT/1h").await, changed);

    certify(&store, &eth, "2025-04-09").await;
    assert_eq!(told(&stage, "ETHUSDT/1h").await["current"], 3);
}

#[tokio::test]
async fn what_is_stored_and_missing_is_counted_the_same_with_certificates_and_without() {
    let stage = stage().await;
    let row = async || {
        let app = dashboard::app(config(&stage.url()), stage.stop.clone());
        let mut row = get(&app, "/api/v1/series/um/BTCUSDT/5m").await.json();
        row["behind"] = Value::Null;
        row.as_object_mut().unwrap().remove("certified").unwrap();
        row
    };
    let before = row().await;
    let store = Store::open(&stage.url()).await.unwrap();
    // A part only, so that what is looked at reaches further than what was certified; and another series as a whole.
    let five = series("BTCUSDT", Interval::M5);
    let slot = |text: &str| five.interval.slot_of(at(text));
    let part = SlotRange::new(slot("2025-01-01T12:00:00Z"), slot("2025-01-02T12:00:00Z"));
    pipeline::certify::incrementally(&store, &five, part, at("2025-04-02")).await.unwrap();
    assert_eq!(row().await, before);
    let state = json!({"months": 1, "current": 0, "grown": 1, "changed": 0, "since": "2025-04-02T00:00:00Z"});
    assert_eq!(told(&stage, "BTCUSDT/5m").await, state);
}

#[tokio::test]
async fn series_that_changed_since_are_counted_and_found() {
    let stage = stage().await;
    let store = Store::open(&stage.url()).await.unwrap();
    let (five, hours) = (series("BTCUSDT", Interval::M5), series("ETHUSDT", Interval::H1));
    certify(&store, &five, "2025-04-02").await;
    certify(&store, &hours, "2025-04-02").await;
    // A gap that is filled changes what was certified.
    put(&store, &five, "2025-01-01T08:20:00Z", 40, &[], Chunk::default()).await;
    let whole = get(&stage.app, "/api/v1/overview").await.json();
    assert_eq!((&whole["totals"]["certified"], &whole["totals"]["changed"]), (&json!(1), &json!(1)));
    let reply = get(&stage.app, "/api/v1/series?state=changed").await;
    check(&document(), "get", "/api/v1/series", &reply);
    let found = reply.json();
    assert_eq!((&found["matched"], &found["series"][0]["interval"]), (&json!(1), &json!("5m")));
}

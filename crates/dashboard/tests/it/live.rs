//! Work that goes on, seen while it goes on.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use kline::Interval;
use serde_json::Value;
use store::{Chunk, KlineStore, Store};
use tower::ServiceExt;

use crate::fixture::*;

/// The states of a stream until one fits.
async fn until(events: &mut axum::body::BodyDataStream, fits: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        let mut text = String::new();
        while let Some(part) = events.next().await {
            text.push_str(&String::from_utf8_lossy(&part.unwrap()));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                text = rest.to_owned();
                if let Some(data) = data {
                    let state: Value = serde_json::from_str(&data).unwrap();
                    if fits(&state) {
                        return state;
                    }
                }
            }
        }
        panic!("the stream has ended");
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
}

#[tokio::test]
async fn another_processs_job_is_seen_while_it_works() {
    let stage = stage().await;
    let writer = Store::open(&stage.url()).await.unwrap();
    let series = series("BTCUSDT", Interval::M5);
    let response = stage.app.clone().oneshot(request("GET", "/api/v1/events").body(Body::empty()).unwrap());
    let mut events = response.await.unwrap().into_body().into_data_stream();
    until(&mut events, |state| state["running"].as_array().unwrap().is_empty()).await;

    let lease = writer.acquire(&series, "pod-7 pid 12 (abc.5)", Duration::from_secs(60)).await.unwrap();
    let seen = until(&mut events, |state| !state["running"].as_array().unwrap().is_empty()).await;
    let work = &seen["running"][0];
    assert_eq!((work["owner"].as_str(), work["missing"].as_u64()), (Some("pod-7 pid 12"), Some(52)));

    let first = series.interval.slot_of(at("2025-01-01"));
    let klines = (first + 100..first + 140).map(|slot| kline(series.interval, slot)).collect();
    writer.commit(&lease, &Chunk { run: "r".into(), klines, ..Chunk::default() }).await.unwrap();
    let seen = until(&mut events, |state| state["running"][0]["written"] == 40).await;
    assert_eq!(
        (seen["running"][0]["missing"].as_u64(), seen["running"][0]["missing_at_first"].as_u64()),
        (Some(12), Some(52))
    );

    writer.release(&lease).await.unwrap();
    until(&mut events, |state| state["running"].as_array().unwrap().is_empty()).await;
    stage.stop.cancel();
    let end = tokio::time::timeout(Duration::from_secs(5), async { while events.next().await.is_some() {} });
    assert!(end.await.is_ok(), "a stream must not keep a server from stopping");
}

//! What a subscriber gets.

use std::time::Duration;

use async_nats::Subscriber;
use events::{NatsSettings, Publisher, deliver, deliver_outbox};
use futures_util::StreamExt;
use store::{Finish, KlineStore, Message, Store};

use crate::outbox::{Memory, message, numbered};
use crate::server::Server;

const SUBJECT: &str = "binance.extraction.gap-filler.klines_gap_filling.BTCUSDT.5m";

pub async fn next(subscriber: &mut Subscriber) -> async_nats::Message {
    tokio::time::timeout(Duration::from_secs(10), subscriber.next())
        .await
        .expect("a message in time")
        .unwrap()
}

pub fn text(message: &async_nats::Message) -> String {
    String::from_utf8(message.payload.to_vec()).unwrap()
}

#[tokio::test]
async fn a_subscriber_gets_subject_body_and_headers() {
    let Some(server) = Server::start("") else { return };
    let mut heard = server.client().await.subscribe("binance.>").await.unwrap();
    server.client().await.flush().await.unwrap();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = Message {
        traceparent: Some(traceparent.into()),
        ..message("run1.um.BTCUSDT.5m", SUBJECT, r#"{"success":true}"#)
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let delivery = deliver_outbox(&Memory::with(vec![sent]), &server.settings()).await;
    assert!(delivery.is_complete() && delivery.sent == 1, "{delivery:?}");
    let got = next(&mut heard).await;
    let body: serde_json::Value = serde_json::from_str(&text(&got)).unwrap();
    assert_eq!(body["success"], true);
    assert_eq!(got.subject.as_str(), SUBJECT);
    let headers = got.headers.unwrap();
    assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), "run1.um.BTCUSDT.5m");
    assert_eq!(headers.get("traceparent").unwrap().as_str(), traceparent);
    assert!(got.reply.is_none());
}

#[tokio::test]
async fn messages_arrive_in_the_order_of_the_outbox() {
    let Some(server) = Server::start("") else { return };
    let listener = server.client().await;
    let mut heard = listener.subscribe("a.>").await.unwrap();
    listener.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let outbox = Memory::with(numbered(250, "a.b"));
    let delivery = deliver_outbox(&outbox, &server.settings()).await;
    assert!(delivery.is_complete() && delivery.sent == 250, "{delivery:?}");
    assert!(outbox.ids().is_empty());
    for i in 0..250 {
        assert_eq!(text(&next(&mut heard).await), format!("m{i}"));
    }
}

#[tokio::test]
async fn somebody_who_listens_to_everything_does_not_hinder_delivery() {
    let Some(server) = Server::start("") else { return };
    let listener = server.client().await;
    let mut heard = listener.subscribe(">").await.unwrap();
    listener.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let delivery = deliver_outbox(&Memory::with(numbered(1, "a.b")), &server.settings()).await;
    assert!(delivery.is_complete(), "{delivery:?}");
    let mut subjects = Vec::new();
    while !subjects.contains(&"a.b".to_owned()) {
        subjects.push(next(&mut heard).await.subject.to_string());
    }
}

#[tokio::test]
async fn the_outbox_of_a_store_is_emptied() {
    let Some(server) = Server::start("") else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}", dir.path().join("klines.db").display())).await.unwrap();
    store.finish(&Finish { run: None, messages: numbered(3, "a.b") }).await.unwrap();
    let delivery = deliver_outbox(&store, &server.settings()).await;
    assert!(delivery.is_complete() && delivery.sent == 3, "{delivery:?}");
    assert!(store.pending(10).await.unwrap().is_empty());
    store.close().await.unwrap();
}

#[tokio::test]
async fn switched_off_or_without_url_nothing_connects() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let outbox = Memory::with(numbered(1, "a"));
    let off = NatsSettings { enabled: false, ..NatsSettings::from_urls(&url).unwrap() };
    for settings in [off, NatsSettings::default()] {
        let delivery = deliver_outbox(&outbox, &settings).await;
        assert!(delivery.sent == 0 && delivery.error.is_none());
        assert!(Publisher::connect(&settings).await.is_err_and(|e| e.is_usage()));
    }
    // Nothing waits: no reason to connect either.
    deliver_outbox(&Memory::default(), &NatsSettings::from_urls(&url).unwrap()).await;
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(outbox.ids(), ["m0"]);
}

#[tokio::test]
async fn a_message_that_is_too_large_stays_and_the_others_go() {
    let Some(server) = Server::start("max_payload: 1KB") else { return };
    let outbox = Memory::with(vec![
        message("first", "a", "1"),
        message("huge", "a", &"x".repeat(5000)),
        message("last", "a", "2"),
    ]);
    let publisher = Publisher::connect(&server.settings()).await.unwrap();
    let delivery = deliver(&outbox, &publisher, Duration::from_secs(10)).await;
    assert_eq!((delivery.sent, delivery.left), (2, 1));
    assert_eq!(outbox.ids(), ["huge"]);
    let error = delivery.error.unwrap().to_string();
    assert_eq!(error, "the message to a has 5000 bytes, the server takes 1024 at most");
}

#[tokio::test]
async fn a_message_without_a_proper_subject_stays_and_the_others_go() {
    let Some(server) = Server::start("jetstream { store_dir: \"DIR/js\" }") else { return };
    let outbox = Memory::with(vec![
        message("empty", "", "1"),
        message("space", "a b", "1"),
        message("line\r\nbreak", "a", "1"),
        message("good", "a", "1"),
    ]);
    let delivery = deliver_outbox(&outbox, &server.settings()).await;
    assert_eq!((delivery.sent, delivery.left), (1, 3), "{delivery:?}");
    assert_eq!(outbox.ids(), ["empty", "space", "line\r\nbreak"]);
}

#[tokio::test]
async fn the_facts_of_a_server_are_told_without_a_trace() {
    let Some(server) = Server::start("jetstream { store_dir: \"DIR/js\" }") else { return };
    let publisher = Publisher::connect(&server.settings_as("")).await.unwrap();
    let facts = publisher.facts(Duration::from_secs(5)).await.unwrap();
    assert!(facts.jetstream && !facts.tls_required && facts.version.starts_with('2'), "{facts:?}");
    assert_eq!(facts.server, format!("nats://127.0.0.1:{}", server.port()));
}

//! JetStream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use events::{Coverage, EventsError, Publisher, deliver_outbox};

use crate::outbox::{Memory, message, numbered};
use crate::server::Server;

const JETSTREAM: &str = "jetstream { store_dir: \"DIR/js\" }";

async fn stream(server: &Server, config: stream::Config) -> stream::Stream {
    jetstream::new(server.client().await).create_stream(config).await.unwrap()
}

fn config() -> stream::Config {
    stream::Config {
        name: "EXTRACTION".into(),
        subjects: vec!["binance.extraction.>".into()],
        duplicate_window: Duration::from_secs(60),
        ..stream::Config::default()
    }
}

async fn kept(stream: &stream::Stream) -> Vec<String> {
    let count = stream.get_info().await.unwrap().state.messages;
    let mut kept = Vec::new();
    for sequence in 1..=count {
        let message = stream.get_raw_message(sequence).await.unwrap();
        kept.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    kept
}

#[tokio::test]
async fn a_stream_keeps_every_message_in_order() {
    let Some(server) = Server::start(JETSTREAM) else { return };
    let stream = stream(&server, config()).await;
    let outbox = Memory::with(numbered(120, "binance.extraction.x"));
    let delivery = deliver_outbox(&outbox, &server.settings()).await;
    assert!(delivery.is_complete() && delivery.sent == 120, "{delivery:?}");
    let expected: Vec<_> = (0..120).map(|i| format!("m{i}")).collect();
    assert_eq!(kept(&stream).await, expected);
}

#[tokio::test]
async fn a_crash_between_publish_and_mark_repeats_what_the_stream_drops() {
    let Some(server) = Server::start(JETSTREAM) else { return };
    let stream = stream(&server, config()).await;
    let outbox = Memory::with(numbered(3, "binance.extraction.x"));
    outbox.forgetful.store(true, Ordering::Relaxed);
    let crashed = deliver_outbox(&outbox, &server.settings()).await;
    assert_eq!((crashed.sent, crashed.left), (0, 3));
    assert!(matches!(crashed.error, Some(EventsError::Outbox(_))));
    assert_eq!(kept(&stream).await.len(), 3);
    outbox.forgetful.store(false, Ordering::Relaxed);
    let repeated = deliver_outbox(&outbox, &server.settings()).await;
    assert!(repeated.is_complete() && repeated.sent == 3, "{repeated:?}");
    assert_eq!(kept(&stream).await, ["m0", "m1", "m2"]);
}

#[tokio::test]
async fn a_server_with_jetstream_takes_subjects_of_no_stream_too() {
    let Some(server) = Server::start(JETSTREAM) else { return };
    let stream = stream(&server, config()).await;
    let outbox = Memory::with(vec![
        message("a", "elsewhere.x", "a"),
        message("b", "binance.extraction.x", "b"),
        message("c", "elsewhere.x", "c"),
    ]);
    let delivery = deliver_outbox(&outbox, &server.settings()).await;
    assert!(delivery.is_complete() && delivery.sent == 3, "{delivery:?}");
    assert_eq!(kept(&stream).await, ["b"]);
    let publisher = Publisher::connect(&server.settings()).await.unwrap();
    assert_eq!(publisher.coverage("binance.extraction.y").await.unwrap(), Coverage::Stream);
    assert_eq!(publisher.coverage("elsewhere.x").await.unwrap(), Coverage::Nobody);
}

#[tokio::test]
async fn a_full_stream_leaves_the_rest_in_the_outbox_in_order() {
    let Some(server) = Server::start(JETSTREAM) else { return };
    let full = stream::Config { max_messages: 2, discard: stream::DiscardPolicy::New, ..config() };
    let stream = stream(&server, full).await;
    let outbox = Memory::with(numbered(4, "binance.extraction.x"));
    let delivery = deliver_outbox(&outbox, &server.settings()).await;
    assert_eq!((delivery.sent, delivery.left), (2, 2), "{delivery:?}");
    assert_eq!(outbox.ids(), ["m2", "m3"]);
    assert!(matches!(delivery.error, Some(EventsError::StreamRefused { .. })));
    assert_eq!(kept(&stream).await, ["m0", "m1"]);
}

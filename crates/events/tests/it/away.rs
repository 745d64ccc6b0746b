//! NATS away, back, or not answering.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use events::{EventsError, NatsSettings, deliver_outbox};

use crate::delivery::{next, text};
use crate::outbox::{Memory, numbered};
use crate::server::{Server, free_port};

fn hurried(settings: NatsSettings) -> NatsSettings {
    NatsSettings { deadline: Duration::from_secs(1), ..settings }
}

#[tokio::test]
async fn what_could_not_be_sent_goes_out_in_order_when_the_server_is_back() {
    let Some(server) = Server::reserve("") else { return };
    let outbox = Memory::with(numbered(5, "a.b"));
    let away = deliver_outbox(&outbox, &server.settings()).await;
    assert_eq!((away.sent, away.left), (0, 5));
    let error = away.error.unwrap();
    assert!(matches!(error, EventsError::Refused { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("nats://127.0.0.1:{} refused the connection", server.port()));
    assert!(error.hint().unwrap().contains("NATS_URL"));

    server.up();
    let listener = server.client().await;
    let mut heard = listener.subscribe("a.>").await.unwrap();
    listener.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let back = deliver_outbox(&outbox, &server.settings()).await;
    assert!(back.is_complete() && back.sent == 5, "{back:?}");
    for i in 0..5 {
        assert_eq!(text(&next(&mut heard).await), format!("m{i}"));
    }
}

#[tokio::test]
async fn a_server_that_restarts_in_the_middle_gets_everything_once() {
    let Some(server) = Server::start("jetstream { store_dir: \"DIR/js\" }") else { return };
    let config =
        stream::Config { name: "S".into(), subjects: vec!["a.>".into()], ..stream::Config::default() };
    jetstream::new(server.client().await).create_stream(config).await.unwrap();
    let settings = NatsSettings { deadline: Duration::from_secs(60), ..server.settings() };
    let port = server.port();
    let server = Arc::new(Mutex::new(server));
    let restarted = Arc::new(Mutex::new(false));
    let mut outbox = Memory::with(numbered(250, "a.b"));
    let of_hook = Arc::clone(&server);
    outbox.on_marked = Some(Box::new(move || {
        let mut done = restarted.lock().unwrap();
        if !*done {
            *done = true;
            let server = of_hook.lock().unwrap();
            server.down();
            server.up();
        }
    }));
    let delivery = deliver_outbox(&outbox, &settings).await;
    assert!(delivery.is_complete() && delivery.sent == 250, "{delivery:?}");
    let client = async_nats::connect(format!("nats://127.0.0.1:{port}")).await.unwrap();
    let stream = jetstream::new(client).get_stream("S").await.unwrap();
    assert_eq!(stream.get_info().await.unwrap().state.messages, 250);
    for i in 0..250 {
        let kept = stream.get_raw_message(i + 1).await.unwrap();
        assert_eq!(kept.payload.as_ref(), format!("m{i}").as_bytes());
    }
}

#[tokio::test]
async fn a_restart_loses_no_message_without_a_stream_either() {
    let Some(server) = Server::start("") else { return };
    let settings = NatsSettings { deadline: Duration::from_secs(60), ..server.settings() };
    let listener = server.client().await;
    let mut heard = listener.subscribe("a.>").await.unwrap();
    listener.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let server = Arc::new(Mutex::new(server));
    let restarted = Arc::new(Mutex::new(false));
    let mut outbox = Memory::with(numbered(250, "a.b"));
    let of_hook = Arc::clone(&server);
    outbox.on_marked = Some(Box::new(move || {
        let mut done = restarted.lock().unwrap();
        if !*done {
            *done = true;
            let server = of_hook.lock().unwrap();
            server.down();
            server.up();
        }
    }));
    let delivery = deliver_outbox(&outbox, &settings).await;
    assert!(delivery.is_complete() && delivery.sent == 250, "{delivery:?}");
    // What was confirmed before the restart is with the listener; it may have been away for some that came after.
    for i in 0..100 {
        assert_eq!(text(&next(&mut heard).await), format!("m{i}"));
    }
}

#[tokio::test]
async fn a_server_that_hangs_costs_no_more_than_the_deadline() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", hanging.local_addr().unwrap());
    let settings = NatsSettings { in_cluster: true, ..hurried(NatsSettings::from_urls(&url).unwrap()) };
    let began = Instant::now();
    let delivery = deliver_outbox(&Memory::with(numbered(2, "a")), &settings).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((delivery.sent, delivery.left), (0, 2));
    let error = delivery.error.unwrap();
    assert!(matches!(error, EventsError::Silent { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("network policy"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_dies_after_connecting_costs_no_more_than_the_deadline() {
    let Some(server) = Server::start("") else { return };
    let publisher = events::Publisher::connect(&server.settings()).await.unwrap();
    server.down();
    let outbox = Memory::with(numbered(2, "a"));
    let began = Instant::now();
    let delivery = events::deliver(&outbox, &publisher, Duration::from_secs(1)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((delivery.sent, delivery.left, outbox.ids().len()), (0, 2, 2));
    assert!(matches!(delivery.error, Some(EventsError::Unconfirmed { .. })), "{delivery:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said_so() {
    let settings = hurried(NatsSettings::from_urls("nats://joe:hunter2@nats.invalid:4222").unwrap());
    let settings = NatsSettings { in_cluster: true, deadline: Duration::from_secs(3), ..settings };
    let delivery = deliver_outbox(&Memory::with(numbered(1, "a")), &settings).await;
    let error = delivery.error.unwrap();
    assert_eq!(error.to_string(), "cannot resolve nats.invalid");
    assert!(error.hint().unwrap().contains("port 53"), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn the_second_server_is_used_when_the_first_is_away() {
    let Some(server) = Server::start("") else { return };
    let urls = format!("nats://127.0.0.1:{},nats://127.0.0.1:{}", free_port(), server.port());
    let delivery =
        deliver_outbox(&Memory::with(numbered(1, "a")), &NatsSettings::from_urls(&urls).unwrap()).await;
    assert!(delivery.is_complete() && delivery.sent == 1, "{delivery:?}");
}

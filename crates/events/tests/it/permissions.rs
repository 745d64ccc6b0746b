//! Users who may do little.

use async_nats::jetstream::{self, stream};
use events::{EventsError, deliver_outbox};

use crate::outbox::{Memory, message, numbered};
use crate::server::Server;

/// `admin` may do everything; `job` only what `rights` says.
fn users(rights: &str) -> String {
    format!(
        "jetstream {{ store_dir: \"DIR/js\" }}\n\
         authorization {{ users: [\n\
           {{ user: admin, password: root }}\n\
           {{ user: job, password: pw, permissions: {{ {rights} }} }}\n\
         ] }}"
    )
}

async fn with_stream(server: &Server) -> stream::Stream {
    let client = async_nats::ConnectOptions::with_user_and_password("admin".into(), "root".into())
        .connect(format!("127.0.0.1:{}", server.port()))
        .await
        .unwrap();
    let config =
        stream::Config { name: "S".into(), subjects: vec!["kept.>".into()], ..stream::Config::default() };
    jetstream::new(client).create_stream(config).await.unwrap()
}

#[tokio::test]
async fn a_subject_that_is_not_permitted_stays_and_the_others_go() {
    let rights = "publish: { deny: [\"secret.>\"] }";
    let Some(server) = Server::start(&users(rights)) else { return };
    let outbox = Memory::with(vec![
        message("a", "open.x", "a"),
        message("b", "secret.x", "b"),
        message("c", "open.x", "c"),
    ]);
    let delivery = deliver_outbox(&outbox, &server.settings_as("job:pw@")).await;
    assert_eq!((delivery.sent, delivery.left), (2, 1), "{delivery:?}");
    assert_eq!(outbox.ids(), ["b"]);
    let error = delivery.error.unwrap();
    assert_eq!(error.to_string(), "the server does not let this user publish to secret.x");
    assert!(matches!(error, EventsError::NotPermitted { .. }));
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_streams_still_gets_acknowledgements() {
    let rights = "publish: [\"kept.>\"], subscribe: [\"_INBOX.>\"]";
    let Some(server) = Server::start(&users(rights)) else { return };
    let stream = with_stream(&server).await;
    let outbox = Memory::with(numbered(5, "kept.x"));
    let delivery = deliver_outbox(&outbox, &server.settings_as("job:pw@")).await;
    assert!(delivery.is_complete() && delivery.sent == 5, "{delivery:?}");
    assert_eq!(stream.get_info().await.unwrap().state.messages, 5);
}

#[tokio::test]
async fn a_user_who_may_only_publish_is_enough_without_a_stream() {
    let rights = "publish: [\"plain.>\"], subscribe: { deny: [\">\"] }";
    let Some(server) = Server::start(&users(rights)) else { return };
    let outbox = Memory::with(vec![message("a", "plain.x", "a"), message("b", "other.x", "b")]);
    let delivery = deliver_outbox(&outbox, &server.settings_as("job:pw@")).await;
    assert_eq!((delivery.sent, delivery.left), (1, 1), "{delivery:?}");
    assert_eq!(outbox.ids(), ["b"]);
}

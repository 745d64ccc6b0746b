//! Ways to log in.

use data_encoding::BASE64URL_NOPAD;
use events::{Auth, EventsError, NatsSettings, Publisher, Secret, deliver_outbox};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::outbox::{Memory, numbered};
use crate::server::Server;

async fn delivers(settings: &NatsSettings) {
    let delivery = deliver_outbox(&Memory::with(numbered(1, "a")), settings).await;
    assert!(delivery.is_complete() && delivery.sent == 1, "{delivery:?}");
}

async fn is_refused(settings: &NatsSettings) -> String {
    let error = Publisher::connect(settings).await.err().expect("the login is refused");
    assert!(matches!(error, EventsError::LoginRefused { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_wrong_password_is_said_so_and_never_shown() {
    let Some(server) = Server::start("authorization { user: joe, password: hunter2 }") else { return };
    delivers(&server.settings_as("joe:hunter2@")).await;
    let text = is_refused(&server.settings_as("joe:s3cret@")).await;
    let port = server.port();
    assert_eq!(text, format!("nats://127.0.0.1:{port} does not accept user `joe` and a password"));
    assert!(is_refused(&server.settings()).await.ends_with("does not accept a client without credentials"));
    // Nothing is lost by it.
    let outbox = Memory::with(numbered(2, "a"));
    let delivery = deliver_outbox(&outbox, &server.settings_as("joe:s3cret@")).await;
    assert_eq!((delivery.sent, delivery.left, outbox.ids().len()), (0, 2, 2));
}

#[tokio::test]
async fn a_token_opens() {
    let Some(server) = Server::start("authorization { token: \"t0ken\" }") else { return };
    delivers(&server.settings_as("t0ken@")).await;
    let settings = NatsSettings { auth: Auth::Token(Secret::new("t0ken")), ..server.settings() };
    delivers(&settings).await;
    let text = is_refused(&server.settings_as("wrong@")).await;
    assert!(text.ends_with("does not accept a token"), "{text}");
}

#[tokio::test]
async fn an_nkey_opens() {
    let key = KeyPair::new_user();
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
    let Some(server) = Server::start(&config) else { return };
    let file = server.file("job.nk");
    std::fs::write(&file, format!("# key of the job\n{}\n", key.seed().unwrap())).unwrap();
    delivers(&NatsSettings { auth: Auth::NkeyFile(file.clone()), ..server.settings() }).await;
    std::fs::write(&file, KeyPair::new_user().seed().unwrap()).unwrap();
    is_refused(&NatsSettings { auth: Auth::NkeyFile(file.clone()), ..server.settings() }).await;
    for (content, why) in [("nothing", "no line"), ("SUAAAA", "not valid")] {
        std::fs::write(&file, content).unwrap();
        let settings = NatsSettings { auth: Auth::NkeyFile(file.clone()), ..server.settings() };
        let error = Publisher::connect(&settings).await.err().unwrap();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.is_usage() && cause.contains(why), "{error:?}");
    }
}

#[tokio::test]
async fn a_credentials_file_opens() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let operator_jwt = jwt(&operator, &operator, "operator", json!({}));
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1});
    let account_jwt = jwt(&operator, &account, "account", json!({ "limits": limits }));
    let user_jwt = jwt(&account, &user, "user", json!({"subs": -1, "data": -1, "payload": -1}));
    let config = format!(
        "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}",
        account.public_key()
    );
    let Some(server) = Server::start(&config) else { return };
    let file = server.file("job.creds");
    let seed = user.seed().unwrap();
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(&file, creds).unwrap();
    delivers(&NatsSettings { auth: Auth::CredsFile(file.clone()), ..server.settings() }).await;
    is_refused(&server.settings()).await;
    std::fs::write(&file, format!("only {seed}")).unwrap();
    let error =
        Publisher::connect(&NatsSettings { auth: Auth::CredsFile(file), ..server.settings() }).await.err();
    let shown = format!("{error:?}");
    assert!(error.unwrap().is_usage() && !shown.contains(&seed), "{shown}");
}

/// A token in the form NATS uses: signed with the issuer's key, about the subject's.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, nats: Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut nats = nats;
    nats["type"] = json!(kind);
    nats["version"] = json!(2);
    let claims = json!({"jti": subject.public_key(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": kind, "sub": subject.public_key(), "nats": nats});
    let body = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(body.as_bytes()).unwrap());
    format!("{body}.{signature}")
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let settings = NatsSettings::from_urls("nats://127.0.0.1:1").unwrap();
    let settings = NatsSettings { auth: Auth::CredsFile("/no/such.creds".into()), ..settings };
    let error = Publisher::connect(&settings).await.err().unwrap();
    assert_eq!(error.to_string(), "cannot use the credentials (NATS_CREDS) in /no/such.creds");
    assert!(error.is_usage());
}

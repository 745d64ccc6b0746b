//! A server that is away, refuses, or goes and comes back.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::mongodb::Client;
use ::mongodb::bson::doc;
use kline::Interval;
use store::{Committed, KlineStore, MongoStore, OpenOptions, StoreError};

use super::{aside, open, pause, start, start_encrypted};
use crate::common::*;

/// An error with its causes and advice, as a person reads it.
fn told(error: &StoreError) -> String {
    let mut text = format!("{error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn a_server_that_is_away_is_told_in_few_words_without_the_password() {
    let url = "mongodb://u:s3cr3t@127.0.0.1:9/k?serverSelectionTimeoutMS=300";
    let error = MongoStore::open(url, OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    let text = told(&error);
    assert_eq!(text, "cannot open mongodb://127.0.0.1:9/k: Connection refused (os error 111)");
    assert!(!format!("{error:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn a_refused_user_is_told_as_such() {
    let Some(server) = start(&[]) else { return };
    let port = server.port();
    aside(async move {
        let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{port}/")).await.unwrap();
        let user = doc! { "createUser": "u", "pwd": "right", "roles": [{ "role": "root", "db": "admin" }] };
        client.database("admin").run_command(user).await.unwrap();
    });
    server.stop("-TERM");
    std::fs::write(server.dir().join("auth"), "").unwrap();
    server.up();
    let url = |password: &str| format!("mongodb://u:{password}@127.0.0.1:{port}/k?authSource=admin");
    // The server answers a ping to nobody now: so ask until it answers at all.
    let mut known = MongoStore::open(&url("right"), OpenOptions::default()).await;
    for _ in 0..20 {
        if known.is_ok() {
            break;
        }
        known = MongoStore::open(&url("right"), OpenOptions::default()).await;
    }
    known.unwrap().close().await.unwrap();
    let error = MongoStore::open(&url("s3cr3t"), OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Login { .. }), "{error:?}");
    assert!(!format!("{error:?} {}", told(&error)).contains("s3cr3t"));
}

#[tokio::test]
async fn encryption_and_whom_to_trust_are_options_of_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = start_encrypted(dir.path()) else { return };
    let url = |options: &str| {
        let patience = "serverSelectionTimeoutMS=2000";
        format!("mongodb://127.0.0.1:{}/k?{patience}&directConnection=true{options}", server.port())
    };
    let ca = dir.path().join("server.pem");
    let trusting = open(&url(&format!("&tls=true&tlsCAFile={}", ca.display()))).await;
    put(&trusting, &btc(Interval::D1), 1..5).await;
    assert_eq!(all(&trusting, &btc(Interval::D1)).await.len(), 4);
    let error = MongoStore::open(&url("&tls=true"), OpenOptions::default()).await.unwrap_err();
    assert!(told(&error).contains("UnknownIssuer"), "{}", told(&error));
    let error = MongoStore::open(&url(""), OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{}", told(&error));
}

/// Kills the server twice while chunks are written.
async fn restart_while_writing(args: &[&str]) {
    let Some(server) = start(args) else { return };
    let server = Arc::new(server);
    let url = format!("mongodb://127.0.0.1:{}/k?serverSelectionTimeoutMS=1000", server.port());
    let (store, s, b) = (open(&url).await, btc(Interval::M1), base(Interval::M1));
    let held = lease(&store, &s).await;
    let done = Arc::new(AtomicBool::new(false));
    let killer = tokio::task::spawn_blocking({
        let (server, done) = (Arc::clone(&server), Arc::clone(&done));
        move || {
            let mut kills = 0;
            while kills < 2 && !done.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(700));
                server.down();
                server.up();
                kills += 1;
            }
            kills
        }
    });
    let mut total = Committed::default();
    let mut n = 0;
    while n < 12 || !killer.is_finished() {
        let from = b + n * 100;
        let chunk = store::Chunk {
            fetched: vec![fetched(slots(from, from + 100), 100)],
            ..rows(klines(Interval::M1, from..from + 100))
        };
        total.add(&store.commit(&held, &chunk).await.unwrap());
        n += 1;
        pause(20).await;
    }
    done.store(true, Ordering::Release);
    assert!(killer.await.unwrap() > 0);
    let want = (b..b + n * 100, u64::try_from(n * 100).unwrap());
    assert_eq!(all(&store, &s).await, klines(Interval::M1, want.0));
    assert_eq!(total, Committed { inserted: want.1, ..Committed::default() });
    let ledger = store.ledger(&s, 99).await.unwrap();
    assert_eq!((ledger.len(), ledger[0].fetched.rows), (1, want.1));
    assert_eq!(store.missing(&s, slots(b, b + n * 100 + 5)).await.unwrap().len(), 5);
    assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, want.1);
}

#[tokio::test]
async fn a_restart_in_mid_write_loses_and_doubles_nothing_with_transactions() {
    restart_while_writing(&["--sync-on-commit"]).await;
}

#[tokio::test]
async fn a_restart_in_mid_write_loses_and_doubles_nothing_without_transactions() {
    restart_while_writing(&["--sync-on-commit", "--standalone"]).await;
}

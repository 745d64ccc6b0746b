//! A process that is killed leaves whole chunks, and nothing else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kline::Interval;
use rusqlite::Connection;
use store::{Chunk, KlineStore};

use super::open;
use crate::common::*;

const CHUNK: i64 = 300;
const FILE: &str = "STORE_TEST_KILLED_FILE";

/// The process to be killed: this very test, started by the other with a file to write to, commits chunks until it is
/// killed. Started with all other tests it has no file, and nothing to do.
#[tokio::test]
async fn writes_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let (store, s, b) = (open(Path::new(&path)).await, btc(Interval::M1), base(Interval::M1));
    let done = all(&store, &s).await.len() as i64 / CHUNK;
    let lease = store.take_over(&s, "victim", "victim", TTL).await.unwrap();
    for n in done.. {
        let range = slots(b + n * CHUNK, b + (n + 1) * CHUNK);
        let chunk = Chunk {
            run: format!("{n}"),
            fetched: vec![fetched(range, CHUNK as u64)],
            ..rows(klines(Interval::M1, range.start..range.end))
        };
        store.commit(&lease, &chunk).await.unwrap();
        println!("committed {n}");
    }
}

/// Kills a writer when it has committed some chunks and is at work on the next; `later` moves the instant.
fn kill_a_writer(path: &Path, commits: usize, later: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::killed::writes_until_killed", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    // Kept open to the end: a writer that cannot print would die by itself.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen =
        lines.by_ref().map_while(Result::ok).filter(|line| line.contains("committed")).take(commits).count();
    std::thread::sleep(later);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(seen == commits && status.code().is_none(), "the writer ended by itself: {status}");
}

#[tokio::test]
async fn a_killed_process_leaves_whole_chunks_and_a_sound_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("klines.db");
    let (s, b) = (btc(Interval::M1), base(Interval::M1));
    let mut told = 0;
    for round in 0..12 {
        let commits = 1 + round % 4;
        kill_a_writer(&path, commits, Duration::from_micros(700 * round as u64));
        told += commits as i64;
        let store = open(&path).await;
        let stored = all(&store, &s).await;
        let n = stored.len() as i64;
        assert_eq!(n % CHUNK, 0, "half a chunk");
        assert_eq!(stored, klines(Interval::M1, b..b + n));
        assert_eq!(store.missing(&s, slots(b, b + n + 9)).await.unwrap(), slots(b + n, b + n + 9).into());
        assert_eq!(store.recount(&s, slots(b, b + n + 9)).await.unwrap(), slots(b + n, b + n + 9).into());
        let ledger = store.ledger(&s, usize::MAX).await.unwrap();
        assert_eq!(ledger.len() as i64, n / CHUNK, "one entry per chunk");
        store.close().await.unwrap();
        let sound: String = Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "integrity_check", |r| r.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
        assert!(n / CHUNK >= told, "{told} commits were reported, {} are there", n / CHUNK);
    }
}

//! Killed at any instant and run again, the program ends with the same table as if nothing had happened.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use exchange_sim::Faults;

use crate::support::*;

const KILLS: u32 = 200;
const AT_ONCE: u32 = 4;
/// Two days of 1m klines, four runs missing at both ends and within: a dozen requests, about as many commits.
const SINCE: &str = "2024-02-27";
const UNTIL: &str = "2024-02-29";

#[test]
fn two_hundred_kills_at_random_instants_leave_the_same_table_as_an_undisturbed_run() {
    let slow = Faults { latency_ms: 25, jitter_ms: 25, ..Faults::default() };
    let exchange = Exchange::start(&["BTCUSDT"], "2024-03-01T00:00:01Z", slow);
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    let url = exchange.url();
    assert_eq!(run(&mut fill(&base, &url)).0, 0);
    punch_holes(&base);

    let whole = copy_of(&base, folder.path(), "whole");
    let started = Instant::now();
    assert_eq!(run(&mut fill(&whole, &url)).0, 0);
    let takes = started.elapsed();
    let expected = dump(&whole);
    assert_eq!(expected.len(), 2 * 1440);

    let next = AtomicU32::new(0);
    let mid_way = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= KILLS {
                        return;
                    }
                    // Spread over the whole run and a little more, in an order that has nothing to do with time.
                    let share = f64::from(i * 7919 % KILLS) / f64::from(KILLS);
                    let partly =
                        kill_and_rerun(i, takes.mul_f64(share * 1.2), &base, folder.path(), &url, &expected);
                    mid_way.fetch_add(u32::from(partly), Ordering::Relaxed);
                }
            });
        }
    });
    let mid_way = mid_way.into_inner();
    println!("{KILLS} kills, {mid_way} of them with part of the gaps filled");
    assert!(mid_way > KILLS / 10, "only {mid_way} kills hit the fill itself");
}

/// Returns whether the kill came when some, but not all, of the gaps were filled.
fn kill_and_rerun(
    i: u32,
    after: Duration,
    base: &Path,
    folder: &Path,
    url: &str,
    expected: &[String],
) -> bool {
    let copy = copy_of(base, folder, &format!("kill-{i}"));
    let before = dump(&copy).len();
    let mut child = fill(&copy, url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let rows = dump(&copy).len();
    let (code, out, err) = run(&mut fill(&copy, url));
    assert_eq!(code, 0, "kill {i} after {after:?}\n{out}{err}");
    assert_eq!(dump(&copy), expected, "kill {i} after {after:?}");
    fs::remove_dir_all(&copy).unwrap();
    before < rows && rows < expected.len()
}

fn fill(folder: &Path, url: &str) -> std::process::Command {
    let mut command = klines(folder, url);
    command.env("KLINES_CHUNK", "100").env("BINANCE_IN_FLIGHT", "1").env("LOG_LEVEL", "error");
    command.args([
        "fill-gaps",
        "--symbols",
        "BTCUSDT",
        "--intervals",
        "1m",
        "--since",
        SINCE,
        "--until",
        UNTIL,
    ]);
    command
}

fn copy_of(base: &Path, folder: &Path, name: &str) -> std::path::PathBuf {
    let copy = folder.join(name);
    fs::create_dir(&copy).unwrap();
    fs::copy(base.join("klines.db"), copy.join("klines.db")).unwrap();
    copy
}

fn punch_holes(folder: &Path) {
    let store = rusqlite::Connection::open(folder.join("klines.db")).unwrap();
    let name =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%m1' AND name NOT LIKE '%mo1'";
    let table: String = store.query_row(name, [], |row| row.get(0)).unwrap();
    let minute = format!("(open_time - (SELECT min(open_time) FROM {table})) / 60000");
    store
        .execute_batch(&format!(
            "DELETE FROM {table} WHERE {minute} < 700 OR {minute} BETWEEN 900 AND 1500 \
             OR {minute} BETWEEN 1600 AND 1600 OR {minute} BETWEEN 1700 AND 2300 OR {minute} > 2400; \
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
}

/// Every field of every row, in order; the file must be sound.
fn dump(folder: &Path) -> Vec<String> {
    let store = rusqlite::Connection::open(folder.join("klines.db")).unwrap();
    let sound: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let mut select = store.prepare("SELECT * FROM klines_m1 ORDER BY open_time").unwrap();
    let columns = select.column_count();
    let rows = select.query_map([], |row| {
        let field = |i| row.get::<_, rusqlite::types::Value>(i).map(|value| format!("{value:?}"));
        (0..columns).map(field).collect::<Result<Vec<_>, _>>().map(|fields| fields.join(" "))
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

//! A job's memory does not grow with its range.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use exchange_sim::Faults;

use crate::s3::server::{BUCKET, Server};
use crate::s3::{stock, to_s3};
use crate::support::*;

#[test]
#[cfg(target_os = "linux")]
fn a_year_of_one_minute_klines_is_filled_in_less_than_64_mib() {
    let exchange = Exchange::start(&["BTCUSDT"], "2024-12-31T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let mut command = klines(folder.path(), &exchange.url());
    command.args([
        "fill-gaps",
        "--symbols",
        "BTCUSDT",
        "--intervals",
        "1m",
        "--since",
        "2024-01-01",
        "--until",
        "2024-12-31",
    ]);
    let peak_kib = peak_of(&mut command);
    let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let rows: i64 = store.query_row("SELECT count(*) FROM klines_m1", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 525_600);
    println!("peak resident memory: {} MiB", peak_kib / 1024);
    assert!(peak_kib > 0 && peak_kib < 64 * 1024, "{peak_kib} KiB");
}

#[test]
#[cfg(target_os = "linux")]
fn an_export_to_s3_of_four_months_takes_no_more_memory_than_of_one() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start());
    stock(folder.path(), "1m", (31 + 28 + 31 + 30) * 1440);
    for format in ["csv", "parquet"] {
        let peak = |until: &str| {
            let place = format!("s3://{BUCKET}/{until}");
            let mut export = to_s3(folder.path(), &server.url(), format, &place);
            peak_of(export.args(["--symbols", "BTCUSDT", "--intervals", "1m", "--until", until]))
        };
        let (one, four) = (peak("2025-02-01"), peak("2025-05-01"));
        println!("peak resident memory, {format}: {} MiB, {} MiB", one / 1024, four / 1024);
        // A month is between 3 and 6 MiB as a file, and more as klines.
        assert!(one > 0 && four < one + 6 * 1024, "{format}: {one} KiB, {four} KiB");
    }
}

/// Runs a command to its end, and gives its peak of resident memory in KiB.
fn peak_of(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak_kib = 0;
    let status = loop {
        // The kernel keeps the peak itself; it is gone only when the process is.
        if let Some(kib) = peak(child.id()) {
            peak_kib = kib.max(peak_kib);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    peak_kib
}

fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

//! A job's memory does not grow with its range.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use exchange_sim::Faults;

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
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
    let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let rows: i64 = store.query_row("SELECT count(*) FROM klines_m1", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 525_600);
    println!("peak resident memory: {} MiB", peak_kib / 1024);
    assert!(peak_kib > 0 && peak_kib < 64 * 1024, "{peak_kib} KiB");
}

fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

//! Stores where nothing can be written.

use std::process::Command;

use exchange_sim::Faults;

use crate::support::*;

#[test]
fn a_store_on_a_medium_for_reading_only_is_shown() {
    let mounts = Command::new("unshare").args(["-m", "true"]).output();
    if !mounts.is_ok_and(|tried| tried.status.success()) {
        return println!("skipped: a read-only mount (unshare -m is not allowed here)");
    }
    let exchange = Exchange::start(&["BTCUSDT"], "2024-01-08T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let url = exchange.url();
    let (code, _, err) =
        run(klines(folder.path(), &url).args(["extract", "--symbols", "BTCUSDT", "--intervals", "1h"]));
    assert_eq!(code, 0, "{err}");
    let binary = env!("CARGO_BIN_EXE_klines");
    let there = folder.path().display();
    let script = format!(
        "mount --bind {there} {there} && mount -o remount,bind,ro {there} && cd {there} && touch x 2>/dev/null; \
         test ! -e x && {binary} status && {binary} gaps"
    );
    let shown =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).env("NO_COLOR", "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.status.success() && out.contains("BTCUSDT"), "{out}{err}");
}

#[test]
fn a_path_that_is_no_store_is_a_fault_of_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes"), "no database at all ".repeat(100)).unwrap();
    for (url, why) in [
        ("sqlite://none/klines.db", "the folder none does not exist"),
        ("sqlite://.", "it is a folder"),
        ("sqlite://notes", "not an SQLite database"),
    ] {
        let (code, _, err) =
            run(klines(folder.path(), "http://127.0.0.1:1").args(["status", "--store", url]));
        assert!(code == 2 && err.contains(why), "{url}: {code} {err}");
    }
}

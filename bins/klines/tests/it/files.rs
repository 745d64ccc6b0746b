//! Klines out of the store into files, and back.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::certify::{offline, ok, shared};
use crate::support::*;

const MONTH: &str = "data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv";

fn line(minute: i64, close: &str) -> String {
    let open = 1_735_689_600_000 + minute * 60_000;
    format!("{open},5,9,1,{close},7,{},8,9,3,4,0", open + 59_999)
}

fn import(folder: &Path, name: &str, text: &str, args: &[&str]) -> (i32, Value) {
    fs::write(folder.join(name), text).unwrap();
    let (code, out, err) = run(offline(folder, "import").arg(name).args(args));
    assert!(!out.is_empty(), "{err}");
    (code, json(&out))
}

#[test]
fn an_exported_month_is_the_archives_own_file() {
    let Some(file) = shared(MONTH) else { return };
    let folder = tempfile::tempdir().unwrap();
    ok(offline(folder.path(), "import").arg(&file));
    let report = ok(offline(folder.path(), "export").args(["--format", "csv", "--out", "x"]));
    assert_eq!(report["series"][0]["files"][0]["path"], format!("x/{MONTH}"));
    let ours = fs::read_to_string(folder.path().join("x").join(MONTH)).unwrap();
    let theirs = fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    assert!(
        ours.starts_with(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        )
    );
    let rows =
        |text: &str| text.lines().filter(|l| l.starts_with('1')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&ours), rows(&theirs));
}

#[test]
fn csv_of_any_shape_is_understood_and_told_what_of_it_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--market", "spot", "--symbols", "AUSDT", "--intervals", "1m"];
    let micro = |minute: i64| {
        let open = (1_735_689_600_000 + minute * 60_000) * 1000;
        format!("{open},5,9,1,5.0,7,{},8,9,3,4", open + 59_999_999)
    };
    let text = [
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore".to_owned(),
        micro(0),
        line(1, "5"),
        line(1, "5"),
        line(2, "11"),
        "rubbish,1,2".to_owned(),
        line(3, "5"),
    ];
    let (code, report) = import(folder.path(), "mine.csv", &text.join("\n"), &flags);
    let t = &report["totals"];
    let counts = ["rows", "new", "rejected", "duplicates"].map(|n| t[n].as_u64().unwrap());
    assert_eq!((code, counts), (3, [6, 3, 2, 1]), "{report:#}");
    let reasons: Vec<_> = report["files"][0]["rejections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["high_not_highest", "unreadable"]);
    // The same again changes nothing; a file without a header and with one more row brings that one.
    let (_, again) = import(folder.path(), "mine.csv", &text.join("\n"), &flags);
    assert_eq!((&again["totals"]["new"], &again["totals"]["unchanged"]), (&0.into(), &3.into()));
    let (code, more) =
        import(folder.path(), "mine.csv", &[line(3, "5.00"), line(4, "5")].join("\r\n"), &flags);
    assert_eq!((code, &more["totals"]["new"], &more["totals"]["unchanged"]), (0, &1.into(), &1.into()));
}

#[test]
fn a_stored_kline_is_replaced_only_when_told_so_and_kept_as_a_revision() {
    let folder = tempfile::tempdir().unwrap();
    let name = "um/BTCUSDT-1m-2025-01.csv";
    fs::create_dir(folder.path().join("um")).unwrap();
    assert_eq!(import(folder.path(), name, &[line(0, "5"), line(1, "5")].join("\n"), &[]).0, 0);
    let other = [line(0, "5"), line(1, "6")].join("\n");
    let (code, told) = import(folder.path(), name, &other, &[]);
    let counts = |r: &Value| ["unchanged", "differing", "replaced"].map(|n| r["totals"][n].as_u64().unwrap());
    assert_eq!((code, counts(&told)), (3, [1, 1, 0]), "{told:#}");
    assert_eq!(told["files"][0]["differences"][0], "2025-01-01T00:01:00Z  close: stored 5, file 6");
    let (code, replaced) = import(folder.path(), name, &other, &["--replace"]);
    assert_eq!((code, counts(&replaced)), (0, [1, 1, 1]));
    let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let one = |sql: &str| store.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(one("SELECT close FROM klines_m1 WHERE open_time = '2025-01-01T00:01:00.000Z'"), "6");
    assert_eq!(one("SELECT close FROM kline_audit"), "5");
    assert_eq!(one("SELECT group_concat(DISTINCT source) FROM kline_ledger"), "import");
}

#[test]
fn a_dry_run_writes_nothing_not_even_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--market", "um", "--symbols", "AUSDT", "--intervals", "1m", "--dry-run"];
    let (code, report) = import(folder.path(), "mine.csv", &line(0, "5"), &flags);
    assert_eq!((code, &report["totals"]["new"]), (0, &1.into()));
    assert!(!folder.path().join("klines.db").exists());
}

#[test]
fn a_file_that_does_not_say_what_it_holds_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, args, word) in [
        ("mine.csv", &[][..], "which market"),
        ("mine.csv", &["--market", "um"][..], "which symbol"),
        ("AUSDT-1m-2025-01.csv", &[][..], "which market"),
        ("mine.txt", &[][..], "neither .csv nor .zip nor .parquet"),
    ] {
        fs::write(folder.path().join(name), line(0, "5")).unwrap();
        let (code, out, err) = run(offline(folder.path(), "import").arg(name).args(args));
        assert!(code == 2 && err.contains(word), "{name} {args:?}: {code} {out}{err}");
    }
    // A file of another series than the flags name is left out.
    let (code, _, err) = run(offline(folder.path(), "import").arg("AUSDT-1m-2025-01.csv").args([
        "--market",
        "um",
        "--symbols",
        "BUSDT",
    ]));
    assert!(code == 2 && err.contains("no kline files"), "{err}");
}

#[test]
fn a_damaged_file_fails_and_the_others_are_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let um = folder.path().join("um");
    fs::create_dir(&um).unwrap();
    fs::write(um.join("AUSDT-1m-2025-01.zip"), "no zip").unwrap();
    fs::write(um.join("BUSDT-1m-2025-01.csv"), line(0, "5")).unwrap();
    let (code, out, _) = run(offline(folder.path(), "import").arg("um"));
    let report = json(&out);
    assert_eq!((code, &report["outcome"], &report["totals"]["new"]), (1, &"failed".into(), &1.into()));
    assert!(report["files"][0]["error"].as_str().unwrap().contains("damaged zip"), "{out}");
}

#[test]
fn klines_that_may_not_be_finished_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let minute = now / 60_000 * 60_000;
    let row = |open: i64| format!("{open},5,9,1,5,7,{},8,9,3,4", open + 59_999);
    let text = [row(minute - 3 * 86_400_000), row(minute)].join("\n");
    let flags = ["--market", "um", "--symbols", "AUSDT", "--intervals", "1m"];
    let (code, report) = import(folder.path(), "mine.csv", &text, &flags);
    assert_eq!((code, &report["totals"]["new"], &report["totals"]["unfinished"]), (3, &1.into(), &1.into()));
}

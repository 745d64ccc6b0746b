//! Stored klines beside those of the exchange: what was tampered with is found, located and repaired.

use std::path::Path;
use std::process::Command;

use exchange_sim::Faults;
use serde_json::Value;

use crate::support::*;

const NOW: &str = "2024-03-10T00:00:01Z";
/// Klines of February, by the calendar.
const FEBRUARY: u64 = 29 * 288;

struct Scene {
    exchange: Exchange,
    folder: tempfile::TempDir,
}

impl Scene {
    /// February 2024 in a store.
    fn new() -> Self {
        let exchange = Exchange::start(&["BTCUSDT"], NOW, Faults::default());
        let scene = Self { exchange, folder: tempfile::tempdir().unwrap() };
        let mut fill = scene.klines("fill-gaps");
        let (code, out, err) = run(fill.args(["--since", "2024-02-01", "--until", "2024-03-01"]));
        assert_eq!(code, 0, "{out}{err}");
        scene
    }

    fn klines(&self, command: &str) -> Command {
        let url = self.exchange.url();
        let mut klines = klines(self.folder.path(), &url);
        klines
            .env("BINANCE_ARCHIVE_URL", &url)
            .env("BINANCE_ARCHIVE_LIST_URL", format!("{url}/data.binance.vision"));
        klines.env("KLINES_SYMBOLS", "BTCUSDT").env("KLINES_INTERVALS", "5m").env("KLINES_OUTPUT", "json");
        klines.arg(command);
        klines
    }

    fn verify(&self, args: &[&str]) -> (i32, Value) {
        let (code, out, err) = run(self.klines("verify").args(args));
        assert!(!out.is_empty(), "{err}");
        (code, json(&out))
    }

    fn sql(&self, sql: &str) -> usize {
        store(self.folder.path()).execute(sql, []).unwrap()
    }

    /// One digit, one row, one row too many, one kline that contradicts itself.
    fn tamper(&self) {
        let at = |time: &str| time.parse::<kline::Millis>().unwrap().0;
        let (digit, gone, low) =
            (at("2024-02-03T04:05:00Z"), at("2024-02-10T00:00:00Z"), at("2024-02-20T12:00:00Z"));
        let rows = self.sql(&format!(
            "UPDATE kline_rows_m5 SET quote_volume = quote_volume + 1 WHERE open_time = {digit}"
        ));
        assert_eq!(rows, 1);
        assert_eq!(
            self.sql(&format!("DELETE FROM kline_rows_m5 WHERE open_time IN ({gone}, {gone} + 300000)")),
            2
        );
        let odd = at("2024-02-15T00:02:30Z");
        let copy = "series_id, open, high, low, close, volume, close_time, quote_volume, count, taker_buy_volume, \
                    taker_buy_quote_volume";
        assert_eq!(
            self.sql(&format!(
                "INSERT INTO kline_rows_m5 (open_time, {copy}) SELECT {odd}, {copy} FROM kline_rows_m5 LIMIT 1"
            )),
            1
        );
        assert_eq!(self.sql(&format!("UPDATE kline_rows_m5 SET low = high + 1 WHERE open_time = {low}")), 1);
    }
}

fn store(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("klines.db")).unwrap()
}

fn counts(report: &Value) -> [u64; 6] {
    ["equal", "drift", "missing", "unexpected", "invalid", "off_grid"]
        .map(|name| report["totals"][name].as_u64().unwrap())
}

fn assert_tampering_is_found(code: i32, report: &Value) {
    assert_eq!((code, &report["outcome"]), (3, &"found".into()), "{report:#}");
    assert_eq!(counts(report), [FEBRUARY - 4, 2, 2, 1, 1, 1], "{report:#}");
    let findings = report["series"][0]["findings"].as_array().unwrap();
    let told: Vec<_> = findings
        .iter()
        .map(|f| {
            (f["kind"].as_str().unwrap(), f["open_time"].as_str().unwrap(), f["klines"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("drift", "2024-02-03T04:05:00Z", 1),
            ("missing", "2024-02-10T00:00:00Z", 2),
            ("unexpected", "2024-02-15T00:02:30Z", 1),
            ("invalid", "2024-02-20T12:00:00Z", 1),
            ("drift", "2024-02-20T12:00:00Z", 1),
        ]
    );
    let field = &findings[0]["fields"][0];
    assert_eq!(field["field"], "quote_volume");
    let (stored, source) = (&field["stored"], &field["source"]);
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    assert!((number(stored) - number(source) - 1.0).abs() < 0.001, "{stored} {source}");
    assert_eq!(findings[0]["fields"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_as_the_exchange_has_it_is_clean_and_costs_what_the_dry_run_said() {
    let scene = Scene::new();
    let (code, plan) = scene.verify(&["--dry-run"]);
    assert_eq!((code, &plan["dry_run"], &plan["totals"]["equal"]), (0, &true.into(), &0.into()));
    let (code, report) = scene.verify(&[]);
    assert_eq!((code, &report["outcome"]), (0, &"clean".into()), "{report:#}");
    assert_eq!(counts(&report), [FEBRUARY, 0, 0, 0, 0, 0]);
    assert_eq!(report["totals"]["weight"], plan["totals"]["weight"]);
    assert_eq!(report["totals"]["weight"], FEBRUARY.div_ceil(499) * 2);
}

#[test]
fn tampering_is_found_and_repaired_and_the_values_before_are_kept() {
    let scene = Scene::new();
    scene.tamper();
    let (code, report) = scene.verify(&[]);
    assert_tampering_is_found(code, &report);
    assert_eq!(report["totals"]["repaired"], 0);

    let (code, repair) = scene.verify(&["--repair"]);
    assert_tampering_is_found(code, &repair);
    assert_eq!(repair["totals"]["repaired"], 4);
    let audit = store(scene.folder.path());
    let kept: i64 = audit
        .query_row(
            "SELECT count(*) FROM kline_audit WHERE run = ?1",
            [repair["run"].as_str().unwrap()],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(kept, 2);
    drop(audit);

    // What the exchange does not have is told again and again, and never deleted.
    let (code, after) = scene.verify(&[]);
    assert_eq!((code, counts(&after)), (3, [FEBRUARY, 0, 0, 1, 0, 1]), "{after:#}");
    assert_eq!(scene.sql("DELETE FROM kline_rows_m5 WHERE open_time % 300000 <> 0"), 1);
    assert_eq!(scene.verify(&[]).0, 0);
}

#[test]
fn the_archive_finds_the_same_without_any_weight() {
    let scene = Scene::new();
    scene.tamper();
    let (code, report) = scene.verify(&["--against", "archive"]);
    assert_tampering_is_found(code, &report);
    // The month, and each day that it disagrees about.
    assert_eq!((&report["totals"]["weight"], &report["totals"]["files"]), (&0.into(), &4.into()));
    let (code, _) = scene.verify(&["--against", "archive", "--repair"]);
    assert_eq!(code, 3);
    let (_, after) = scene.verify(&["--against", "rest"]);
    assert_eq!(counts(&after), [FEBRUARY, 0, 0, 1, 0, 1], "{after:#}");
}

#[test]
fn many_findings_are_counted_and_a_few_told() {
    let scene = Scene::new();
    scene.sql("UPDATE kline_rows_m5 SET count = count + 1");
    let (code, report) = scene.verify(&["--limit", "3"]);
    let series = &report["series"][0];
    assert_eq!((code, &series["drift"]), (3, &FEBRUARY.into()));
    assert_eq!(
        (series["findings"].as_array().unwrap().len(), &series["findings_left_out"]),
        (3, &(FEBRUARY - 3).into())
    );
}

#[test]
fn a_person_reads_what_is_wrong_and_what_to_do() {
    let scene = Scene::new();
    scene.tamper();
    let (code, out, err) = run(scene.klines("verify").args(["--output", "human"]));
    assert_eq!(code, 3, "{err}");
    for words in [
        "drift       2024-02-03T04:05:00Z  quote_volume: stored ",
        "missing     2024-02-10T00:00:00Z to 2024-02-10T00:05:00Z: 2 klines",
        "low is above another price",
        "--repair writes the source's values",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}");
    }
}

#[test]
fn a_series_that_is_not_stored_is_wrong_usage_and_an_exchange_away_a_failure() {
    let scene = Scene::new();
    let (code, _, err) = run(scene.klines("verify").args(["--symbols", "ETHUSDT"]));
    assert!(code == 2 && err.contains("nothing is stored of um ETHUSDT 5m"), "{code} {err}");
    let mut away = scene.klines("verify");
    let (code, out, _) = run(away.env("BINANCE_FUTURES_API_URL", "http://127.0.0.1:1"));
    assert_eq!((code, &json(&out)["outcome"]), (1, &"failed".into()), "{out}");
}

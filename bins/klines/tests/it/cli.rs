//! Commands, exit codes, words.

use std::process::{Command, Stdio};
use std::time::Duration;

use exchange_sim::Faults;

use crate::support::*;

/// An address where nothing answers.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn the_demo_needs_nothing_and_proves_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = run(klines(folder.path(), NOWHERE).args(["demo", "--keep", "demo.db"]));
    assert_eq!(code, 0, "{out}{err}");
    for words in [
        "2,479 missing",
        "2,482 missing",
        "um BTCUSDT 5m: 11,256 klines by the calendar, 11,256 in the file",
        "complete: 4,961 klines written",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}");
    }
    let (code, out, _) = run(klines(folder.path(), NOWHERE).args([
        "status",
        "--store",
        "sqlite://demo.db",
        "--output",
        "json",
    ]));
    let status = json(&out);
    assert_eq!(
        (code, &status["series"][0]["missing"], &status["series"][1]["stored"]),
        (0, &0.into(), &11_256.into())
    );
    let (code, _, err) = run(klines(folder.path(), NOWHERE).args(["demo", "--keep", "demo.db"]));
    assert!(code == 2 && err.contains("exists already"), "{err}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(klines(folder.path(), NOWHERE).args(["man", "--out", "man1"]));
    assert_eq!(code, 0, "{err}");
    let (_, help, _) = run(klines(folder.path(), NOWHERE).arg("--help"));
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        let page = std::fs::read_to_string(folder.path().join(format!("man1/klines-{name}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS"), "{name}");
    }
    let (code, out, _) = run(klines(folder.path(), NOWHERE).arg("man"));
    assert!(code == 0 && out.contains(".SH SUBCOMMANDS"));
}

#[test]
fn extract_gaps_fill_and_status_tell_one_story() {
    let exchange = Exchange::start(&["BTCUSDT", "ETHUSDT"], "2024-01-08T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let url = exchange.url();
    let klines = || {
        let mut command = klines(folder.path(), &url);
        command.env("KLINES_OUTPUT", "json");
        command
    };
    let series = ["--symbols", "BTCUSDT,ETHUSDT", "--intervals", "5m,1h"];

    let (code, out, err) = run(klines().arg("extract").args(series).args(["--lookback", "7d"]));
    let report = json(&out);
    assert_eq!(
        (code, &report["outcome"], &report["totals"]["written"]),
        (0, &"complete".into(), &4368.into()),
        "{err}"
    );

    let (code, out, _) = run(klines().arg("gaps"));
    assert_eq!((code, &json(&out)["totals"]["missing"]), (0, &0.into()));

    let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let table: String = store
        .query_row("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%m5'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let deleted = store.execute(&format!("DELETE FROM {table} WHERE open_time % 1500000 = 0"), []).unwrap();
    drop(store);

    let (code, out, _) = run(klines().arg("gaps"));
    let gaps = json(&out);
    assert_eq!((code, &gaps["totals"]["missing"]), (3, &deleted.into()));
    let (code, out, _) = run(klines().args(["fill-gaps", "--dry-run"]).args(series));
    let plan = json(&out);
    assert_eq!((code, &plan["outcome"], &plan["totals"]["written"]), (3, &"incomplete".into(), &0.into()));
    let (code, out, _) = run(klines().arg("fill-gaps").args(series));
    let filled = json(&out);
    assert_eq!(
        (code, &filled["totals"]["written"], &filled["totals"]["missing_after"]),
        (0, &deleted.into(), &0.into())
    );
    let (code, out, _) = run(klines().arg("status"));
    let status = json(&out);
    assert_eq!(code, 0);
    assert_eq!(status["series"].as_array().unwrap().len(), 4);
    assert_eq!(status["series"][0]["last_run"]["job"], "fill-gaps");
}

#[test]
fn the_report_has_the_fields_of_the_contract() {
    let exchange = Exchange::start(&["BTCUSDT"], "2024-01-08T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "fill-gaps",
        "--symbols",
        "BTCUSDT",
        "--intervals",
        "1h",
        "--since",
        "2024-01-01",
        "--output",
        "json",
    ];
    let (_, out, _) = run(klines(folder.path(), &exchange.url()).args(args));
    let report = json(&out);
    for field in ["job", "outcome", "duration_ms", "series", "totals"] {
        assert!(!report[field].is_null(), "{field}");
    }
    let series = report["series"][0].as_object().unwrap();
    for field in [
        "market",
        "symbol",
        "interval",
        "since",
        "until",
        "expected",
        "stored_before",
        "gaps",
        "missing_before",
        "fetched",
        "written",
        "rejected",
        "absent",
        "missing_after",
        "requests",
        "weight",
        "duration_ms",
        "error",
    ] {
        assert!(series.contains_key(field), "{field}");
    }
    for field in
        ["expected", "missing_before", "fetched", "written", "absent", "missing_after", "requests", "weight"]
    {
        assert!(report["totals"][field].is_u64(), "{field}");
    }
    assert_eq!(
        (&series["since"], &series["until"]),
        (&"2024-01-01T00:00:00Z".into(), &"2024-01-08T00:00:00Z".into())
    );
}

#[test]
fn bad_input_ends_with_2_and_says_what_is_wrong() {
    let exchange = Exchange::start(&["BTCUSDT"], "2024-01-08T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), "market = \"um\"\nsymbols = [\"A\"\n").unwrap();
    std::fs::write(folder.path().join("typo.toml"), "[binance]\nin_flght = 3\n").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (
            &["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "5x", "--since", "2024-01-01"],
            "unknown interval `5x`",
        ),
        (
            &["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "1s", "--since", "2024-01-01"],
            "1s exists on spot only",
        ),
        (
            &["fill-gaps", "--symbols", "btcusdt", "--intervals", "5m", "--since", "2024-01-01"],
            "did you mean BTCUSDT?",
        ),
        (
            &["fill-gaps", "--symbols", "BTC/USDT", "--intervals", "5m", "--since", "2024-01-01"],
            "did you mean BTCUSDT?",
        ),
        (
            &[
                "fill-gaps",
                "--symbols",
                "BTCUSDT",
                "--intervals",
                "5m",
                "--since",
                "2024-01-02",
                "--until",
                "2024-01-01",
            ],
            "not after --since",
        ),
        (
            &["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "5m", "--since", "2030-01-01"],
            "lies in the future",
        ),
        (
            &[
                "fill-gaps",
                "--symbols",
                "BTCUSDT",
                "--intervals",
                "5m",
                "--since",
                "2024-01-01",
                "--until",
                "2030-01-01",
            ],
            "lies in the future",
        ),
        (
            &["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "5m", "--since", "soon"],
            "--since: `soon` is not a time",
        ),
        (&["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "5m"], "--since listing"),
        (&["fill-gaps", "--symbols", "BTCUSDT"], "no intervals given"),
        (
            &["fill-gaps", "--market", "options", "--symbols", "A", "--intervals", "5m"],
            "unknown market `options`",
        ),
        (&["extract", "--symbols", "BTCUSDT", "--intervals", "5m", "--lookback", "0"], "is empty"),
        (&["status", "--store", "oracle://h/d"], "names no store"),
        (&["config", "--config", "bad.toml"], "bad.toml:"),
        (&["config", "--config", "typo.toml"], "typo.toml:2:1: unknown setting `binance.in_flght`"),
        (&["config", "--config", "nothing.toml"], "cannot read the settings file nothing.toml"),
        (&["status", "--log-level", "lo=ud=x"], "--log-level"),
        (&["frobnicate"], "unrecognized subcommand"),
    ];
    for (args, words) in cases {
        let (code, out, err) = run(klines(folder.path(), &exchange.url()).args(*args));
        assert!(code == 2 && err.contains(words) && out.is_empty(), "{args:?} → {code}\n{out}{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

#[test]
fn a_store_of_a_newer_version_and_a_locked_one_are_refused_unchanged() {
    let exchange = Exchange::start(&["BTCUSDT"], "2024-01-08T00:00:01Z", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let args = ["extract", "--symbols", "BTCUSDT", "--intervals", "1h"];
    assert_eq!(run(klines(folder.path(), &exchange.url()).args(args)).0, 0);
    let file = folder.path().join("klines.db");

    let store = rusqlite::Connection::open(&file).unwrap();
    store.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (code, _, err) = run(klines(folder.path(), &exchange.url()).args(args));
    assert!(code == 2 && err.contains("locked"), "{code} {err}");
    store.execute_batch("ROLLBACK").unwrap();

    store
        .execute("INSERT INTO kline_migrations (version, applied_at) SELECT max(version) + 1, 0 FROM kline_migrations", [])
        .unwrap();
    drop(store);
    let (code, _, err) = run(klines(folder.path(), &exchange.url()).args(args));
    assert!(code == 2 && err.contains("schema version"), "{code} {err}");
}

#[test]
fn an_exchange_out_of_reach_fails_with_1_and_names_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = klines(folder.path(), NOWHERE);
    command.args(["extract", "--symbols", "BTCUSDT", "--intervals", "5m", "--output", "json"]);
    let (code, out, err) = run(&mut command);
    let report = json(&out);
    assert_eq!((code, &report["outcome"]), (1, &"failed".into()), "{err}");
    assert!(report["series"][0]["error"].as_str().unwrap().contains("127.0.0.1:1"), "{report}");
    assert!(report["series"][0]["hint"].is_string(), "{report}");
}

#[test]
fn signals_finish_the_chunk_in_hand_and_end_with_their_codes() {
    let slow = Faults { latency_ms: 60, ..Faults::default() };
    let exchange = Exchange::start(&["BTCUSDT"], "2024-03-01T00:00:01Z", slow);
    for (signal, expected) in [("TERM", 143), ("INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = klines(folder.path(), &exchange.url());
        command.env("KLINES_CHUNK", "499").env("BINANCE_IN_FLIGHT", "2");
        command.args([
            "fill-gaps",
            "--symbols",
            "BTCUSDT",
            "--intervals",
            "1m",
            "--since",
            "2024-01-01",
            "--output",
            "json",
        ]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(900));
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let report = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(output.status.code(), Some(expected), "{report}");
        let written = report["totals"]["written"].as_u64().unwrap();
        let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
        let rows: i64 = store.query_row("SELECT count(*) FROM klines_m1", [], |row| row.get(0)).unwrap();
        assert_eq!(u64::try_from(rows).unwrap(), written);
        assert!(report["series"][0]["error"].as_str().unwrap().contains("interrupted"));
    }
}

#[test]
fn config_shows_each_value_with_its_origin_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("klines.toml"), "symbols = [\"BTCUSDT\"]\n").unwrap();
    let mut command = klines(folder.path(), NOWHERE);
    command
        .env("DB_ADAPTER", "mysql")
        .env("MYSQL_URI", "mysql+pymysql://bot:hunter2@db:3306/x")
        .arg("config");
    let (code, out, err) = run(&mut command);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("hunter2") && out.contains("bot:***@db:3306/x"), "{out}");
    assert!(
        out.contains("DB_ADAPTER + MYSQL_URI (environment)") && out.contains("klines.toml:1:11"),
        "{out}"
    );
}

#[test]
fn help_completions_and_manual_are_there_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let (code, help, _) = run(klines(folder.path(), NOWHERE).arg("--help"));
    assert_eq!(code, 0);
    for command in
        ["extract", "fill-gaps", "gaps", "status", "demo", "simulate", "config", "completions", "man"]
    {
        assert!(help.contains(command), "{command}");
        let (code, text, _) = run(klines(folder.path(), NOWHERE).args([command, "--help"]));
        assert!(code == 0 && text.contains("Usage:"), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, text, _) = run(klines(folder.path(), NOWHERE).args(["completions", shell]));
        assert!(code == 0 && text.contains("fill-gaps"), "{shell}");
    }
    let (code, page, _) = run(klines(folder.path(), NOWHERE).arg("man"));
    assert!(code == 0 && page.contains(".TH") && page.contains("fill\\-gaps"), "{page}");
}

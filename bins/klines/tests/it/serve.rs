//! `klines serve` and `klines report`, as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exchange_sim::Faults;
use serde_json::Value;

use crate::support::*;

const TOKEN: &str = "token-of-the-tests";
const NOW: &str = "2025-03-01T00:00:00Z";

/// A dashboard that runs.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let told = json(&line);
        let address = told["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        assert!(!line.contains(TOKEN), "{line}");
        Self { child, address }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or(Value::String(body))
    }

    /// Asks until the answer fits.
    fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.get(path);
            if fits(&answer) {
                return answer;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{path}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal and waits for the end: exit code and stderr.
    fn signalled(mut self, signal: &str) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code().unwrap_or(-1), log)
    }
}

/// Fills a piece of history.
fn fill(folder: &Path, exchange: &str, since: &str, until: &str) {
    let mut command = klines(folder, exchange);
    command.args([
        "fill-gaps",
        "--symbols",
        "BTCUSDT",
        "--intervals",
        "1h",
        "--since",
        since,
        "--until",
        until,
    ]);
    let (code, out, log) = run(&mut command);
    assert_eq!(code, 0, "{out}{log}");
}

/// A store with two weeks of hours, a gap of two days, and the exchange that has them.
fn scene() -> (tempfile::TempDir, Exchange) {
    let (folder, exchange) =
        (tempfile::tempdir().unwrap(), Exchange::start(&["BTCUSDT"], NOW, Faults::default()));
    fill(folder.path(), &exchange.url(), "2025-01-01", "2025-01-08");
    fill(folder.path(), &exchange.url(), "2025-01-10", "2025-01-15");
    (folder, exchange)
}

#[test]
fn a_gap_is_seen_filled_by_token_and_gone() {
    let (folder, exchange) = scene();
    let mut command = klines(folder.path(), &exchange.url());
    let serving = Serving::start(command.env("KLINES_SERVE_TOKEN", TOKEN));
    assert_eq!(serving.get("/api/v1/overview")["totals"]["missing"], 48);
    let (status, answer) = serving.ask("POST", "/api/v1/fill", HOURS);
    assert_eq!(status, 202, "{answer}");
    let jobs = serving.until("/api/v1/jobs", |state| state["jobs"][0]["ended"].is_string());
    // Up to the exchange's now, as `klines fill-gaps` does: the gap, and what closed since.
    let expected = 48 + (31 - 14 + 28) * 24;
    assert_eq!(
        (&jobs["jobs"][0]["outcome"], &jobs["jobs"][0]["written"]),
        (&"complete".into(), &expected.into())
    );
    serving.until("/api/v1/overview", |whole| whole["totals"]["missing"] == 0);
    let run = &serving.get("/api/v1/runs?limit=1")["runs"][0];
    assert_eq!((&run["job"], &run["written"]), (&"fill-gaps".into(), &expected.into()));
    let metrics = serving.get("/metrics");
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("klines_store_missing{market=\"um\",symbol=\"BTCUSDT\",interval=\"1h\"} 0\n")
    );
    let (code, log) = serving.signalled("-TERM");
    assert_eq!(code, 143, "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

const HOURS: &str = r#"{"series": [{"market": "um", "symbol": "BTCUSDT", "interval": "1h"}]}"#;

/// Compares with the exchange by way of a dashboard: how the job ended.
fn compared(serving: &Serving) -> Value {
    let (status, answer) = serving.ask("POST", "/api/v1/verify", HOURS);
    assert_eq!(status, 202, "{answer}");
    let id = json(&answer)["id"].clone();
    let of = |state: &Value| state["jobs"].as_array().unwrap().iter().find(|job| job["id"] == id).cloned();
    let state = serving.until("/api/v1/jobs", |state| of(state).unwrap()["ended"].is_string());
    of(&state).unwrap()
}

#[test]
fn a_comparison_by_token_finds_what_verify_finds_and_changes_nothing() {
    let (folder, exchange) = scene();
    let shell = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let edited = "UPDATE kline_rows_h1 SET close = close || '1' WHERE open_time = 1735693200000";
    assert_eq!(shell.execute(edited, []).unwrap(), 1);
    let mut command = klines(folder.path(), &exchange.url());
    let serving = Serving::start(command.env("KLINES_SERVE_TOKEN", TOKEN));
    let job = compared(&serving);
    let found = &job["comparison"];
    assert_eq!(
        (&job["job"], &job["outcome"], &job["written"]),
        (&"verify".into(), &"found".into(), &0.into())
    );
    assert_eq!((&found["differ"], &found["drift"], &found["missing"]), (&49.into(), &1.into(), &48.into()));
    let findings = found["findings"].as_array().unwrap();
    let told = |i: usize| (findings[i]["kind"].as_str().unwrap(), findings[i]["klines"].as_u64().unwrap());
    assert_eq!((findings.len(), told(0), told(1)), (2, ("drift", 1), ("missing", 48)), "{findings:?}");
    assert_eq!(findings[0]["fields"][0]["field"], "close");

    let mut verify = klines(folder.path(), &exchange.url());
    let (code, out, err) = run(verify.args(["verify", "--output", "json"]));
    assert_eq!(code, 3, "{err}");
    for name in ["stored", "equal", "drift", "missing", "unexpected", "invalid", "weight"] {
        assert_eq!(json(&out)["totals"][name], found[name], "{name}");
    }
    assert_eq!(serving.get("/api/v1/overview")["totals"]["missing"], 48, "nothing was repaired");

    let mended = "UPDATE kline_rows_h1 SET close = substr(close, 1, length(close) - 1) WHERE open_time = 1735693200000";
    assert_eq!(shell.execute(mended, []).unwrap(), 1);
    fill(folder.path(), &exchange.url(), "2025-01-08", "2025-01-10");
    let job = compared(&serving);
    assert_eq!((&job["outcome"], &job["comparison"]["equal"]), (&"clean".into(), &(14 * 24).into()));
    assert_eq!(serving.signalled("-TERM").0, 143);
}

#[test]
fn a_comparison_that_fails_says_why_and_what_to_do() {
    let (folder, _exchange) = scene();
    let other = Exchange::start(&["ETHUSDT"], NOW, Faults::default());
    let mut command = klines(folder.path(), &other.url());
    let serving = Serving::start(command.env("KLINES_SERVE_TOKEN", TOKEN));
    let job = compared(&serving);
    assert_eq!(job["outcome"], "failed", "{job}");
    let (error, hint) = (job["error"].as_str().unwrap(), job["hint"].as_str().unwrap_or_default());
    assert!(error.starts_with("um BTCUSDT 1h: ") && error.contains("symbol") && !hint.is_empty(), "{job}");
    serving.signalled("-TERM");
}

#[test]
fn a_dashboard_may_come_before_the_store_and_leaves_nothing() {
    let (folder, exchange) =
        (tempfile::tempdir().unwrap(), Exchange::start(&["BTCUSDT"], NOW, Faults::default()));
    let serving = Serving::start(&mut klines(folder.path(), &exchange.url()));
    assert_eq!(serving.get("/readyz")["status"], "empty");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    fill(folder.path(), &exchange.url(), "2025-01-01", "2025-01-02");
    serving.until("/api/v1/overview", |whole| whole["totals"]["rows"] == 24);
    assert_eq!(serving.ask("POST", "/api/v1/fill", "{}").0, 403, "for reading only");
    assert_eq!(serving.signalled("-INT").0, 130);
}

#[test]
fn a_job_in_hand_ends_in_order_when_the_dashboard_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Exchange::start(&["BTCUSDT"], NOW, Faults { latency_ms: 300, ..Faults::default() });
    let mut command = klines(folder.path(), &slow.url());
    let serving = Serving::start(command.env("KLINES_SERVE_TOKEN", TOKEN));
    let body =
        r#"{"series": [{"market": "um", "symbol": "BTCUSDT", "interval": "1m"}], "since": "2024-06-01"}"#;
    assert_eq!(serving.ask("POST", "/api/v1/fill", body).0, 202);
    serving.until("/api/v1/jobs", |state| state["running"][0]["rows"].as_u64() > Some(0));
    assert_eq!(serving.signalled("-TERM").0, 143);
    let (_, out, _) = run(klines(folder.path(), &slow.url()).args(["status", "--output", "json"]));
    let outcome = json(&out)["series"][0]["last_run"]["outcome"].clone();
    assert_eq!(outcome, "failed", "the end of the run is recorded: {out}");
    let again = Serving::start(&mut klines(folder.path(), &slow.url()));
    assert_eq!(again.get("/api/v1/jobs")["running"], serde_json::json!([]), "the lease was given back");
    again.signalled("-TERM");
}

#[test]
fn wrong_settings_are_told_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |flags: &[&str], env: &[(&str, &str)]| {
        let mut command = klines(folder.path(), "http://127.0.0.1:9");
        let (code, _, log) = run(command.arg("serve").args(flags).envs(env.iter().copied()));
        assert_eq!(code, 2, "{flags:?}: {log}");
        log
    };
    assert!(refused(&["--listen", "8080"], &[]).contains("is not HOST:PORT"));
    assert!(refused(&["--listen", "192.0.2.1:80"], &[]).contains("cannot listen on 192.0.2.1:80"));
    let short = refused(&[], &[("KLINES_SERVE_TOKEN", "s3cret")]);
    assert!(
        short.contains("KLINES_SERVE_TOKEN (environment): the token is shorter") && !short.contains("s3cret")
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let log = refused(&["--listen", &taken.local_addr().unwrap().to_string()], &[]);
    assert!(log.contains("another program listens there"), "{log}");
    let (_, out, _) =
        run(klines(folder.path(), "http://127.0.0.1:9").arg("config").env("KLINES_SERVE_TOKEN", TOKEN));
    assert!(out.contains("serve.token") && !out.contains(TOKEN), "{out}");
}

#[test]
fn a_report_tells_the_same_as_gaps_and_goes_where_it_is_told() {
    let (folder, exchange) = scene();
    let report = |target: &str| {
        let mut command = klines(folder.path(), &exchange.url());
        command.args(["report", "--html", target, "--symbols", "BTCUSDT", "--intervals", "1h"]);
        let (code, out, log) = run(command.args(["--until", "2025-01-15"]));
        assert_eq!(code, 0, "{log}");
        out
    };
    assert_eq!(report("r.html"), "r.html: 1 series, 48 klines missing\n");
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("48 klines missing in 1 gap") && page.contains("2025-01-08 00:00"), "{page}");
    assert!(report("-").starts_with("<!doctype html>"));
}

#[test]
fn status_fits_whatever_the_terminal_is_and_cuts_no_number() {
    let (folder, exchange) = scene();
    for (width, has) in [(160, "absent"), (100, "klines"), (79, "last run"), (40, "missing")] {
        let mut command = klines(folder.path(), &exchange.url());
        let (code, out, _) = run(command.arg("status").env("COLUMNS", width.to_string()));
        assert_eq!(code, 0);
        let widest = out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{width}: {widest}\n{out}");
        assert!(out.lines().next().unwrap().contains(has) && out.contains("85.71%"), "{width}\n{out}");
    }
    let (_, piped, _) = run(klines(folder.path(), &exchange.url()).arg("status"));
    assert!(piped.lines().next().unwrap().ends_with("absent  last run"), "{piped}");
}

#[test]
fn watching_goes_on_until_interrupted_and_sees_what_changes() {
    let (folder, exchange) = scene();
    for command in ["status", "gaps"] {
        let mut child = klines(folder.path(), &exchange.url())
            .args([command, "--watch", "1", "--output", "json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let missing = |line: Option<std::io::Result<String>>| {
            json(&line.unwrap().unwrap())["series"][0]["missing"].clone()
        };
        let before = missing(lines.next());
        fill(folder.path(), &exchange.url(), "2025-01-08", "2025-01-09");
        let started = Instant::now();
        while command == "status" && missing(lines.next()) == before {
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        while lines.next().is_some() {}
        assert_eq!(child.wait().unwrap().code(), Some(130), "{command}");
    }
}

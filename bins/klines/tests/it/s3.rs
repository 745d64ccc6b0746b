//! Klines out of the store into an object store.

pub mod server;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use self::server::{BUCKET, Cutter, KEY, SECRET, Server, tree};
use crate::certify::{digests, offline, ok};
use crate::support::*;

/// Made-up klines of BTCUSDT from 2025-01-01 on, in a store.
pub fn stock(folder: &Path, interval: &str, slots: i64) {
    let um = folder.join("um");
    fs::create_dir(&um).unwrap();
    let step = interval.trim_end_matches('m').parse::<i64>().unwrap() * 60_000;
    let row = |i: i64| {
        let (open, price) = (1_735_689_600_000 + i * step, 90_000 + i % 977);
        let noise = i.wrapping_mul(2_654_435_761) % 1_000_003;
        let (high, volume, close_time) = (price + 9, noise + 5, open + step - 1);
        format!(
            "{open},{price}.1,{high}.5,{price}.0,{price}.25,{volume}.125,{close_time},{volume}77.5,{i},3.{noise},4.{noise}"
        )
    };
    let rows = (0..slots).map(row).collect::<Vec<_>>().join("\n");
    fs::write(um.join(format!("BTCUSDT-{interval}.csv")), rows).unwrap();
    let report = ok(offline(folder, "import").arg("um"));
    assert_eq!((&report["totals"]["new"], &report["outcome"]), (&slots.into(), &"complete".into()));
}

/// Two months in a store.
fn stocked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    stock(folder.path(), "5m", (31 + 28) * 288);
    folder
}

fn export(folder: &Path, format: &str, out: &str) -> Command {
    let mut command = offline(folder, "export");
    command.args(["--format", format, "--out", out]);
    command
}

/// With the standard names set.
pub fn to_s3(folder: &Path, endpoint: &str, format: &str, out: &str) -> Command {
    let mut command = export(folder, format, out);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "us-east-1");
    command
}

#[test]
fn an_export_to_s3_is_byte_for_byte_the_export_to_a_folder_and_has_its_certificate() {
    let (folder, server) = (stocked(), Server::start());
    let certified = ok(offline(folder.path(), "certify").args(["--out", "all.json"]));
    for (format, prefix) in [("csv", ""), ("parquet", "/some/where")] {
        let local = ok(&mut export(folder.path(), format, format));
        let place = format!("s3://{BUCKET}{prefix}");
        let remote = ok(&mut to_s3(folder.path(), &server.url(), format, &place));
        assert_eq!(remote["totals"]["files"], 2);
        // The same report, with addresses for paths.
        assert_eq!(
            remote.to_string(),
            local.to_string().replace(&format!("\"{format}"), &format!("\"{place}"))
        );
        let bucket = server.bucket().join(prefix.trim_start_matches('/'));
        assert_eq!(tree(&bucket.join("data")), tree(&folder.path().join(format).join("data")));
        let from = bucket.join("data/futures/um");
        let again = ok(offline(folder.path(), "certify").arg("--from").arg(from));
        assert_eq!(digests(&again), digests(&certified));
        fs::remove_dir_all(bucket.join("data")).unwrap();
    }
}

#[test]
fn an_object_that_is_there_is_replaced_and_others_stay() {
    let (folder, server) = (stocked(), Server::start());
    let place = format!("s3://{BUCKET}/x/");
    ok(&mut to_s3(folder.path(), &server.url(), "csv", &place));
    let first = server.objects();
    let month = "x/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv";
    fs::write(server.bucket().join(month), "old").unwrap();
    fs::write(server.bucket().join("x/other"), "other").unwrap();
    let mut january = to_s3(folder.path(), &server.url(), "csv", &place);
    ok(january.args(["--symbols", "BTCUSDT", "--intervals", "5m", "--until", "2025-02-01"]));
    let mut objects = server.objects();
    assert_eq!(objects.remove("x/other"), Some(b"other".to_vec()));
    assert_eq!(objects, first);
}

/// Runs with every log line there is, and gives the exit code and all that was said, which must hold no secret.
fn said(command: &mut Command, secrets: &[&str]) -> (i32, String, Value) {
    let (code, out, err) = run(command.env("LOG_LEVEL", "trace,reqwest=trace,hyper_util=trace,hyper=trace"));
    let all = format!("{out}{err}");
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} is in: {all}");
    }
    (code, all, json(&out))
}

#[test]
fn a_wrong_secret_or_key_is_told_by_name_and_no_secret_is_shown() {
    let (folder, server) = (stocked(), Server::start());
    let wrong = [
        ("AWS_SECRET_ACCESS_KEY", "n0t-the-secret", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE", "HTTP 403"),
    ];
    for (name, value, word) in wrong {
        let mut command = to_s3(folder.path(), &server.url(), "csv", &format!("s3://{BUCKET}"));
        let (code, all, report) = said(command.env(name, value), &[SECRET, "n0t-the-secret"]);
        assert_eq!((code, &report["exit_code"]), (1, &1.into()), "{all}");
        let (error, hint) = (report["error"].as_str().unwrap(), report["hint"].as_str().unwrap());
        assert!(error.contains(word) && error.contains(&format!("s3://{BUCKET}")), "{error}");
        assert!(hint.contains(name), "{hint}");
    }
    let mut temporary = to_s3(folder.path(), &server.url(), "csv", &format!("s3://{BUCKET}"));
    let (code, all, _) = said(
        temporary.env("AWS_SESSION_TOKEN", "t0ken/of+the=tests"),
        &[SECRET, "t0ken/of+the=tests", "t0ken%2Fof%2Bthe%3Dtests"],
    );
    assert_eq!(code, 0, "{all}");
}

#[test]
fn a_bucket_that_is_not_there_is_told_and_not_made() {
    let (folder, server) = (stocked(), Server::start());
    let (code, _, err) = run(&mut to_s3(folder.path(), &server.url(), "csv", "s3://nowhere/x"));
    assert!(code == 1 && err.contains("s3://nowhere/x") && err.contains("NoSuchBucket"), "{code} {err}");
    assert!(err.contains("klines makes no buckets"), "{err}");
    assert!(!server.bucket().with_file_name("nowhere").exists());
}

#[test]
fn what_is_not_set_is_named_before_anything_is_asked() {
    let folder = stocked();
    let nothing = export(folder.path(), "csv", "s3://b/x").output().unwrap();
    let err = String::from_utf8(nothing.stderr).unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{err}");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        assert!(err.contains(name), "{err}");
        let mut command = to_s3(folder.path(), "http://127.0.0.1:1", "csv", "s3://b/x");
        let (code, _, err) = run(command.env(name, ""));
        assert!(code == 2 && err.contains(&format!("{name} is not set")), "{code} {err}");
    }
    let mut command = to_s3(folder.path(), "http://127.0.0.1:1", "csv", "s3://b/x");
    let (code, _, err) = run(command.env("AWS_ENDPOINT_URL_S3", "http://me:hunter2@host"));
    assert!(code == 2 && err.contains("AWS_ENDPOINT_URL_S3") && !err.contains("hunter2"), "{code} {err}");
}

#[test]
fn a_server_that_is_busy_twice_is_asked_a_third_time() {
    let (folder, server) = (stocked(), Server::start());
    ok(&mut export(folder.path(), "csv", "local"));
    server.is_busy(2);
    let (code, out, err) = run(&mut to_s3(folder.path(), &server.url(), "csv", &format!("s3://{BUCKET}")));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(err.matches("HTTP 503 SlowDown").count(), 2, "{err}");
    assert_eq!(server.objects(), tree(&folder.path().join("local")));
}

#[test]
fn uploads_that_break_off_leave_nothing_half_written_and_are_tried_again() {
    let (folder, server) = (stocked(), Server::start());
    ok(&mut export(folder.path(), "csv", "local"));
    let whole = tree(&folder.path().join("local"));
    let cutter = Cutter::before(&server, 3);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whoever looks meanwhile sees whole objects only.
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for (key, bytes) in server.objects() {
                    assert!(whole.get(&key) == Some(&bytes), "{key} has {} bytes", bytes.len());
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let (code, out, err) =
            run(&mut to_s3(folder.path(), &cutter.url(), "csv", &format!("s3://{BUCKET}")));
        done.store(true, Ordering::SeqCst);
        assert_eq!((code, cutter.cuts_left()), (0, 0), "{out}{err}");
        assert!(err.contains("trying again"), "{err}");
    });
    assert_eq!(server.objects(), whole);
}

#[test]
fn a_line_that_always_breaks_ends_with_an_error_and_an_empty_bucket() {
    let (folder, server) = (stocked(), Server::start());
    let cutter = Cutter::before(&server, usize::MAX);
    let (code, _, err) = run(&mut to_s3(folder.path(), &cutter.url(), "csv", &format!("s3://{BUCKET}/x")));
    let object = format!("s3://{BUCKET}/x/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv");
    assert!(code == 1 && err.contains(&format!("cannot write {object}: ")), "{code} {err}");
    assert_eq!(server.objects().len(), 0);
}

#[test]
fn config_shows_where_objects_go_and_none_of_the_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = offline(folder.path(), "config");
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_DEFAULT_REGION", "garage");
    command.env("AWS_ENDPOINT_URL", "http://me:hunter2@minio:9000");
    let (code, all, report) = said(
        command.env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", "t0ken"),
        &[SECRET, "t0ken", "hunter2"],
    );
    assert_eq!(code, 0, "{all}");
    let shown = |key: &str| {
        let settings = report["settings"].as_array().unwrap();
        settings.iter().find(|s| s["key"] == key).map(|s| s["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(shown("s3.access_key_id").as_deref(), Some(KEY));
    assert_eq!(shown("s3.region").as_deref(), Some("garage"));
    assert_eq!(shown("s3.secret_access_key").as_deref(), Some("***"));
    assert_eq!(shown("s3.session_token").as_deref(), Some("***"));
}

#[test]
fn an_address_is_never_taken_for_the_name_of_a_file() {
    let folder = stocked();
    let commands: [(&str, &[&str], &str); 6] = [
        ("import", &["s3://b/x"], "aws s3 sync"),
        ("import", &["https://host/x.csv"], "download"),
        ("certify", &["--from", "s3://b/x"], "aws s3 sync"),
        ("export", &["--format", "csv", "--out", "gs://b/x"], "s3://BUCKET"),
        ("export", &["--format", "csv", "--out", "s3:/b/x"], "s3://BUCKET"),
        ("export", &["--format", "csv", "--out", "s3://b/../x"], "s3://BUCKET"),
    ];
    let before = tree(folder.path());
    for (command, args, word) in commands {
        let (code, out, err) = run(offline(folder.path(), command).args(args));
        assert!(code == 2 && err.contains(word), "{command} {args:?}: {code} {out}{err}");
    }
    assert_eq!(tree(folder.path()).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

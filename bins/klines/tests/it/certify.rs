//! Certificates: the same wherever klines are kept, and a witness against tampering.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::*;

/// Real klines kept beside the project, or `None` with a word where they are absent.
#[allow(clippy::print_stdout)] // a test says what it skips
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let full = root.join("data/binance").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: real klines ({path} not found below ../shared)");
    None
}

/// The program without an exchange to talk to.
pub fn offline(folder: &Path, command: &str) -> Command {
    let mut klines = klines(folder, "http://127.0.0.1:1");
    klines.env("KLINES_OUTPUT", "json").arg(command);
    klines
}

pub fn ok(command: &mut Command) -> Value {
    let (code, out, err) = run(command);
    assert_eq!(code, 0, "{out}{err}");
    json(&out)
}

/// Certificate of a store over all it has, or of files.
fn certificate(folder: &Path, args: &[&str]) -> Value {
    ok(offline(folder, "certify").args(args))
}

/// Digest of the whole, and of every month.
pub fn digests(certificate: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let months =
        certificate["series"].as_array().unwrap().iter().flat_map(|s| s["months"].as_array().unwrap());
    std::iter::once(text(&certificate["digest"])).chain(months.map(|m| text(&m["digest"]))).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Five months of real klines, and one of spot in which the exchange stood still, in a store.
fn stocked() -> Option<(tempfile::TempDir, PathBuf, PathBuf)> {
    let um = shared("data/futures/um/monthly/klines/BTCUSDT/5m")?;
    let spot = shared("data/spot/monthly/klines/BTCUSDT/1h")?;
    let folder = tempfile::tempdir().unwrap();
    let report = ok(offline(folder.path(), "import").args([&um, &spot]));
    assert_eq!(
        (&report["outcome"], &report["totals"]["rejected"]),
        (&"complete".into(), &0.into()),
        "{report:#}"
    );
    Some((folder, um, spot))
}

#[test]
fn a_store_the_archives_files_and_every_export_have_one_certificate() {
    let Some((folder, um, spot)) = stocked() else { return };
    let of_store = certificate(folder.path(), &[]);
    assert_eq!(of_store["series"].as_array().unwrap().len(), 2);
    assert_eq!(digests(&of_store), digests(&certificate(folder.path(), &["--from", path(&um), path(&spot)])));
    for format in ["csv", "parquet"] {
        let out = folder.path().join(format);
        let exported = ok(offline(folder.path(), "export").args(["--format", format, "--out", path(&out)]));
        assert_eq!(exported["totals"]["files"], 15, "{exported:#}");
        assert_eq!(
            digests(&of_store),
            digests(&certificate(folder.path(), &["--from", path(&out)])),
            "{format}"
        );
        // And back into a store.
        let other = format!("sqlite://{format}.db");
        let report = ok(offline(folder.path(), "import").arg(&out).args(["--store", &other]));
        assert_eq!(report["totals"]["new"], exported["totals"]["klines"]);
        assert_eq!(
            digests(&of_store),
            digests(&certificate(folder.path(), &["--store", &other])),
            "{format}"
        );
    }
}

#[test]
fn the_archives_own_zips_have_the_certificate_of_what_is_made_of_them() {
    let Some(zips) = shared("data/spot/daily/klines/BTCUSDT/1m") else { return };
    let folder = tempfile::tempdir().unwrap();
    let report = ok(offline(folder.path(), "import").arg(&zips));
    assert_eq!((&report["totals"]["new"], &report["files"][0]["market"]), (&2880.into(), &"spot".into()));
    let again = ok(offline(folder.path(), "import").arg(&zips));
    assert_eq!((&again["totals"]["new"], &again["totals"]["unchanged"]), (&0.into(), &2880.into()));
    let (store, files) =
        (certificate(folder.path(), &[]), certificate(folder.path(), &["--from", path(&zips)]));
    assert_eq!(digests(&store), digests(&files));
    assert_eq!(
        (&store["series"][0]["stored"], &store["source"], &files["source"]),
        (&2880.into(), &"store".into(), &"files".into())
    );
}

#[test]
fn a_flipped_digit_a_missing_row_and_a_row_too_many_are_found_in_their_months() {
    let Some((folder, um, spot)) = stocked() else { return };
    let (code, _, err) = run(offline(folder.path(), "certify").args(["--out", "all.json"]));
    assert_eq!(code, 0, "{err}");
    let check = |args: &[&str]| {
        let (code, out, _) = run(offline(folder.path(), "certify").args(["--check", "all.json"]).args(args));
        let report = json(&out);
        let told = report["changes"].as_array().unwrap().iter().map(|c| {
            format!(
                "{} {} {}",
                c["market"].as_str().unwrap(),
                c["month"].as_str().unwrap(),
                c["detail"].as_str().unwrap()
            )
        });
        (code, told.collect::<Vec<_>>())
    };
    assert_eq!(check(&[]), (0, vec![]));
    assert_eq!(check(&["--from", path(&um), path(&spot)]), (0, vec![]));

    let store = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let at = |time: &str| time.parse::<kline::Millis>().unwrap().0;
    let change = |sql: String| assert_eq!(store.execute(&sql, []).unwrap(), 1);
    change(format!(
        "UPDATE kline_rows_m5 SET volume = volume || '1' WHERE open_time = {}",
        at("2025-02-03T04:05:00Z")
    ));
    change(format!("DELETE FROM kline_rows_m5 WHERE open_time = {}", at("2025-04-30T23:55:00Z")));
    let copy = "series_id, open, high, low, close, volume, close_time, quote_volume, count, taker_buy_volume, \
                taker_buy_quote_volume";
    // In the hour that the exchange stood still.
    change(format!(
        "INSERT INTO kline_rows_h1 (open_time, {copy}) SELECT {}, {copy} FROM kline_rows_h1 WHERE open_time = {}",
        at("2023-03-24T13:00:00Z"),
        at("2023-03-24T12:00:00Z")
    ));
    let values = "um 2025-02 as many klines, but not the same: values or open times differ";
    let found =
        vec![values.to_owned(), "um 2025-04 1 kline fewer".into(), "spot 2023-03 1 kline more".into()];
    assert_eq!(check(&[]), (3, found));
    // A certificate of files that were tampered with is told apart, too.
    assert_eq!(check(&["--from", path(&um), path(&spot)]), (0, vec![]));
    assert_eq!(check(&["--market", "spot", "--symbols", "BTCUSDT", "--intervals", "1h"]).1.len(), 1);
}

#[test]
fn a_certificate_counts_what_is_absent_apart_from_what_is_missing() {
    let exchange = Exchange::start(&["BTCUSDT"], "2024-03-01T00:00:01Z", exchange_sim::Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(klines(folder.path(), &exchange.url()).args([
        "fill-gaps",
        "--symbols",
        "BTCUSDT",
        "--intervals",
        "1d",
        "--since",
        "2019-12-20",
        "--until",
        "2020-03-01",
    ]));
    assert_eq!(code, 0, "{err}");
    let range =
        ["--symbols", "BTCUSDT", "--intervals", "1d", "--since", "2019-12-20", "--until", "2020-03-03"];
    let found = certificate(folder.path(), &range);
    let month = |i: usize| {
        let m = &found["series"][0]["months"][i];
        ["expected", "stored", "absent", "missing"].map(|name| m[name].as_u64().unwrap())
    };
    assert_eq!([month(0), month(1), month(3)], [[12, 0, 12, 0], [31, 31, 0, 0], [2, 0, 0, 2]], "{found:#}");
}

#[test]
fn what_is_no_certificate_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.json"), "{}").unwrap();
    for args in [["--check", "x.json"], ["--check", "none.json"], ["--from", "none.zip"]] {
        let (code, out, err) = run(offline(folder.path(), "certify").args(args));
        assert_eq!(code, 2, "{args:?} {out}{err}");
    }
    let (code, out, _) = run(offline(folder.path(), "certify").env("KLINES_OUTPUT", "human"));
    assert!(code == 0 && out.contains("nothing is stored yet"), "{out}");
}

/// Real klines in stores behind servers.
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres"))]
mod on_servers {
    use super::*;

    /// Takes real klines in, certifies, verifies nothing but what is stored, and takes the export of it in elsewhere.
    fn has_the_certificate_of_the_files(url: &str) {
        let Some(zips) = shared("data/spot/daily/klines/BTCUSDT/1m") else { return };
        let Some(um) = shared("data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-02.csv") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let report = ok(offline(folder.path(), "import").args([&zips, &um]).args(["--store", url]));
        assert_eq!(report["totals"]["new"], 2880 + 8064);
        let of_store = certificate(folder.path(), &["--store", url]);
        let of_files = certificate(folder.path(), &["--from", path(&zips), path(&um)]);
        assert_eq!(digests(&of_store), digests(&of_files));
        // Nothing in it but the source says where it is from.
        assert_eq!(of_store["series"], of_files["series"]);
        for format in ["csv", "parquet"] {
            let out = folder.path().join(format);
            ok(offline(folder.path(), "export").args([
                "--store",
                url,
                "--format",
                format,
                "--out",
                path(&out),
            ]));
            let exported = certificate(folder.path(), &["--from", path(&out)]);
            assert_eq!(digests(&of_store), digests(&exported), "{format}");
        }
        let again =
            ok(offline(folder.path(), "import").arg(folder.path().join("parquet")).args(["--store", url]));
        assert_eq!((&again["totals"]["new"], &again["totals"]["unchanged"]), (&0.into(), &10_944.into()));
    }

    #[test]
    #[cfg(feature = "mysql")]
    fn mysql_has_the_certificate_of_the_files() {
        let Some(server) = test_servers::Mariadb::start(&[]) else { return };
        has_the_certificate_of_the_files(&format!(
            "mysql://klines:k@{}",
            server.database("proof", "klines", "k")
        ));
    }

    #[test]
    #[cfg(feature = "postgres")]
    fn postgres_has_the_certificate_of_the_files() {
        let Some(server) = test_servers::Postgres::start(&[]) else { return };
        has_the_certificate_of_the_files(&format!("postgres://proof@{}", server.database("proof", "proof")));
    }

    #[test]
    #[cfg(feature = "mongodb")]
    fn mongodb_has_the_certificate_of_the_files() {
        let Some(server) = test_servers::Mongo::start() else { return };
        has_the_certificate_of_the_files(&server.uri(&format!("klines_proof_{}", std::process::id())));
    }
}

/// What an incremental run says it read: (read, unchanged).
fn incremental(folder: &Path) -> (Value, String) {
    let mut command = offline(folder, "certify");
    let (code, out, err) = run(command.arg("--incremental").env("LOG_LEVEL", "info"));
    assert_eq!(code, 0, "{out}{err}");
    (json(&out), err)
}

#[test]
fn an_unchanged_month_is_not_read_again_and_a_changed_one_is() {
    let Some((folder, ..)) = stocked() else { return };
    let (first, said) = incremental(folder.path());
    assert!(said.contains("35 months read; 0 months unchanged"), "{said}");
    assert_eq!(first, certificate(folder.path(), &[]), "an incremental certificate is a certificate");
    let (second, said) = incremental(folder.path());
    assert!(said.contains("0 months read; 35 months unchanged"), "{said}");
    assert_eq!(second, first);

    // A kline taken away: its month is read again, now and until the books are right again.
    let db = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let sql =
        "DELETE FROM kline_rows_m5 WHERE open_time = (SELECT min(open_time) + 300000 FROM kline_rows_m5)";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let (third, said) = incremental(folder.path());
    assert!(said.contains("1 month read; 34 months unchanged"), "{said}");
    assert_ne!(third["digest"], first["digest"]);
    assert_eq!(third, certificate(folder.path(), &[]));
    let missing = |certificate: &Value| certificate["series"][0]["missing"].as_u64().unwrap();
    assert_eq!(missing(&third), missing(&first) + 1, "{third:#}");
}

#[test]
fn a_value_edited_by_hand_is_found_by_reading_all() {
    let Some((folder, ..)) = stocked() else { return };
    let (first, _) = incremental(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    let sql = "UPDATE kline_rows_m5 SET close = close || '1' WHERE open_time = (SELECT max(open_time) FROM kline_rows_m5)";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let (again, _) = incremental(folder.path());
    assert_eq!(again, first, "the books know nothing of it, as the documentation says");
    assert_ne!(certificate(folder.path(), &[])["digest"], first["digest"]);
}

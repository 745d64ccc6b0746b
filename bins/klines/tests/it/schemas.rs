//! Reports are what `docs/schemas` says they are.

use std::path::Path;

use exchange_sim::Faults;
use serde_json::Value;

use crate::support::*;

/// What is wrong with a report by its schema, and which of its fields the schema does not name.
fn complaints(schema: &str, report: &Value) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{schema}.v1.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let mut all: Vec<String> =
        validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect();
    unnamed(&schema, report, "", &mut all);
    all
}

fn unnamed(schema: &Value, report: &Value, at: &str, all: &mut Vec<String>) {
    match report {
        Value::Object(fields) if schema["properties"].is_object() => {
            for (name, value) in fields {
                match schema["properties"].get(name) {
                    Some(inner) => unnamed(inner, value, &format!("{at}/{name}"), all),
                    None => all.push(format!("{at}/{name} is not in the schema")),
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| unnamed(&schema["items"], item, &format!("{at}/*"), all));
        }
        _ => {}
    }
}

#[test]
fn every_report_is_what_its_schema_says() {
    let exchange = Exchange::start(&["BTCUSDT", "ETHUSDT"], "2024-10-01", Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let url = exchange.url();
    let check = |schema: &str, args: &[&str]| {
        let mut command = klines(folder.path(), &url);
        let (_, out, err) = run(command.env("KLINES_OUTPUT", "json").args(args));
        let found = complaints(schema, &json(&out));
        assert!(found.is_empty(), "klines {args:?}\n{found:#?}\n{out}{err}");
    };
    let range = ["--intervals", "1h", "--since", "2024-09-01"];
    let both = ["--symbols", "BTCUSDT,ETHUSDT"];
    check("klines-status", &["status"]);
    check("klines-run", &[&["fill-gaps"], &both[..], &range[..]].concat());
    check("klines-run", &[&["fill-gaps", "--symbols", "NOPEUSDT"], &range[..]].concat());
    check(
        "klines-run",
        &["fill-gaps", "--symbols", "BTCUSDT", "--intervals", "5m", "--since", "2024-09-01", "--dry-run"],
    );
    check("klines-run", &["extract", "--symbols", "BTCUSDT", "--intervals", "1d", "--since", "2024-09-01"]);
    check("klines-gaps", &["gaps", "--since", "2024-08-30"]);
    check("klines-status", &["status"]);
    check("klines-certificate", &["certify", "--out", "c.json"]);
    let db = rusqlite::Connection::open(folder.path().join("klines.db")).unwrap();
    db.execute("UPDATE kline_rows_h1 SET volume = volume || '1' WHERE open_time % 7200000 = 0", []).unwrap();
    check("klines-certify-check", &["certify", "--check", "c.json"]);
    check("klines-verify", &["verify"]);
    check("klines-doctor", &["doctor"]);
    check("klines-export", &["export", "--format", "csv", "--out", "files"]);
    check("klines-import", &["import", "files", "--dry-run"]);
    db.execute("UPDATE kline_rows_h1 SET low = '999999' WHERE open_time % 7200000 = 0", []).unwrap();
    check("klines-export", &["export", "--format", "csv", "--out", "bad"]);
    check("klines-import", &["import", "bad"]);
}

#[test]
fn a_field_that_no_schema_names_is_noticed() {
    let report = serde_json::json!({"series": [], "totals": {"expected": 0}, "new": 1});
    let found = complaints("klines-gaps", &report);
    assert!(found.iter().any(|c| c.contains("/new is not in the schema")), "{found:?}");
    assert!(found.iter().any(|c| c.contains("\"stored\" is a required property")), "{found:?}");
}

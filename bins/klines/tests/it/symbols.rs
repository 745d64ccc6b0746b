//! Symbols by pattern, those traded no more included.

use std::path::Path;
use std::process::Command;

use exchange_sim::{Config, DataSource, Limits, Now};
use kline::{Market, Symbol};
use serde_json::Value;

use crate::support::*;

fn exchange() -> Exchange {
    let made_up = |(symbol, until): (&str, Option<&str>)| DataSource::Synthetic {
        market: Market::Um,
        symbol: Symbol::new(symbol).unwrap(),
        from: "2024-01-01".parse().unwrap(),
        until: until.map(|at| at.parse().unwrap()),
        seed: 1,
    };
    let symbols = [("BTCUSDT", None), ("ETHUSDT", None), ("ETHUSDC", None), ("LUNAUSDT", Some("2024-02-15"))];
    Exchange::of(Config {
        data: symbols.into_iter().map(made_up).collect(),
        now: Now::From("2024-04-01T00:00:01Z".parse().unwrap()),
        limits: Limits { futures_weight: 1_000_000, ..Limits::default() },
        ..Config::default()
    })
}

fn command(folder: &Path, exchange: &Exchange, args: &[&str]) -> Command {
    let url = exchange.url();
    let mut klines = klines(folder, &url);
    klines.env("BINANCE_ARCHIVE_URL", &url);
    klines.env("BINANCE_ARCHIVE_LIST_URL", format!("{url}/data.binance.vision"));
    klines.env("KLINES_OUTPUT", "json").env("KLINES_INTERVALS", "1h").args(args);
    klines
}

fn symbols(report: &Value) -> Vec<&str> {
    report["series"].as_array().unwrap().iter().map(|s| s["symbol"].as_str().unwrap()).collect()
}

#[test]
fn patterns_are_what_the_exchange_trades_and_the_archive_knows_the_others() {
    let (exchange, folder) = (exchange(), tempfile::tempdir().unwrap());
    let plan = |args: &[&str]| {
        let fixed = ["fill-gaps", "--since", "2024-01-01", "--until", "2024-02-01", "--dry-run"];
        let (code, out, err) = run(command(folder.path(), &exchange, &fixed).args(args));
        assert_eq!(code, 3, "{out}{err}");
        (json(&out), err)
    };
    let (all, err) = plan(&["--symbols", "*USDT"]);
    assert_eq!(symbols(&all), ["BTCUSDT", "ETHUSDT"]);
    assert!(err.contains("2 symbols of um match *USDT"), "{err}");
    assert_eq!(symbols(&plan(&["--all"]).0), ["BTCUSDT", "ETHUSDC", "ETHUSDT"]);
    assert_eq!(symbols(&plan(&["--symbols", "ETH*,BTCUSDT"]).0), ["BTCUSDT", "ETHUSDC", "ETHUSDT"]);
    let delisted = ["--symbols", "*USDT", "--include-delisted", "--source", "archive"];
    assert_eq!(symbols(&plan(&delisted).0), ["BTCUSDT", "ETHUSDT", "LUNAUSDT"]);
}

#[test]
fn the_history_of_a_symbol_that_is_traded_no_more_comes_out_of_the_archive() {
    let (exchange, folder) = (exchange(), tempfile::tempdir().unwrap());
    let args = [
        "fill-gaps",
        "--symbols",
        "LUNA*",
        "--include-delisted",
        "--source",
        "archive",
        "--since",
        "listing",
    ];
    let (code, out, err) = run(command(folder.path(), &exchange, &args).args(["--until", "2024-02-15"]));
    let report = json(&out);
    assert_eq!((code, &report["totals"]["written"]), (0, &(45 * 24).into()), "{out}{err}");
    // What is stored is found by pattern, too.
    let (code, out, _) = run(&mut command(folder.path(), &exchange, &["certify", "--symbols", "L*"]));
    assert_eq!((code, symbols(&json(&out))), (0, vec!["LUNAUSDT"]));
    let (code, _, err) = run(&mut command(folder.path(), &exchange, &["status", "--symbols", "B*"]));
    assert!(code == 2 && err.contains("none of the 1 stored series is of um and matches B*"), "{err}");
}

#[test]
fn a_pattern_that_matches_nothing_says_what_to_do() {
    let (exchange, folder) = (exchange(), tempfile::tempdir().unwrap());
    let refused = |args: &[&str], words: &str| {
        let (code, _, err) = run(command(folder.path(), &exchange, &["extract"]).args(args));
        assert!(code == 2 && err.contains(words), "{args:?}: {code} {err}");
    };
    refused(&["--symbols", "*BUSD"], "none of the 3 symbols of um matches *BUSD");
    refused(&["--symbols", "*usdt"], "--symbols '*USDT'");
    refused(&["--symbols", "BTCUSDT", "--include-delisted"], "every symbol is named in full");
    refused(&["--symbols", "BTCUSDT", "--all"], "cannot be used with");
}

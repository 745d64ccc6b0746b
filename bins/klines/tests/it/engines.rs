//! One fill, every engine, the same rows.

use exchange_sim::{Config, DataSource, Limits, Now};
use kline::{Decimal, Interval, Kline, Millis, Series, SlotRange};
use test_servers::{Mariadb, Mongo, Postgres};

use crate::scene::*;
use crate::support::*;

const SINCE: &str = "2024-02-27";
const UNTIL: &str = "2024-03-01T00:00:00Z";
const HOLES: Holes = &[(0, 150), (200, 1), (203, 1), (300, 120), (500, 1), (600, 264)];

fn range() -> SlotRange {
    slots(Interval::M5, SINCE, UNTIL)
}

/// Digits as coins of little worth have them: 13 before the point, 8 after it, zeros at the end, and nothing at all.
fn odd(slot: i64) -> Kline {
    let d = |text: String| Decimal::parse(&text).unwrap();
    let v = slot.rem_euclid(1000);
    Kline {
        open_time: Interval::M5.slot_start(slot),
        open: d(format!("0.0000{v:04}10")),
        high: d("0.00009999".into()),
        low: d("0.00000000".into()),
        close: d(format!("0.0000{v:04}")),
        volume: d(format!("2328926384{v:03}.{v:03}00{v:03}")),
        close_time: Interval::M5.slot_end(slot).plus(-1),
        quote_volume: d(if v % 7 == 0 { "0".into() } else { format!("9999999999{v:03}.99999999") }),
        count: v.unsigned_abs() * 1_000_000,
        taker_buy_volume: d(format!("1164463192{v:03}.10")),
        taker_buy_quote_volume: d(format!("{v}.00000001")),
    }
}

fn exchange(series: &Series) -> (Exchange, Vec<Kline>) {
    let rows: Vec<Kline> = (range().start..range().end).map(odd).collect();
    let exchange = Exchange::of(Config {
        data: vec![DataSource::Rows { series: series.clone(), rows: rows.clone() }],
        now: Now::From(UNTIL.parse::<Millis>().unwrap()),
        limits: Limits { futures_weight: 1_000_000, ..Limits::default() },
        ..Config::default()
    });
    (exchange, rows)
}

/// Fills a store with holes, and one that is empty, and compares every field of every row with the exchange's.
fn fills_to_the_same_rows(name: &str, holey: &str, empty: &str) {
    let series = series("PEPEUSDT", Interval::M5);
    let (exchange, rows) = exchange(&series);
    let folder = tempfile::tempdir().unwrap();
    stock(holey, &series, &rows, HOLES);
    for (store, missing) in [(holey, 537), (empty, 864)] {
        let mut job = fill(folder.path(), &exchange.url(), "PEPEUSDT", "5m", SINCE);
        let (code, out, err) = run(job.env("KLINES_STORE", store).env("KLINES_CHUNK", "100"));
        assert_eq!(code, 0, "{name}: {out}{err}");
        let report = json(&out);
        assert_eq!(report["totals"]["written"], missing, "{name}: {out}");
        assert_same(&stored(store, &series, range()), &rows, name);
        // Nothing is left to do, and nothing is done.
        let mut job = fill(folder.path(), &exchange.url(), "PEPEUSDT", "5m", SINCE);
        let (code, out, _) = run(job.env("KLINES_STORE", store));
        assert_eq!((code, &json(&out)["totals"]["written"]), (0, &0.into()), "{name}");
    }
}

#[test]
fn sqlite_ends_in_the_exchanges_rows() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    fills_to_the_same_rows("sqlite", &url("a.db"), &url("b.db"));
}

#[test]
fn mysql_ends_in_the_exchanges_rows() {
    let Some(server) = Mariadb::start(&[]) else { return };
    let url = |name: &str| format!("mysql://klines:k@{}", server.database(name, "klines", "k"));
    fills_to_the_same_rows("mysql", &url("a"), &url("b"));
}

#[test]
fn postgres_ends_in_the_exchanges_rows() {
    let Some(server) = Postgres::start(&[]) else { return };
    let url = |name: &str| format!("postgres://{name}@{}", server.database(name, name));
    fills_to_the_same_rows("postgres", &url("a"), &url("b"));
}

#[test]
fn mongodb_ends_in_the_exchanges_rows() {
    let Some(server) = Mongo::start() else { return };
    let url = |name: &str| server.uri(&format!("klines_test_{name}_{}", std::process::id()));
    fills_to_the_same_rows("mongodb", &url("a"), &url("b"));
}

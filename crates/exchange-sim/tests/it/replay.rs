//! Real klines, replayed from files others stored, come out as they went in.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use exchange_sim::{Config, DataSource, Limits, Now, Sim};
use kline::{Decimal, Interval, Market, Millis};
use serde_json::Value;

use crate::support::*;

/// The folder of real data, which is not part of the repository.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED").map_or_else(
        || Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).to_owned(),
        PathBuf::from,
    );
    let data = root.join("data/binance");
    if !data.is_dir() {
        println!("skipped: real data (../shared not found)");
        return None;
    }
    Some(data)
}

/// Replays a folder, long after its last kline, with weight to spare.
async fn replay(folder: &Path) -> Sim {
    start(Config {
        data: vec![DataSource::Folder(folder.to_owned())],
        now: Now::Frozen(at("2026-04-01")),
        limits: Limits { futures_weight: 1_000_000, spot_weight: 1_000_000, ..Limits::default() },
        ..Config::default()
    })
    .await
}

fn path_of(market: Market) -> &'static str {
    match market {
        Market::Um => "/fapi/v1/klines",
        Market::Cm => "/dapi/v1/klines",
        Market::Spot => "/api/v3/klines",
    }
}

/// Every row of a series that opens in `[from, to]`, page by page, each as long as the market allows.
async fn rows(sim: &Sim, market: Market, symbol: &str, interval: Interval, from: i64, to: i64) -> Vec<Value> {
    let client = client();
    let step = interval.fixed_ms().unwrap();
    let mut all = Vec::new();
    let mut start = from;
    while start <= to {
        let end = to.min(start + 999 * step);
        let path = format!(
            "{}?symbol={symbol}&interval={interval}&startTime={start}&endTime={end}&limit=1000",
            path_of(market)
        );
        let reply = try_get(&client, sim, &path).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        all.extend(reply.json().as_array().unwrap().iter().cloned());
        start = end + 1;
    }
    all
}

/// The lines of a CSV file, or of the one inside a zip, without a header.
fn lines(path: &Path) -> Vec<Vec<String>> {
    let mut text = String::new();
    if path.extension().is_some_and(|ext| ext == "zip") {
        let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
        archive.by_index(0).unwrap().read_to_string(&mut text).unwrap();
    } else {
        text = fs::read_to_string(path).unwrap();
    }
    text.lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .map(|line| line.trim().split(',').map(str::to_owned).collect())
        .collect()
}

fn millis(text: &str) -> i64 {
    Millis::detect(text.parse().unwrap()).unwrap().0
}

/// Archive files of every market and shape, with the series they hold.
fn archive_files() -> Vec<(Market, &'static str, Interval, String)> {
    let um = |symbol, interval, month| {
        (
            Market::Um,
            symbol,
            interval,
            format!("data/futures/um/monthly/klines/{symbol}/{interval}/{symbol}-{interval}-{month}.csv"),
        )
    };
    let spot = |month| {
        (
            Market::Spot,
            "BTCUSDT",
            Interval::H1,
            format!("data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-{month}.csv"),
        )
    };
    vec![
        um("BTCUSDT", Interval::M5, "2025-01"),
        um("BTCUSDT", Interval::M5, "2025-03"), // an API download of the same weeks lies beside it
        um("BTCUSDT", Interval::M5, "2025-08"), // a halt: klines without volume
        um("1000PEPEUSDT", Interval::M5, "2025-01"),
        um("ALGOUSDT", Interval::M1, "2024-09"),
        spot("2023-03"), // an outage, and an early close
        spot("2024-12"),
        spot("2025-01"), // microseconds
        (
            Market::Um,
            "BTCUSDT",
            Interval::M1,
            "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2022-05-06.csv".into(),
        ),
        (
            Market::Spot,
            "BTCUSDT",
            Interval::M1,
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip".into(),
        ),
        (
            Market::Cm,
            "BTCUSD_PERP",
            Interval::H1,
            "other/futures-cm/BTCUSD_PERP/1h/btcusd_perp_coin_1h_2024w01.csv".into(),
        ),
        (Market::Spot, "BTCUSDT", Interval::H1, "other/spot/BTCUSDT/1h/BTCUSDT-1h-2021-Q1.csv".into()),
    ]
}

#[tokio::test]
async fn archive_files_are_replayed_equal_in_every_field_and_digit() {
    let Some(data) = shared() else { return };
    let sim = replay(&data).await;
    for (market, symbol, interval, file) in archive_files() {
        let expected = lines(&data.join(&file));
        let (first, last) = (millis(&expected[0][0]), millis(&expected[expected.len() - 1][0]));
        let served = rows(&sim, market, symbol, interval, first, last).await;
        assert_eq!(served.len(), expected.len(), "{file}");
        for (row, line) in served.iter().zip(&expected) {
            for (i, field) in line.iter().enumerate().take(11) {
                let same = match i {
                    0 | 6 => row[i].as_i64() == Some(millis(field)),
                    8 => row[i].as_u64() == field.parse().ok(),
                    _ => row[i].as_str() == Some(field),
                };
                assert!(same, "{file}: field {i} of {line:?} was served as {row}");
            }
        }
    }
}

#[tokio::test]
async fn files_of_six_columns_are_replayed_with_the_others_filled_in() {
    let Some(data) = shared() else { return };
    let sim = replay(&data.join("other")).await;
    for (market, symbol, interval, file) in [
        (Market::Um, "ETHUSDT", Interval::M5, "other/futures-um/ETHUSDT/5m/ETHUSDT-5m-2025-08.ohlcv.csv"),
        (Market::Spot, "BTCUSDT", Interval::H1, "other/spot/BTCUSDT/1h/BTCUSDT-1h-2018.ohlcv.csv"),
        (
            Market::Spot,
            "BTCUSDT",
            Interval::M30,
            "other/spot/BTCUSDT/30m/BTCUSDT-30m-2025-01_2026-02.ohlcv.csv",
        ),
    ] {
        let expected = lines(&data.join(file));
        let (first, last) = (millis(&expected[0][0]), millis(&expected[expected.len() - 1][0]));
        let served = rows(&sim, market, symbol, interval, first, last).await;
        assert_eq!(served.len(), expected.len(), "{file}");
        for (row, line) in served.iter().zip(&expected) {
            let row = parse_row(row);
            assert_eq!(row.open_time.0, millis(&line[0]), "{file}");
            assert_eq!(row.close_time.0, row.open_time.0 + interval.fixed_ms().unwrap() - 1);
            let values = [row.open, row.high, row.low, row.close, row.volume].map(|d| d.to_string());
            assert_eq!(values.as_slice(), &line[1..6], "{file}");
            assert_eq!((row.count, row.quote_volume), (0, Decimal::ZERO));
        }
    }
}

#[tokio::test]
async fn an_unfinished_row_of_a_saved_answer_loses_to_any_other_file() {
    let Some(data) = shared() else { return };
    let saved = data.join("rest/fapi-v1-klines.BTCUSDT.5m.limit500.json");
    let body: Vec<Value> = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    let (first, last) = (body[0][0].as_i64().unwrap(), body[499][0].as_i64().unwrap());

    let alone = replay(&saved).await_file(first, last).await;
    assert_eq!(alone, body, "a saved answer alone is served as it was saved");

    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("um/BTCUSDT/5m");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&saved, dir.path().join("fapi-v1-klines.BTCUSDT.5m.json")).unwrap();
    fs::write(
        folder.join("later.ohlcv.csv"),
        format!("{last},102240.9,102379.5,102228.3,102268.6,183.765\n"),
    )
    .unwrap();
    let merged = replay(dir.path()).await_file(first, last).await;
    assert_eq!(merged[..499], body[..499]);
    assert_eq!((&merged[499][4], &merged[499][5]), (&"102268.6".into(), &"183.765".into()));
}

/// Pages through BTCUSDT 5m of an exchange that is being started.
trait AwaitFile {
    async fn await_file(self, first: i64, last: i64) -> Vec<Value>;
}

impl<F: Future<Output = Sim>> AwaitFile for F {
    async fn await_file(self, first: i64, last: i64) -> Vec<Value> {
        rows(&self.await, Market::Um, "BTCUSDT", Interval::M5, first, last).await
    }
}

#[tokio::test]
async fn real_outages_are_absent_and_a_series_ends_where_its_data_end() {
    let Some(data) = shared() else { return };
    let sim = replay(&data).await;
    let spot = "/api/v3/klines?symbol=BTCUSDT&interval=1h";
    let halt = at("2021-04-25T05:00").0;
    let during = format!("{spot}&startTime={halt}&endTime={}", halt + 3 * 3_600_000 - 1);
    assert_eq!(get(&sim, &during).await.body, "[]");
    let after = get(&sim, &format!("{spot}&startTime={halt}&limit=1")).await.opens();
    assert_eq!(after, [halt + 3 * 3_600_000]);
    let newest = get(&sim, "/fapi/v1/klines?symbol=SOLUSDT&interval=5m&limit=1").await.opens();
    assert_eq!(newest, [at("2025-08-31T23:55").0]);
}

#[tokio::test]
async fn the_inventory_tells_what_is_replayed_and_what_was_left_out() {
    let Some(data) = shared() else { return };
    let sim = replay(&data).await;
    get(&sim, "/fapi/v1/klines?symbol=SOLUSDT&interval=5m&limit=1").await.opens();
    let inventory = get(&sim, "/__data").await.json();
    let series = inventory["series"].as_array().unwrap();
    let sol = series.iter().find(|s| s["symbol"] == "SOLUSDT" && s["interval"] == "5m").unwrap();
    assert_eq!((&sol["rows"], &sol["first"]), (&17_856.into(), &"2025-01-01T00:00:00Z".into()));
    // A year of such minutes stays far below 100 MB.
    assert!(sol["bytes"].as_u64().unwrap() < 17_856 * 60, "{sol}");
    let notes = inventory["notes"].to_string();
    assert!(notes.contains(".parquet: left out: Parquet is not read"), "{notes}");
    assert!(notes.contains("unknown-symbol"), "{notes}");
    assert!(!notes.contains("row "), "every row of the real files is understood: {notes}");
    let info = get(&sim, "/fapi/v1/exchangeInfo").await.json();
    let sol = info["symbols"].as_array().unwrap().iter().find(|s| s["symbol"] == "SOLUSDT").unwrap();
    assert_eq!(sol["onboardDate"], at("2025-01-01").0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_says_why() {
    let message = async |path: &Path| {
        let config = Config { data: vec![DataSource::Folder(path.to_owned())], ..Config::default() };
        Sim::start(config).await.unwrap_err().to_string()
    };
    assert!(
        message(Path::new("/no/such/folder")).await.contains("cannot read the data folder /no/such/folder")
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("BTCUSDT-5m.csv"), "1,2").unwrap();
    let text = message(dir.path()).await;
    assert!(text.contains("no kline files in") && text.contains("names no market"), "{text}");
}

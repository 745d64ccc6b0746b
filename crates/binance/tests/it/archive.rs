//! The archive client against the local exchange: right files, defective files, broken lines; and real files.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use binance::archive::{Archive, ArchiveConfig, ArchiveError, ArchiveFile, Batch, CacheConfig, Period};
use exchange_sim::{ArchiveDefect, ArchiveFault, Config, DataSource, Faults, Now, RowRange, Sim};
use kline::{Interval, Kline, Market, Millis, Series, Symbol};
use sha2::{Digest, Sha256};

use crate::server::{Server, ok, status};

const NOW: &str = "2025-04-10T12:00:00Z";

fn at(text: &str) -> Millis {
    text.parse().unwrap()
}

fn series(market: Market, symbol: &str, interval: Interval) -> Series {
    Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap()
}

fn month(series: &Series, text: &str) -> ArchiveFile {
    ArchiveFile::new(series, Period::parse(text).unwrap()).unwrap()
}

async fn start(data: Vec<DataSource>, now: &str) -> Sim {
    Sim::start(Config { data, now: Now::Frozen(at(now)), ..Config::default() }).await.unwrap()
}

async fn made_up() -> Sim {
    let symbol = |market, name: &str| DataSource::Synthetic {
        market,
        symbol: Symbol::new(name).unwrap(),
        from: at("2023-06-01"),
        until: None,
        seed: 7,
    };
    let data = vec![
        symbol(Market::Um, "BTCUSDT"),
        symbol(Market::Cm, "BTCUSD_PERP"),
        symbol(Market::Spot, "BTCUSDT"),
        symbol(Market::Spot, "币安人生USDT"),
    ];
    start(data, NOW).await
}

fn config(sim: &Sim) -> ArchiveConfig {
    ArchiveConfig {
        url: sim.url(),
        listing_url: format!("{}/data.binance.vision", sim.url()),
        backoff: Duration::from_millis(2),
        timeout: Duration::from_secs(60),
        ..ArchiveConfig::default()
    }
}

fn archive(sim: &Sim) -> Archive {
    Archive::new(config(sim)).unwrap()
}

async fn batches(archive: &Archive, file: &ArchiveFile) -> Result<Vec<Batch>, ArchiveError> {
    let Some(opened) = archive.open(file).await? else { panic!("{file} is not there") };
    let mut out = Vec::new();
    let mut batches = opened.batches();
    while let Some(batch) = batches.recv().await {
        out.push(batch?);
    }
    Ok(out)
}

async fn rows(archive: &Archive, file: &ArchiveFile) -> Vec<Kline> {
    batches(archive, file).await.unwrap().into_iter().flat_map(|batch| batch.rows).collect()
}

fn faulty(sim: &Sim, defect: ArchiveDefect) {
    let fault = ArchiveFault { defect, monthly: None, rows: RowRange::default() };
    sim.control().set_faults(Faults { archive: vec![fault], ..Faults::default() }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_market_hold_what_rest_has() {
    let sim = made_up().await;
    let (archive, client) = (archive(&sim), client(&sim));
    for (market, symbol) in
        [(Market::Um, "BTCUSDT"), (Market::Cm, "BTCUSD_PERP"), (Market::Spot, "币安人生USDT")]
    {
        for text in ["2024-12", "2025-02", "2025-04-08"] {
            let series = series(market, symbol, Interval::H1);
            let file = month(&series, text);
            let got = rows(&archive, &file).await;
            let mut sent = Vec::new();
            let slots = file.slots();
            let mut start = slots.start;
            while start < slots.end {
                let end = (start + 400).min(slots.end);
                sent.extend(client.klines(&series, kline::SlotRange::new(start, end)).await.unwrap().rows);
                start = end;
            }
            assert_eq!(got, sent, "{file}");
        }
    }
}

fn client(sim: &Sim) -> binance::Client {
    let url = sim.url();
    let endpoints = binance::Endpoints { um: url.clone(), cm: url.clone(), spot: url };
    binance::Client::new(binance::ClientConfig { endpoints, ..binance::ClientConfig::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_yet_is_no_error() {
    let sim = made_up().await;
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    for text in ["2025-04", "2025-04-10", "2023-01"] {
        assert!(archive(&sim).open(&month(&series, text)).await.unwrap().is_none(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_of_a_zip_refuses_it_with_its_reason() {
    let sim = made_up().await;
    let file = month(&series(Market::Um, "BTCUSDT", Interval::M5), "2025-02");
    for (defect, reason) in [
        (ArchiveDefect::WrongChecksum, "the CHECKSUM file says 0000"),
        (ArchiveDefect::BadCrc, "damaged zip: its CRC is not the one"),
        (ArchiveDefect::WrongMember, "holds ETHUSDT-1m-2017-08.csv instead of BTCUSDT-5m-2025-02.csv"),
        (ArchiveDefect::PathTrick, "holds ../../../tmp/BTCUSDT-5m-2025-02.csv instead of"),
        (ArchiveDefect::SeveralMembers, "holds 2 members instead of"),
        (ArchiveDefect::Bomb, "its content is over"),
        (ArchiveDefect::NoZip, "damaged zip"),
    ] {
        faulty(&sim, defect);
        let error = batches(&archive(&sim), &file).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{defect:?}: {error}");
        assert!(error.to_string().contains(&file.key()) && !error.is_outage(), "{error}");
    }
    faulty(&sim, ArchiveDefect::NoChecksum);
    assert!(archive(&sim).open(&file).await.unwrap().is_none(), "a zip without CHECKSUM is not complete yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_every_harmless_difference() {
    let sim = made_up().await;
    for (market, symbol) in [(Market::Um, "BTCUSDT"), (Market::Spot, "BTCUSDT")] {
        let file = month(&series(market, symbol, Interval::M5), "2025-02");
        let right = rows(&archive(&sim), &file).await;
        assert_eq!(right.len(), 28 * 288);
        for defect in [
            ArchiveDefect::Duplicates,
            ArchiveDefect::Unsorted,
            ArchiveDefect::OtherHeader,
            ArchiveDefect::OtherUnit,
            ArchiveDefect::OtherPadding,
        ] {
            faulty(&sim, defect);
            assert_eq!(rows(&archive(&sim), &file).await, right, "{defect:?}");
        }
        sim.control().set_faults(Faults::default()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contradicting_and_unreadable_rows_are_left_out_and_told() {
    let sim = made_up().await;
    let file = month(&series(Market::Um, "BTCUSDT", Interval::M5), "2025-02");
    faulty(&sim, ArchiveDefect::Contradictions);
    let got = batches(&archive(&sim), &file).await.unwrap();
    let disputed = (28 * 288usize).div_ceil(50);
    let (left_out, rows) =
        got.iter().fold((0, 0), |(n, rows), b| (n + b.disputed.len(), rows + b.rows.len()));
    assert_eq!((left_out, rows), (disputed, 28 * 288 - disputed));
    faulty(&sim, ArchiveDefect::Unreadable);
    let got = batches(&archive(&sim), &file).await.unwrap();
    let bad = (28 * 288usize).div_ceil(100);
    let (left_out, rows) =
        got.iter().fold((0, 0), |(n, rows), b| (n + b.unreadable.rows as usize, rows + b.rows.len()));
    assert_eq!((left_out, rows), (bad, 28 * 288 - bad));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_is_gone_on_with() {
    let sim = made_up().await;
    let file = month(&series(Market::Um, "BTCUSDT", Interval::M5), "2025-02");
    let faults = Faults {
        endpoints: vec!["archive".into()],
        truncate_rate: 1.0,
        after: 1,
        max_hits: Some(2),
        ..Faults::default()
    };
    sim.control().set_faults(faults).unwrap();
    assert_eq!(rows(&archive(&sim), &file).await.len(), 28 * 288);
    let zips: Vec<_> =
        sim.control().requests(0).into_iter().filter(|r| r.request.ends_with(".zip")).collect();
    assert_eq!(zips.len(), 3, "{zips:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_and_not_asked_again() {
    let sim = made_up().await;
    let file = month(&series(Market::Um, "BTCUSDT", Interval::M1), "2025-02");
    for (faults, class) in [
        (Faults { error_rate: 1.0, ..Faults::default() }, "server"),
        (Faults { forbidden_rate: 1.0, ..Faults::default() }, "forbidden"),
        (Faults { reset_rate: 1.0, ..Faults::default() }, "interrupted"),
    ] {
        sim.control().set_faults(faults).unwrap();
        let archive = archive(&sim);
        let error = archive.open(&file).await.unwrap_err();
        let ArchiveError::Fetch(fetch) = &error else { panic!("{error}") };
        assert_eq!(fetch.class(), class);
        sim.control().reset_stats();
        assert_eq!(archive.open(&file).await.unwrap_err(), error);
        assert_eq!((sim.stats().requests, archive.outage()), (0, Some(error)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_tells_the_time_and_lists_what_it_has() {
    let sim = made_up().await;
    let archive = archive(&sim);
    let now = archive.now().await.unwrap();
    assert!(now >= at(NOW) && now < at(NOW).plus(5000), "{now}");
    let symbols: Vec<String> =
        archive.symbols(Market::Spot).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(symbols, ["BTCUSDT", "币安人生USDT"]);
    let daily = archive.files(&series(Market::Um, "BTCUSDT", Interval::H1), false).await.unwrap();
    assert_eq!(daily.len(), 679, "June 2023 to yesterday, with CHECKSUMs more than one page");
    assert_eq!(daily[0].0.period().to_string(), "2023-06-01");
    let monthly = archive.files(&series(Market::Um, "BTCUSDT", Interval::H1), true).await.unwrap();
    assert_eq!(monthly.len(), 22);
    assert_eq!(sim.stats().weight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_saves_downloads_notices_replaced_files_and_stays_small() {
    let sim = made_up().await;
    let folder = tempfile::tempdir().unwrap();
    let cached = |most_bytes| {
        let cache = Some(CacheConfig { folder: folder.path().join("deep/er"), most_bytes });
        Archive::new(ArchiveConfig { cache, ..config(&sim) }).unwrap()
    };
    let btc = series(Market::Um, "BTCUSDT", Interval::M5);
    let file = month(&btc, "2025-02");
    let downloads = || sim.control().requests(0).iter().filter(|r| r.request.ends_with(".zip")).count();
    let first = rows(&cached(u64::MAX), &file).await;
    let opened = cached(u64::MAX).open(&file).await.unwrap().unwrap();
    assert!(opened.is_cached() && downloads() == 1);
    drop(opened);
    // Binance replaces the file.
    faulty(&sim, ArchiveDefect::Stale);
    let second = rows(&cached(u64::MAX), &file).await;
    assert!(second != first && second.len() == first.len() && downloads() == 2);
    // A run that ended half-way left half a file.
    sim.control().set_faults(Faults::default()).unwrap();
    let kept = |ending: &str| folder.path().join(format!("deep/er/um-monthly-BTCUSDT-5m-2025-02.{ending}"));
    drop(rows(&cached(u64::MAX), &file).await);
    let whole = std::fs::read(kept("zip")).unwrap();
    std::fs::remove_file(kept("zip")).unwrap();
    std::fs::write(kept("part"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(rows(&cached(u64::MAX), &file).await, first);
    // Half of another file is no beginning of this one.
    std::fs::remove_file(kept("zip")).unwrap();
    std::fs::write(kept("part"), b"half of something else").unwrap();
    assert_eq!(rows(&cached(u64::MAX), &file).await, first);
    // Room for one file alone.
    rows(&cached(1), &month(&btc, "2025-01")).await;
    assert!(!kept("zip").exists());
    assert_eq!(std::fs::read_dir(folder.path().join("deep/er")).unwrap().count(), 1);
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let full = root.join("data/binance").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: real klines ({path}, ../shared not found)");
    None
}

/// Rows of a CSV, read in the plainest way there is.
fn plain(text: &str) -> Vec<Kline> {
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let row = |line: &str| {
        let f: Vec<&str> = line.trim().split(',').collect();
        let time = |i: usize| Millis::detect(f[i].parse().unwrap()).unwrap();
        let n = |i: usize| f[i].parse().unwrap();
        Kline {
            open_time: time(0),
            open: n(1),
            high: n(2),
            low: n(3),
            close: n(4),
            volume: n(5),
            close_time: time(6),
            quote_volume: n(7),
            count: f[8].parse().unwrap(),
            taker_buy_volume: n(9),
            taker_buy_quote_volume: n(10),
        }
    };
    rows.map(row).collect()
}

fn zipped(name: &str, text: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Serves files of a folder that mirrors the archive.
async fn serve(files: Vec<(String, Vec<u8>)>) -> Server {
    Server::start(move |request, _| {
        let path = request.path.trim_start_matches('/');
        let (key, sum) = path.strip_suffix(".CHECKSUM").map_or((path, false), |key| (key, true));
        match files.iter().find(|(name, _)| name == key) {
            None => status("404 Not Found", "", ""),
            Some((name, bytes)) => {
                let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
                let line = format!("{hex}  {}", name.rsplit('/').next().unwrap()).into_bytes();
                ok(if sum { line } else { bytes.clone() })
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn genuine_zips_are_read_with_their_own_checksums() {
    let Some(folder) = shared("data/spot/daily/klines/BTCUSDT/1m") else { return };
    let names = ["BTCUSDT-1m-2020-01-01", "BTCUSDT-1m-2020-01-02"];
    let key = |name: &str| format!("data/spot/daily/klines/BTCUSDT/1m/{name}.zip");
    let read = |name: &str| std::fs::read(folder.join(format!("{name}.zip"))).unwrap();
    let server = serve(names.iter().map(|name| (key(name), read(name))).collect()).await;
    let archive =
        Archive::new(ArchiveConfig { url: format!("http://{}", server.addr), ..ArchiveConfig::default() })
            .unwrap();
    for name in names {
        let file = ArchiveFile::of_key(&key(name)).unwrap().0;
        let opened = archive.open(&file).await.unwrap().unwrap();
        let genuine = std::fs::read_to_string(folder.join(format!("{name}.zip.CHECKSUM"))).unwrap();
        assert!(genuine.starts_with(opened.sha256()), "{genuine}");
        let got = rows(&archive, &file).await;
        assert_eq!((got.len() as u64, got[0].open_time), (file.slots().len(), file.period().range().since));
        let mut zip = zip::ZipArchive::new(Cursor::new(read(name))).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut zip.by_index(0).unwrap(), &mut text).unwrap();
        assert_eq!(got, plain(&text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_months_are_read_as_they_are_with_and_without_a_header() {
    for folder in [
        "data/futures/um/monthly/klines/BTCUSDT/5m",
        "data/futures/um/monthly/klines/ALGOUSDT/1m",
        "data/futures/um/daily/klines/BTCUSDT/1m",
        "data/spot/monthly/klines/BTCUSDT/1h",
    ] {
        let Some(path) = shared(folder) else { return };
        let mut files = Vec::new();
        let mut expected = Vec::new();
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let key = format!("{folder}/{stem}.zip");
            files.push((key.clone(), zipped(&format!("{stem}.csv"), text.as_bytes())));
            expected.push((ArchiveFile::of_key(&key).unwrap().0, text));
        }
        let server = serve(files.clone()).await;
        let archive = Archive::new(ArchiveConfig {
            url: format!("http://{}", server.addr),
            ..ArchiveConfig::default()
        })
        .unwrap();
        for (file, text) in &expected {
            assert_eq!(rows(&archive, file).await, plain(text), "{file}");
        }
        // The same with the header taken off or put on.
        let flipped = expected.iter().map(|(file, text)| {
            let text = match text.strip_prefix("open_time") {
                Some(_) => text.split_once('\n').unwrap().1.to_owned(),
                None => format!("{}\n{text}", binance::archive::csv::HEADER),
            };
            (file.key(), zipped(&format!("{}.csv", file.stem()), text.as_bytes()))
        });
        let server = serve(flipped.collect()).await;
        let archive = Archive::new(ArchiveConfig {
            url: format!("http://{}", server.addr),
            ..ArchiveConfig::default()
        })
        .unwrap();
        for (file, text) in &expected {
            assert_eq!(rows(&archive, file).await, plain(text), "{file}");
        }
    }
}

//! Which files of a folder hold which series: told by path and name alone, so that a large folder opens at once.
//!
//! Understood are the public archive's layout (`…/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip` or `.csv`),
//! any other folder whose path names the market (`spot`, `um`, `cm`, `futures-um`, `futures-cm`), saved REST answers
//! (`fapi-v1-klines.BTCUSDT.5m.json`), and `*.ohlcv.csv`. Symbol and interval are the two folders above a file, or the
//! start of its name. What is not understood is left out with a note.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kline::{Interval, Market, Series, Symbol};

/// How deep folders are followed: a circle of links must end somewhere.
const DEEPEST: usize = 16;

/// A file that holds klines of a series.
#[derive(Debug, Clone)]
pub(crate) struct KlineFile {
    pub(crate) path: PathBuf,
    pub(crate) series: Series,
    pub(crate) format: Format,
    /// Of two archive files the daily one is to be trusted: monthly ones are known to miss days and to be stale.
    pub(crate) daily: bool,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Zip,
    RestJson,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) files: Vec<KlineFile>,
    /// Files left out, and why.
    pub(crate) notes: Vec<String>,
}

/// Looks through a folder, or takes a single file. Files come in order of their paths.
pub(crate) fn scan(root: &Path) -> io::Result<Scan> {
    let mut scan = Scan::default();
    // The full path, since the market may be named above the folder that was given.
    visit(&fs::canonicalize(root)?, 0, &mut scan)?;
    Ok(scan)
}

fn visit(path: &Path, depth: usize, scan: &mut Scan) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        match classify(path) {
            Ok(Some(file)) => scan.files.push(file),
            Ok(None) => {}
            Err(why) => scan.notes.push(format!("{}: left out: {why}", path.display())),
        }
        return Ok(());
    }
    if depth == DEEPEST {
        scan.notes.push(format!("{}: left out: more than {DEEPEST} folders deep", path.display()));
        return Ok(());
    }
    let mut entries =
        fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable();
    for entry in entries {
        if let Err(error) = visit(&entry, depth + 1, scan) {
            scan.notes.push(format!("{}: left out: {error}", entry.display()));
        }
    }
    Ok(())
}

/// The series of a file; `None` for files that are clearly something else, an error for what looks like data.
fn classify(path: &Path) -> Result<Option<KlineFile>, &'static str> {
    let name = path.file_name().and_then(OsStr::to_str).ok_or("its name is not Unicode")?;
    let format = match path.extension().and_then(OsStr::to_str) {
        Some("csv") => Format::Csv,
        Some("zip") => Format::Zip,
        Some("json") => Format::RestJson,
        Some("parquet") => return Err("Parquet is not read; convert it to CSV"),
        _ => return Ok(None),
    };
    let folders: Vec<&str> = path.parent().into_iter().flatten().filter_map(OsStr::to_str).collect();
    if folders.iter().any(|f| matches!(*f, "markPriceKlines" | "indexPriceKlines" | "premiumIndexKlines")) {
        return Err("mark, index and premium klines are not served");
    }
    let (market, symbol, interval) = if format == Format::RestJson {
        rest_name(name).ok_or("not named like a saved klines answer (fapi-v1-klines.BTCUSDT.5m.json)")?
    } else {
        let market = folders.iter().rev().find_map(|folder| market_of(folder)).ok_or(
            "its path names no market; put it below a folder called um, cm, spot, futures-um or futures-cm",
        )?;
        let (symbol, interval) = by_folders(&folders)
            .or_else(|| by_name(name))
            .ok_or("its path names no symbol and interval; use SYMBOL/INTERVAL/… or SYMBOL-INTERVAL-….csv")?;
        (market, symbol, interval)
    };
    let series = Series::new(market, symbol, interval).map_err(|_| "futures have no such interval")?;
    let daily = folders.contains(&"daily");
    Ok(Some(KlineFile { path: path.to_owned(), series, format, daily }))
}

fn market_of(folder: &str) -> Option<Market> {
    match folder {
        "um" | "futures-um" => Some(Market::Um),
        "cm" | "futures-cm" => Some(Market::Cm),
        "spot" => Some(Market::Spot),
        _ => None,
    }
}

fn by_folders(folders: &[&str]) -> Option<(Symbol, Interval)> {
    let [.., symbol, interval] = folders else { return None };
    Some((Symbol::new(symbol).ok()?, interval.parse().ok()?))
}

fn by_name(name: &str) -> Option<(Symbol, Interval)> {
    let mut parts = name.split(['-', '.']);
    Some((Symbol::new(parts.next()?).ok()?, parts.next()?.parse().ok()?))
}

fn rest_name(name: &str) -> Option<(Market, Symbol, Interval)> {
    let mut parts = name.split('.');
    let market = match parts.next()? {
        "fapi-v1-klines" => Market::Um,
        "dapi-v1-klines" => Market::Cm,
        "api-v3-klines" => Market::Spot,
        _ => return None,
    };
    Some((market, Symbol::new(parts.next()?).ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(path: &str) -> Option<String> {
        classify(Path::new(path)).ok().flatten().map(|file| file.series.to_string())
    }

    #[test]
    fn the_path_tells_the_series() {
        for (path, expected) in [
            ("/d/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv", "um BTCUSDT 5m"),
            ("/d/data/spot/daily/klines/BTCUSDT/1s/BTCUSDT-1s-2020-01-01.zip", "spot BTCUSDT 1s"),
            (
                "/d/data/futures/cm/monthly/klines/BTCUSD_PERP/1mo/BTCUSD_PERP-1mo-2024-01.zip",
                "cm BTCUSD_PERP 1M",
            ),
            ("/d/other/futures-cm/BTCUSD_PERP/1h/btcusd_perp_coin_1h_2024w01.csv", "cm BTCUSD_PERP 1h"),
            ("/d/other/spot/BTCUSDT/1h/BTCUSDT-1h-2017.ohlcv.csv", "spot BTCUSDT 1h"),
            ("/d/rest/fapi-v1-klines.BTCUSDT.5m.limit500.json", "um BTCUSDT 5m"),
            ("/d/rest/api-v3-klines.ETHUSDT.1h.240rows.json", "spot ETHUSDT 1h"),
            ("/spot/um/ETHUSDT-15m-2024.csv", "um ETHUSDT 15m"),
        ] {
            assert_eq!(series(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_out_with_a_reason() {
        for path in [
            "/d/um/BTCUSDT/1h/x.parquet",
            "/d/BTCUSDT-1h-2024.csv",
            "/d/um/notes.csv",
            "/d/um/BTCUSDT/1s/BTCUSDT-1s-2024.csv",
            "/d/rest/api-v3-exchangeInfo.json",
            "/d/rest/api-v3-klines.unknown-symbol.1m.json",
            "/d/um/monthly/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip",
        ] {
            assert!(classify(Path::new(path)).is_err(), "{path}");
        }
        assert!(matches!(classify(Path::new("/d/README.md")), Ok(None)));
    }
}

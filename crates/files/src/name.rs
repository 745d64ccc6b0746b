//! Names of files, as the public archive gives them.

use std::path::{Path, PathBuf};

use binance::archive::file::{folder, interval_name};
use binance::archive::{ArchiveFile, Period};
use kline::{Interval, Market, Series, Symbol};

/// Form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text with the archive's columns.
    Csv,
    /// A zip with one CSV.
    Zip,
    /// Parquet.
    Parquet,
}

impl Format {
    /// The form by the end of a name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "zip" => Some(Self::Zip),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// `csv`, `zip`, `parquet`.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Zip => "zip",
            Self::Parquet => "parquet",
        }
    }
}

/// What a file says it holds; what it does not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Market: from a folder `um`, `cm` or `spot` above it.
    pub market: Option<Market>,
    /// Symbol.
    pub symbol: Option<Symbol>,
    /// Interval.
    pub interval: Option<Interval>,
    /// Month or day.
    pub period: Option<Period>,
}

impl Named {
    /// Reads `…/um/…/BTCUSDT-5m-2025-01.csv`; the period may be left out.
    pub fn of(path: &Path) -> Self {
        let mut named = Self::default();
        let mut folders = path.parent().into_iter().flat_map(Path::components).rev();
        named.market = folders.find_map(|part| part.as_os_str().to_str()?.parse::<Market>().ok());
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { return named };
        // Which market plays no part in reading a name, except that 1s is of spot alone.
        if let Some(file) = ArchiveFile::of_stem(Market::Spot, stem) {
            named.symbol = Some(file.series().symbol.clone());
            named.interval = Some(file.series().interval);
            named.period = Some(file.period());
        } else if let Some((symbol, interval)) = stem.rsplit_once('-')
            && let (Ok(symbol), Ok(interval)) = (Symbol::new(symbol), interval.parse())
        {
            (named.symbol, named.interval) = (Some(symbol), Some(interval));
        }
        named
    }
}

/// Where a month of a series lies below a folder, as in the archive:
/// `data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv`.
pub fn path_of(series: &Series, month: Period, format: Format) -> PathBuf {
    let name = format!("{}-{}-{month}.{}", series.symbol, interval_name(series.interval), format.ending());
    PathBuf::from(folder(series, month.is_month())).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_made_is_read_back() {
        for (market, symbol, interval) in [
            (Market::Um, "BTCUSDT", Interval::M5),
            (Market::Cm, "BTCUSD_PERP", Interval::Mo1),
            (Market::Spot, "币安人生USDT", Interval::S1),
        ] {
            let series = Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap();
            let month = Period::month_of("2025-01-31".parse().unwrap());
            let named = Named::of(&Path::new("/exports").join(path_of(&series, month, Format::Parquet)));
            let expected = Named {
                market: Some(market),
                symbol: Some(series.symbol),
                interval: Some(interval),
                period: Some(month),
            };
            assert_eq!(named, expected);
        }
    }

    #[test]
    fn what_a_name_does_not_say_stays_open() {
        let named = |path: &str| Named::of(Path::new(path));
        assert_eq!(named("x.csv"), Named::default());
        let some = named("downloads/ETHUSDT-1h.csv");
        assert_eq!((some.market, some.interval, some.period), (None, Some(Interval::H1), None));
        assert_eq!(named("spot/um/ETHUSDT-1h.csv").market, Some(Market::Um));
        assert_eq!(Format::of(Path::new("a.ZIP")), Some(Format::Zip));
        assert_eq!(Format::of(Path::new("a.zip.CHECKSUM")), None);
    }
}

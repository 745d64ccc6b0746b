//! Names and places of archive files.

use std::fmt;

use kline::{Interval, Market, Millis, Series, Slot, SlotRange, Symbol, TimeRange};

/// What one file covers: a calendar month or a day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A month, counted from 1970-01.
    Month(Slot),
    /// A day, counted from 1970-01-01.
    Day(Slot),
}

impl Period {
    /// The month of an instant.
    pub fn month_of(at: Millis) -> Self {
        Self::Month(Interval::Mo1.slot_of(at))
    }

    /// The day of an instant.
    pub fn day_of(at: Millis) -> Self {
        Self::Day(Interval::D1.slot_of(at))
    }

    /// First instant inside to first instant after.
    pub fn range(self) -> TimeRange {
        match self {
            Self::Month(month) => Interval::Mo1.time_range(SlotRange::new(month, month + 1)),
            Self::Day(day) => Interval::D1.time_range(SlotRange::new(day, day + 1)),
        }
    }

    /// The days of a month; a day itself.
    pub fn days(self) -> impl Iterator<Item = Self> {
        let range = self.range();
        (Interval::D1.slot_of(range.since)..Interval::D1.slot_of(range.until)).map(Self::Day)
    }

    /// Whether this is a month.
    pub fn is_month(self) -> bool {
        matches!(self, Self::Month(_))
    }

    /// Reads `2025-01` or `2025-01-31`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let period = match text.len() {
            7 if is_plain => Self::month_of(format!("{text}-01").parse().ok()?),
            10 if is_plain => Self::day_of(text.parse().ok()?),
            _ => return None,
        };
        (period.to_string() == text).then_some(period)
    }
}

impl fmt::Display for Period {
    /// As in file names: `2025-01`, `2025-01-31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.range().since.date();
        match self {
            Self::Month(_) => f.pad(date.get(..7).unwrap_or(&date)),
            Self::Day(_) => f.pad(&date),
        }
    }
}

/// One file of klines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveFile {
    series: Series,
    period: Period,
}

impl ArchiveFile {
    /// Names a file; `None` for `3d`, `1w` and `1M`, whose files come late or not at all, and whose whole history is a
    /// page or two of the REST interface.
    pub fn new(series: &Series, period: Period) -> Option<Self> {
        // `..` is no folder of anybody's.
        let named = series.symbol.as_str().chars().any(char::is_alphanumeric);
        (named && exists(series.interval)).then(|| Self { series: series.clone(), period })
    }

    /// Reads a name as [`stem`](Self::stem) makes it, of any interval: for files that somebody has at hand. The archive
    /// itself is not asked for every file that can be named.
    pub fn of_stem(market: Market, stem: &str) -> Option<Self> {
        let months = stem.len().checked_sub(7).filter(|at| stem.is_char_boundary(*at));
        let days = stem.len().checked_sub(10).filter(|at| stem.is_char_boundary(*at));
        let (rest, period) = [days, months].into_iter().flatten().find_map(|at| {
            let (rest, period) = stem.split_at(at);
            Some((rest.strip_suffix('-')?, Period::parse(period)?))
        })?;
        let (symbol, interval) = rest.rsplit_once('-')?;
        let series = Series::new(market, Symbol::new(symbol).ok()?, interval.parse().ok()?).ok()?;
        let named = symbol.chars().any(char::is_alphanumeric);
        named.then_some(Self { series, period })
    }

    /// Whose klines.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// From when to when.
    pub fn period(&self) -> Period {
        self.period
    }

    /// `BTCUSDT-5m-2025-01`: name of the zip and of the CSV in it, without the ending.
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.series.symbol, interval_name(self.series.interval), self.period)
    }

    /// `data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip`, not percent-encoded.
    pub fn key(&self) -> String {
        format!("{}{}.zip", folder(&self.series, self.period.is_month()), self.stem())
    }

    /// The slots it should hold.
    pub fn slots(&self) -> SlotRange {
        self.series.interval.slots_starting_in(self.period.range())
    }

    /// The file of a key as the bucket lists it, and whether the key is that of its CHECKSUM. `None` for keys of other
    /// things and for intervals that are not taken from the archive.
    pub fn of_key(key: &str) -> Option<(Self, bool)> {
        let (rest, is_checksum) = match key.strip_suffix(".CHECKSUM") {
            Some(rest) => (rest, true),
            None => (key, false),
        };
        let rest = rest.strip_suffix(".zip")?;
        let (market, rest) = Market::ALL
            .into_iter()
            .find_map(|market| rest.strip_prefix(root(market)).map(|rest| (market, rest)))?;
        let mut parts = rest.split('/');
        let (cycle, kind) = (parts.next()?, parts.next()?);
        let (symbol, interval, stem) = (parts.next()?, parts.next()?, parts.next()?);
        let series = Series::new(market, Symbol::new(symbol).ok()?, interval.parse().ok()?).ok()?;
        let period = Period::parse(stem.strip_prefix(&format!("{symbol}-{interval}-"))?)?;
        let file = Self::new(&series, period)?;
        let cycle_fits = cycle == if period.is_month() { "monthly" } else { "daily" };
        (kind == "klines" && cycle_fits && parts.next().is_none()).then_some((file, is_checksum))
    }
}

impl fmt::Display for ArchiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// An interval as file and folder names spell it: a month is `1mo`, because `1M` and `1m` are one name to some systems.
pub fn interval_name(interval: Interval) -> &'static str {
    if interval == Interval::Mo1 { "1mo" } else { interval.as_str() }
}

/// Whether klines of an interval are taken from the archive.
pub fn exists(interval: Interval) -> bool {
    !matches!(interval, Interval::D3 | Interval::W1 | Interval::Mo1)
}

fn root(market: Market) -> &'static str {
    match market {
        Market::Um => "data/futures/um/",
        Market::Cm => "data/futures/cm/",
        Market::Spot => "data/spot/",
    }
}

/// The folder of all symbols: `data/spot/monthly/klines/`.
pub fn symbols_folder(market: Market, monthly: bool) -> String {
    format!("{}{}/klines/", root(market), if monthly { "monthly" } else { "daily" })
}

/// The folder of a series: `data/spot/monthly/klines/BTCUSDT/1m/`.
pub fn folder(series: &Series, monthly: bool) -> String {
    format!("{}{}/{}/", symbols_folder(series.market, monthly), series.symbol, interval_name(series.interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(market: Market, symbol: &str, interval: Interval) -> Series {
        Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap()
    }

    #[test]
    fn a_file_lies_where_the_archive_keeps_it() {
        let month = Period::month_of("2025-01-31T23:59:59Z".parse().unwrap());
        let day = Period::day_of("2020-01-02T00:00:00Z".parse().unwrap());
        for (market, symbol, interval, period, key) in [
            (
                Market::Um,
                "BTCUSDT",
                Interval::M5,
                month,
                "data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip",
            ),
            (
                Market::Cm,
                "BTCUSD_PERP",
                Interval::H1,
                day,
                "data/futures/cm/daily/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2020-01-02.zip",
            ),
            (
                Market::Spot,
                "BTCUSDT",
                Interval::S1,
                day,
                "data/spot/daily/klines/BTCUSDT/1s/BTCUSDT-1s-2020-01-02.zip",
            ),
        ] {
            let file = ArchiveFile::new(&series(market, symbol, interval), period).unwrap();
            assert_eq!(file.key(), key);
            assert_eq!(ArchiveFile::of_key(key), Some((file.clone(), false)));
            assert_eq!(ArchiveFile::of_key(&format!("{key}.CHECKSUM")), Some((file, true)));
        }
    }

    #[test]
    fn a_file_holds_the_slots_of_its_period() {
        let series = series(Market::Um, "BTCUSDT", Interval::M1);
        let file = |at: &str| ArchiveFile::new(&series, Period::month_of(at.parse().unwrap())).unwrap();
        assert_eq!(file("2024-02-10").slots().len(), 29 * 1440);
        assert_eq!(file("2025-02-10").period().days().count(), 28);
    }

    #[test]
    fn a_name_at_hand_is_read_whatever_its_interval() {
        for stem in
            ["BTCUSDT-5m-2025-01", "BTCUSD_PERP-1h-2020-01-02", "A-B-1w-2024-12", "BTCUSDT-1mo-2024-02"]
        {
            assert_eq!(ArchiveFile::of_stem(Market::Um, stem).map(|f| f.stem()).as_deref(), Some(stem));
        }
        let month = ArchiveFile::of_stem(Market::Um, "BTCUSDT-1mo-2024-02").unwrap();
        assert_eq!((month.series().interval, month.slots().len()), (Interval::Mo1, 1));
        for stem in [
            "",
            "BTCUSDT",
            "BTCUSDT-5m",
            "BTCUSDT-5m-2025-13",
            "BTCUSDT-5x-2025-01",
            "..-5m-2025-01",
            "币-2025-01",
        ] {
            assert_eq!(ArchiveFile::of_stem(Market::Um, stem), None, "{stem}");
        }
    }

    #[test]
    fn keys_of_other_things_are_nobodys() {
        for key in [
            "data/spot/monthly/trades/BTCUSDT/BTCUSDT-trades-2025-01.zip",
            "data/futures/um/monthly/markPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip",
            "data/spot/monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2025-01.zip",
            "data/spot/monthly/klines/BTCUSDT/1m/ETHUSDT-1m-2025-01.zip",
            "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-02.zip",
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-02-30.zip",
            "data/spot/daily/klines/../1m/..-1m-2025-02-20.zip",
            "data/spot/daily/klines/BTCUSDT/1m/x/BTCUSDT-1m-2025-02-20.zip",
            "data2/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-02-20.zip",
            "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-02-20.zip",
            "",
        ] {
            assert_eq!(ArchiveFile::of_key(key), None, "{key}");
        }
    }
}

//! Paths of the archive.

use kline::{Interval, Market, Millis, Series, SlotRange, Symbol, TimeRange};

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) series: Series,
    pub(super) monthly: bool,
    /// Month or day, counted as `1M` and `1d` slots are.
    pub(super) number: i64,
}

impl Key {
    pub(super) fn new(series: Series, monthly: bool, number: i64) -> Self {
        Self { series, monthly, number }
    }

    /// Reads `futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_suffix(".zip")?;
        let (folder, stem) = path.rsplit_once('/')?;
        let (market, monthly, rest) = root(folder)?;
        let (symbol, interval) = rest.split_once('/')?;
        // The archive says 1mo where REST says 1M.
        let interval: Interval = interval.parse().ok()?;
        let series = Series::new(market, Symbol::new(symbol).ok()?, interval).ok()?;
        let date = stem.strip_prefix(&format!("{symbol}-{}-", folder.rsplit('/').next()?))?;
        let first: Millis = if monthly { format!("{date}-01").parse().ok()? } else { date.parse().ok()? };
        let key = Self::new(series, monthly, cycle(monthly).slot_of(first));
        (key.stem() == stem).then_some(key)
    }

    /// First instant inside to first instant after.
    pub(super) fn range(&self) -> TimeRange {
        cycle(self.monthly).time_range(SlotRange::new(self.number, self.number + 1))
    }

    /// `BTCUSDT-5m-2025-01`.
    pub(super) fn stem(&self) -> String {
        let date = self.range().since.date();
        let date = if self.monthly { date.get(..7).unwrap_or(&date) } else { &date };
        format!("{}-{}-{date}", self.series.symbol, folder_of(self.series.interval))
    }

    /// From the root of the bucket.
    pub(super) fn path(&self) -> String {
        format!("{}{}.zip", folder(&self.series, self.monthly), self.stem())
    }

    /// Whether the file is there at an instant: so long after its last kline has closed.
    pub(super) fn is_published(&self, now: Millis, lag_ms: i64) -> bool {
        self.range().until.plus(lag_ms) <= now
    }
}

/// The intervals that count months and days.
pub(super) fn cycle(monthly: bool) -> Interval {
    if monthly { Interval::Mo1 } else { Interval::D1 }
}

fn folder_of(interval: Interval) -> &'static str {
    if interval == Interval::Mo1 { "1mo" } else { interval.as_str() }
}

/// Folder of the files of a series, with a slash at the end.
pub(super) fn folder(series: &Series, monthly: bool) -> String {
    let market = match series.market {
        Market::Um => "futures/um",
        Market::Cm => "futures/cm",
        Market::Spot => "spot",
    };
    let cycle = if monthly { "monthly" } else { "daily" };
    format!("data/{market}/{cycle}/klines/{}/{}/", series.symbol, folder_of(series.interval))
}

/// Market and cycle of a path without `data/` in front, and what comes after `klines/`.
pub(super) fn root(path: &str) -> Option<(Market, bool, &str)> {
    let (market, rest) = [("futures/um/", Market::Um), ("futures/cm/", Market::Cm), ("spot/", Market::Spot)]
        .into_iter()
        .find_map(|(prefix, market)| path.strip_prefix(prefix).map(|rest| (market, rest)))?;
    let (monthly, rest) = match rest.strip_prefix("monthly/") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix("daily/")?),
    };
    Some((market, monthly, rest.strip_prefix("klines/")?))
}

/// An error document of S3.
pub(super) fn error(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>0000000000000000</RequestId></Error>"
    )
}

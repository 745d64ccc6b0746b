//! What the exchange has to show: real klines replayed, given rows, or made-up ones.

mod folder;
mod number;
mod packed;
mod partial;
mod read;
mod replay;
mod synthetic;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use kline::{Interval, Kline, Market, Millis, Series, Symbol};
use serde::Serialize;

pub(crate) use packed::PackedRows;
pub(crate) use partial::partial;
use replay::Replay;
use synthetic::Synthetic;

/// Where klines come from. Where several sources have the same series, given rows win over folders, folders over
/// made-up klines, and the first source of a kind over later ones.
#[derive(Debug, Clone)]
pub enum DataSource {
    /// Every kline file in a folder and the folders below it; see [`crate`] for what is understood.
    Folder(PathBuf),
    /// A made-up symbol with every interval of its market.
    Synthetic {
        /// Market it is listed on.
        market: Market,
        /// Its name.
        symbol: Symbol,
        /// When it was listed.
        from: Millis,
        /// When trading ended; `None` goes on to the exchange's present.
        until: Option<Millis>,
        /// Equal seeds give equal klines.
        seed: u64,
    },
    /// These rows. They are sorted by open time; of rows with equal open times the last one counts.
    Rows {
        /// The series they belong to.
        series: Series,
        /// The klines.
        rows: Vec<Kline>,
    },
}

/// Why a data source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A folder that cannot be looked through.
    #[error("cannot read the data folder {path}: {source}", path = .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without klines.
    #[error(
        "no kline files in {path}: name them like um/BTCUSDT/5m/BTCUSDT-5m-2025-01.csv (or .zip), \
         *.ohlcv.csv, or fapi-v1-klines.BTCUSDT.5m.json{first_note}",
        path = .path.display()
    )]
    NoKlines {
        /// The folder.
        path: PathBuf,
        /// One file that was left out and why, or nothing.
        first_note: String,
    },
    /// Two sources make up the same symbol.
    #[error("{market} {symbol} is made up twice: name each synthetic symbol once")]
    Twice {
        /// Market of the symbol.
        market: Market,
        /// The symbol.
        symbol: Symbol,
    },
}

/// Rows that a request asks for: opens in `[from, to]`, at most `limit`, the newest or the oldest of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Millis,
    pub(crate) to: Millis,
    pub(crate) limit: usize,
    pub(crate) newest: bool,
}

/// Everything the exchange lists.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    listings: BTreeMap<(Market, Symbol), Listing>,
    /// Files left out, and why.
    notes: Vec<String>,
}

/// One symbol of one market.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    rows: BTreeMap<Interval, Replay>,
    synthetic: Option<Synthetic>,
}

impl Catalog {
    pub(crate) fn open(sources: Vec<DataSource>) -> Result<Self, DataError> {
        let mut catalog = Self::default();
        let (given, others): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|source| matches!(source, DataSource::Rows { .. }));
        for source in given.into_iter().chain(others) {
            match source {
                DataSource::Rows { series, rows } => catalog.add_rows(series, rows),
                DataSource::Folder(path) => catalog.add_folder(path)?,
                DataSource::Synthetic { market, symbol, from, until, seed } => {
                    let made = Synthetic::new(market, &symbol, from, until, seed);
                    let listing = catalog.listings.entry((market, symbol.clone())).or_default();
                    if listing.synthetic.replace(made).is_some() {
                        return Err(DataError::Twice { market, symbol });
                    }
                }
            }
        }
        Ok(catalog)
    }

    fn add_rows(&mut self, series: Series, mut rows: Vec<Kline>) {
        // Stable sort; of equals the last is kept, by going backwards.
        rows.sort_by_key(|row| row.open_time);
        rows.reverse();
        rows.dedup_by_key(|row| row.open_time);
        rows.reverse();
        let listing = self.listings.entry((series.market, series.symbol)).or_default();
        let packed = || Replay::of_rows(PackedRows::from_sorted(rows));
        listing.rows.entry(series.interval).or_insert_with(packed);
    }

    fn add_folder(&mut self, path: PathBuf) -> Result<(), DataError> {
        let found = match folder::scan(&path) {
            Ok(found) => found,
            Err(source) => return Err(DataError::Folder { path, source }),
        };
        if found.files.is_empty() {
            let first_note = found.notes.first().map(|note| format!("; {note}")).unwrap_or_default();
            return Err(DataError::NoKlines { path, first_note });
        }
        let mut fresh: BTreeMap<Series, Replay> = BTreeMap::new();
        for file in found.files {
            fresh.entry(file.series.clone()).or_default().files.push(file);
        }
        for (series, replay) in fresh {
            let listing = self.listings.entry((series.market, series.symbol)).or_default();
            listing.rows.entry(series.interval).or_insert(replay);
        }
        self.notes.extend(found.notes);
        Ok(())
    }

    /// What there is, series by series, and what was left out.
    pub(crate) fn inventory(&self) -> Inventory {
        let mut inventory = Inventory { series: Vec::new(), notes: self.notes.clone() };
        for ((market, symbol), listing) in &self.listings {
            for (interval, replay) in &listing.rows {
                let loaded = replay.loaded();
                inventory.notes.extend(loaded.into_iter().flat_map(|l| l.notes.iter().cloned()));
                inventory.series.push(SeriesInfo {
                    market: market.as_str(),
                    symbol: symbol.as_str().to_owned(),
                    interval: Some(interval.as_str()),
                    files: replay.files.iter().map(|file| file.path.display().to_string()).collect(),
                    rows: loaded.map(|l| l.rows.len()),
                    bytes: loaded.map(|l| l.rows.memory()),
                    first: replay.first_open().map(|at| at.to_string()),
                    last: loaded.and_then(|l| l.rows.last_open()).map(|at| at.to_string()),
                });
            }
            if let Some(made) = &listing.synthetic {
                inventory.series.push(SeriesInfo {
                    market: market.as_str(),
                    symbol: symbol.as_str().to_owned(),
                    interval: None,
                    files: Vec::new(),
                    rows: None,
                    bytes: None,
                    first: Some(made.from.to_string()),
                    last: made.until.map(|at| at.to_string()),
                });
            }
        }
        inventory
    }

    pub(crate) fn listing(&self, market: Market, symbol: &str) -> Option<(&Symbol, &Listing)> {
        let symbol = Symbol::new(symbol).ok()?;
        self.listings.get_key_value(&(market, symbol)).map(|((_, symbol), listing)| (symbol, listing))
    }

    /// Reads the files of a series, if that was not done before; blocks.
    pub(crate) fn read(&self, market: Market, symbol: &str, interval: Interval) {
        if let Some(replay) = self.listing(market, symbol).and_then(|(_, l)| l.rows.get(&interval)) {
            let rows = replay.rows().len();
            tracing::debug!(%market, symbol, %interval, rows, files = replay.files.len(), "files read");
        }
    }

    /// Reads as much of the files of a market as tells when its symbols were listed; blocks.
    pub(crate) fn read_heads(&self, market: Market) {
        for (symbol, listing) in self.symbols(market) {
            tracing::trace!(%market, %symbol, listed = ?listing.listed());
        }
    }

    /// The symbols of a market, in order of their names.
    pub(crate) fn symbols(&self, market: Market) -> impl Iterator<Item = (&Symbol, &Listing)> {
        self.listings.iter().filter(move |((m, _), _)| *m == market).map(|((_, symbol), l)| (symbol, l))
    }
}

/// What the exchange has to show.
#[derive(Debug, Serialize)]
pub(crate) struct Inventory {
    series: Vec<SeriesInfo>,
    /// Files and rows left out, and why.
    notes: Vec<String>,
}

/// One series; a made-up symbol has no interval here since it has them all.
#[derive(Debug, Serialize)]
struct SeriesInfo {
    market: &'static str,
    symbol: String,
    interval: Option<&'static str>,
    files: Vec<String>,
    /// Rows and their memory, once the files were read.
    rows: Option<usize>,
    bytes: Option<usize>,
    first: Option<String>,
    last: Option<String>,
}

impl Listing {
    /// Whether an answer about an interval needs files that were not read yet.
    pub(crate) fn must_read(&self, interval: Interval) -> bool {
        self.rows.get(&interval).is_some_and(|replay| replay.loaded().is_none())
    }

    /// The visible rows of a window; empty for an interval there is no data of.
    pub(crate) fn page(
        &self,
        interval: Interval,
        window: &Window,
        visible: &dyn Fn(Millis) -> bool,
    ) -> Vec<Kline> {
        match (self.rows.get(&interval), &self.synthetic) {
            (Some(replay), _) => replay.rows().page(window, visible),
            (None, Some(synthetic)) => synthetic.page(interval, window, visible),
            (None, None) => Vec::new(),
        }
    }

    /// When the symbol was listed: its first kline, of whatever interval.
    pub(crate) fn listed(&self) -> Option<Millis> {
        let real = self.rows.values().filter_map(Replay::first_open).min();
        match (&self.synthetic, real) {
            (Some(made), Some(real)) => Some(made.from.min(real)),
            (Some(made), None) => Some(made.from),
            (None, real) => real,
        }
    }

    /// When trading ends, where it does.
    pub(crate) fn delisted(&self) -> Option<Millis> {
        self.synthetic.as_ref().and_then(|made| made.until)
    }
}

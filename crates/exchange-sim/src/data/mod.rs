//! What the exchange has to show: real klines replayed, given rows, or made-up ones.

mod packed;
mod partial;
mod synthetic;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kline::{Interval, Kline, Market, Millis, Series, Symbol};

pub(crate) use packed::PackedRows;
pub(crate) use partial::partial;
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
}

/// One symbol of one market.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    rows: BTreeMap<Interval, PackedRows>,
    synthetic: Option<Synthetic>,
}

impl Catalog {
    pub(crate) fn open(sources: Vec<DataSource>) -> Result<Self, DataError> {
        let mut catalog = Self::default();
        for source in sources {
            match source {
                DataSource::Folder(_) => {}
                DataSource::Synthetic { market, symbol, from, until, seed } => {
                    let made = Synthetic::new(market, &symbol, from, until, seed);
                    let listing = catalog.listings.entry((market, symbol.clone())).or_default();
                    if listing.synthetic.replace(made).is_some() {
                        return Err(DataError::Twice { market, symbol });
                    }
                }
                DataSource::Rows { series, mut rows } => {
                    // Stable sort, then the last of equals is kept by going backwards.
                    rows.sort_by_key(|row| row.open_time);
                    rows.reverse();
                    rows.dedup_by_key(|row| row.open_time);
                    rows.reverse();
                    let listing = catalog.listings.entry((series.market, series.symbol)).or_default();
                    listing.rows.entry(series.interval).or_insert_with(|| PackedRows::from_sorted(rows));
                }
            }
        }
        Ok(catalog)
    }

    pub(crate) fn listing(&self, market: Market, symbol: &str) -> Option<(&Symbol, &Listing)> {
        let symbol = Symbol::new(symbol).ok()?;
        self.listings.get_key_value(&(market, symbol)).map(|((_, symbol), listing)| (symbol, listing))
    }

    /// The symbols of a market, in order of their names.
    pub(crate) fn symbols(&self, market: Market) -> impl Iterator<Item = (&Symbol, &Listing)> {
        self.listings.iter().filter(move |((m, _), _)| *m == market).map(|((_, symbol), l)| (symbol, l))
    }
}

impl Listing {
    /// The visible rows of a window; empty for an interval there is no data of.
    pub(crate) fn page(
        &self,
        interval: Interval,
        window: &Window,
        visible: &dyn Fn(Millis) -> bool,
    ) -> Vec<Kline> {
        match (self.rows.get(&interval), &self.synthetic) {
            (Some(rows), _) => rows.page(window, visible),
            (None, Some(synthetic)) => synthetic.page(interval, window, visible),
            (None, None) => Vec::new(),
        }
    }

    /// When the symbol was listed: its first kline, of whatever interval.
    pub(crate) fn listed(&self) -> Option<Millis> {
        let real = self.rows.values().filter_map(PackedRows::first_open).min();
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

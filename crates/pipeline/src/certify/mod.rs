//! Certificates: what a series holds, month by month, with a digest that is the same wherever the klines are kept.
//!
//! The digest of a month is taken of its klines in canonical form (`canon`), so a store of any engine, an exported
//! file and the archive's zips give the same one for the same klines. A [`Tally`] makes it of rows from anywhere;
//! [`of_store`] of a store, and [`incrementally`] of one without reading what has not changed.
//! [`compare`](mod@compare) tells in which months two certificates differ, and how.

mod canon;
pub mod compare;
pub mod notes;
mod tally;

use kline::validate;
use kline::{Millis, RangeSet, Series, SlotRange};
use serde::{Deserialize, Serialize};
use store::KlineStore;
use store::types::absent_slots;

pub use canon::write_row;
pub use compare::{Change, compare};
pub use notes::{Incremental, incrementally};
pub use tally::{OutOfOrder, Tally};

use crate::error::JobError;

/// Version of the certificate and of the canonical form under it.
pub const VERSION: u32 = 1;

/// Klines read at once.
const PAGE: usize = 5000;

/// A certificate. Equal klines give equal certificates, down to the byte, except for what only a store knows: absences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`VERSION`].
    pub version: u32,
    /// `store` or `files`: files do not say what is absent at the exchange.
    pub source: String,
    /// BLAKE3 over the digests of all series.
    pub digest: String,
    /// By market, symbol and interval.
    pub series: Vec<SeriesCertificate>,
}

/// Certificate of one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesCertificate {
    /// `um`, `cm` or `spot`.
    pub market: String,
    /// Symbol.
    pub symbol: String,
    /// Interval.
    pub interval: String,
    /// Start of the range, RFC 3339.
    pub since: String,
    /// End of the range, exclusive.
    pub until: String,
    /// Slots of the range.
    pub expected: u64,
    /// Klines in it.
    pub stored: u64,
    /// Empty slots of which it is known that the exchange has nothing, either.
    pub absent: u64,
    /// Empty slots of which that is not known.
    pub missing: u64,
    /// BLAKE3 over the digests of its months.
    pub digest: String,
    /// One entry per calendar month (UTC) of the range.
    pub months: Vec<Month>,
}

/// Certificate of one month of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// `2025-01`.
    pub month: String,
    /// Slots of the range that begin in this month.
    pub expected: u64,
    /// Klines in them.
    pub stored: u64,
    /// Empty slots of which it is known that the exchange has nothing, either.
    pub absent: u64,
    /// Empty slots of which that is not known.
    pub missing: u64,
    /// BLAKE3 over the klines in canonical form, hexadecimal.
    pub digest: String,
}

impl Certificate {
    /// Puts the certificates of series together.
    pub fn new(source: &str, series: Vec<SeriesCertificate>) -> Self {
        let digest = canon::of_series(&series);
        Self { version: VERSION, source: source.to_owned(), digest, series }
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// In words: why this is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let certificate: Self =
            serde_json::from_str(text).map_err(|error| format!("it is no certificate: {error}"))?;
        if certificate.version != VERSION {
            return Err(format!(
                "it is of version {}, and this program knows version {VERSION}",
                certificate.version
            ));
        }
        for series in &certificate.series {
            series.identity()?;
            series.slots()?;
        }
        let intact = certificate.series.iter().all(|s| s.digest == canon::of_months(s, &s.months))
            && certificate.digest == canon::of_series(&certificate.series);
        if intact {
            Ok(certificate)
        } else {
            Err("its digests do not fit each other: it was changed by hand".to_owned())
        }
    }
}

impl SeriesCertificate {
    /// Whose certificate this is.
    ///
    /// # Errors
    /// In words, when there can be no such series.
    pub fn identity(&self) -> Result<Series, String> {
        let market = self.market.parse().map_err(|error| format!("{error}"))?;
        let symbol = self.symbol.parse().map_err(|error| format!("{error}"))?;
        let interval = self.interval.parse().map_err(|error| format!("{error}"))?;
        Series::new(market, symbol, interval).map_err(|error| error.to_string())
    }

    /// The slots it is about.
    ///
    /// # Errors
    /// In words, when its range cannot be read.
    pub fn slots(&self) -> Result<SlotRange, String> {
        let interval = self.identity()?.interval;
        let time = |text: &str| text.parse::<Millis>().map_err(|error| error.to_string());
        Ok(SlotRange::new(interval.slot_of(time(&self.since)?), interval.slot_of(time(&self.until)?)))
    }

    /// `um BTCUSDT 5m`.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.market, self.symbol, self.interval)
    }
}

/// Certifies a range of a stored series, reading every kline of it, a page at a time.
///
/// # Errors
/// [`JobError::Store`]
pub async fn of_store<S: KlineStore>(
    store: &S,
    series: &Series,
    slots: SlotRange,
) -> Result<SeriesCertificate, JobError> {
    let mut tally = Tally::new(series);
    take(&mut tally, store, series, slots).await?;
    let absent = absent_slots(&store.absent(series, slots).await?);
    Ok(tally.finish(slots, &absent))
}

/// Reads every kline of a range into a tally, a page at a time.
async fn take<S: KlineStore>(
    tally: &mut Tally,
    store: &S,
    series: &Series,
    slots: SlotRange,
) -> Result<(), JobError> {
    let mut after = None;
    loop {
        let page = store.read(series, slots, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.open_time);
        for kline in &page {
            // A store reads in order; were it not so, the digest would be another one, and that is as it should be.
            if tally.push(kline).is_err() {
                tracing::error!(%series, at = %kline.open_time, "the store hands out klines that are out of order");
            }
        }
    }
}

/// The stored part of a series: from its first kline to its last.
///
/// # Errors
/// [`JobError::Store`]
pub async fn stored_slots<S: KlineStore>(store: &S, series: &Series) -> Result<Option<SlotRange>, JobError> {
    let extent = store.series(series).await?.and_then(|record| record.extent);
    let interval = series.interval;
    Ok(extent.map(|e| SlotRange::new(interval.slot_of(e.first), interval.slot_of(e.last) + 1)))
}

/// The klines of a batch out of a file that count: those that might be stored.
pub fn believable(series: &Series, slots: SlotRange, rows: Vec<kline::Kline>) -> validate::Checked {
    // A certificate is about what a file says; whether it was closed at the time, only an exchange could tell.
    validate::check_page(series.interval, slots, Millis(i64::MAX), rows)
}

/// Slots that no kline of an exchange can lie outside of: the years 1970 to 9999.
pub fn every_slot(interval: kline::Interval) -> SlotRange {
    SlotRange::new(interval.slot_of(Millis(0)), interval.slot_of(Millis(253_402_300_799_999)) + 1)
}

/// Slots of a set inside a range.
fn inside(set: &RangeSet, slots: SlotRange) -> u64 {
    set.clip(slots).len()
}

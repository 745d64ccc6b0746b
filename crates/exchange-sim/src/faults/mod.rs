//! What goes wrong, on demand.
//!
//! [`Faults`] is the whole setting; it is given at the start, replaced at run time by [`crate::Control::set_faults`] or
//! by `POST /__faults`, and `{}` is a healthy exchange. Rates are shares between 0 and 1. What a rate hits is a function
//! of [`Faults::seed`], the request's path and query, and how often this very request was made before: the order in which
//! requests arrive changes nothing.

mod answer;
mod archive;
mod draw;
mod rows;
mod text;

use kline::{Interval, Market, Millis, Series, Symbol};
use serde::{Deserialize, Serialize};

pub use archive::{ArchiveDefect, ArchiveFault};

pub(crate) use answer::{cut_body, forbidden_page};
pub(crate) use draw::{Draws, Hit};
pub(crate) use rows::{RowFaults, revise};

/// Everything that can be made to go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Equal seeds hit equal requests and rows.
    pub seed: u64,
    /// Endpoints whose requests are disturbed (`klines`, `time`, `exchangeInfo`, …); empty means all. Row faults touch
    /// klines alone anyway.
    pub endpoints: Vec<String>,
    /// So many requests pass untouched before requests are disturbed.
    pub after: u64,
    /// At most so many requests are disturbed; `None` means no end.
    pub max_hits: Option<u64>,

    /// Every answer waits so long, in milliseconds.
    pub latency_ms: u64,
    /// And up to so much longer, in milliseconds.
    pub jitter_ms: u64,
    /// Share answered with a server error.
    pub error_rate: f64,
    /// Status of those: 500 (code -1001), 503 (-1008), 504 (-1007) or any other 5xx (-1000).
    pub error_status: u16,
    /// Share answered 403 with an HTML page, as the firewall in front of the exchange does.
    pub forbidden_rate: f64,
    /// Share answered 451: restricted location.
    pub restricted_rate: f64,
    /// Share whose body ends half-way, with the connection cut.
    pub truncate_rate: f64,
    /// Share whose body is complete by its length and is broken JSON.
    pub malformed_rate: f64,
    /// Share whose connection is reset without an answer.
    pub reset_rate: f64,
    /// Share that is never answered.
    pub hang_rate: f64,
    /// Share answered 429 though the limit is not reached.
    pub too_many_rate: f64,
    /// `Retry-After` of those, in seconds; `None` sends none.
    pub retry_after_s: Option<u64>,
    /// Share answered 418.
    pub banned_rate: f64,
    /// How long such a ban still lasts by its message, in seconds.
    pub ban_s: u64,
    /// Share of klines requests answered with an empty list.
    pub empty_rate: f64,
    /// No weight headers on any answer.
    pub hide_weight: bool,

    /// Klines that are never served.
    pub holes: Vec<RowRange>,
    /// A kline shows up only so many milliseconds after it opened.
    pub late_ms: i64,
    /// Klines whose values differ from what they were.
    pub revisions: Vec<Revision>,
    /// Share of rows that are sent twice.
    pub duplicate_rate: f64,
    /// Share of rows that change places with the next one.
    pub unordered_rate: f64,
    /// Share of rows that are false or unreadable.
    pub bad_row_rate: f64,
    /// In which ways; empty means all of them in turn.
    pub bad_rows: Vec<BadRow>,
    /// Whether the same rows are hit at every request, instead of others each time.
    pub sticky_rows: bool,
    /// Whether the kline of the present is served unfinished, as Binance does.
    pub open_candle: bool,
    /// Added to the exchange's clock, in milliseconds.
    pub clock_offset_ms: i64,

    /// Share of closed klines that the streams never push.
    pub stream_lost_close_rate: f64,
    /// Share of closed klines that the streams push twice.
    pub stream_double_rate: f64,
    /// The streams push a closed kline so many milliseconds late.
    pub stream_late_close_ms: u64,
    /// A connection of a stream is cut so many milliseconds after it began; 0 means never.
    pub stream_cut_after_ms: u64,

    /// Files of the public archive that are not as they should be.
    pub archive: Vec<ArchiveFault>,
    /// A file of the archive is there so many milliseconds after its last kline closed.
    pub archive_lag_ms: i64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 0,
            endpoints: Vec::new(),
            after: 0,
            max_hits: None,
            latency_ms: 0,
            jitter_ms: 0,
            error_rate: 0.0,
            error_status: 500,
            forbidden_rate: 0.0,
            restricted_rate: 0.0,
            truncate_rate: 0.0,
            malformed_rate: 0.0,
            reset_rate: 0.0,
            hang_rate: 0.0,
            too_many_rate: 0.0,
            retry_after_s: None,
            banned_rate: 0.0,
            ban_s: 120,
            empty_rate: 0.0,
            hide_weight: false,
            holes: Vec::new(),
            late_ms: 0,
            revisions: Vec::new(),
            duplicate_rate: 0.0,
            unordered_rate: 0.0,
            bad_row_rate: 0.0,
            bad_rows: Vec::new(),
            sticky_rows: false,
            open_candle: true,
            clock_offset_ms: 0,
            stream_lost_close_rate: 0.0,
            stream_double_rate: 0.0,
            stream_late_close_ms: 0,
            stream_cut_after_ms: 0,
            archive: Vec::new(),
            // Half past eight in the morning, as is usual.
            archive_lag_ms: 30_600_000,
        }
    }
}

/// Why a setting makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A share outside 0 to 1.
    #[error("{name} is {value}: a rate is a share between 0 and 1")]
    Rate {
        /// The field.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// A status that is no server error.
    #[error("error_status is {0}: use a status from 500 to 599")]
    Status(u16),
    /// An endpoint that is not served.
    #[error("unknown endpoint `{0}`: use ping, time, exchangeInfo, klines, continuousKlines or archive")]
    Endpoint(String),
    /// Not the JSON of a [`Faults`].
    #[error("faults are not understood: {0}")]
    Json(String),
}

impl Faults {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`FaultError`] says which field is wrong.
    pub fn from_json(text: &str) -> Result<Self, FaultError> {
        let faults: Self = serde_json::from_str(text).map_err(|error| FaultError::Json(error.to_string()))?;
        faults.check()?;
        Ok(faults)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`FaultError`] for the first field that makes no sense.
    pub fn check(&self) -> Result<(), FaultError> {
        let rates = [
            ("error_rate", self.error_rate),
            ("forbidden_rate", self.forbidden_rate),
            ("restricted_rate", self.restricted_rate),
            ("truncate_rate", self.truncate_rate),
            ("malformed_rate", self.malformed_rate),
            ("reset_rate", self.reset_rate),
            ("hang_rate", self.hang_rate),
            ("too_many_rate", self.too_many_rate),
            ("banned_rate", self.banned_rate),
            ("empty_rate", self.empty_rate),
            ("duplicate_rate", self.duplicate_rate),
            ("unordered_rate", self.unordered_rate),
            ("bad_row_rate", self.bad_row_rate),
            ("stream_lost_close_rate", self.stream_lost_close_rate),
            ("stream_double_rate", self.stream_double_rate),
        ];
        if let Some((name, value)) = rates.into_iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
            return Err(FaultError::Rate { name, value: value.to_string() });
        }
        if !(500..600).contains(&self.error_status) {
            return Err(FaultError::Status(self.error_status));
        }
        let known = ["ping", "time", "exchangeInfo", "klines", "continuousKlines", "archive"];
        match self.endpoints.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(FaultError::Endpoint(name.clone())),
            None => Ok(()),
        }
    }

    /// Whether a kline is among the holes.
    pub(crate) fn hides(&self, series: &Series, open: Millis) -> bool {
        self.holes.iter().any(|hole| hole.matches(series, open))
    }

    /// Whether rows are printed other than as they are.
    pub(crate) fn touches_rows(&self) -> bool {
        self.duplicate_rate > 0.0 || self.unordered_rate > 0.0 || self.bad_row_rate > 0.0
    }
}

/// Klines of one or many series that open in `[since, until)`. A field that is left out matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowRange {
    /// `um`, `cm` or `spot`.
    #[serde(with = "text::optional")]
    pub market: Option<Market>,
    /// Symbol.
    #[serde(with = "text::optional")]
    pub symbol: Option<Symbol>,
    /// Interval, as REST names it.
    #[serde(with = "text::optional")]
    pub interval: Option<Interval>,
    /// First open time inside.
    #[serde(with = "text::optional_instant")]
    pub since: Option<Millis>,
    /// First open time after.
    #[serde(with = "text::optional_instant")]
    pub until: Option<Millis>,
}

impl RowRange {
    /// A range of one series.
    pub fn of(series: &Series, since: Millis, until: Millis) -> Self {
        Self {
            market: Some(series.market),
            symbol: Some(series.symbol.clone()),
            interval: Some(series.interval),
            since: Some(since),
            until: Some(until),
        }
    }

    pub(crate) fn matches(&self, series: &Series, open: Millis) -> bool {
        self.since.is_none_or(|since| since <= open)
            && self.until.is_none_or(|until| open < until)
            && self.market.is_none_or(|market| market == series.market)
            && self.interval.is_none_or(|interval| interval == series.interval)
            && self.symbol.as_ref().is_none_or(|symbol| *symbol == series.symbol)
    }
}

/// A restatement: from an instant on, klines of a range are served with a higher high, more volume and one trade more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Which klines.
    #[serde(default)]
    pub rows: RowRange,
    /// From when on, by the exchange's clock.
    #[serde(with = "text::instant")]
    pub from: Millis,
}

/// How a row is made false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRow {
    /// Low above high.
    LowAboveHigh,
    /// Negative volume.
    NegativeVolume,
    /// Times in microseconds.
    Microseconds,
    /// A price that is no number.
    Garbage,
    /// Fields missing at the end.
    Short,
}

impl BadRow {
    /// Every way.
    pub const ALL: [Self; 5] =
        [Self::LowAboveHigh, Self::NegativeVolume, Self::Microseconds, Self::Garbage, Self::Short];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_a_healthy_exchange() {
        assert_eq!(Faults::from_json("{}"), Ok(Faults::default()));
    }

    #[test]
    fn settings_survive_their_json_form() {
        let text = r#"{"error_rate":0.05,"holes":[{"market":"um","symbol":"BTCUSDT","interval":"5m",
            "since":"2025-01-01","until":1735700000000},{}],
            "revisions":[{"rows":{"interval":"1M"},"from":"2025-02-01T00:00:00Z"}],
            "bad_rows":["low_above_high"],"max_hits":3,"retry_after_s":null}"#;
        let faults = Faults::from_json(text).unwrap();
        assert_eq!(faults.holes[0].until, Some(Millis(1_735_700_000_000)));
        assert_eq!(faults.revisions[0].rows.interval, Some(Interval::Mo1));
        let again = serde_json::to_string(&faults).unwrap();
        assert_eq!(Faults::from_json(&again), Ok(faults));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let message = |text: &str| Faults::from_json(text).unwrap_err().to_string();
        assert_eq!(message(r#"{"error_rate":5}"#), "error_rate is 5: a rate is a share between 0 and 1");
        assert!(message(r#"{"eror_rate":0.5}"#).contains("unknown field `eror_rate`"));
        assert!(message(r#"{"error_status":404}"#).contains("500 to 599"));
        assert!(message(r#"{"endpoints":["depth"]}"#).contains("unknown endpoint `depth`"));
        assert!(message(r#"{"holes":[{"interval":"7m"}]}"#).contains("unknown interval `7m`"));
        assert!(message(r#"{"holes":[{"since":"yesterday"}]}"#).contains("is not a time"));
    }
}

//! Instants and ranges in UTC milliseconds.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Printed as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millis(pub i64);

/// Milliseconds of one day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// First magnitude that can only be microseconds: 10^14 ms is the year 5138, 10^14 us is 1973.
/// Binance's spot archive counts microseconds from 2025-01-01 on.
const FIRST_MICROSECOND: i64 = 100_000_000_000_000;
/// Below this a value that claims to be a time in this century is in seconds: 10^11 ms is 1973, 10^11 s the year 5138.
const FIRST_MILLISECOND: i64 = 100_000_000_000;

/// Why a time was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither milliseconds nor microseconds of this era.
    #[error("time {0} is neither milliseconds nor microseconds since 1970")]
    Magnitude(i64),
    /// Text that is no instant.
    #[error(
        "`{0}` is not a time: write 2023-01-01, 2023-01-01T06:30, 2023-01-01T06:30:00Z, or milliseconds since 1970"
    )]
    Text(String),
}

impl Millis {
    /// Takes a raw time as an exchange or archive prints it and detects its unit by magnitude, per value: milliseconds
    /// are kept, microseconds are floored to milliseconds.
    ///
    /// # Errors
    /// [`TimeError::Magnitude`] for anything that is neither (seconds, zero, negative values).
    pub fn detect(raw: i64) -> Result<Self, TimeError> {
        match raw {
            FIRST_MICROSECOND.. => Ok(Self(raw / 1000)),
            FIRST_MILLISECOND.. => Ok(Self(raw)),
            _ => Err(TimeError::Magnitude(raw)),
        }
    }

    /// This instant moved by `ms` milliseconds, saturating at the ends of time.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Calendar date and time in UTC; instants beyond year 9999 are clamped to it.
    pub(crate) fn to_civil(self) -> civil::DateTime {
        let ms =
            self.0.clamp(Timestamp::MIN.as_millisecond() + DAY_MS, Timestamp::MAX.as_millisecond() - DAY_MS);
        Offset::UTC.to_datetime(Timestamp::from_millisecond(ms).unwrap_or_default())
    }

    /// Midnight UTC of a calendar date; dates that do not exist give the epoch.
    pub(crate) fn from_date(year: i16, month: i8, day: i8) -> Self {
        civil::Date::new(year, month, day)
            .ok()
            .and_then(|date| Offset::UTC.to_timestamp(date.to_datetime(civil::Time::midnight())).ok())
            .map_or(Self(0), |ts| Self(ts.as_millisecond()))
    }

    /// `YYYY-MM-DD` in UTC.
    pub fn date(self) -> String {
        self.to_civil().date().to_string()
    }

    /// `YYYY-MM-DD HH:MM` in UTC, for tables that people read.
    pub fn minute(self) -> String {
        let t = self.to_civil();
        format!("{} {:02}:{:02}", t.date(), t.hour(), t.minute())
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(ts) => write!(f, "{ts}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl FromStr for Millis {
    type Err = TimeError;

    /// A date, a date and time (UTC unless an offset is given), RFC 3339, or milliseconds since 1970; `0` is 1970 itself.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        let bad = || TimeError::Text(text.to_owned());
        if text == "0" {
            return Ok(Self(0));
        }
        if let Ok(raw) = text.parse::<i64>() {
            return Self::detect(raw);
        }
        if let Ok(ts) = text.parse::<Timestamp>() {
            return Ok(Self(ts.as_millisecond()));
        }
        let civil = text
            .parse::<civil::DateTime>()
            .or_else(|_| text.parse::<civil::Date>().map(|d| d.to_datetime(civil::Time::midnight())))
            .map_err(|_| bad())?;
        let ts = Offset::UTC.to_timestamp(civil).map_err(|_| bad())?;
        Ok(Self(ts.as_millisecond()))
    }
}

/// A half-open range of instants, `[since, until)`. Empty when `until <= since`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRange {
    /// First instant inside.
    pub since: Millis,
    /// First instant after.
    pub until: Millis,
}

impl TimeRange {
    /// `[since, until)`.
    pub fn new(since: Millis, until: Millis) -> Self {
        Self { since, until }
    }

    /// Whether an instant lies inside.
    pub fn contains(&self, at: Millis) -> bool {
        self.since <= at && at < self.until
    }

    /// Whether no instant lies inside.
    pub fn is_empty(&self) -> bool {
        self.until <= self.since
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .. {}", self.since, self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_documented_form() {
        for text in [
            "2023-01-01",
            "2023-01-01T00:00",
            "2023-01-01T00:00:00Z",
            "2023-01-01T01:00:00+01:00",
            "1672531200000",
        ] {
            assert_eq!(text.parse(), Ok(Millis(1_672_531_200_000)), "{text}");
        }
        assert_eq!("0".parse(), Ok(Millis(0)));
        for text in ["", "yesterday", "2023-13-01", "2023-02-30", "12"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_unit_is_detected_by_magnitude_and_seconds_are_refused() {
        assert_eq!(Millis::detect(1_735_689_600_000), Ok(Millis(1_735_689_600_000)));
        assert_eq!(Millis::detect(1_735_689_600_000_000), Ok(Millis(1_735_689_600_000)));
        assert_eq!(Millis::detect(1_735_689_899_999_999), Ok(Millis(1_735_689_899_999)));
        assert_eq!(Millis::detect(1_735_689_600), Err(TimeError::Magnitude(1_735_689_600)));
        assert!(Millis::detect(0).is_err() && Millis::detect(-1).is_err());
    }

    #[test]
    fn an_instant_prints_as_rfc_3339_in_utc() {
        assert_eq!(Millis(1_672_531_200_000).to_string(), "2023-01-01T00:00:00Z");
        assert_eq!(Millis(1_518_168_494_789).to_string(), "2018-02-09T09:28:14.789Z");
        assert_eq!(Millis(i64::MAX).to_string(), format!("{} ms", i64::MAX));
    }
}

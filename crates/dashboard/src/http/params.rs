//! What requests say, checked.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use kline::{Interval, Market, Millis, Series, SlotRange, Symbol};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::coverage::slot_from;

/// The query of a request; a mistake in it is answered as JSON.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await.map_err(|rejection| {
            ApiError::bad(rejection.body_text()).hint("/api/openapi.json describes every parameter")
        })?;
        Ok(Self(value))
    }
}

/// The series that a path names.
pub(super) struct Named(pub Series);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((market, symbol, interval)): Path<(String, String, String)> =
            Path::from_request_parts(parts, state).await.map_err(|error| ApiError::bad(error.body_text()))?;
        series(&market, &symbol, &interval).map(Self)
    }
}

/// A series by its three names.
pub(super) fn series(market: &str, symbol: &str, interval: &str) -> Result<Series, ApiError> {
    let bad = |error: &dyn std::fmt::Display| ApiError::bad(error.to_string());
    let market: Market = market.parse().map_err(|e| bad(&e))?;
    let symbol: Symbol = symbol.parse().map_err(|e| bad(&e))?;
    let interval: Interval = interval.parse().map_err(|e| bad(&e))?;
    Series::new(market, symbol, interval).map_err(|e| bad(&e))
}

/// An instant, by the name of its parameter.
pub(super) fn instant(name: &str, text: Option<&str>) -> Result<Option<Millis>, ApiError> {
    let parse = |text: &str| text.parse().map_err(|error| ApiError::bad(format!("{name}: {error}")));
    text.map(parse).transpose()
}

/// The part of `whole` that `since` and `until` ask for.
pub(super) fn part(
    series: &Series,
    whole: SlotRange,
    since: Option<Millis>,
    until: Option<Millis>,
) -> SlotRange {
    let slot = |at| slot_from(series.interval, at);
    let asked = SlotRange::new(since.map_or(whole.start, slot), until.map_or(whole.end, slot));
    let part = asked.intersect(&whole);
    if part.is_empty() { SlotRange::new(whole.start, whole.start) } else { part }
}

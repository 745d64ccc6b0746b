//! Answers about one series, asked of the store at once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kline::{Millis, Series, SlotRange, TimeRange};
use serde::Deserialize;
use store::{KlineStore, SeriesRecord, Store};

use super::answers::{Candles, Hole, Holes, Ledger, LedgerRow, Map, SeriesRow};
use super::error::ApiError;
use super::params::{Named, Params, instant, part};
use super::{App, api};
use crate::coverage::{Unit, coverage, detailed, range_of};

type Answer<T> = Result<Json<T>, ApiError>;

/// Cells of a map at most: 83 days by the hour.
const CELLS: u64 = 2000;
/// Candles in one answer at most.
const CANDLES: usize = 2000;
/// Stretches in one answer at most.
const HOLES: usize = 5000;
/// Ledger entries at most.
const ENTRIES: usize = 1000;

pub(super) async fn one(State(app): State<App>, Named(series): Named) -> Answer<SeriesRow> {
    Ok(Json(api::row(&app, &series).await?))
}

/// The store, and what it knows of a series.
async fn record(app: &App, series: &Series) -> Result<(Store, SeriesRecord), ApiError> {
    let nothing = || {
        ApiError::new(StatusCode::NOT_FOUND, format!("nothing is stored of {series}"))
            .hint("/api/v1/series lists what is")
    };
    let store = app.source.store().await?.ok_or_else(nothing)?;
    let record = store.series(series).await?.ok_or_else(nothing)?;
    Ok((store, record))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MapQuery {
    by: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

pub(super) async fn map(
    State(app): State<App>,
    Named(series): Named,
    Params(query): Params<MapQuery>,
) -> Answer<Map> {
    let unit = query.by.as_deref().unwrap_or("month");
    let unit = Unit::from_name(unit).ok_or_else(|| ApiError::bad("by: month, day or hour"))?;
    let (since, until) =
        (instant("since", query.since.as_deref())?, instant("until", query.until.as_deref())?);
    let (store, record) = record(&app, &series).await?;
    let slots = part(&series, range_of(&record, app.config.since), since, until);
    let range = series.interval.time_range(slots);
    if unit.cells_in(range) > CELLS {
        return Err(ApiError::bad(format!("{CELLS} cells at most: ask for a shorter range")));
    }
    let found = coverage(&store, &series, slots).await?;
    Ok(Json(Map {
        by: unit.as_str(),
        since: range.since.to_string(),
        until: range.until.to_string(),
        cells: found.cells(unit).into_iter().map(Into::into).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HolesQuery {
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

impl HolesQuery {
    fn limit(&self) -> Result<usize, ApiError> {
        match self.limit.unwrap_or(200) {
            limit if limit > HOLES => Err(ApiError::bad(format!("limit: {HOLES} at most"))),
            limit => Ok(limit),
        }
    }

    fn slots(&self, app: &App, record: &SeriesRecord) -> Result<SlotRange, ApiError> {
        let (since, until) =
            (instant("since", self.since.as_deref())?, instant("until", self.until.as_deref())?);
        Ok(part(&record.series, range_of(record, app.config.since), since, until))
    }
}

pub(super) async fn gaps(
    State(app): State<App>,
    Named(series): Named,
    Params(query): Params<HolesQuery>,
) -> Answer<Holes> {
    let limit = query.limit()?;
    let (store, record) = record(&app, &series).await?;
    let missing = coverage(&store, &series, query.slots(&app, &record)?).await?.missing;
    let page = missing.ranges().iter().skip(query.offset).take(limit);
    Ok(Json(Holes {
        total: missing.runs(),
        klines: missing.len(),
        offset: query.offset,
        ranges: page.map(|slots| Hole::gap(&series, *slots)).collect(),
    }))
}

pub(super) async fn absent(
    State(app): State<App>,
    Named(series): Named,
    Params(query): Params<HolesQuery>,
) -> Answer<Holes> {
    let limit = query.limit()?;
    let (store, record) = record(&app, &series).await?;
    let (_, known) = detailed(&store, &series, query.slots(&app, &record)?).await?;
    let page = known.iter().skip(query.offset).take(limit);
    Ok(Json(Holes {
        total: known.len(),
        klines: known.iter().map(|range| range.slots.len()).sum(),
        offset: query.offset,
        ranges: page.map(|range| Hole::absent(&series, range)).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CandlesQuery {
    since: Option<String>,
    until: Option<String>,
    around: Option<String>,
    limit: Option<usize>,
}

impl CandlesQuery {
    /// At most `limit` slots: from `since`, or up to `until`, or on both sides of `around`, or else the last ones.
    fn window(&self, series: &Series, whole: SlotRange) -> Result<SlotRange, ApiError> {
        let limit = self.limit.unwrap_or(500);
        if limit == 0 || limit > CANDLES {
            return Err(ApiError::bad(format!("limit: 1 to {CANDLES}")));
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let around = instant("around", self.around.as_deref())?;
        let since = instant("since", self.since.as_deref())?;
        let until = instant("until", self.until.as_deref())?;
        if around.is_some() && (since.is_some() || until.is_some()) {
            return Err(ApiError::bad("around goes without since and until"));
        }
        if let Some(around) = around {
            let middle = series.interval.slot_of(around).clamp(whole.start, whole.end);
            // Near an end, the whole window lies on one side.
            let start = (middle - limit / 2).min(whole.end - limit).max(whole.start);
            return Ok(SlotRange::new(start, start + limit).intersect(&whole));
        }
        let asked = part(series, whole, since, until);
        let (start, end) = match since {
            Some(_) => (asked.start, asked.end.min(asked.start.saturating_add(limit))),
            None => (asked.start.max(asked.end.saturating_sub(limit)), asked.end),
        };
        Ok(SlotRange::new(start, end))
    }
}

pub(super) async fn klines(
    State(app): State<App>,
    Named(series): Named,
    Params(query): Params<CandlesQuery>,
) -> Answer<Candles> {
    let (store, record) = record(&app, &series).await?;
    let slots = query.window(&series, range_of(&record, app.config.since))?;
    let TimeRange { since, until } = series.interval.time_range(slots);
    let (found, known) = detailed(&store, &series, slots).await?;
    let rows =
        if slots.is_empty() { Vec::new() } else { store.read(&series, slots, None, CANDLES * 2).await? };
    let text = |d: kline::Decimal| d.to_string();
    Ok(Json(Candles {
        since: since.to_string(),
        until: until.to_string(),
        klines: rows
            .iter()
            .map(|k| (k.open_time.0, text(k.open), text(k.high), text(k.low), text(k.close), text(k.volume)))
            .collect(),
        gaps: found.missing.ranges().iter().map(|slots| Hole::gap(&series, *slots)).collect(),
        absent: known.iter().map(|range| Hole::absent(&series, range)).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerQuery {
    limit: Option<usize>,
}

pub(super) async fn ledger(
    State(app): State<App>,
    Named(series): Named,
    Params(query): Params<LedgerQuery>,
) -> Answer<Ledger> {
    let limit = query.limit.unwrap_or(100);
    if limit > ENTRIES {
        return Err(ApiError::bad(format!("limit: {ENTRIES} at most")));
    }
    let (store, _) = record(&app, &series).await?;
    let row = |entry: store::LedgerEntry| {
        let time = series.interval.time_range(entry.fetched.slots);
        LedgerRow {
            run: entry.run,
            source: entry.fetched.source.as_str(),
            since: time.since.to_string(),
            until: time.until.to_string(),
            rows: entry.fetched.rows,
            rejected: entry.fetched.rejected,
            at: Millis::to_string(&entry.fetched.at),
        }
    };
    Ok(Json(Ledger { entries: store.ledger(&series, limit).await?.into_iter().map(row).collect() }))
}

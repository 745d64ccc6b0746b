//! Answers about the whole store.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kline::Millis;
use serde::Deserialize;
use store::KlineStore;

use super::App;
use super::answers::{Overview, RunRow, Runs, SeriesPage, SeriesRow, Status};
use super::error::ApiError;
use super::params::{self, Params};
use crate::live;
use crate::runs::Run;
use crate::snapshot::{Summary, wall_clock};

type Answer<T> = Result<Json<T>, ApiError>;

/// Series on one page at most.
const PAGE: usize = 500;
/// Run records at most.
const RUNS: usize = 1000;

pub(super) async fn healthy() -> Json<Status> {
    Json(Status { status: "ok" })
}

pub(super) async fn ready(State(app): State<App>) -> Answer<Status> {
    match app.source.store().await? {
        Some(store) => {
            store.runs(None, 1).await?;
            Ok(Json(Status { status: "ok" }))
        }
        None => Ok(Json(Status { status: "empty" })),
    }
}

pub(super) async fn overview(State(app): State<App>) -> Answer<Overview> {
    let snapshot = app.snapshots.get().await?;
    Ok(Json(Overview {
        version: app.config.version,
        store: app.config.store_name.clone(),
        engine: snapshot.engine,
        actions: app.config.actions.is_some(),
        now: wall_clock().to_string(),
        counted: snapshot.at.to_string(),
        totals: snapshot.sums.into(),
        messages_pending: snapshot.pending,
        weight: snapshot.weight.clone(),
        last_run: snapshot.last_run.as_ref().map(RunRow::of),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesQuery {
    q: Option<String>,
    #[serde(default)]
    state: StateFilter,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    months: bool,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum StateFilter {
    #[default]
    All,
    Incomplete,
    Complete,
    Failed,
    Changed,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Name,
    Missing,
    Completeness,
    Rows,
    Behind,
}

pub(super) async fn series(State(app): State<App>, Params(query): Params<SeriesQuery>) -> Answer<SeriesPage> {
    let limit = query.limit.unwrap_or(50);
    if limit > PAGE {
        return Err(ApiError::bad(format!("limit: {PAGE} series at most")));
    }
    let snapshot = app.snapshots.get().await?;
    let now = wall_clock();
    let mut found: Vec<&Summary> = snapshot.series.iter().filter(|s| query.matches(s)).collect();
    sort(&mut found, query.sort);
    let page = found.iter().skip(query.offset).take(limit);
    Ok(Json(SeriesPage {
        total: snapshot.series.len(),
        matched: found.len(),
        offset: query.offset,
        counted: snapshot.at.to_string(),
        series: page.map(|s| SeriesRow::of(s, now, query.months)).collect(),
    }))
}

impl SeriesQuery {
    /// Every word must occur in the series' name.
    fn matches(&self, s: &Summary) -> bool {
        let fits = match self.state {
            StateFilter::All => true,
            StateFilter::Incomplete => s.missing > 0,
            StateFilter::Complete => s.missing == 0,
            StateFilter::Failed => {
                s.last_run.as_ref().is_some_and(|run| run.record.outcome == store::Outcome::Failed)
            }
            StateFilter::Changed => s.certified.changed > 0,
        };
        let name = s.series.to_string();
        let has = |word: &str| {
            // `1m` and `1M` differ by case alone, so an interval must fit exactly.
            word == s.series.interval.as_str()
                || name.split(' ').take(2).any(|part| part.to_lowercase().contains(&word.to_lowercase()))
        };
        fits && self.q.as_deref().unwrap_or_default().split_whitespace().all(has)
    }
}

fn sort(found: &mut [&Summary], sort: Sort) {
    match sort {
        Sort::Name => {}
        Sort::Missing => found.sort_by_key(|s| Reverse(s.missing)),
        Sort::Completeness => found.sort_by(|a, b| share(a).total_cmp(&share(b))),
        Sort::Rows => found.sort_by_key(|s| Reverse(s.extent.map_or(0, |extent| extent.rows))),
        Sort::Behind => found.sort_by_key(|s| s.extent.map_or(Millis(i64::MIN), |extent| extent.last)),
    }
}

fn share(s: &Summary) -> f64 {
    if s.expected == 0 { 1.0 } else { (s.stored() + s.absent) as f64 / s.expected as f64 }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    limit: Option<usize>,
    outcome: Option<String>,
    market: Option<String>,
    symbol: Option<String>,
    interval: Option<String>,
}

pub(super) async fn runs(State(app): State<App>, Params(query): Params<RunsQuery>) -> Answer<Runs> {
    let limit = query.limit.unwrap_or(100);
    if limit > RUNS {
        return Err(ApiError::bad(format!("limit: {RUNS} runs at most")));
    }
    let series = match (&query.market, &query.symbol, &query.interval) {
        (None, None, None) => None,
        (Some(market), Some(symbol), Some(interval)) => Some(params::series(market, symbol, interval)?),
        _ => return Err(ApiError::bad("market, symbol and interval go together")),
    };
    let known = |text: &str| {
        store::Outcome::from_name(text)
            .ok_or_else(|| ApiError::bad("outcome: complete, incomplete or failed"))
    };
    let outcome = query.outcome.as_deref().map(known).transpose()?;
    let Some(store) = app.source.store().await? else { return Ok(Json(Runs { runs: Vec::new() })) };
    // Of one outcome alone there may be few among many.
    let looked_at = if outcome.is_some() { RUNS } else { limit };
    let found = store.runs(series.as_ref(), looked_at).await?;
    let wanted = found.into_iter().filter(|run| outcome.is_none_or(|outcome| run.outcome == outcome));
    Ok(Json(Runs { runs: wanted.take(limit).map(|run| RunRow::of(&Run::of(run))).collect() }))
}

pub(super) async fn jobs(State(app): State<App>) -> Answer<live::State> {
    let state = app.live.look_once().await;
    match state.error {
        Some(error) => Err(crate::source::Away(error).into()),
        None => Ok(Json(state)),
    }
}

/// A series of the snapshot that answers are made of, for [`super::series`].
pub(super) async fn row(app: &App, series: &kline::Series) -> Result<SeriesRow, ApiError> {
    let snapshot = app.snapshots.get().await?;
    let summary = snapshot.find(series).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, format!("nothing is stored of {series}"))
            .hint("/api/v1/series lists what is")
    })?;
    Ok(SeriesRow::of(summary, wall_clock(), true))
}

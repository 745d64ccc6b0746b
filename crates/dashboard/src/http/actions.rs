//! What may be done, with the token: one job at a time.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use kline::Series;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::KlineStore;

use super::App;
use super::answers::Access;
use super::error::ApiError;
use super::guard::authorize;
use super::params;
use crate::jobs::{Actions, Busy, FillRequest, Job, VerifyRequest};

type Started = Result<(StatusCode, Json<Job>), ApiError>;

/// Series in one request at most.
const AT_MOST: usize = 1000;
/// What a request looks like, for whoever got it wrong.
const EXAMPLE: &str = r#"{"series": [{"market": "um", "symbol": "BTCUSDT", "interval": "5m"}]}"#;

pub(super) async fn access(State(app): State<App>, headers: HeaderMap) -> Result<Json<Access>, ApiError> {
    authorize(&app, &headers)?;
    Ok(Json(Access { actions: true }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesName {
    market: String,
    symbol: String,
    interval: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FillBody {
    series: Vec<SeriesName>,
    since: Option<String>,
}

pub(super) async fn fill(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Started {
    let actions = permitted(&app, &headers)?;
    let body: FillBody = parsed(&body)?;
    let request = FillRequest {
        series: series(&body.series)?,
        since: params::instant("since", body.since.as_deref())?,
    };
    let after = {
        let app = Arc::clone(&app);
        move || {
            app.live.nudge();
            tokio::spawn(async move { app.snapshots.renewed().await.map(drop) });
        }
    };
    started(&app, app.jobs.fill(actions, request, app.stop.child_token(), after))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    series: Vec<SeriesName>,
    since: Option<String>,
    until: Option<String>,
}

pub(super) async fn verify(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Started {
    let actions = permitted(&app, &headers)?;
    let body: VerifyBody = parsed(&body)?;
    let request = VerifyRequest {
        series: series(&body.series)?,
        since: params::instant("since", body.since.as_deref())?,
        until: params::instant("until", body.until.as_deref())?,
    };
    if let (Some(since), Some(until)) = (request.since, request.until)
        && until <= since
    {
        return Err(ApiError::bad(format!("until {until} is not after since {since}: the range is empty")));
    }
    stored(&app, &request.series).await?;
    let after = {
        let app = Arc::clone(&app);
        // Comparing changes nothing in the store, so nothing is counted anew.
        move || app.live.nudge()
    };
    started(&app, app.jobs.verify(actions, request, app.stop.child_token(), after))
}

/// What may be done, by whoever shows the token.
fn permitted<'a>(app: &'a App, headers: &HeaderMap) -> Result<&'a Arc<dyn Actions>, ApiError> {
    authorize(app, headers)?;
    let actions = app.config.actions.as_ref().map(|(_, actions)| actions);
    actions.ok_or_else(|| ApiError::new(StatusCode::FORBIDDEN, "this dashboard is for reading only"))
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad(format!("the body is not what is wanted: {error}")).hint(EXAMPLE))
}

fn series(named: &[SeriesName]) -> Result<Vec<Series>, ApiError> {
    if named.is_empty() || named.len() > AT_MOST {
        return Err(ApiError::bad(format!("series: name 1 to {AT_MOST}")));
    }
    named.iter().map(|s| params::series(&s.market, &s.symbol, &s.interval)).collect()
}

/// Refuses series of which nothing is stored: there is nothing to compare, and a job would only end in an error.
async fn stored(app: &App, named: &[Series]) -> Result<(), ApiError> {
    let nothing = |series: &Series| {
        let words = format!("nothing is stored of {series}, so there is nothing to compare");
        ApiError::new(StatusCode::NOT_FOUND, words).hint("/api/v1/series lists what is stored")
    };
    let store = app.source.store().await?;
    for series in named {
        let record = match &store {
            Some(store) => store.series(series).await?,
            None => None,
        };
        if record.is_none_or(|record| record.extent.is_none()) {
            return Err(nothing(series));
        }
    }
    Ok(())
}

/// The answer to whoever started a job. Readers of live state are told as well.
fn started(app: &App, job: Result<Job, Busy>) -> Started {
    app.live.nudge();
    let job = job.map_err(|Busy| {
        ApiError::new(StatusCode::CONFLICT, "a job that was started here is still running")
            .hint("wait until it has ended: /api/v1/jobs tells")
    })?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

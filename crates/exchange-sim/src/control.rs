//! The simulator's own endpoints, under `/__`. They cost no weight, are never disturbed and are not counted.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::faults::Faults;
use crate::locked;
use crate::state::Shared;

type SharedState = State<Arc<Shared>>;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(help))
        .route("/__stats", get(stats))
        .route("/__stats/reset", post(reset))
        .route("/__requests", get(requests))
        .route("/__data", get(data))
        .route("/__faults", get(faults).post(set_faults))
}

async fn help() -> &'static str {
    "A local Binance.\n\n\
     GET  /fapi/v1/{ping,time,exchangeInfo,klines,continuousKlines}   USD-M futures\n\
     GET  /dapi/v1/{ping,time,exchangeInfo,klines,continuousKlines}   COIN-M futures\n\
     GET  /api/v3/{ping,time,exchangeInfo,klines}                     spot\n\n\
     GET  /{market,coin,spot}/{ws/NAME,stream?streams=NAME/NAME}       kline streams (WebSocket)\n\n\
     GET  /data/…, /data.binance.vision?prefix=…                      the public archive, and its list\n\n\
     GET  /__stats            what was asked and answered\n\
     POST /__stats/reset      count from zero\n\
     GET  /__requests?after=N the log of requests\n\
     GET  /__data             what there is to show, and what was left out\n\
     GET  /__faults           what goes wrong\n\
     POST /__faults           make something go wrong; {} makes everything right\n"
}

async fn stats(State(shared): SharedState) -> Response {
    Json(shared.stats()).into_response()
}

async fn reset(State(shared): SharedState) -> StatusCode {
    shared.reset_stats();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn requests(State(shared): SharedState, Query(query): Query<After>) -> Response {
    Json(locked(&shared.book).requests(query.after)).into_response()
}

async fn data(State(shared): SharedState) -> Response {
    // Reads the head of every file.
    match tokio::task::spawn_blocking(move || shared.catalog.inventory()).await {
        Ok(inventory) => Json(inventory).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn faults(State(shared): SharedState) -> Response {
    Json(Faults::clone(&shared.faults())).into_response()
}

async fn set_faults(State(shared): SharedState, body: String) -> Response {
    match Faults::from_json(&body) {
        Ok(faults) => {
            shared.set_faults(faults.clone());
            Json(faults).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

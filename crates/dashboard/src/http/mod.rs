//! HTTP: routes, and the life of the server.

mod actions;
mod answers;
mod api;
mod assets;
mod error;
mod events;
mod guard;
mod metrics;
mod params;
mod series;

use std::io;
use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::jobs::Jobs;
use crate::live::Live;
use crate::snapshot::Snapshots;
use crate::source::Source;

pub use metrics::METRICS;

/// The description of the JSON API, as served at `/api/openapi.json`.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// Every route that is no page: method and path, as [`OPENAPI`] has them.
pub const ROUTES: &[(&str, &str)] = &[
    ("get", "/api/openapi.json"),
    ("get", "/api/v1/access"),
    ("get", "/api/v1/events"),
    ("post", "/api/v1/fill"),
    ("get", "/api/v1/jobs"),
    ("get", "/api/v1/overview"),
    ("get", "/api/v1/runs"),
    ("get", "/api/v1/series"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}/absent"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}/gaps"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}/klines"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}/ledger"),
    ("get", "/api/v1/series/{market}/{symbol}/{interval}/map"),
    ("post", "/api/v1/verify"),
    ("get", "/healthz"),
    ("get", "/metrics"),
    ("get", "/readyz"),
];

/// What handlers share.
pub(crate) struct Shared {
    pub config: Config,
    pub source: Arc<Source>,
    pub snapshots: Arc<Snapshots>,
    pub jobs: Arc<Jobs>,
    pub live: Arc<Live>,
    pub stop: CancellationToken,
    pub counts: guard::Counts,
}

pub(crate) type App = Arc<Shared>;

/// Answers requests on a listener until told to stop, then lets running answers and jobs end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, config: Config, stop: CancellationToken) -> io::Result<()> {
    let (router, shared) = build(config, stop.clone());
    // The first page is not to wait for the first count.
    let warming = Arc::clone(&shared);
    tokio::spawn(async move {
        if let Err(error) = warming.snapshots.get().await {
            tracing::warn!("the store cannot be read: {error}");
        }
    });
    let ended = stop.clone();
    let result = axum::serve(listener, router).with_graceful_shutdown(ended.cancelled_owned()).await;
    stop.cancel();
    shared.jobs.wait().await;
    shared.source.close().await;
    result
}

/// The answers alone, for callers with a server of their own, and for tests. Live state is looked at until `stop`.
pub fn app(config: Config, stop: CancellationToken) -> Router {
    build(config, stop).0
}

fn build(mut config: Config, stop: CancellationToken) -> (Router, App) {
    let source = Arc::new(std::mem::replace(&mut config.source, Source::new("")));
    let jobs = Arc::<Jobs>::default();
    let live = Arc::new(Live::new(Arc::clone(&source), Arc::clone(&jobs)));
    let shared = Arc::new(Shared {
        snapshots: Arc::new(Snapshots::new(Arc::clone(&source), config.since)),
        counts: guard::Counts::default(),
        config,
        source,
        jobs,
        live: Arc::clone(&live),
        stop: stop.clone(),
    });
    tokio::spawn(async move { live.run(&stop).await });
    let mut router = Router::new();
    for (_, path) in ROUTES {
        router = router.route(path, handler(path));
    }
    let router = router
        .fallback(assets::page)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .with_state(Arc::clone(&shared));
    (router, shared)
}

fn handler(path: &str) -> MethodRouter<App> {
    match path.strip_prefix("/api/v1/series/{market}/{symbol}/{interval}") {
        Some("") => return get(series::one),
        Some("/absent") => return get(series::absent),
        Some("/gaps") => return get(series::gaps),
        Some("/klines") => return get(series::klines),
        Some("/ledger") => return get(series::ledger),
        Some("/map") => return get(series::map),
        _ => {}
    }
    match path {
        "/api/openapi.json" => get(assets::openapi),
        "/api/v1/access" => get(actions::access),
        "/api/v1/events" => get(events::stream),
        "/api/v1/fill" => post(actions::fill),
        "/api/v1/jobs" => get(api::jobs),
        "/api/v1/overview" => get(api::overview),
        "/api/v1/runs" => get(api::runs),
        "/api/v1/series" => get(api::series),
        "/api/v1/verify" => post(actions::verify),
        "/metrics" => get(metrics::metrics),
        "/readyz" => get(api::ready),
        _ => get(api::healthy),
    }
}

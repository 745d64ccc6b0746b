//! The public archive: months and days of the exchange's klines as zip files, made when asked for.
//!
//! Costs no weight, and comes with the archive's habits: a header or none, microseconds on spot from 2025 on, files that
//! appear hours after their period has ended. Its defects are in [`crate::ArchiveFault`].

mod build;
mod key;
mod list;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use kline::{Market, Series};

use crate::clock::http_date;
use crate::conn::Peer;
use crate::faults::{ArchiveDefect, Faults, Hit, cut_body};
use crate::locked;
use crate::rest::Endpoint;
use crate::state::Shared;
use crate::stats::Outcome;
use key::Key;

/// Zips remembered: a CHECKSUM is followed by its zip, as a rule.
const REMEMBERED: usize = 16;

/// The routes: files, and the list of what there is.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/data/{*path}", get(file)).route("/data.binance.vision", get(list))
}

/// A file as it is sent.
#[derive(Debug)]
struct Built {
    zip: Bytes,
    sha256: String,
    rows: u64,
}

/// Zips made lately.
#[derive(Debug, Default)]
pub(crate) struct Zips(Mutex<VecDeque<Remembered>>);

/// A zip, by its path and the faults it was made under.
#[derive(Debug)]
struct Remembered {
    path: String,
    faults: Arc<Faults>,
    built: Arc<Built>,
}

/// What is answered.
struct Reply {
    status: u16,
    body: Bytes,
    kind: &'static str,
    etag: Option<String>,
    rows: u64,
    series: Option<Series>,
}

impl Reply {
    fn xml(status: u16, body: String) -> Self {
        Self { status, body: body.into(), kind: "application/xml", etag: None, rows: 0, series: None }
    }

    fn missing() -> Self {
        Self::xml(404, key::error("NoSuchKey", "The specified key does not exist."))
    }
}

async fn file(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let target = request.uri().path().to_owned();
    let faults = shared.faults();
    let maker = Arc::clone(&shared);
    let under = Arc::clone(&faults);
    // Making a file takes a while, and reading those it is made of waits for the disk.
    let made = move || of_path(&maker, &under, &path);
    let reply = async || {
        tokio::task::spawn_blocking(made).await.unwrap_or_else(|error| {
            tracing::error!(%error, "making an archive file failed");
            Reply::xml(500, key::error("InternalError", "We encountered an internal error."))
        })
    };
    answer(&shared, &faults, &peer, &target, request.headers(), reply).await
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(asked): Query<list::Asked>,
    request: Request,
) -> Response {
    let target = request.uri().to_string();
    let faults = shared.faults();
    let maker = Arc::clone(&shared);
    let reply = async || {
        let made = tokio::task::spawn_blocking(move || list::page(&maker, &asked)).await;
        Reply::xml(200, made.unwrap_or_default())
    };
    answer(&shared, &faults, &peer, &target, request.headers(), reply).await
}

/// Draws the faults of a request, answers it and counts it; no weight is charged.
async fn answer(
    shared: &Arc<Shared>,
    faults: &Arc<Faults>,
    peer: &Peer,
    target: &str,
    asked: &HeaderMap,
    make: impl AsyncFnOnce() -> Reply,
) -> Response {
    let draw = shared.draws.next(faults, Endpoint::Archive.as_str(), target);
    if draw.delay_ms > 0 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(draw.delay_ms)) => {}
            () = shared.closed() => {}
        }
    }
    let reply = match draw.hit {
        Some(Hit::Forbidden | Hit::Restricted | Hit::Banned) => {
            Reply::xml(403, key::error("AccessDenied", "Access Denied"))
        }
        Some(Hit::Error | Hit::TooMany) => {
            Reply::xml(503, key::error("SlowDown", "Please reduce your request rate."))
        }
        Some(Hit::Reset | Hit::Hang) => Reply::xml(0, String::new()),
        Some(Hit::Malformed) => {
            let reply = make().await;
            let half = reply.body.slice(..reply.body.len() / 2);
            Reply { body: half, ..reply }
        }
        _ => make().await,
    };
    record(shared, target, &reply, draw.hit);
    match draw.hit {
        Some(Hit::Reset) => peer.reset(),
        Some(Hit::Hang) => shared.closed().await,
        _ => {}
    }
    respond(shared, asked, reply, draw.hit == Some(Hit::Truncate))
}

fn record(shared: &Shared, target: &str, reply: &Reply, hit: Option<Hit>) {
    let market = if target.contains("/futures/cm/") {
        Market::Cm
    } else if target.contains("/spot/") {
        Market::Spot
    } else {
        Market::Um
    };
    locked(&shared.book).record(Outcome {
        market,
        endpoint: Endpoint::Archive,
        request: target.to_owned(),
        weight: 0,
        status: reply.status,
        rows: reply.rows,
        bytes: reply.body.len() as u64,
        // Rows of files are no rows of the REST interface's series.
        series: None,
        fault: hit.map(Hit::as_str),
        at: shared.clock.now().0,
    });
    tracing::debug!(request = target, status = reply.status, series = ?reply.series, "archive");
}

fn respond(shared: &Shared, asked: &HeaderMap, reply: Reply, cut: bool) -> Response {
    let mut status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let whole = reply.body.len();
    let mut body = reply.body;
    let mut headers = HeaderMap::new();
    let mut put = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, reply.kind.to_owned());
    if let Some(date) = http_date(shared.clock.now()) {
        put(header::DATE, date.to_string());
    }
    if let (StatusCode::OK, Some(etag)) = (status, &reply.etag) {
        put(header::ETAG, etag.clone());
        put(header::ACCEPT_RANGES, "bytes".to_owned());
        if let Some(from) = range_of(asked, etag) {
            if from < whole {
                status = StatusCode::PARTIAL_CONTENT;
                put(header::CONTENT_RANGE, format!("bytes {from}-{}/{whole}", whole - 1));
                body = body.slice(from..);
            } else {
                status = StatusCode::RANGE_NOT_SATISFIABLE;
                body = Bytes::new();
            }
        }
    }
    let mut response = Response::new(if cut { cut_body(body) } else { Body::from(body) });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Where a request wants to go on; a file that is another one by now is sent from its beginning.
fn range_of(asked: &HeaderMap, etag: &str) -> Option<usize> {
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|known| known != etag) {
        return None;
    }
    text(header::RANGE)?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// The answer to the path of a zip or of a CHECKSUM.
fn of_path(shared: &Shared, faults: &Arc<Faults>, path: &str) -> Reply {
    let (path, checksum) = match path.strip_suffix(".CHECKSUM") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let Some(key) = Key::parse(path) else { return Reply::missing() };
    let defects: Vec<ArchiveDefect> = faults.archive_defects(&key.series, key.monthly, key.range());
    let has = |defect| defects.contains(&defect);
    if has(ArchiveDefect::Denied) {
        return Reply::xml(403, key::error("AccessDenied", "Access Denied"));
    }
    if has(ArchiveDefect::Missing) || (checksum && has(ArchiveDefect::NoChecksum)) {
        return Reply::missing();
    }
    let Some(built) = shared.zips.get(shared, faults, &key, &defects) else { return Reply::missing() };
    let sum = if has(ArchiveDefect::WrongChecksum) { "0".repeat(64) } else { built.sha256.clone() };
    let (body, kind) = match checksum {
        // Without a line end, as many of them are.
        true => (Bytes::from(format!("{sum}  {}.zip", key.stem())), "binary/octet-stream"),
        false => (built.zip.clone(), "application/zip"),
    };
    let rows = if checksum { 0 } else { built.rows };
    let etag = Some(format!("\"{}{}\"", &built.sha256[..32], u8::from(checksum)));
    Reply { status: 200, body, kind, etag, rows, series: Some(key.series) }
}

impl Zips {
    fn get(
        &self,
        shared: &Shared,
        faults: &Arc<Faults>,
        key: &Key,
        defects: &[ArchiveDefect],
    ) -> Option<Arc<Built>> {
        let path = key.path();
        let known = |entry: &&Remembered| entry.path == path && Arc::ptr_eq(&entry.faults, faults);
        if !key.is_published(shared.clock.now(), faults.archive_lag_ms) {
            return None;
        }
        if let Some(known) = locked(&self.0).iter().find(known) {
            return Some(Arc::clone(&known.built));
        }
        let built = Arc::new(build::build(shared, faults, key, defects)?);
        let mut remembered = locked(&self.0);
        if remembered.len() >= REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(Remembered { path, faults: Arc::clone(faults), built: Arc::clone(&built) });
        Some(built)
    }
}

//! From an HTTP request to its answer: draw faults, charge weight, answer, count.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kline::{Market, Millis, Series};

use crate::clock::http_date;
use crate::conn::Peer;
use crate::data::partial;
use crate::faults::{Faults, Hit, RowFaults, cut_body, forbidden_page, revise};
use crate::locked;
use crate::rest::{self, Answer, ApiError, Endpoint, InfoInput, KlinesRequest, Params};
use crate::state::Shared;
use crate::stats::Outcome;
use crate::weight::Verdict;

/// A request that belongs to a market.
struct Call {
    market: Market,
    endpoint: Endpoint,
    params: Params,
    /// Path and query, as sent.
    target: String,
    weight: u32,
}

/// An answer before it is counted and sent.
#[derive(Default)]
struct Reply {
    status: u16,
    body: String,
    html: bool,
    retry_after_s: Option<i64>,
    /// Weight counted in the window; `None` for answers that do not come from the exchange itself.
    used: Option<u32>,
    rows: u64,
    series: Option<Series>,
    cut: bool,
}

/// Answers everything that is not a control request.
pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let uri = request.uri();
    let Some((market, endpoint)) = rest::route(uri.path()) else {
        return plain_error(&ApiError::no_such_path(uri.path(), request.method().as_str()));
    };
    let endpoint = if request.method() == Method::GET { endpoint } else { Endpoint::Unknown };
    let params = Params::parse(uri.query().unwrap_or_default());
    let target = uri.path_and_query().map_or_else(|| uri.path().to_owned(), |t| t.as_str().to_owned());
    let weight = rest::weight(market, endpoint, &params);
    let call = Call { market, endpoint, params, target, weight };

    let faults = shared.faults();
    let draw = shared.draws.next(&faults, endpoint.as_str(), &call.target);
    if draw.delay_ms > 0 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(draw.delay_ms)) => {}
            () = shared.closed() => {}
        }
    }
    let reply = reply(&shared, &faults, &call, &peer, draw.hit, draw.key).await;
    record(&shared, &call, &reply, draw.hit);
    match draw.hit {
        Some(Hit::Reset) => peer.reset(),
        Some(Hit::Hang) => shared.closed().await,
        _ => {}
    }
    respond(&shared, &faults, market, reply)
}

/// Decides the answer.
async fn reply(
    shared: &Arc<Shared>,
    faults: &Arc<Faults>,
    call: &Call,
    peer: &Peer,
    hit: Option<Hit>,
    key: u64,
) -> Reply {
    match hit {
        Some(Hit::Reset | Hit::Hang) => return Reply::default(),
        Some(Hit::Forbidden) => {
            return Reply { status: 403, html: true, body: forbidden_page().to_owned(), ..Reply::default() };
        }
        Some(Hit::Restricted) => return error_reply(&ApiError::restricted(), None),
        _ => {}
    }
    let spot = call.market == Market::Spot;
    let (verdict, used, limit) = shared.charge(call.market, call.weight);
    let ip = peer.address.ip().to_string();
    match verdict {
        Verdict::Over { retry_after_s } => {
            let reply = error_reply(&ApiError::too_many(&ip, limit, spot), Some(used));
            return Reply { retry_after_s: Some(retry_after_s), ..reply };
        }
        Verdict::Banned { remaining_ms } => return banned(shared, remaining_ms, used),
        Verdict::Pass => {}
    }
    match hit {
        Some(Hit::TooMany) => {
            let reply = error_reply(&ApiError::too_many(&ip, limit, spot), Some(used));
            let retry_after_s = faults.retry_after_s.and_then(|s| i64::try_from(s).ok());
            return Reply { retry_after_s, ..reply };
        }
        Some(Hit::Banned) => {
            let ms = i64::try_from(faults.ban_s).unwrap_or(i64::MAX).saturating_mul(1000);
            return banned(shared, ms, used);
        }
        Some(Hit::Error) => return error_reply(&ApiError::server(faults.error_status), Some(used)),
        _ => {}
    }
    let answer = answer(shared, faults, call, hit, key).await;
    let reply = match answer {
        Ok(Answer { body, rows, series }) => {
            Reply { status: 200, body, rows, series, used: Some(used), ..Reply::default() }
        }
        Err(error) => error_reply(&error, Some(used)),
    };
    match hit {
        Some(Hit::Truncate) => Reply { cut: true, rows: 0, ..reply },
        Some(Hit::Malformed) => {
            let half = reply.body.chars().take(reply.body.len() / 2);
            let broken = half.chain(['\u{fffd}']).collect();
            Reply { body: broken, rows: 0, ..reply }
        }
        _ => reply,
    }
}

/// The answer of the endpoint, were nothing wrong with the exchange.
async fn answer(
    shared: &Arc<Shared>,
    faults: &Arc<Faults>,
    call: &Call,
    hit: Option<Hit>,
    key: u64,
) -> Result<Answer, ApiError> {
    let market = call.market;
    match call.endpoint {
        Endpoint::Ping => Ok(Answer::json("{}".into())),
        Endpoint::Time => Ok(Answer::json(format!(r#"{{"serverTime":{}}}"#, shared.clock.now().0))),
        Endpoint::ExchangeInfo => {
            blocking(shared, move |shared| shared.catalog.read_heads(market)).await?;
            let input = InfoInput {
                market,
                now: shared.clock.now(),
                weight_limit: shared.weight_limit(market),
                catalog: &shared.catalog,
            };
            rest::exchange_info(&input, &call.params).map(Answer::json)
        }
        Endpoint::Klines => {
            let known = ["symbol", "interval", "startTime", "endTime", "limit", "timeZone"];
            call.params.check_names(market, &known)?;
            let symbol = rest::symbol(market, &call.params)?;
            klines(shared, faults, call, symbol, hit, key).await
        }
        Endpoint::ContinuousKlines => {
            call.params.check_names(market, &[])?;
            let symbol = rest::continuous_symbol(market, &call.params)?;
            klines(shared, faults, call, &symbol, hit, key).await
        }
        Endpoint::Archive | Endpoint::Unknown => {
            let path = call.target.split('?').next().unwrap_or_default();
            Err(ApiError::no_such_path(path, "GET"))
        }
    }
}

async fn klines(
    shared: &Arc<Shared>,
    faults: &Faults,
    call: &Call,
    symbol: &str,
    hit: Option<Hit>,
    key: u64,
) -> Result<Answer, ApiError> {
    let market = call.market;
    let asked = KlinesRequest::read(market, &call.params)?;
    let (symbol, listing) = shared.catalog.listing(market, symbol).ok_or_else(ApiError::invalid_symbol)?;
    let interval = asked.interval;
    if listing.must_read(interval) {
        let symbol = symbol.clone();
        blocking(shared, move |shared| shared.catalog.read(market, symbol.as_str(), interval)).await?;
    }
    let series = Series { market, symbol: symbol.clone(), interval };
    let now = shared.clock.now();
    let mut window = asked.window(market, now);
    window.to = window.to.min(now.plus(-faults.late_ms));
    let end_of = |open: Millis| interval.slot_end(interval.slot_of(open));
    let visible = |open: Millis| (faults.open_candle || end_of(open) <= now) && !faults.hides(&series, open);
    let rows = if hit == Some(Hit::Empty) { Vec::new() } else { listing.page(interval, &window, &visible) };
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let row = revise(faults, &series, now, row);
            let end = end_of(row.open_time);
            if end > now { partial(row, end, now) } else { row }
        })
        .collect();
    let body = if faults.touches_rows() {
        let (body, [doubled, moved, bad]) = RowFaults { faults, key }.print(&rows);
        let mut book = locked(&shared.book);
        book.count_rows("duplicate_rows", doubled);
        book.count_rows("unordered_rows", moved);
        book.count_rows("bad_rows", bad);
        body
    } else {
        rest::print_rows(&rows)
    };
    Ok(Answer { body, rows: rows.len() as u64, series: Some(series) })
}

/// Does what reads files where waiting is allowed; what was read is kept.
pub(crate) async fn blocking(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<(), ApiError> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|error| {
        tracing::error!(%error, "reading data files failed");
        ApiError::server(500)
    })
}

fn error_reply(error: &ApiError, used: Option<u32>) -> Reply {
    Reply { status: error.status, body: error.body(), used, ..Reply::default() }
}

fn banned(shared: &Shared, remaining_ms: i64, used: u32) -> Reply {
    let until = shared.clock.now().plus(remaining_ms);
    let seconds = remaining_ms.div_euclid(1000) + i64::from(remaining_ms.rem_euclid(1000) != 0);
    Reply { retry_after_s: Some(seconds), ..error_reply(&ApiError::banned(until.0), Some(used)) }
}

fn record(shared: &Shared, call: &Call, reply: &Reply, hit: Option<Hit>) {
    let outcome = Outcome {
        market: call.market,
        endpoint: call.endpoint,
        request: call.target.clone(),
        weight: call.weight,
        status: reply.status,
        rows: reply.rows,
        bytes: reply.body.len() as u64,
        series: reply.series.clone(),
        fault: hit.map(Hit::as_str),
        at: shared.clock.now().0,
    };
    tracing::debug!(request = %outcome.request, status = outcome.status, rows = outcome.rows, weight = outcome.weight);
    locked(&shared.book).record(outcome);
}

/// Puts the reply into HTTP.
fn respond(shared: &Shared, faults: &Faults, market: Market, reply: Reply) -> Response {
    let content_type = match (reply.html, market) {
        (true, _) => "text/html",
        (false, Market::Spot) => "application/json;charset=UTF-8",
        (false, _) => "application/json",
    };
    let mut response = Response::new(if reply.cut { cut_body(reply.body) } else { Body::from(reply.body) });
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    put(headers, "date", http_date(shared.clock.now()));
    put(headers, "retry-after", reply.retry_after_s);
    if let Some(used) = reply.used.filter(|_| !faults.hide_weight) {
        put(headers, "x-mbx-used-weight-1m", Some(used));
        put(headers, "x-mbx-used-weight", (market == Market::Spot).then_some(used));
    }
    response
}

fn put(headers: &mut HeaderMap, name: &'static str, value: Option<impl ToString>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value.to_string()).ok()) {
        headers.insert(name, value);
    }
}

fn plain_error(error: &ApiError) -> Response {
    let mut response = Response::new(Body::from(error.body()));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::NOT_FOUND);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

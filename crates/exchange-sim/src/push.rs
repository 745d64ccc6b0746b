//! The kline streams: pushes of the open kline, and of each kline when it closes.
//!
//! One listener serves three bases, `/market` (USD-M futures), `/coin` (COIN-M futures) and `/spot`, each with
//! `/ws/btcusdt@kline_1m` for one stream and `/stream?streams=a/b` for many. What is pushed as closed is what REST then says,
//! holes and revisions included; pushes get lost, late, doubled and cut off on demand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kline::{Interval, Kline, Market, Millis, Series, Slot};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::data::{Window, partial};
use crate::faults::{Faults, revise};
use crate::random::{hash, hash_text, unit};
use crate::serve::blocking;
use crate::state::Shared;

/// How often an open kline is pushed, as on Binance's futures.
const EVERY: Duration = Duration::from_millis(250);
/// Most streams of one connection, as on Binance.
const MOST: usize = 1024;

/// The routes of all markets.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    let bases = [("/market", Market::Um), ("/coin", Market::Cm), ("/spot", Market::Spot)];
    bases.into_iter().fold(Router::new(), |router, (base, market)| {
        let one =
            async move |state: State<Arc<Shared>>, Path(name): Path<String>, upgrade: WebSocketUpgrade| {
                accept(state.0, market, vec![name], false, upgrade).await
            };
        let many =
            async move |state: State<Arc<Shared>>, query: Query<Streams>, upgrade: WebSocketUpgrade| {
                let names = query.0.streams.split('/').map(str::to_owned).collect();
                accept(state.0, market, names, true, upgrade).await
            };
        router.route(&format!("{base}/ws/{{name}}"), get(one)).route(&format!("{base}/stream"), get(many))
    })
}

#[derive(Deserialize)]
struct Streams {
    #[serde(default)]
    streams: String,
}

/// One stream of one connection.
struct Feed {
    name: String,
    series: Series,
    /// The slot that was open at the last look.
    open: Slot,
}

async fn accept(
    shared: Arc<Shared>,
    market: Market,
    names: Vec<String>,
    wrapped: bool,
    upgrade: WebSocketUpgrade,
) -> Response {
    if names.len() > MOST {
        return (StatusCode::BAD_REQUEST, format!("more than {MOST} streams")).into_response();
    }
    let mut feeds = Vec::new();
    for name in names {
        // As at Binance, a stream that does not exist is no error: nothing is ever pushed on it.
        if let Some(series) = series_of(&shared, market, &name).await {
            let open = series.interval.slot_of(shared.clock.now());
            feeds.push(Feed { name, series, open });
        }
    }
    upgrade.on_upgrade(move |socket| serve(shared, feeds, wrapped, socket))
}

/// `btcusdt@kline_1m`
async fn series_of(shared: &Arc<Shared>, market: Market, name: &str) -> Option<Series> {
    let (symbol, interval) = name.split_once("@kline_")?;
    let interval: Interval = interval.parse().ok()?;
    let (symbol, listing) = shared.catalog.listing(market, &symbol.to_uppercase())?;
    let (symbol, must_read) = (symbol.clone(), listing.must_read(interval));
    if must_read {
        let named = symbol.clone();
        blocking(shared, move |shared| shared.catalog.read(market, named.as_str(), interval)).await.ok()?;
    }
    Some(Series { market, symbol, interval })
}

/// Pushes until the other side goes, the exchange closes, or a fault cuts the connection.
async fn serve(shared: Arc<Shared>, mut feeds: Vec<Feed>, wrapped: bool, mut socket: WebSocket) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    // Pushes of closed klines that a fault holds back, by when they are due; the delay is the same for all.
    let mut late: VecDeque<(Instant, String)> = VecDeque::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.closed() => return,
            received = socket.recv() => match received {
                Some(Ok(_)) => continue,
                _ => return,
            },
        }
        let faults = shared.faults();
        let now = Instant::now();
        if faults.stream_cut_after_ms > 0
            && now.duration_since(began) >= Duration::from_millis(faults.stream_cut_after_ms)
        {
            return;
        }
        let mut due = Vec::new();
        while late.front().is_some_and(|(at, _)| *at <= now) {
            due.extend(late.pop_front().map(|(_, text)| text));
        }
        for feed in &mut feeds {
            for (text, closed) in pushes(&shared, &faults, feed, wrapped) {
                if closed && faults.stream_late_close_ms > 0 {
                    late.push_back((now + Duration::from_millis(faults.stream_late_close_ms), text));
                } else {
                    due.push(text);
                }
            }
        }
        for text in due {
            if socket.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    }
}

/// What one stream pushes at this tick, and whether it is a closed kline.
fn pushes(shared: &Shared, faults: &Faults, feed: &mut Feed, wrapped: bool) -> Vec<(String, bool)> {
    let (series, interval) = (&feed.series, feed.series.interval);
    let now = shared.clock.now();
    let open = interval.slot_of(now);
    let Some((_, listing)) = shared.catalog.listing(series.market, series.symbol.as_str()) else {
        return Vec::new();
    };
    let window = Window {
        from: interval.slot_start(feed.open.min(open)),
        to: now,
        limit: usize::try_from(open - feed.open + 2).unwrap_or(2),
        newest: false,
    };
    let visible = |at: Millis| !faults.hides(series, at);
    let mut out = Vec::new();
    for row in listing.page(interval, &window, &visible) {
        let row = revise(faults, series, now, row);
        let slot = interval.slot_of(row.open_time);
        let closed = slot < open;
        let end = interval.slot_end(slot);
        let row = if closed { row } else { partial(row, end, now) };
        let text = print(feed, &row, closed, now, wrapped);
        let drawn = |kind: u64| unit(hash(hash_text(faults.seed, &feed.name), &[slot.unsigned_abs(), kind]));
        if closed && drawn(1) < faults.stream_lost_close_rate {
            continue;
        }
        if closed && drawn(2) < faults.stream_double_rate {
            out.push((text.clone(), true));
        }
        out.push((text, closed));
    }
    feed.open = open.max(feed.open);
    out
}

fn print(feed: &Feed, row: &Kline, closed: bool, now: Millis, wrapped: bool) -> String {
    let symbol = feed.series.symbol.as_str();
    let push = json!({
        "e": "kline", "E": now.0, "s": symbol,
        "k": {
            "t": row.open_time.0, "T": row.close_time.0, "s": symbol, "i": feed.series.interval.as_str(),
            "f": 1, "L": row.count, "o": row.open.to_string(), "c": row.close.to_string(),
            "h": row.high.to_string(), "l": row.low.to_string(), "v": row.volume.to_string(), "n": row.count,
            "x": closed, "q": row.quote_volume.to_string(), "V": row.taker_buy_volume.to_string(),
            "Q": row.taker_buy_quote_volume.to_string(), "B": "0",
        },
    });
    if wrapped { json!({ "stream": feed.name, "data": push }).to_string() } else { push.to_string() }
}

//! Kline streams: what the exchange pushes while it happens.
//!
//! A stream is a hint, not a record: the closing push of a kline may come late, twice, or never. Whoever stores what it says
//! must find the rest by asking.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use kline::{Decimal, Kline, Market, Millis, Series};
use reqwest::{Upgraded, Url};
use serde::Deserialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::http::{Asked, host_of};
use crate::FetchError;
use crate::error::excerpt;

/// Most streams that one connection carries. Binance allows 1,024 by its present documents and 200 by older ones.
pub const MOST_STREAMS: usize = 200;
/// The exchange pings every 20 s (spot) or 3 minutes (futures); after more silence than this the line is dead.
const SILENCE: Duration = Duration::from_secs(240);
/// A push has about 400 bytes.
const MAX_PUSH: usize = 64 * 1024;

/// One push of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The series.
    pub series: Series,
    /// Its kline as of now; final when `closed`.
    pub kline: Kline,
    /// Whether the exchange says that it is closed.
    pub closed: bool,
    /// The exchange's clock when it was pushed.
    pub at: Millis,
}

/// What comes over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// A kline.
    Kline(Box<Push>),
    /// A message that could not be read, and why.
    Unreadable(String),
}

/// An open connection to the streams of some series of one market.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<Upgraded>,
    series: HashMap<(String, String), Series>,
    what: String,
}

/// `{base}/stream?streams=btcusdt@kline_1m/…`
pub(super) fn address(base: &Url, series: &[Series]) -> Url {
    let names: Vec<String> = series
        .iter()
        .map(|s| format!("{}@kline_{}", s.symbol.as_str().to_lowercase(), s.interval.as_str()))
        .collect();
    let mut url = base.clone();
    let path = format!("{}/stream", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(Some(&format!("streams={}", names.join("/"))));
    url
}

/// In words, for errors.
pub(super) fn words(market: Market, series: &[Series]) -> String {
    match series {
        [one] => format!("kline stream of {one}"),
        many => format!("{} kline streams of {market}", many.len()),
    }
}

impl Live {
    pub(super) async fn open(
        http: &super::http::Http,
        market: Market,
        base: &Url,
        series: &[Series],
    ) -> Result<Self, FetchError> {
        let (url, what) = (address(base, series), words(market, series));
        let line = http.upgrade(Asked { what: &what, url: &url }).await?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MAX_PUSH)).max_frame_size(Some(MAX_PUSH));
        let socket = WebSocketStream::from_raw_socket(line, Role::Client, Some(config)).await;
        tracing::debug!(host = host_of(&url), streams = series.len(), "streams are open");
        let key = |s: &Series| (s.symbol.as_str().to_owned(), s.interval.as_str().to_owned());
        Ok(Self { socket, series: series.iter().map(|s| (key(s), s.clone())).collect(), what })
    }

    /// The next push. Safe to drop and call again.
    ///
    /// # Errors
    /// [`FetchError::Interrupted`] when the connection ended, or nothing was heard for four minutes: open another.
    pub async fn next(&mut self) -> Result<Pushed, FetchError> {
        loop {
            let message = match tokio::time::timeout(SILENCE, self.socket.next()).await {
                Err(_) => return Err(self.ended(format!("nothing was heard for {} s", SILENCE.as_secs()))),
                Ok(None) => return Err(self.ended("the other side closed the connection".into())),
                Ok(Some(Err(error))) => return Err(self.ended(error.to_string())),
                Ok(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => match self.read(text.as_str()) {
                    Ok(Some(push)) => return Ok(Pushed::Kline(Box::new(push))),
                    Ok(None) => {}
                    Err(why) if why == SHUTDOWN => return Err(self.ended("the exchange restarts".into())),
                    Err(why) => {
                        let text = excerpt(text.as_bytes());
                        return Ok(Pushed::Unreadable(format!("{why}; received: {text}")));
                    }
                },
                Message::Close(_) => return Err(self.ended("the other side said good-bye".into())),
                // Pings are answered by the library; binary messages mean nothing here.
                _ => {}
            }
        }
    }

    fn ended(&self, detail: String) -> FetchError {
        FetchError::Interrupted { what: self.what.clone(), detail }
    }

    fn read(&self, text: &str) -> Result<Option<Push>, String> {
        let message: Sent = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let event = match message {
            Sent::Wrapped { data } => data,
            Sent::Bare(event) => event,
        };
        match event.kind.as_ref() {
            "serverShutdown" => return Err(SHUTDOWN.into()),
            "kline" => {}
            _ => return Ok(None),
        }
        let k = event.kline.ok_or("a kline event without a kline")?;
        let Some(series) = self.series.get(&(k.symbol.to_string(), k.interval.to_string())) else {
            return Ok(None);
        };
        let at = Millis::detect(event.at).map_err(|e| format!("E: {e}"))?;
        Ok(Some(Push { series: series.clone(), closed: k.closed, at, kline: k.kline()? }))
    }
}

const SHUTDOWN: &str = "serverShutdown";

#[derive(Deserialize)]
#[serde(untagged)]
enum Sent<'a> {
    Wrapped {
        #[serde(borrow)]
        data: Event<'a>,
    },
    Bare(#[serde(borrow)] Event<'a>),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "e", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "E")]
    at: i64,
    #[serde(rename = "k", borrow)]
    kline: Option<Pushes<'a>>,
}

#[derive(Deserialize)]
struct Pushes<'a> {
    t: i64,
    #[serde(rename = "T")]
    end: i64,
    #[serde(rename = "s", borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "i", borrow)]
    interval: Cow<'a, str>,
    #[serde(borrow)]
    o: Cow<'a, str>,
    #[serde(borrow)]
    h: Cow<'a, str>,
    #[serde(borrow)]
    l: Cow<'a, str>,
    #[serde(borrow)]
    c: Cow<'a, str>,
    #[serde(borrow)]
    v: Cow<'a, str>,
    n: u64,
    #[serde(rename = "x")]
    closed: bool,
    #[serde(borrow)]
    q: Cow<'a, str>,
    #[serde(rename = "V", borrow)]
    taker: Cow<'a, str>,
    #[serde(rename = "Q", borrow)]
    taker_quote: Cow<'a, str>,
}

impl Pushes<'_> {
    fn kline(&self) -> Result<Kline, String> {
        let number = |name: &str, text: &str| Decimal::parse(text).map_err(|e| format!("{name}: {e}"));
        let time = |name: &str, raw| Millis::detect(raw).map_err(|e| format!("{name}: {e}"));
        Ok(Kline {
            open_time: time("t", self.t)?,
            open: number("o", &self.o)?,
            high: number("h", &self.h)?,
            low: number("l", &self.l)?,
            close: number("c", &self.c)?,
            volume: number("v", &self.v)?,
            close_time: time("T", self.end)?,
            quote_volume: number("q", &self.q)?,
            count: self.n,
            taker_buy_volume: number("V", &self.taker)?,
            taker_buy_quote_volume: number("Q", &self.taker_quote)?,
        })
    }
}

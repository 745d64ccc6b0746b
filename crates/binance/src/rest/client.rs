//! The client itself: what can be asked of the exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kline::validate::Rejection;
use kline::{Interval, Kline, Market, Millis, Series, SlotRange};
use reqwest::Url;
use tokio::sync::OnceCell;

use super::classify;
use super::decode::{self, ExchangeInfo, Rows};
use super::event::{Event, Listeners};
use super::http::{Answer, Decode, Http};
use super::live::{Live, MOST_STREAMS};
use super::pool::{Clock, Pool};
use super::send::{Call, Fetched};
use super::stream::Info;
use crate::budget::PoolUsage;
use crate::planner::Rules;
use crate::{ClientConfig, FetchError};

/// A full page is about 200 KiB; nothing that is one comes near this.
const MAX_PAGE: usize = 2 * 1024 * 1024;
/// Off-grid extras overfill a window by a row or two; more follow-up requests than this mean the source goes in circles.
const MAX_FOLLOW_UPS: u32 = 16;
/// COIN-M refuses longer windows.
const CM_WINDOW_MS: i64 = 200 * 86_400_000;
/// Before this COIN-M futures did not exist.
const CM_BEGIN: Millis = Millis(1_590_969_600_000);

/// One answer to [`Client::klines`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Rows as sent, in the order they were sent, the open kline included; not validated.
    pub rows: Vec<Kline>,
    /// Rows that could not be read, with the reason.
    pub unreadable: Vec<Rejection>,
    /// Rows received, readable or not.
    pub rows_received: u64,
    /// Requests sent, retries included.
    pub requests: u32,
    /// Weight of these requests.
    pub weight: u32,
    /// The exchange's clock when the request was sent: what was closed then is closed in the answer.
    pub exchange_now: Millis,
}

/// Asks Binance for klines. Cheap to clone; clones share budget, clock and connections.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>, pub(super) Arc<Meter>);

/// What was sent through one handle of a client.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) requests: AtomicU64,
    pub(super) weight: AtomicU64,
}

/// Requests and their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Requests that left this machine, retries and refused ones included.
    pub requests: u64,
    /// Their weight, as the exchange counts it.
    pub weight: u64,
}

pub(super) struct Inner {
    pub(super) config: ClientConfig,
    pub(super) bases: [Url; 3],
    pub(super) http: Http,
    futures: Pool,
    spot: Pool,
    clocks: [Clock; 3],
    time: [OnceCell<()>; 3],
    info: [OnceCell<Arc<ExchangeInfo>>; 3],
    pub(super) listeners: Listeners,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoints", &self.0.config.endpoints).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client; nothing is sent, looked up or loaded yet.
    ///
    /// # Errors
    /// [`FetchError::Usage`] when a base URL is not an `http` or `https` URL.
    pub fn new(config: ClientConfig) -> Result<Self, FetchError> {
        let base = |market: Market| base_url(market, config.endpoints.of(market));
        let bases = [base(Market::Um)?, base(Market::Cm)?, base(Market::Spot)?];
        let inner = Inner {
            bases,
            http: Http::new(&config),
            futures: Pool::new(Market::Um, &config),
            spot: Pool::new(Market::Spot, &config),
            clocks: [Clock::new(), Clock::new(), Clock::new()],
            time: Default::default(),
            info: Default::default(),
            listeners: Listeners::default(),
            config,
        };
        Ok(Self(Arc::new(inner), Arc::default()))
    }

    /// Calls `listener` whenever something holds a request up. It must not block.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.listeners.add(Arc::new(listener));
    }

    /// What the pool of a market has used; `um` and `cm` share one.
    pub fn usage(&self, market: Market) -> PoolUsage {
        self.pool(market).usage()
    }

    /// Another handle of this client (the same pools, clock and connections) that counts what is sent through it alone.
    #[must_use]
    pub fn metered(&self) -> Self {
        Self(Arc::clone(&self.0), Arc::default())
    }

    /// What was sent through this handle and its clones.
    pub fn spent(&self) -> Spent {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Spent { requests: read(&self.1.requests), weight: read(&self.1.weight) }
    }

    /// The shortest time from sending a request to the first byte of its answer, so far: what the line takes once a
    /// connection stands, which is what [`prefer_for`](crate::planner::prefer_for) wants to know. `None` before the first
    /// answer; after a single one it still contains looking up the name and connecting.
    pub fn rtt(&self, market: Market) -> Option<Duration> {
        self.pool(market).quickest()
    }

    /// The exchange's clock. Asked for once per market, then advanced by a monotonic clock; the local wall clock plays no
    /// part. It runs behind the exchange's by at most the time one answer took.
    ///
    /// # Errors
    /// [`FetchError`] when the first reading fails; the next call tries again.
    pub async fn now(&self, market: Market) -> Result<Millis, FetchError> {
        let read = async || {
            let path = ["fapi/v1/time", "dapi/v1/time", "api/v3/time"][index(market)];
            let call = self.call(market, path, &[], 1, format!("time of {market}"));
            let fetched = self.fetch::<Time>(&call).await?;
            self.clock(market).set(fetched.value);
            self.pool(market).clock().set(fetched.value);
            Ok(())
        };
        self.0.time[index(market)].get_or_try_init(read).await?;
        Ok(self.clock(market).now())
    }

    /// Opens the kline streams of some series of one market, at most [`MOST_STREAMS`](crate::MOST_STREAMS). It costs no
    /// weight. Nothing is tried twice.
    ///
    /// # Errors
    /// [`FetchError`] when the connection does not come about; [`FetchError::Usage`] for too many series, or for none.
    pub async fn live(&self, market: Market, series: &[Series]) -> Result<Live, FetchError> {
        if series.is_empty() || series.len() > MOST_STREAMS {
            let text = format!("one connection carries 1 to {MOST_STREAMS} streams, not {}", series.len());
            return Err(FetchError::Usage(text));
        }
        let written = self.0.config.streams.of(market);
        let as_http =
            written.strip_prefix("ws").map_or_else(|| written.to_owned(), |rest| format!("http{rest}"));
        let base = base_url(market, &as_http)?;
        Live::open(&self.0.http, market, &base, series).await
    }

    /// What the exchange says about itself: limits and symbols. Fetched once; sets the weight limit of the pool.
    ///
    /// # Errors
    /// [`FetchError`] when fetching fails; the next call tries again.
    pub async fn exchange_info(&self, market: Market) -> Result<Arc<ExchangeInfo>, FetchError> {
        let read = async || {
            let (path, weight) =
                [("fapi/v1/exchangeInfo", 1), ("dapi/v1/exchangeInfo", 1), ("api/v3/exchangeInfo", 20)]
                    [index(market)];
            let call = self.call(market, path, &[], weight, format!("exchange information of {market}"));
            let info = self.fetch::<Info>(&call).await?.value;
            if info.weight_limit > 0 {
                self.pool(market).with(|budget, _| budget.set_limit(info.weight_limit));
            }
            Ok(info)
        };
        self.0.info[index(market)].get_or_try_init(read).await.cloned()
    }

    /// The klines of one window, exactly as sent. Slots that lie in the future are not asked for.
    ///
    /// Waits for the budget, retries, and reacts to the exchange's errors on the way. Where a window holds more klines than
    /// slots (a few spot hours of 2018 do), the rest is fetched by further requests.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::Usage`] when the window is empty or larger than the market allows.
    pub async fn klines(&self, series: &Series, slots: SlotRange) -> Result<Page, FetchError> {
        let rules = Rules::of(series.market, series.interval);
        if slots.is_empty() || slots.len() > u64::from(rules.max_slots()) {
            let most = rules.max_slots();
            return Err(FetchError::Usage(format!(
                "{series}: a window has 1 to {most} slots, not {}",
                slots.len()
            )));
        }
        let mut page = Page { exchange_now: self.now(series.market).await?, ..Page::default() };
        let mut rest = series.interval.time_range(slots);
        for _ in 0..=MAX_FOLLOW_UPS {
            let limit = slots_between(series.interval, rest.since, rest.until);
            let Some(fetched) = self.window(series, rest.since, rest.until, limit, &rules).await? else {
                break;
            };
            let full = fetched.value.len() >= limit;
            let opens = fetched.value.read.iter().map(|k| k.open_time);
            let opens: Vec<_> = opens.filter(|open| rest.contains(*open)).collect();
            page.take(fetched);
            let whole = rest;
            // Newest rows come first on COIN-M: what may be missing lies before the oldest one received.
            let reached = match series.market {
                Market::Cm => {
                    rest.until = opens.iter().min().copied().unwrap_or(rest.since);
                    slots_between(series.interval, whole.since, rest.until.plus(1)) <= 1
                }
                _ => {
                    rest.since = opens.iter().max().map_or(rest.until, |open| open.plus(1));
                    slots_between(series.interval, rest.since.plus(-1), whole.until) <= 1
                }
            };
            if !full || reached || rest.is_empty() {
                break;
            }
        }
        Ok(page)
    }

    async fn window(
        &self,
        series: &Series,
        since: Millis,
        until: Millis,
        limit: u64,
        rules: &Rules,
    ) -> Result<Option<Fetched<Rows>>, FetchError> {
        let market = series.market;
        // Both ends are inclusive. An end in the future is refused by some hosts.
        let end = until.plus(-1).min(self.clock(market).now().plus(-1));
        if end < since {
            return Ok(None);
        }
        let what = format!("klines of {series} from {since}");
        let call = self.klines_call(series, Some(since), Some(end), limit, rules.weight_of(limit), what);
        self.fetch::<Klines>(&call).await.map(Some)
    }

    fn klines_call(
        &self,
        series: &Series,
        since: Option<Millis>,
        end: Option<Millis>,
        limit: u64,
        weight: u32,
        what: String,
    ) -> Call {
        let path = ["fapi/v1/klines", "dapi/v1/klines", "api/v3/klines"][index(series.market)];
        let mut query =
            vec![("symbol", series.symbol.to_string()), ("interval", series.interval.to_string())];
        query.extend(since.map(|since| ("startTime", since.0.to_string())));
        query.extend(end.map(|end| ("endTime", end.0.to_string())));
        query.push(("limit", limit.to_string()));
        self.call(series.market, path, &query, weight, what)
    }

    /// Open time of the first kline that opens at or after an instant, or `None` when there is none (on COIN-M: none
    /// within 200 days). One request of the least weight, more on COIN-M.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn next_kline(&self, series: &Series, since: Millis) -> Result<Option<Millis>, FetchError> {
        if series.market == Market::Cm {
            let until = since.plus(CM_WINDOW_MS).min(self.now(Market::Cm).await?);
            return if until <= since { Ok(None) } else { self.first_in(series, since, until).await };
        }
        let what = format!("the first kline of {series} from {since}");
        let weight = Rules::of(series.market, series.interval).weight_of(1);
        let call = self.klines_call(series, Some(since), None, 1, weight, what);
        Ok(self.fetch::<Klines>(&call).await?.value.first_open())
    }

    /// Open time of the last kline that opens before an instant, or `None` when there is none (on COIN-M: none within 200
    /// days). One request of the least weight.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn previous_kline(&self, series: &Series, until: Millis) -> Result<Option<Millis>, FetchError> {
        let what = format!("the last kline of {series} before {until}");
        let weight = Rules::of(series.market, series.interval).weight_of(1);
        let call = self.klines_call(series, None, Some(until.plus(-1)), 1, weight, what);
        let rows = self.fetch::<Klines>(&call).await?.value;
        Ok(rows.read.iter().map(|kline| kline.open_time).max())
    }

    /// Open time of the first kline the exchange has of a series, or `None` when it has none.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn first_kline(&self, series: &Series) -> Result<Option<Millis>, FetchError> {
        let what = format!("first kline of {series}");
        if series.market != Market::Cm {
            let weight = Rules::of(series.market, series.interval).weight_of(1);
            let call = self.klines_call(series, Some(Millis(0)), None, 1, weight, what);
            return Ok(self.fetch::<Klines>(&call).await?.value.first_open());
        }
        // COIN-M answers with the newest rows of a window, and refuses a window from the beginning of time.
        let info = self.exchange_info(Market::Cm).await?;
        let listed = info.symbols.get(&series.symbol).and_then(|s| s.onboard);
        let interval = series.interval;
        let now = self.now(Market::Cm).await?;
        let mut since = interval.slot_start(interval.slot_of(listed.unwrap_or(CM_BEGIN)));
        while since < now {
            let until = since.plus(CM_WINDOW_MS).min(now);
            if let Some(first) = self.first_in(series, since, until).await? {
                return Ok(Some(first));
            }
            since = until;
        }
        Ok(None)
    }
}

/// Plumbing.
impl Client {
    /// The oldest open in `[lo, hi)` of a COIN-M series. A page shows the newest rows of its window, so this halves the
    /// window, always keeping the half that holds the oldest row, until one cheap page shows all of it.
    async fn first_in(
        &self,
        series: &Series,
        mut lo: Millis,
        mut hi: Millis,
    ) -> Result<Option<Millis>, FetchError> {
        let (rules, interval) = (Rules::of(Market::Cm, series.interval), series.interval);
        let page = rules.steps().first().map_or(1, |s| u64::from(s.0));
        let mut known = false;
        loop {
            let (first, slots) = (interval.slot_of(lo), slots_between(interval, lo, hi));
            let (limit, end) = match slots {
                _ if slots <= page => (slots, hi),
                _ if known => (1, interval.slot_start(first.saturating_add_unsigned(slots / 2))),
                // Nothing is known yet: does the whole window hold anything?
                _ => (1, hi),
            };
            let rows = self.window(series, lo, end, limit.max(1), &rules).await?;
            match rows.and_then(|rows| rows.value.first_open()) {
                Some(oldest) if slots <= page => return Ok(Some(oldest)),
                Some(newest) => (hi, known) = (newest.plus(1).min(end), true),
                None if known && slots > page => lo = end,
                None => return Ok(None),
            }
        }
    }

    pub(super) fn pool(&self, market: Market) -> &Pool {
        if market == Market::Spot { &self.0.spot } else { &self.0.futures }
    }

    pub(super) fn clock(&self, market: Market) -> &Clock {
        &self.0.clocks[index(market)]
    }
}

impl Page {
    fn take(&mut self, fetched: Fetched<Rows>) {
        self.rows_received += fetched.value.len();
        self.rows.extend(fetched.value.read);
        self.unreadable.extend(fetched.value.unreadable);
        self.requests += fetched.requests;
        self.weight += fetched.weight;
        // Of several requests the earliest clock is the safe one.
        self.exchange_now =
            if self.requests == fetched.requests { fetched.sent_at } else { self.exchange_now };
    }
}

struct Klines;
struct Time;

impl Decode for Klines {
    type Out = Rows;

    async fn decode(mut answer: Answer<'_>) -> Result<Rows, FetchError> {
        let body = answer.bytes(MAX_PAGE).await?;
        decode::klines(&body).map_err(|trouble| classify::of_trouble(answer.asked.what, trouble, &body))
    }
}

impl Decode for Time {
    type Out = Millis;

    async fn decode(mut answer: Answer<'_>) -> Result<Millis, FetchError> {
        let body = answer.bytes(MAX_PAGE).await?;
        decode::server_time(&body).map_err(|trouble| classify::of_trouble(answer.asked.what, trouble, &body))
    }
}

fn slots_between(interval: Interval, since: Millis, until: Millis) -> u64 {
    let slots = interval.slot_of(until.plus(-1)) - interval.slot_of(since) + 1;
    slots.max(0).unsigned_abs()
}

pub(super) fn index(market: Market) -> usize {
    match market {
        Market::Um => 0,
        Market::Cm => 1,
        Market::Spot => 2,
    }
}

fn base_url(market: Market, text: &str) -> Result<Url, FetchError> {
    let bad = |why: &str| FetchError::Usage(format!("base URL of {market} `{text}`: {why}"));
    let url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("must begin with http:// or https:// and name a host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not have a query or fragment"));
    }
    Ok(url)
}

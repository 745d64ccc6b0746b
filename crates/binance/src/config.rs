//! What a [`Client`](crate::Client) is made with.

use std::net::SocketAddr;
use std::time::Duration;

use kline::Market;

/// Base URLs, without a path at the end. Plain `http://` is allowed, for local exchanges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// USD-M futures, `https://fapi.binance.com`.
    pub um: String,
    /// COIN-M futures, `https://dapi.binance.com`.
    pub cm: String,
    /// Spot, `https://api.binance.com`.
    pub spot: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            um: "https://fapi.binance.com".to_owned(),
            cm: "https://dapi.binance.com".to_owned(),
            spot: "https://api.binance.com".to_owned(),
        }
    }
}

impl Endpoints {
    /// The base URL of a market.
    pub fn of(&self, market: Market) -> &str {
        match market {
            Market::Um => &self.um,
            Market::Cm => &self.cm,
            Market::Spot => &self.spot,
        }
    }
}

impl Endpoints {
    /// Where klines are pushed. `wss://` and `ws://` are meant, and may be written.
    pub fn streams() -> Self {
        Self {
            um: "wss://fstream.binance.com/market".to_owned(),
            cm: "wss://dstream.binance.com".to_owned(),
            spot: "wss://stream.binance.com:9443".to_owned(),
        }
    }
}

/// Settings of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    /// Where the exchange is.
    pub endpoints: Endpoints,
    /// Where its kline streams are.
    pub streams: Endpoints,
    /// Longest time one attempt may take, name resolution and body included.
    pub timeout: Duration,
    /// Most requests under way at once in each pool (futures; spot).
    pub in_flight: usize,
    /// Percentage of the weight limit left to other programs behind the same address, 0 to 90.
    pub reserve_percent: u8,
    /// Most attempts per request. Waiting because the exchange asked for it (429) does not count as an attempt.
    pub attempts: u32,
    /// Longest time to keep retrying one request after its first failure.
    pub patience: Duration,
    /// First pause before a retry; each further one is up to twice as long, 30 times this at most.
    pub backoff: Duration,
    /// Name servers to ask instead of those in `/etc/resolv.conf`; as a rule empty.
    pub name_servers: Vec<SocketAddr>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            streams: Endpoints::streams(),
            timeout: Duration::from_secs(10),
            in_flight: 6,
            reserve_percent: 10,
            attempts: 8,
            patience: Duration::from_secs(600),
            backoff: Duration::from_millis(400),
            name_servers: Vec::new(),
        }
    }
}

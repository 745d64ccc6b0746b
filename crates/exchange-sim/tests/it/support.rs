//! Starting an exchange and asking it things.

use std::sync::LazyLock;

use exchange_sim::{Config, DataSource, Now, Sim};
use kline::{Decimal, Interval, Kline, Market, Millis, Series, Symbol};
use reqwest::Client;
use serde_json::Value;

/// The present of every test, unless it says otherwise: seven minutes and a bit into an hour.
pub const NOW: &str = "2025-03-10T12:07:12.345Z";
/// When the made-up symbols were listed.
pub const LISTED: &str = "2024-01-01T00:00:00Z";

pub const M1: i64 = 60_000;
pub const M5: i64 = 5 * M1;
pub const DAY: i64 = 86_400_000;

/// An answer, read whole.
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The open times of a klines answer.
    pub fn opens(&self) -> Vec<i64> {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json().as_array().unwrap().iter().map(|row| row[0].as_i64().unwrap()).collect()
    }

    /// Status and Binance's code of an error.
    pub fn error(&self) -> (u16, i64) {
        (self.status, self.json()["code"].as_i64().unwrap())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn used(&self) -> u32 {
        self.header("x-mbx-used-weight-1m").expect("weight header").parse().unwrap()
    }
}

/// A client with nothing between it and the exchange. Building one costs more than all else a test does, so there is
/// one for all; it keeps no connections, which would belong to the runtime of one test.
pub fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        // The client wants a TLS provider even to speak plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
    });
    CLIENT.clone()
}

pub async fn get(sim: &Sim, path: &str) -> Reply {
    try_get(&client(), sim, path).await.unwrap()
}

pub async fn try_get(client: &Client, sim: &Sim, path: &str) -> reqwest::Result<Reply> {
    let response = client.get(format!("{}{path}", sim.url())).send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Reply { status, headers, body: response.text().await? })
}

pub fn at(text: &str) -> Millis {
    text.parse().unwrap()
}

pub fn made_up(market: Market, symbol: &str) -> DataSource {
    DataSource::Synthetic {
        market,
        symbol: Symbol::new(symbol).unwrap(),
        from: at(LISTED),
        until: None,
        seed: 1,
    }
}

/// An exchange with a symbol or two on every market, whose clock stands still.
pub fn config() -> Config {
    Config {
        data: vec![
            made_up(Market::Um, "BTCUSDT"),
            made_up(Market::Um, "ETHUSDT"),
            made_up(Market::Cm, "BTCUSD_PERP"),
            made_up(Market::Spot, "BTCUSDT"),
        ],
        now: Now::Frozen(at(NOW)),
        ..Config::default()
    }
}

pub async fn start(config: Config) -> Sim {
    Sim::start(config).await.unwrap()
}

pub fn series(market: Market, symbol: &str, interval: Interval) -> Series {
    Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap()
}

/// Reads one printed row back.
pub fn parse_row(row: &Value) -> Kline {
    let d = |i: usize| Decimal::parse(row[i].as_str().unwrap()).unwrap();
    let int = |i: usize| row[i].as_i64().unwrap();
    Kline {
        open_time: Millis(int(0)),
        open: d(1),
        high: d(2),
        low: d(3),
        close: d(4),
        volume: d(5),
        close_time: Millis(int(6)),
        quote_volume: d(7),
        count: row[8].as_u64().unwrap(),
        taker_buy_volume: d(9),
        taker_buy_quote_volume: d(10),
    }
}

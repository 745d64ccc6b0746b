//! The REST interface: what a request asks for, and Binance's answer to it.

mod error;
mod info;
mod klines;
mod params;

pub(crate) use error::ApiError;
pub(crate) use klines::{KlinesRequest, continuous_symbol, print_row, print_rows, symbol};
pub(crate) use params::Params;

use kline::{Market, Series};

/// An endpoint of one market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    Ping,
    Time,
    ExchangeInfo,
    Klines,
    ContinuousKlines,
    /// A file of the public archive, or a list of them.
    Archive,
    Unknown,
}

impl Endpoint {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Time => "time",
            Self::ExchangeInfo => "exchangeInfo",
            Self::Klines => "klines",
            Self::ContinuousKlines => "continuousKlines",
            Self::Archive => "archive",
            Self::Unknown => "unknown",
        }
    }
}

/// Market and endpoint of a path, or `None` when it belongs to no market.
pub(crate) fn route(path: &str) -> Option<(Market, Endpoint)> {
    let (market, name) = [("/fapi/v1/", Market::Um), ("/dapi/v1/", Market::Cm), ("/api/v3/", Market::Spot)]
        .into_iter()
        .find_map(|(prefix, market)| path.strip_prefix(prefix).map(|name| (market, name)))?;
    let endpoint = match name {
        "ping" => Endpoint::Ping,
        "time" => Endpoint::Time,
        "exchangeInfo" => Endpoint::ExchangeInfo,
        "klines" => Endpoint::Klines,
        "continuousKlines" if market != Market::Spot => Endpoint::ContinuousKlines,
        _ => Endpoint::Unknown,
    };
    Some((market, endpoint))
}

/// Weight of a request, whatever becomes of it.
pub(crate) fn weight(market: Market, endpoint: Endpoint, params: &Params) -> u32 {
    match endpoint {
        Endpoint::Klines | Endpoint::ContinuousKlines => {
            let limit = params.get("limit").and_then(|text| text.parse().ok());
            crate::weight::klines_weight(market, limit.unwrap_or(500))
        }
        Endpoint::ExchangeInfo if market == Market::Spot => 20,
        _ => 1,
    }
}

/// A successful answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) body: String,
    pub(crate) rows: u64,
    pub(crate) series: Option<Series>,
}

impl Answer {
    pub(crate) fn json(body: String) -> Self {
        Self { body, ..Self::default() }
    }
}

pub(crate) use info::{InfoInput, exchange_info};

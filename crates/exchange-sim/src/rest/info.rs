//! `exchangeInfo`: the symbols that are listed, and the limits.

use kline::{Market, Millis, Symbol};
use serde_json::{Value, json};

use super::{ApiError, Params};
use crate::data::{Catalog, Listing};

/// Delivery date of contracts that never deliver, as Binance sends it: 2100-12-25.
const NEVER: i64 = 4_133_404_800_000;

/// What the answer is made from.
pub(crate) struct InfoInput<'a> {
    pub(crate) market: Market,
    pub(crate) now: Millis,
    pub(crate) weight_limit: u32,
    pub(crate) catalog: &'a Catalog,
}

/// The body of `exchangeInfo`.
pub(crate) fn exchange_info(input: &InfoInput<'_>, params: &Params) -> Result<String, ApiError> {
    let InfoInput { market, now, weight_limit, catalog } = *input;
    let wanted = if market == Market::Spot { wanted_symbols(params, catalog)? } else { None };
    let symbols: Vec<Value> = catalog
        .symbols(market)
        .filter(|(symbol, _)| wanted.as_ref().is_none_or(|names| names.iter().any(|n| n == symbol.as_str())))
        .map(|(symbol, listing)| match market {
            Market::Spot => spot_symbol(symbol, listing, now),
            _ => contract(market, symbol, listing, now),
        })
        .collect();
    let mut info = json!({
        "timezone": "UTC",
        "serverTime": now.0,
        "rateLimits": rate_limits(market, weight_limit),
        "exchangeFilters": [],
        "symbols": symbols,
    });
    if let (Market::Um, Some(fields)) = (market, info.as_object_mut()) {
        fields.insert("futuresType".into(), "U_MARGINED".into());
        fields.insert(
            "assets".into(),
            json!([{ "asset": "USDT", "marginAvailable": true, "autoAssetExchange": "-10000" }]),
        );
    }
    Ok(info.to_string())
}

/// Spot takes `symbol=A` or `symbols=["A","B"]` and refuses unknown ones.
fn wanted_symbols(params: &Params, catalog: &Catalog) -> Result<Option<Vec<String>>, ApiError> {
    let names: Vec<String> = match (params.get("symbol"), params.get("symbols")) {
        (Some(name), _) => vec![name.to_owned()],
        (None, Some(list)) => {
            serde_json::from_str(list).map_err(|_| ApiError::illegal("symbols", "[\"A\",\"B\"]"))?
        }
        (None, None) => return Ok(None),
    };
    if names.iter().any(|name| catalog.listing(Market::Spot, name).is_none()) {
        return Err(ApiError::invalid_symbol());
    }
    Ok(Some(names))
}

fn rate_limits(market: Market, weight: u32) -> Value {
    let limit = |kind: &str, interval: &str, num: u32, limit: u32| json!({ "rateLimitType": kind, "interval": interval, "intervalNum": num, "limit": limit });
    match market {
        Market::Spot => json!([
            limit("REQUEST_WEIGHT", "MINUTE", 1, weight),
            limit("ORDERS", "SECOND", 10, 100),
            limit("ORDERS", "DAY", 1, 200_000),
            limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
        ]),
        _ => json!([
            limit("REQUEST_WEIGHT", "MINUTE", 1, weight),
            limit("ORDERS", "MINUTE", 1, 1200),
            limit("ORDERS", "SECOND", 10, 300),
        ]),
    }
}

/// A spot symbol. Spot does not say when a symbol was listed.
fn spot_symbol(symbol: &Symbol, listing: &Listing, now: Millis) -> Value {
    let (base, quote) = assets(symbol.as_str());
    let over = listing.delisted().is_some_and(|at| at <= now);
    json!({
        "symbol": symbol.as_str(),
        "status": if over { "BREAK" } else { "TRADING" },
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    })
}

/// A futures contract. COIN-M calls its status `contractStatus`.
fn contract(market: Market, symbol: &Symbol, listing: &Listing, now: Millis) -> Value {
    let (pair, suffix) = symbol.as_str().split_once('_').unwrap_or((symbol.as_str(), "PERP"));
    let (base, quote) = assets(pair);
    let perpetual = suffix == "PERP";
    let delisted = listing.delisted();
    let delivery = delisted.or_else(|| delivery_date(suffix)).map_or(NEVER, |at| at.0);
    let status = match (delivery <= now.0, perpetual) {
        (false, _) => "TRADING",
        (true, true) => "SETTLING",
        (true, false) => "DELIVERED",
    };
    let margin = if market == Market::Cm { base } else { quote };
    let mut value = json!({
        "symbol": symbol.as_str(),
        "pair": pair,
        "contractType": if perpetual { "PERPETUAL" } else { "CURRENT_QUARTER" },
        "deliveryDate": delivery,
        "onboardDate": listing.listed().map_or(0, |at| at.0),
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": margin,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [],
    });
    if let Some(fields) = value.as_object_mut() {
        let key = if market == Market::Cm { "contractStatus" } else { "status" };
        fields.insert(key.into(), status.into());
        if market == Market::Cm {
            let usd = if base == "BTC" { 100 } else { 10 };
            fields.insert("contractSize".into(), usd.into());
        }
    }
    value
}

/// `260925` is 2026-09-25, delivered at 08:00 UTC.
fn delivery_date(suffix: &str) -> Option<Millis> {
    let part =
        |range: std::ops::Range<usize>| suffix.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    if suffix.len() != 6 {
        return None;
    }
    format!("20{}-{}-{}T08:00", part(0..2)?, part(2..4)?, part(4..6)?).parse().ok()
}

/// Base and quote asset, told apart by the quotes in use.
fn assets(pair: &str) -> (&str, &str) {
    const QUOTES: [&str; 12] =
        ["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY", "JPY"];
    QUOTES
        .iter()
        .find_map(|quote| pair.strip_suffix(quote).filter(|base| !base.is_empty()).map(|base| (base, *quote)))
        .unwrap_or((pair, ""))
}

//! From the bytes of an answer to what they say.

use std::collections::HashMap;
use std::sync::Arc;

use kline::validate::{Reason, Rejection};
use kline::{Decimal, Kline, Millis, Symbol};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Why bytes could not be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Not JSON, or not of the right shape: what is wrong.
    Shape(String),
    /// The exchange's own error object where rows were expected.
    Api { code: i64, message: String },
}

/// The rows of a klines answer; those that could not be read, with the reason, apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) read: Vec<Kline>,
    pub(super) unreadable: Vec<Rejection>,
}

/// The exchange's error object: `{"code":-1121,"msg":"Invalid symbol."}`.
#[derive(Deserialize)]
pub(super) struct ApiError {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) msg: String,
}

/// One row as it is documented; the twelfth column means nothing.
/// `[1499040000000,"0.016","0.8","0.015","0.0157","148976.1",1499644799999,"2434.1",308,"1756.8","28.4","0"]`
type Row<'a> =
    (i64, &'a str, &'a str, &'a str, &'a str, &'a str, i64, &'a str, u64, &'a str, &'a str, IgnoredAny);

/// Reads the body of a klines answer as the client does, without asking anybody: its klines, and the rows that could not be
/// read, with the reason.
///
/// # Errors
/// In words, when it is no klines answer: not JSON, another shape, or the exchange's own error object.
pub fn read_klines(body: &[u8]) -> Result<(Vec<Kline>, Vec<Rejection>), String> {
    match klines(body) {
        Ok(rows) => Ok((rows.read, rows.unreadable)),
        Err(Trouble::Shape(detail)) => Err(detail),
        Err(Trouble::Api { code, message }) => Err(format!("error {code} of the exchange: {message}")),
    }
}

/// Reads a klines answer. One strange row does not spoil the others.
pub(super) fn klines(body: &[u8]) -> Result<Rows, Trouble> {
    if let Ok(rows) = serde_json::from_slice::<Vec<Row>>(body) {
        let mut out = Rows { read: Vec::with_capacity(rows.len()), ..Rows::default() };
        for row in rows {
            match kline_of(&row) {
                Ok(kline) => out.read.push(kline),
                Err(detail) => out.refuse(Some(row.0), detail),
            }
        }
        return Ok(out);
    }
    // Something is odd. Take it apart value by value to find out what, and to keep what can be kept.
    match serde_json::from_slice::<Value>(body) {
        Err(error) => Err(Trouble::Shape(error.to_string())),
        Ok(Value::Array(rows)) => Ok(rows_one_by_one(&rows)),
        Ok(_) => Err(api_error(body).unwrap_or_else(|| Trouble::Shape("not an array of klines".to_owned()))),
    }
}

fn rows_one_by_one(rows: &[Value]) -> Rows {
    let mut out = Rows::default();
    for value in rows {
        let open = value.get(0).and_then(Value::as_i64);
        let row = Row::deserialize(value).map_err(|e| e.to_string());
        match row.and_then(|row| kline_of(&row)) {
            Ok(kline) => out.read.push(kline),
            Err(detail) => out.refuse(open, detail),
        }
    }
    out
}

/// The exchange's error object, if that is what a body is.
pub(super) fn api_error(body: &[u8]) -> Option<Trouble> {
    let api: ApiError = serde_json::from_slice(body).ok()?;
    Some(Trouble::Api { code: api.code, message: api.msg })
}

impl Rows {
    fn refuse(&mut self, open: Option<i64>, detail: String) {
        let open_time = open.and_then(|raw| Millis::detect(raw).ok());
        self.unreadable.push(Rejection { open_time, reason: Reason::Unreadable, detail });
    }

    pub(super) fn first_open(&self) -> Option<Millis> {
        self.read.iter().map(|kline| kline.open_time).min()
    }

    pub(super) fn len(&self) -> u64 {
        (self.read.len() + self.unreadable.len()) as u64
    }
}

fn kline_of(row: &Row) -> Result<Kline, String> {
    let number = |column: &str, text: &str| Decimal::parse(text).map_err(|e| format!("{column}: {e}"));
    let time = |column: &str, raw| Millis::detect(raw).map_err(|e| format!("{column}: {e}"));
    Ok(Kline {
        open_time: time("open_time", row.0)?,
        open: number("open", row.1)?,
        high: number("high", row.2)?,
        low: number("low", row.3)?,
        close: number("close", row.4)?,
        volume: number("volume", row.5)?,
        close_time: time("close_time", row.6)?,
        quote_volume: number("quote_volume", row.7)?,
        count: row.8,
        taker_buy_volume: number("taker_buy_volume", row.9)?,
        taker_buy_quote_volume: number("taker_buy_quote_volume", row.10)?,
    })
}

/// Reads `{"serverTime":1499827319559}`.
pub(super) fn server_time(body: &[u8]) -> Result<Millis, Trouble> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Time {
        server_time: i64,
    }
    let time: Time = serde_json::from_slice(body)
        .map_err(|error| api_error(body).unwrap_or_else(|| Trouble::Shape(error.to_string())))?;
    Millis::detect(time.server_time).map_err(|e| Trouble::Shape(e.to_string()))
}

/// What the exchange says about itself, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeInfo {
    /// Weight allowed per minute and address; 0 when the exchange states none.
    pub weight_limit: u32,
    /// Symbols by name. Only current ones: delisted symbols disappear.
    pub symbols: HashMap<Symbol, SymbolInfo>,
}

/// One symbol of [`ExchangeInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SymbolInfo {
    /// `TRADING`, `BREAK`, `SETTLING`, … as sent; new ones appear without notice.
    pub status: String,
    /// Futures: when it was listed. A lower bound only, early contracts share a placeholder.
    pub onboard: Option<Millis>,
    /// Futures: when it will be delivered or delisted; perpetual contracts say the year 2100.
    pub delivery: Option<Millis>,
    /// Futures: `PERPETUAL`, `CURRENT_QUARTER`, …
    pub contract_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawInfo {
    #[serde(default)]
    rate_limits: Vec<RawLimit>,
    symbols: Vec<RawSymbol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLimit {
    rate_limit_type: String,
    interval: String,
    #[serde(default)]
    interval_num: Option<u32>,
    limit: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSymbol {
    symbol: String,
    /// COIN-M calls it `contractStatus`.
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    contract_status: Option<String>,
    #[serde(default)]
    onboard_date: Option<i64>,
    #[serde(default)]
    delivery_date: Option<i64>,
    #[serde(default)]
    contract_type: Option<String>,
}

/// Reads an exchangeInfo answer as it arrives: spot's is many megabytes, most of which is skipped.
pub(super) fn exchange_info(body: impl std::io::Read) -> Result<Arc<ExchangeInfo>, serde_json::Error> {
    let raw: RawInfo = serde_json::from_reader(std::io::BufReader::with_capacity(64 * 1024, body))?;
    let per_minute = |l: &&RawLimit| {
        l.rate_limit_type == "REQUEST_WEIGHT" && l.interval == "MINUTE" && l.interval_num.unwrap_or(1) == 1
    };
    let limit = raw.rate_limits.iter().find(per_minute).map_or(0, |l| l.limit);
    let date = |raw: Option<i64>| raw.and_then(|ms| Millis::detect(ms).ok());
    let symbols = raw.symbols.into_iter().filter_map(|s| {
        // A name no symbol may have (lower case, too long) cannot be asked for either.
        let symbol = Symbol::new(&s.symbol).ok()?;
        let info = SymbolInfo {
            status: s.status.or(s.contract_status).unwrap_or_default(),
            onboard: date(s.onboard_date),
            delivery: date(s.delivery_date),
            contract_type: s.contract_type.filter(|t| !t.is_empty()),
        };
        Some((symbol, info))
    });
    Ok(Arc::new(ExchangeInfo {
        weight_limit: u32::try_from(limit).unwrap_or(u32::MAX),
        symbols: symbols.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::shared;

    #[test]
    fn real_bodies_are_read_whole() {
        for (file, rows, first, last) in [
            ("fapi-v1-klines.BTCUSDT.5m.limit500.json", 500, 1_762_346_100_000, 1_762_495_800_000),
            ("api-v3-klines.BTCUSDT.5m.limit1000.json", 1000, 1_725_177_300_000, 1_725_477_000_000),
            ("api-v3-klines.BTCUSDT.1d.limit1000.json", 1000, 1_638_835_200_000, 1_725_148_800_000),
            ("api-v3-klines.ETHUSDT.1h.240rows.json", 240, 1_636_394_400_000, 1_637_254_800_000),
        ] {
            let Some(body) = shared(file) else { return };
            let read = klines(&body).unwrap();
            let opens: Vec<_> = read.read.iter().map(|k| k.open_time.0).collect();
            assert_eq!((opens.len(), read.unreadable.len()), (rows, 0), "{file}");
            assert_eq!((opens[0], opens[rows - 1]), (first, last), "{file}");
            // What is kept is what was sent, digit by digit.
            let sent: Vec<Vec<Value>> = serde_json::from_slice(&body).unwrap();
            for (row, kline) in sent.iter().zip(&read.read) {
                let numbers = [
                    (1, kline.open),
                    (2, kline.high),
                    (3, kline.low),
                    (4, kline.close),
                    (5, kline.volume),
                    (7, kline.quote_volume),
                    (9, kline.taker_buy_volume),
                    (10, kline.taker_buy_quote_volume),
                ];
                for (column, number) in numbers {
                    assert_eq!(Value::String(number.to_string()), row[column], "{file}");
                }
                assert_eq!(
                    (Value::from(kline.close_time.0), Value::from(kline.count)),
                    (row[6].clone(), row[8].clone())
                );
            }
        }
    }

    #[test]
    fn real_exchange_information_is_read() {
        let Some(body) = shared("fapi-v1-exchangeInfo.2021-09-06.json") else { return };
        let info = exchange_info(body.as_slice()).unwrap();
        assert_eq!((info.weight_limit, info.symbols.len()), (2400, 133));
        let btc = &info.symbols[&Symbol::new("BTCUSDT").unwrap()];
        assert_eq!((btc.status.as_str(), btc.contract_type.as_deref()), ("TRADING", Some("PERPETUAL")));
        assert_eq!(btc.onboard, Some(Millis(1_569_398_400_000)));
        let Some(body) = shared("api-v3-exchangeInfo.2022-11-24.json") else { return };
        let spot = exchange_info(body.as_slice()).unwrap();
        assert_eq!(spot.weight_limit, 1200);
        assert!(spot.symbols.len() > 1000 && spot.symbols.values().all(|s| s.onboard.is_none()));
        // Before weights there were requests: no limit is stated.
        let Some(body) = shared("api-v1-exchangeInfo.2018-02.json") else { return };
        assert_eq!(exchange_info(body.as_slice()).unwrap().weight_limit, 0);
    }

    #[test]
    fn an_error_object_is_no_page() {
        let api = |code, message: &str| Err(Trouble::Api { code, message: message.to_owned() });
        assert_eq!(klines(br#"{"code":-1121,"msg":"Invalid symbol."}"#), api(-1121, "Invalid symbol."));
        assert_eq!(server_time(br#"{"code":-1003,"msg":"x"}"#).unwrap_err(), api(-1003, "x").unwrap_err());
        for body in [&b"{}"[..], b"", b"[[", b"null", b"[1,2", b"<html>"] {
            assert!(matches!(klines(body), Err(Trouble::Shape(_))), "{body:?}");
        }
        assert_eq!(klines(b"[]"), Ok(Rows::default()));
    }

    #[test]
    fn microseconds_are_read_as_such_and_seconds_refused() {
        let row =
            |open: i64, close: i64| format!(r#"[[{open},"1","1","1","1","1",{close},"1",1,"1","1","0"]]"#);
        let read = klines(row(1_735_689_600_000_000, 1_735_689_899_999_999).as_bytes()).unwrap();
        assert_eq!(read.read[0].open_time, Millis(1_735_689_600_000));
        assert_eq!(read.read[0].close_time, Millis(1_735_689_899_999));
        let read = klines(row(1_735_689_600, 1_735_689_899).as_bytes()).unwrap();
        assert_eq!((read.read.len(), read.unreadable[0].open_time), (0, None));
    }

    #[test]
    fn a_number_that_was_sent_as_a_number_is_not_trusted() {
        // A float has lost digits before anybody can look.
        let read =
            klines(br#"[[1735689600000,1.1,"1","1","1","1",1735689899999,"1",1,"1","1","0"]]"#).unwrap();
        assert_eq!(read.unreadable.len(), 1);
        let long = br#"[[1735689600000,"1.1234567890123","1","1","1","1",1735689899999,"1",1,"1","1","0"]]"#;
        assert!(klines(long).unwrap().unreadable[0].detail.contains("more digits"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_an_answer_and_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = (klines(&bytes), server_time(&bytes), exchange_info(bytes.as_slice()));
        }
    }
}

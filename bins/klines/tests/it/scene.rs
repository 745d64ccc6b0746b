//! Series with holes in stores of any engine, and what must be there at the end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use binance::{Client, ClientConfig, Endpoints};
use kline::{Decimal, Interval, Kline, Market, Millis, RangeSet, Series, SlotRange, Symbol};
use store::{Chunk, KlineStore, Store};

use crate::support::klines;

/// Start and length, counted in klines from the beginning of the range.
pub type Holes = &'static [(i64, i64)];

pub fn series(symbol: &str, interval: Interval) -> Series {
    Series::new(Market::Um, Symbol::new(symbol).unwrap(), interval).unwrap()
}

pub fn slots(interval: Interval, since: &str, until: &str) -> SlotRange {
    let slot = |at: &str| interval.slot_of(at.parse::<Millis>().unwrap());
    SlotRange::new(slot(since), slot(until))
}

/// Runs something of the libraries from a test that otherwise waits for processes.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    // The client speaks HTTP only here, but is made for TLS as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// What the exchange has of a series.
pub fn truth(exchange: &str, series: &Series, slots: SlotRange) -> Vec<Kline> {
    wait(async {
        let url = exchange.to_owned();
        let endpoints = Endpoints { um: url.clone(), cm: url.clone(), spot: url };
        let client = Client::new(ClientConfig { endpoints, ..ClientConfig::default() }).unwrap();
        let mut rows = Vec::new();
        let mut at = slots.start;
        while at < slots.end {
            let window = SlotRange::new(at, (at + 1000).min(slots.end));
            rows.extend(client.klines(series, window).await.unwrap().rows);
            at = window.end;
        }
        assert_eq!(rows.len() as u64, slots.len());
        rows
    })
}

/// Stores klines but those in the holes.
pub fn stock(store: &str, series: &Series, rows: &[Kline], holes: Holes) {
    let interval = series.interval;
    let first = interval.slot_of(rows[0].open_time);
    let holes: RangeSet =
        holes.iter().map(|&(at, len)| SlotRange::new(first + at, first + at + len)).collect();
    let kept: Vec<Kline> =
        rows.iter().filter(|row| !holes.contains(interval.slot_of(row.open_time))).cloned().collect();
    wait(async {
        let store = Store::open(store).await.unwrap();
        let lease = store.acquire(series, "test", Duration::from_secs(60)).await.unwrap();
        for page in kept.chunks(5000) {
            let chunk = Chunk { run: "stock".into(), klines: page.to_vec(), ..Chunk::default() };
            store.commit(&lease, &chunk).await.unwrap();
        }
        store.release(&lease).await.unwrap();
        store.close().await.unwrap();
    });
}

/// What a store has of a series, whatever the number of zeros at the end of a fraction.
pub fn stored(store: &str, series: &Series, slots: SlotRange) -> Vec<Kline> {
    let rows = wait(async {
        let store = Store::open(store).await.unwrap();
        let rows = store.read(series, slots, None, usize::MAX).await.unwrap();
        store.close().await.unwrap();
        rows
    });
    numeric(&rows)
}

/// The same numbers, each in its shortest form.
pub fn numeric(rows: &[Kline]) -> Vec<Kline> {
    let short = |row: &Kline| {
        let n = |value: &Decimal| value.normalized();
        Kline {
            open: n(&row.open),
            high: n(&row.high),
            low: n(&row.low),
            close: n(&row.close),
            volume: n(&row.volume),
            quote_volume: n(&row.quote_volume),
            taker_buy_volume: n(&row.taker_buy_volume),
            taker_buy_quote_volume: n(&row.taker_buy_quote_volume),
            ..row.clone()
        }
    };
    rows.iter().map(short).collect()
}

/// Rows that differ tell more than two walls of text.
pub fn assert_same(found: &[Kline], expected: &[Kline], what: &str) {
    let expected = numeric(expected);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{what}: row {i}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: rows");
}

/// `klines fill-gaps`, with a report in JSON.
pub fn fill(folder: &Path, exchange: &str, symbols: &str, interval: &str, since: &str) -> Command {
    let mut command = klines(folder, exchange);
    command.args(["fill-gaps", "--output", "json", "--symbols", symbols, "--intervals", interval]);
    command.args(["--since", since]);
    command
}

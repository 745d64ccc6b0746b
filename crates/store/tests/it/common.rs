//! Klines, series and chunks to test with.

use std::time::Duration;

use kline::{Decimal, Interval, Kline, Market, Millis, Series, Slot, SlotRange, Symbol};
use store::{Absence, AbsentRange, Chunk, Fetched, KlineStore, Lease, Source};

pub const TTL: Duration = Duration::from_secs(600);

/// Columns of the views for people, in their order.
pub const VIEW_COLUMNS: &str = "market,symbol,open_time,open,high,low,close,volume,close_time,quote_volume,count,\
                                taker_buy_volume,taker_buy_quote_volume";

pub fn d(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

pub fn at(text: &str) -> Millis {
    text.parse().unwrap()
}

pub fn series(market: Market, symbol: &str, interval: Interval) -> Series {
    Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap()
}

pub fn btc(interval: Interval) -> Series {
    series(Market::Spot, "BTCUSDT", interval)
}

/// First slot of 2023 or the first that starts after it.
pub fn base(interval: Interval) -> Slot {
    let start = at("2023-01-01");
    interval.slot_of(start) + i64::from(!interval.is_aligned(start))
}

pub fn slots(start: Slot, end: Slot) -> SlotRange {
    SlotRange::new(start, end)
}

/// The kline of a slot; its values depend on the slot alone.
pub fn kline(interval: Interval, slot: Slot) -> Kline {
    let v = slot.rem_euclid(997);
    let number = |n: i64| d(&format!("{n}.{v:08}"));
    Kline {
        open_time: interval.slot_start(slot),
        open: number(20_000 + v),
        high: number(21_000 + v),
        low: number(19_000 + v),
        close: number(20_500 + v),
        volume: number(v),
        close_time: interval.slot_end(slot).plus(-1),
        quote_volume: number(20_000 * v),
        count: v.unsigned_abs(),
        taker_buy_volume: number(v / 2),
        taker_buy_quote_volume: number(10_000 * v),
    }
}

pub fn klines(interval: Interval, slots: impl IntoIterator<Item = Slot>) -> Vec<Kline> {
    slots.into_iter().map(|slot| kline(interval, slot)).collect()
}

pub fn rows(klines: Vec<Kline>) -> Chunk {
    Chunk { run: "run-1".into(), klines, ..Chunk::default() }
}

pub fn fetched(slots: SlotRange, rows: u64) -> Fetched {
    Fetched { slots, source: Source::Rest, rows, rejected: 0, at: at("2024-01-01") }
}

pub fn absent(slots: SlotRange, how: Absence) -> AbsentRange {
    AbsentRange { slots, how, at: at("2024-01-01") }
}

pub async fn lease<S: KlineStore>(store: &S, series: &Series) -> Lease {
    store.acquire(series, "test", TTL).await.unwrap()
}

/// Stores the klines of some slots under a lease of its own.
pub async fn put<S: KlineStore>(store: &S, series: &Series, slots: impl IntoIterator<Item = Slot>) {
    let lease = lease(store, series).await;
    store.commit(&lease, &rows(klines(series.interval, slots))).await.unwrap();
    store.release(&lease).await.unwrap();
}

/// Every kline of a series.
pub async fn all<S: KlineStore>(store: &S, series: &Series) -> Vec<Kline> {
    let ever = series.interval.slot_of(Millis(0))..series.interval.slot_of(Millis(4_102_444_800_000));
    store.read(series, slots(ever.start, ever.end), None, usize::MAX).await.unwrap()
}

//! Klines: in and out.

use kline::{Interval, Kline, Market, Millis};
use store::{Chunk, Committed, Extent, KlineStore, StoreError};

use super::Harness;
use crate::common::*;

pub async fn a_new_store_is_empty<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    assert!(store.all_series().await.unwrap().is_empty());
    assert_eq!(store.series(&s).await.unwrap(), None);
    assert!(all(store, &s).await.is_empty());
    assert!(store.pending(10).await.unwrap().is_empty() && store.runs(None, 10).await.unwrap().is_empty());
    let lease = lease(store, &s).await;
    store.commit(&lease, &Chunk::default()).await.unwrap();
    assert!(store.all_series().await.unwrap().is_empty(), "a lease and an empty chunk write nothing");
}

pub async fn klines_come_back_digit_for_digit<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M1));
    let b = base(Interval::M1);
    let sent = vec![
        Kline {
            open: d("999999999999999999.99999999"),
            high: d("999999999999999999.99999999"),
            low: d("0.00000001"),
            close: d("0.00000001"),
            volume: d("2328926384141.0"),
            quote_volume: d("123456789012345678.12345678"),
            count: u64::from(u32::MAX) + 1,
            taker_buy_volume: d("0"),
            taker_buy_quote_volume: d("0.10000000"),
            ..kline(Interval::M1, b)
        },
        // Around outages a kline may close before it opens.
        Kline { close_time: Millis(1_608_558_440_521), ..kline(Interval::M1, b + 1) },
    ];
    let lease = lease(store, &s).await;
    let done = store.commit(&lease, &rows(sent.clone())).await.unwrap();
    assert_eq!(done, Committed { inserted: 2, ..Committed::default() });
    assert_eq!(all(store, &s).await, sent);
}

pub async fn every_interval_and_market_keeps_its_klines<H: Harness>(h: &H) {
    let store = h.store();
    for market in Market::ALL {
        for interval in Interval::of_market(market) {
            let s = series(market, "ETHUSDT", interval);
            let b = base(interval);
            put(store, &s, [b, b + 1, b + 3]).await;
            assert_eq!(all(store, &s).await, klines(interval, [b, b + 1, b + 3]), "{s}");
            let missing = store.missing(&s, slots(b - 1, b + 5)).await.unwrap();
            assert_eq!(missing.slots().collect::<Vec<_>>(), [b - 1, b + 2, b + 4], "{s}");
        }
    }
    let known: Vec<_> = store.all_series().await.unwrap().into_iter().map(|r| r.series).collect();
    assert!(known.is_sorted() && known.len() == 46, "{known:?}");
}

pub async fn writing_again_changes_nothing<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::H1), base(Interval::H1));
    let lease = lease(store, &s).await;
    let chunk = rows(klines(Interval::H1, b..b + 1500));
    assert_eq!(store.commit(&lease, &chunk).await.unwrap().inserted, 1500);
    let before = (all(store, &s).await, store.series(&s).await.unwrap());
    let again = store.commit(&lease, &chunk).await.unwrap();
    assert_eq!((again.written(), again.unchanged), (0, 1500));
    assert_eq!((all(store, &s).await, store.series(&s).await.unwrap()), before);
    assert!(store.revisions(&s, 10).await.unwrap().is_empty());
}

pub async fn a_revised_kline_is_replaced_and_its_old_values_kept<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::D1), base(Interval::D1));
    put(store, &s, b..b + 3).await;
    let revised = Kline { volume: d("7.5"), count: 9, ..kline(Interval::D1, b + 1) };
    let lease = lease(store, &s).await;
    let chunk = Chunk {
        run: "recheck".into(),
        ..rows(vec![kline(Interval::D1, b), revised.clone(), kline(Interval::D1, b + 3)])
    };
    let done = store.commit(&lease, &chunk).await.unwrap();
    assert_eq!(done, Committed { inserted: 1, replaced: 1, unchanged: 1 });
    assert_eq!(all(store, &s).await[1], revised);
    let kept = store.revisions(&s, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].run.as_str(), &kept[0].old), ("recheck", &kline(Interval::D1, b + 1)));
    assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 4);
}

pub async fn trailing_zeros_are_no_revision<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::D1), base(Interval::D1));
    let lease = lease(store, &s).await;
    let sent = Kline { volume: d("7.50"), ..kline(Interval::D1, b) };
    store.commit(&lease, &rows(vec![sent.clone()])).await.unwrap();
    let again = Kline { volume: d("7.5000"), ..sent };
    assert_eq!(store.commit(&lease, &rows(vec![again])).await.unwrap().unchanged, 1);
}

pub async fn two_klines_in_one_slot_are_both_kept_and_fill_one_slot<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M15), base(Interval::M15));
    let on_grid = kline(Interval::M15, b);
    let off_grid = Kline { open_time: on_grid.open_time.plus(494_789), ..on_grid.clone() };
    let lease = lease(store, &s).await;
    let sent = vec![on_grid, off_grid, kline(Interval::M15, b + 1)];
    assert_eq!(store.commit(&lease, &rows(sent.clone())).await.unwrap().inserted, 3);
    assert_eq!(store.commit(&lease, &rows(sent.clone())).await.unwrap().unchanged, 3);
    assert_eq!(all(store, &s).await, sent);
    assert_eq!(store.missing(&s, slots(b, b + 3)).await.unwrap(), slots(b + 2, b + 3).into());
    assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 3);
}

pub async fn reading_pages_neither_loses_nor_repeats<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M3), base(Interval::M3));
    put(store, &s, (b..b + 250).filter(|x| x % 7 != 0)).await;
    let inside = slots(b + 10, b + 240);
    let whole = store.read(&s, inside, None, usize::MAX).await.unwrap();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.read(&s, inside, after, 17).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.open_time);
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(whole, klines(Interval::M3, (b + 10..b + 240).filter(|x| x % 7 != 0)));
    assert!(store.read(&s, inside, None, 0).await.unwrap().is_empty());
}

pub async fn series_do_not_mix<H: Harness>(h: &H) {
    let (store, b) = (h.store(), base(Interval::M5));
    let of = |market, symbol| series(market, symbol, Interval::M5);
    let names = [of(Market::Spot, "BTCUSDT"), of(Market::Um, "BTCUSDT"), of(Market::Spot, "币安人生USDT")];
    for (i, s) in names.iter().enumerate() {
        put(store, s, b..b + 10 * (i as i64 + 1)).await;
    }
    for (i, s) in names.iter().enumerate() {
        let n = 10 * (i as i64 + 1);
        assert_eq!(all(store, s).await.len() as i64, n);
        assert_eq!(store.missing(s, slots(b, b + 40)).await.unwrap(), slots(b + n, b + 40).into());
    }
}

pub async fn klines_out_of_order_are_refused_whole<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M5), base(Interval::M5));
    let lease = lease(store, &s).await;
    let mut late = kline(Interval::M5, b + 1);
    late.open_time = Millis(i64::MAX);
    let mut early = kline(Interval::M5, b);
    early.open_time = Millis(-1);
    for bad in
        [klines(Interval::M5, [b, b + 2, b + 1]), klines(Interval::M5, [b, b]), vec![late], vec![early]]
    {
        let error = store.commit(&lease, &rows(bad)).await.unwrap_err();
        assert!(matches!(error, StoreError::BadChunk { .. }), "{error}");
    }
    assert!(all(store, &s).await.is_empty());
}

pub async fn a_series_knows_its_extent<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M1), base(Interval::M1));
    put(store, &s, b + 5000..b + 5010).await;
    put(store, &s, b..b + 10).await;
    let record = store.series(&s).await.unwrap().unwrap();
    let start = |slot| Interval::M1.slot_start(slot);
    assert_eq!(record.extent, Some(Extent { first: start(b), last: start(b + 5009), rows: 20 }));
    assert_eq!(store.all_series().await.unwrap(), [record]);
}

pub async fn what_was_listed_first_stays<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::D1));
    let lease = lease(store, &s).await;
    for listed in [None, Some(at("2019-09-08")), Some(at("2024-05-05")), None] {
        let chunk = Chunk {
            listed,
            absent: vec![absent(slots(1, 2), store::Absence::NotListedYet)],
            ..Chunk::default()
        };
        store.commit(&lease, &chunk).await.unwrap();
    }
    let record = store.series(&s).await.unwrap().unwrap();
    assert_eq!((record.listed, record.extent), (Some(at("2019-09-08")), None));
}

//! Who may write, and what is left when a write is refused.

use std::time::Duration;

use kline::{Interval, Series};
use store::{Absence, Chunk, Finish, KlineStore, Lease, Message, StoreError};

use super::{Harness, many};
use crate::common::*;

/// A time to live that is over as soon as it began.
const OVER: Duration = Duration::ZERO;

async fn is_lost<S: KlineStore>(store: &S, lease: &Lease) -> bool {
    let b = base(lease.series.interval);
    match store.commit(lease, &rows(klines(lease.series.interval, [b]))).await {
        Err(StoreError::LeaseLost { series }) => series == lease.series,
        _ => false,
    }
}

pub async fn one_owner_at_a_time<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    let mine = store.acquire(&s, "host-1 pid 7", TTL).await.unwrap();
    for owner in ["host-2 pid 9", "host-1 pid 7"] {
        match store.acquire(&s, owner, TTL).await {
            Err(StoreError::Leased { series, owner, .. }) => {
                assert_eq!((series, owner.as_str()), (s.clone(), "host-1 pid 7"))
            }
            other => panic!("{other:?}"),
        }
    }
    store.acquire(&btc(Interval::H1), "host-2 pid 9", TTL).await.unwrap();
    store.release(&mine).await.unwrap();
    let next = store.acquire(&s, "host-2 pid 9", TTL).await.unwrap();
    assert_ne!(next.token, mine.token);
    store.release(&mine).await.unwrap();
    assert!(store.acquire(&s, "third", TTL).await.is_err(), "an old lease given back again harms nobody");
}

pub async fn running_leases_are_listed_and_no_others<H: Harness>(h: &H) {
    let (store, five, hour) = (h.store(), btc(Interval::M5), btc(Interval::H1));
    assert!(store.leases().await.unwrap().is_empty());
    store.acquire(&hour, "over", OVER).await.unwrap();
    let mine = store.acquire(&five, "host-1 pid 7", TTL).await.unwrap();
    let held = store.leases().await.unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((&held[0].series, held[0].owner.as_str()), (&five, "host-1 pid 7"));
    assert!(held[0].expires > at("2020-01-01"), "{held:?}");
    store.release(&mine).await.unwrap();
    assert!(store.leases().await.unwrap().is_empty());
}

pub async fn an_expired_lease_can_be_taken_over_and_the_old_one_writes_no_more<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    let old = store.acquire(&s, "slow", OVER).await.unwrap();
    let new = store.acquire(&s, "fast", TTL).await.unwrap();
    assert!(is_lost(store, &old).await);
    assert!(matches!(store.renew(&old, TTL).await, Err(StoreError::LeaseLost { .. })));
    assert!(matches!(store.forget_absent(&old, slots(0, 9)).await, Err(StoreError::LeaseLost { .. })));
    store.release(&old).await.unwrap();
    store.renew(&new, TTL).await.unwrap();
    store.commit(&new, &rows(klines(Interval::M5, [1]))).await.unwrap();
}

pub async fn an_expired_lease_that_nobody_took_goes_on<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    let lease = store.acquire(&s, "slow", OVER).await.unwrap();
    store.commit(&lease, &rows(klines(Interval::M5, [1]))).await.unwrap();
    store.renew(&lease, TTL).await.unwrap();
    assert!(store.acquire(&s, "fast", TTL).await.is_err());
}

pub async fn a_dead_owners_lease_can_be_taken_over_at_once<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    let dead = store.acquire(&s, "dead", TTL).await.unwrap();
    assert!(
        matches!(store.take_over(&s, "somebody", "me", TTL).await, Err(StoreError::Leased { owner, .. }) if owner == "dead")
    );
    let mine = store.take_over(&s, "dead", "me", TTL).await.unwrap();
    assert!(is_lost(store, &dead).await);
    assert!(
        matches!(store.take_over(&s, "dead", "late", TTL).await, Err(StoreError::Leased { owner, .. }) if owner == "me")
    );
    store.release(&mine).await.unwrap();
    store.take_over(&s, "dead", "next", TTL).await.unwrap();
}

pub async fn a_given_back_lease_writes_no_more<H: Harness>(h: &H) {
    let lease = lease(h.store(), &btc(Interval::M5)).await;
    h.store().release(&lease).await.unwrap();
    assert!(is_lost(h.store(), &lease).await);
}

pub async fn a_refused_chunk_leaves_nothing_behind<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M5), base(Interval::M5));
    put(store, &s, b..b + 5).await;
    let old = store.acquire(&s, "slow", OVER).await.unwrap();
    store.acquire(&s, "fast", TTL).await.unwrap();
    let message = Message { id: "m".into(), subject: "s".into(), payload: "{}".into(), traceparent: None };
    let chunk = Chunk {
        fetched: vec![fetched(slots(b, b + 9), 9)],
        absent: vec![absent(slots(b + 20, b + 30), Absence::EmptyAnswer)],
        listed: Some(at("2020-01-01")),
        finish: Some(Finish { run: None, messages: vec![message] }),
        ..rows(klines(Interval::M5, b..b + 9))
    };
    assert!(matches!(store.commit(&old, &chunk).await, Err(StoreError::LeaseLost { .. })));
    assert_eq!(all(store, &s).await.len(), 5);
    assert_eq!(store.missing(&s, slots(b, b + 9)).await.unwrap(), slots(b + 5, b + 9).into());
    assert!(store.ledger(&s, 9).await.unwrap().is_empty());
    assert!(store.absent(&s, slots(b, b + 99)).await.unwrap().is_empty());
    assert!(store.pending(9).await.unwrap().is_empty());
    assert_eq!(store.series(&s).await.unwrap().unwrap().listed, None);
}

pub async fn two_handles_see_each_other<H: Harness>(h: &H) {
    let Some(other) = h.other().await else { return };
    let (store, s, b) = (h.store(), btc(Interval::M5), base(Interval::M5));
    let lease = lease(store, &s).await;
    assert!(matches!(other.acquire(&s, "other", TTL).await, Err(StoreError::Leased { .. })));
    store.commit(&lease, &rows(klines(Interval::M5, b..b + 9))).await.unwrap();
    assert_eq!(all(&other, &s).await, klines(Interval::M5, b..b + 9));
    other.commit(&lease, &rows(klines(Interval::M5, [b + 9]))).await.unwrap();
    assert!(store.missing(&s, slots(b, b + 10)).await.unwrap().is_empty());
    other.close().await.unwrap();
    assert_eq!(all(store, &s).await.len(), 10);
}

async fn write_many<S: KlineStore>(store: &S, s: &Series, chunks: i64) {
    let (b, lease) = (base(s.interval), lease(store, s).await);
    for n in 0..chunks {
        let from = b + n * 300;
        store.commit(&lease, &rows(klines(s.interval, from..from + 300))).await.unwrap();
        let missing = store.missing(s, slots(b, from + 301)).await.unwrap();
        assert_eq!(missing, slots(from + 300, from + 301).into());
    }
}

pub async fn writers_on_different_series_do_not_disturb_each_other<H: Harness>(h: &H) {
    let of = |i: Interval| btc(i);
    let (a, b, c, d) = (of(Interval::M1), of(Interval::M3), of(Interval::M5), of(Interval::M1));
    let d = Series { market: kline::Market::Um, ..d };
    let chunks = many::<H>(20).max(4);
    match h.other().await {
        Some(other) => {
            let (x, y) = (h.store(), &other);
            tokio::join!(
                write_many(x, &a, chunks),
                write_many(y, &b, chunks),
                write_many(x, &c, chunks),
                write_many(y, &d, chunks)
            );
        }
        None => {
            let x = h.store();
            tokio::join!(
                write_many(x, &a, chunks),
                write_many(x, &b, chunks),
                write_many(x, &c, chunks),
                write_many(x, &d, chunks)
            );
        }
    }
    let records = h.store().all_series().await.unwrap();
    assert_eq!(
        records.iter().map(|r| r.extent.unwrap().rows).collect::<Vec<_>>(),
        [300 * chunks.unsigned_abs(); 4]
    );
}

pub async fn a_closed_store_says_so<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::M5));
    put(store, &s, 0..5).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.series(&s).await, Err(StoreError::Closed { .. })));
    assert!(matches!(store.acquire(&s, "me", TTL).await, Err(StoreError::Closed { .. })));
}

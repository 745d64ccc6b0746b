//! What the books tell of changes, and notes of what was certified.

use kline::{Interval, Kline, Millis, SlotRange};
use store::{Books, Certified, KlineStore};

use super::Harness;
use crate::common::*;

pub async fn the_books_tell_of_every_change<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::H1), base(Interval::H1));
    let range = slots(b, b + 100);
    let books = async || store.books(&s, range).await.unwrap();
    assert_eq!(books().await, Books { missing: range.into(), ..Books::default() }, "an unknown series");

    put(store, &s, b..b + 90).await;
    put(store, &s, [b + 5000]).await;
    let first = books().await;
    assert_eq!(first, Books { missing: slots(b + 90, b + 100).into(), ..Books::default() });
    put(store, &s, b..b + 90).await;
    assert_eq!(books().await, first, "equal klines change nothing");

    let lease = lease(store, &s).await;
    let revised = |slot: i64| Kline { volume: d("7.5"), ..kline(Interval::H1, slot) };
    store.commit(&lease, &rows(vec![revised(b + 3), revised(b + 5000)])).await.unwrap();
    assert_eq!(books().await, Books { replaced: [(b + 3, 1)].into(), ..first.clone() }, "a revision");

    let beside =
        Kline { open_time: Interval::H1.slot_start(b + 7).plus(60_000), ..kline(Interval::H1, b + 7) };
    store.commit(&lease, &rows(vec![beside])).await.unwrap();
    let second = books().await;
    assert!(
        matches!(&second.doubled[..], [(among, 1)] if among.contains(b + 7)),
        "a second kline in a slot: {second:?}"
    );
    assert_eq!(Books { doubled: Vec::new(), ..second }, Books { replaced: [(b + 3, 1)].into(), ..first });
    store.release(&lease).await.unwrap();

    let since = Interval::H1.slot_start(b + 10).0;
    if h.delete_by_hand(&s, since, since + 1) {
        let told = books().await;
        assert!(told.unknown.contains(b + 10) && told.missing.contains(b + 10), "{told:?}");
        put(store, &s, [b + 11]).await;
        store.recount(&s, range).await.unwrap();
        let told = books().await;
        assert!(told.unknown.is_empty() && told.missing.contains(b + 10), "{told:?}");
    }
}

pub async fn notes_of_what_was_certified_replace_those_they_overlap<H: Harness>(h: &H) {
    let (store, s) = (h.store(), btc(Interval::D1));
    let note = |from: i64, to: i64, digest: &str| Certified {
        slots: SlotRange::new(from, to),
        books: "b".repeat(32),
        rows: to.abs_diff(from),
        digest: digest.repeat(64),
        at: Millis(1_700_000_000_123),
    };
    store.keep_certified(&s, &[note(10, 20, "a")]).await.unwrap();
    assert_eq!(store.certified(&s).await.unwrap(), [], "there is no such series yet");

    put(store, &s, [base(Interval::D1)]).await;
    let many: Vec<Certified> = (0..150).map(|i| note(i * 10, i * 10 + 10, "a")).collect();
    store.keep_certified(&s, &many).await.unwrap();
    assert_eq!(store.certified(&s).await.unwrap(), many);
    store.keep_certified(&s, &[note(0, 12, "b"), note(1490, 1495, "c")]).await.unwrap();
    let mut left = many[2..149].to_vec();
    left.insert(0, note(0, 12, "b"));
    left.push(note(1490, 1495, "c"));
    assert_eq!(store.certified(&s).await.unwrap(), left);
    assert_eq!(store.certified(&btc(Interval::H1)).await.unwrap(), []);
    if let Some(other) = h.other().await {
        assert_eq!(other.certified(&s).await.unwrap(), left);
    }
}

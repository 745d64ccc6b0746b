//! Finding what is missing.

use std::collections::BTreeSet;

use kline::{Interval, RangeSet, Series, Slot, SlotRange};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::KlineStore;

use super::{Harness, many};
use crate::common::*;

pub async fn gaps_at_the_start_in_the_middle_and_at_the_end_are_found<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M5), base(Interval::M5));
    let holes = [slots(b - 5, b), slots(b + 3, b + 5), slots(b + 1020, b + 3080), slots(b + 5000, b + 5009)];
    let gaps: RangeSet = holes.into_iter().collect();
    put(store, &s, (b..b + 5000).filter(|slot| !gaps.contains(*slot))).await;
    assert_eq!(store.missing(&s, slots(b - 5, b + 5009)).await.unwrap(), gaps);
    assert_eq!(store.recount(&s, slots(b - 5, b + 5009)).await.unwrap(), gaps);
    for part in [slots(b + 4, b + 1021), slots(b + 10, b + 20), slots(b + 2000, b + 2001), slots(b, b)] {
        assert_eq!(store.missing(&s, part).await.unwrap(), gaps.clip(part), "{part}");
    }
}

pub async fn an_unknown_series_misses_everything<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::Mo1), base(Interval::Mo1));
    assert_eq!(store.missing(&s, slots(b, b + 7)).await.unwrap(), slots(b, b + 7).into());
    assert_eq!(store.recount(&s, slots(b, b + 7)).await.unwrap(), slots(b, b + 7).into());
    assert!(store.missing(&s, slots(b, b)).await.unwrap().is_empty());
}

pub async fn huge_and_empty_ranges_are_answered<H: Harness>(h: &H) {
    let store = h.store();
    for interval in [Interval::S1, Interval::W1, Interval::Mo1] {
        let (s, b) = (btc(interval), base(interval));
        put(store, &s, [b]).await;
        let ever = slots(-1_000_000_000_000, 1_000_000_000_000);
        let want: RangeSet = [slots(ever.start, b), slots(b + 1, ever.end)].into_iter().collect();
        assert_eq!(store.missing(&s, ever).await.unwrap(), want, "{s}");
        assert_eq!(store.recount(&s, ever).await.unwrap(), want, "{s}");
        assert!(store.missing(&s, slots(b + 1, b)).await.unwrap().is_empty());
        assert_eq!(store.read(&s, slots(i64::MIN, i64::MAX), None, 9).await.unwrap().len(), 1, "{s}");
    }
}

/// Deletes the klines of some slots by hand.
fn delete<H: Harness>(h: &H, s: &Series, range: SlotRange) -> bool {
    let time = s.interval.time_range(range);
    h.delete_by_hand(s, time.since.0, time.until.0)
}

pub async fn rows_deleted_by_hand_are_missing<H: Harness>(h: &H) {
    for interval in Interval::ALL {
        let (store, s, b) = (h.store(), btc(interval), base(interval));
        put(store, &s, b..b + 40).await;
        if !delete(h, &s, slots(b + 3, b + 5)) {
            return;
        }
        assert_eq!(store.missing(&s, slots(b, b + 40)).await.unwrap(), slots(b + 3, b + 5).into(), "{s}");
        assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 38, "{s}");
    }
}

pub async fn rows_inserted_by_hand_are_not_missing<H: Harness>(h: &H) {
    for interval in Interval::ALL {
        let (store, s, b) = (h.store(), btc(interval), base(interval));
        put(store, &s, [b, b + 9]).await;
        if !h.insert_by_hand(&s, &klines(interval, [b + 4, b + 5, b + 5000])) {
            return;
        }
        let missing = store.missing(&s, slots(b, b + 10)).await.unwrap();
        assert_eq!(missing.slots().collect::<Vec<_>>(), [1, 2, 3, 6, 7, 8].map(|x| b + x), "{s}");
        assert!(store.missing(&s, slots(b + 5000, b + 5001)).await.unwrap().is_empty(), "{s}");
        if !H::COUNTS_INSERTS_BY_HAND {
            put(store, &s, [b + 5001]).await;
            put(store, &s, [b + 5]).await;
            store.recount(&s, slots(b, b + 5001)).await.unwrap();
            let rows = store.series(&s).await.unwrap().unwrap().extent.unwrap().rows;
            assert_eq!(rows, 6, "{s}");
            continue;
        }
        assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 5, "{s}");
    }
}

pub async fn the_books_are_right_again_after_a_write_or_a_recount<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M1), base(Interval::M1));
    put(store, &s, b..b + 5000).await;
    if !delete(h, &s, slots(b + 100, b + 4000)) {
        return;
    }
    put(store, &s, b + 2000..b + 2001).await;
    let want: RangeSet = [slots(b + 100, b + 2000), slots(b + 2001, b + 4000)].into_iter().collect();
    assert_eq!(store.missing(&s, slots(b, b + 5000)).await.unwrap(), want);
    assert_eq!(store.recount(&s, slots(b, b + 5000)).await.unwrap(), want);
    assert_eq!(store.missing(&s, slots(b, b + 5000)).await.unwrap(), want);
    assert_eq!(store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 1101);
}

pub async fn ten_thousand_single_holes_are_found_and_filled<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::S1), base(Interval::S1));
    let end = b + many::<H>(30_000);
    let is_hole = |slot: &Slot| (slot - b) % 3 == 1;
    put(store, &s, (b..end).filter(|slot| !is_hole(slot))).await;
    let missing = store.missing(&s, slots(b, end)).await.unwrap();
    assert_eq!(missing, (b..end).filter(is_hole).collect());
    put(store, &s, missing.slots()).await;
    assert!(store.missing(&s, slots(b, end)).await.unwrap().is_empty());
}

/// What a random test does to a series.
#[derive(Debug, Clone)]
enum Step {
    Put(Vec<Slot>),
    DeleteByHand(Slot, Slot),
    InsertByHand(Slot),
    Recount(Slot, Slot),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = || 0i64..2500;
    let range = || (slot(), 0i64..900).prop_map(|(start, len)| (start, start + len));
    let step = prop_oneof![
        4 => range().prop_map(|(start, end)| Step::Put((start..end).collect())),
        2 => proptest::collection::btree_set(slot(), 0..60).prop_map(|set| Step::Put(set.into_iter().collect())),
        2 => range().prop_map(|(start, end)| Step::DeleteByHand(start, end)),
        2 => slot().prop_map(Step::InsertByHand),
        1 => range().prop_map(|(start, end)| Step::Recount(start, end)),
    ];
    proptest::collection::vec(step, 1..14)
}

async fn apply<H: Harness>(h: &H, s: &Series, model: &mut BTreeSet<Slot>, step: &Step) {
    match step {
        Step::Put(set) => {
            put(h.store(), s, set.iter().copied()).await;
            model.extend(set);
        }
        Step::DeleteByHand(start, end) => {
            if delete(h, s, slots(*start, *end)) {
                model.retain(|slot| !(*start..*end).contains(slot));
            }
        }
        Step::InsertByHand(slot) => {
            if !model.contains(slot) && h.insert_by_hand(s, &klines(s.interval, [*slot])) {
                model.insert(*slot);
            }
        }
        Step::Recount(start, end) => {
            let range = slots(*start, *end);
            let found = h.store().recount(s, range).await.unwrap();
            assert_eq!(found, naive(model, range));
        }
    }
}

fn naive(model: &BTreeSet<Slot>, range: SlotRange) -> RangeSet {
    (range.start..range.end).filter(|slot| !model.contains(slot)).collect()
}

pub fn gap_search_agrees_with_a_naive_model<H: Harness>() {
    if !H::is_available() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let input = (steps(), proptest::sample::select(&Interval::ALL[..]), 0i64..2500, 0i64..2500);
    let mut runner = TestRunner::new(Config {
        cases: many::<H>(24).max(4) as u32,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&input, |(steps, interval, from, to)| {
        runtime.block_on(async {
            let (h, s) = (H::new().await, btc(interval));
            let mut model = BTreeSet::new();
            // The series must be known before anybody can insert into it by hand.
            apply(&h, &s, &mut model, &Step::Put(vec![0])).await;
            for step in &steps {
                apply(&h, &s, &mut model, step).await;
                for range in [slots(0, 3500), slots(from.min(to), from.max(to))] {
                    assert_eq!(h.store().missing(&s, range).await.unwrap(), naive(&model, range), "{step:?}");
                }
            }
            if !H::COUNTS_INSERTS_BY_HAND {
                h.store().recount(&s, slots(0, 3500)).await.unwrap();
            }
            let rows = h.store().series(&s).await.unwrap().unwrap().extent.map_or(0, |e| e.rows);
            assert_eq!(rows, model.len() as u64);
        });
        Ok(())
    });
    outcome.unwrap();
}

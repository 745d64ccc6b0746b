use std::collections::BTreeMap;

use kline::{Interval, Market, RangeSet, Slot, SlotRange};
use proptest::prelude::*;

use super::sweep::Sweep;
use super::*;

fn total(windows: &[Window]) -> (u64, u64, u64) {
    let weight = windows.iter().map(|w| u64::from(w.weight)).sum();
    (weight, windows.len() as u64, windows.iter().map(|w| w.slots.len()).sum())
}

fn ordered(prefer: Prefer, (weight, requests, rows): (u64, u64, u64)) -> (u64, u64, u64) {
    match prefer {
        Prefer::Weight => (weight, requests, rows),
        Prefer::Requests => (requests, weight, rows),
    }
}

/// Every partition of the slots into consecutive groups, by the definition: quadratic.
fn naive(slots: &[Slot], rules: &Rules, prefer: Prefer) -> (u64, u64, u64) {
    let mut best = vec![(0, 0, 0); slots.len() + 1];
    for i in (0..slots.len()).rev() {
        let mut least = (u64::MAX, 0, 0);
        for j in i..slots.len() {
            let span = (slots[j] - slots[i] + 1) as u64;
            if span > u64::from(rules.max_slots()) {
                break;
            }
            let own = ordered(prefer, (u64::from(rules.weight_of(span)), 1, span));
            let rest = best[j + 1];
            least = least.min((own.0 + rest.0, own.1 + rest.1, own.2 + rest.2));
        }
        best[i] = least;
    }
    best[0]
}

/// Least weight over every way to cover the slots with windows at any place, overlaps allowed: exponential.
fn exhaustive(slots: &[Slot], rules: &Rules) -> u64 {
    let (Some(&first), Some(&last)) = (slots.first(), slots.last()) else { return 0 };
    let full = (1u32 << slots.len()) - 1;
    let mut least: BTreeMap<u32, u64> = BTreeMap::from([(0, 0)]);
    let mut mask = 0;
    while mask != full {
        let weight = least[&mask];
        for &(size, price) in rules.steps() {
            for start in first - i64::from(size) + 1..=last {
                let window = SlotRange::new(start, start + i64::from(size));
                let hit = slots
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| window.contains(**s))
                    .fold(mask, |m, (i, _)| m | 1 << i);
                let entry = least.entry(hit).or_insert(u64::MAX);
                *entry = (*entry).min(weight + u64::from(price));
            }
        }
        // Masks only grow, so the next larger one is final.
        mask = *least.range(mask + 1..).next().map_or(&full, |(m, _)| m);
    }
    least[&full]
}

fn assert_sound(missing: &RangeSet, rules: &Rules, windows: &[Window]) {
    assert!(windows.windows(2).all(|w| w[0].slots.end <= w[1].slots.start), "overlap or disorder");
    let covered: RangeSet = windows.iter().map(|w| w.slots).collect();
    assert_eq!(missing.difference(&covered), RangeSet::new(), "slots left out");
    for w in windows {
        assert!(w.slots.len() <= u64::from(rules.max_slots()));
        assert_eq!(w.weight, rules.weight_of(w.slots.len()));
        assert!(
            missing.contains(w.slots.start) && missing.contains(w.slots.end - 1),
            "asks for more than needed"
        );
    }
}

fn set(ranges: &[(i64, i64)]) -> RangeSet {
    ranges.iter().map(|&(start, len)| SlotRange::new(start, start + len)).collect()
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let real = [
        (Market::Um, Interval::M5),
        (Market::Cm, Interval::D1),
        (Market::Cm, Interval::Mo1),
        (Market::Spot, Interval::S1),
    ];
    let real = proptest::sample::select(real.map(|(m, i)| Rules::of(m, i)).to_vec());
    prop_oneof![small_rules(), real]
}

fn small_rules() -> impl Strategy<Value = Rules> {
    proptest::collection::vec((1u32..9, 1u32..9), 1..4)
        .prop_filter_map("no step", |steps| Rules::new(&steps, 7))
}

/// Runs and holes of every size that matters to the rules: tiny ones, and ones around the steps.
fn scattered(max_runs: usize, max_len: i64) -> impl Strategy<Value = RangeSet> {
    let hole = prop_oneof![3 => 1i64..4, 2 => 1i64..120, 1 => 400i64..1600];
    let len = prop_oneof![3 => 1i64..4, 1 => 1i64..=max_len];
    proptest::collection::vec((hole, len), 0..max_runs).prop_map(|runs| {
        let mut at = -3000;
        let mut out = RangeSet::new();
        for (hole, len) in runs {
            out.push(SlotRange::new(at + hole, at + hole + len));
            at += hole + len;
        }
        out
    })
}

fn both() -> impl Strategy<Value = Prefer> {
    prop_oneof![Just(Prefer::Weight), Just(Prefer::Requests)]
}

proptest! {
    #[test]
    fn no_set_of_windows_costs_less(slots in proptest::collection::btree_set(0i64..30, 0..9), rules in small_rules()) {
        let slots: Vec<_> = slots.into_iter().collect();
        let missing = slots.iter().copied().collect();
        let windows = plan(&missing, &rules, Prefer::Weight);
        assert_sound(&missing, &rules, &windows);
        prop_assert_eq!(total(&windows).0, exhaustive(&slots, &rules));
        prop_assert!(lower_bound(&missing, &rules) <= total(&windows).0);
    }

    #[test]
    fn weight_requests_and_rows_are_all_least(missing in scattered(40, 300), rules in some_rules(), prefer in both()) {
        let windows = plan(&missing, &rules, prefer);
        assert_sound(&missing, &rules, &windows);
        let slots: Vec<_> = missing.slots().collect();
        prop_assert_eq!(ordered(prefer, total(&windows)), naive(&slots, &rules, prefer));
        prop_assert!(lower_bound(&missing, &rules) <= total(&windows).0);
    }

    #[test]
    fn shortened_runs_cost_what_whole_runs_cost(missing in scattered(6, 9000), rules in some_rules(), prefer in both()) {
        let windows = plan(&missing, &rules, prefer);
        assert_sound(&missing, &rules, &windows);
        // The same recursion over every slot of every run, nothing cut out.
        let mut sweep = Sweep::new(&rules, prefer);
        sweep.reset(missing.first().unwrap_or(0));
        for run in missing.ranges().iter().rev() {
            (run.start..run.end).rev().for_each(|slot| {
                sweep.step(slot);
            });
        }
        prop_assert_eq!(ordered(prefer, total(&windows)), sweep.total());
    }

    #[test]
    fn solving_in_blocks_changes_nothing(missing in scattered(40, 3000), rules in some_rules(), prefer in both(), block in 1usize..3000) {
        let whole = plan(&missing, &rules, prefer);
        let blocks: Vec<_> = Windows::with_block(&missing, &rules, prefer, block).collect();
        prop_assert_eq!(whole, blocks);
    }
}

#[test]
fn a_year_of_minutes_costs_what_the_table_of_rates_says() {
    let missing = set(&[(1000, 525_600)]);
    let um = Rules::of(Market::Um, Interval::M1);
    assert_eq!(total(&plan(&missing, &um, Prefer::Weight)), (2108, 1054, 525_600));
    assert_eq!(total(&plan(&missing, &um, Prefer::Requests)), (3505, 351, 525_600));
    let spot = Rules::of(Market::Spot, Interval::M1);
    assert_eq!(total(&plan(&missing, &spot, Prefer::Weight)), (1052, 526, 525_600));
}

#[test]
fn tails_use_the_cheapest_sizes() {
    let um = Rules::of(Market::Um, Interval::M5);
    let cost = |n| {
        let (weight, requests, _) = total(&plan(&set(&[(0, n)]), &um, Prefer::Weight));
        (weight, requests)
    };
    for (slots, want) in [
        (1, (1, 1)),
        (99, (1, 1)),
        (100, (2, 1)),
        (499, (2, 1)),
        (598, (3, 2)),
        (599, (4, 2)),
        (998, (4, 2)),
        (999, (5, 1)),
        (1000, (5, 1)),
        (1097, (5, 3)),
        (1440, (6, 3)),
    ] {
        assert_eq!(cost(slots), want, "{slots} slots");
    }
}

#[test]
fn neighbours_share_a_window_and_strangers_do_not() {
    let um = Rules::of(Market::Um, Interval::M5);
    let spans = |ranges: &[(i64, i64)]| {
        plan(&set(ranges), &um, Prefer::Weight)
            .iter()
            .map(|w| (w.slots.start, w.slots.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(spans(&[(0, 1), (50, 1), (98, 1)]), [(0, 99)]);
    assert_eq!(spans(&[(0, 1), (400, 1)]), [(0, 401)], "two requests of weight 1 cost as much, but are two");
    assert_eq!(spans(&[(0, 1), (600, 1)]), [(0, 1), (600, 1)]);
    // Three clusters: the middle one joins the side where fewer stored rows are asked for.
    assert_eq!(spans(&[(0, 100), (300, 1), (420, 300)]), [(0, 100), (300, 420)]);
}

#[test]
fn coin_m_windows_stay_within_two_hundred_days() {
    for (interval, most) in [
        (Interval::D1, 200),
        (Interval::D3, 66),
        (Interval::W1, 28),
        (Interval::Mo1, 6),
        (Interval::H12, 400),
        (Interval::H1, 1500),
    ] {
        let rules = Rules::of(Market::Cm, interval);
        assert_eq!(rules.max_slots(), most, "{interval}");
        let first = interval.slot_of("2020-08-01".parse().unwrap());
        for window in plan(&set(&[(first, 900)]), &rules, Prefer::Requests) {
            let time = interval.time_range(window.slots);
            assert!(time.until.0 - 1 - time.since.0 <= 200 * 86_400_000, "{interval}");
        }
    }
}

#[test]
fn rules_drop_steps_that_are_never_worth_it() {
    assert_eq!(Rules::new(&[(10, 5), (5, 5), (20, 1), (30, 9)], 100).unwrap().steps(), [(20, 1), (30, 9)]);
    assert_eq!(Rules::new(&[(99, 1), (499, 2), (1000, 5)], 200).unwrap().steps(), [(99, 1), (200, 2)]);
    assert!(Rules::new(&[], 10).is_none() && Rules::new(&[(5, 1)], 0).is_none());
}

#[test]
fn an_empty_set_needs_no_request() {
    let um = Rules::of(Market::Um, Interval::M5);
    assert!(plan(&RangeSet::new(), &um, Prefer::Weight).is_empty());
    assert_eq!(lower_bound(&RangeSet::new(), &um), 0);
}

#[test]
fn ten_thousand_single_gaps_cost_the_optimum_and_nearly_the_bound() {
    let um = Rules::of(Market::Um, Interval::M5);
    for spacing in [3, 7, 20, 60, 110, 333, 700] {
        // Irregular, but the same every time.
        let slots: Vec<Slot> = (0..10_000i64).map(|i| i * spacing + (i * i * 7919) % spacing).collect();
        let missing = slots.iter().copied().collect();
        let cost = total(&plan(&missing, &um, Prefer::Weight));
        assert_eq!(cost, naive(&slots, &um, Prefer::Weight), "spacing {spacing}");
        let bound = lower_bound(&missing, &um);
        assert!(bound <= cost.0 && bound * 100 >= cost.0 * 99, "spacing {spacing}: {cost:?}, bound {bound}");
    }
}

#[test]
fn requests_are_preferred_only_where_latency_is_the_limit() {
    let um = Rules::of(Market::Um, Interval::M1);
    let by_rtt = |ms| prefer_for(&um, std::time::Duration::from_millis(ms), 6, 2400);
    assert_eq!((by_rtt(0), by_rtt(100), by_rtt(250)), (Prefer::Weight, Prefer::Weight, Prefer::Weight));
    assert_eq!(by_rtt(2000), Prefer::Requests);
    let spot = Rules::of(Market::Spot, Interval::M1);
    assert_eq!(prefer_for(&spot, std::time::Duration::from_secs(5), 6, 6000), Prefer::Weight);
}

//! A lower bound that owes nothing to the planner.

use std::collections::VecDeque;

use kline::RangeSet;

use super::Rules;

/// A weight that no plan can go below.
///
/// Gives every missing slot a price such that no window can hold slots worth more than its weight; then the sum of all
/// prices is a lower bound for any plan (it is a feasible solution of the dual linear programme). Prices are set greedily from left to
/// right, each as high as the windows that end at its slot allow. Most prices are zero, and runs of zeros are skipped, so
/// time is linear in the number of runs plus the bound itself.
pub fn lower_bound(missing: &RangeSet, rules: &Rules) -> u64 {
    let mut lanes: Vec<Lane> = rules
        .steps()
        .iter()
        .map(|&(slots, weight)| Lane {
            reach: i64::from(slots),
            left: u64::from(weight),
            paid: VecDeque::new(),
        })
        .collect();
    let mut total = 0;
    for run in missing.ranges() {
        let mut slot = run.start;
        while slot < run.end {
            let price = lanes.iter_mut().map(|lane| lane.room(slot)).min().unwrap_or(0);
            if price > 0 {
                total += price;
                lanes.iter_mut().for_each(|lane| lane.pay(slot, price));
            }
            // No price is possible before the oldest price leaves every window that is now full.
            let next =
                lanes.iter().filter(|l| l.left == 0).filter_map(|l| l.paid.front().map(|p| p.0 + l.reach));
            slot = next.max().unwrap_or(slot).max(slot.saturating_add(1));
        }
    }
    total
}

/// One size of window ending at the current slot: what it may still hold and the prices inside.
struct Lane {
    reach: i64,
    left: u64,
    paid: VecDeque<(i64, u64)>,
}

impl Lane {
    fn room(&mut self, slot: i64) -> u64 {
        while let Some(&(at, price)) = self.paid.front() {
            if slot.saturating_sub(at) < self.reach {
                break;
            }
            self.left += price;
            self.paid.pop_front();
        }
        self.left
    }

    fn pay(&mut self, slot: i64, price: u64) {
        self.left -= price;
        self.paid.push_back((slot, price));
    }
}

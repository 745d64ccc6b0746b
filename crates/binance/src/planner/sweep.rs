//! The recursion behind the planner, solved from right to left.
//!
//! Let `f(p)` be the least cost of covering every missing slot from `p` on. The first window covers `p ..= q` for some
//! missing `q`, so `f(p) = min over steps (L, w) and q < p + L of w + 1 request + (q - p + 1) rows + f(slot after q)`.
//! Costs compare part by part, most important first. For a fixed step the `q` that compete form a sliding window over
//! values that do not depend on `p` but for a constant, so a monotone queue finds their minimum in amortised constant time.

use std::collections::VecDeque;

use super::{Prefer, Rules};

/// A cost in one number: primary (40 bits), secondary (40 bits), rows (48 bits). One stretch of slots would need a million
/// million requests to overflow a part.
type Cost = u128;

fn cost(primary: u64, secondary: u64, rows: u64) -> Cost {
    u128::from(primary) << 88 | u128::from(secondary) << 48 | u128::from(rows)
}

/// One size of request and the last slots it may end at: (slot, cost of everything after it, plus the slot's position),
/// both falling from front to back.
#[derive(Clone)]
struct Lane {
    reach: i64,
    price: Cost,
    ends: VecDeque<(i64, Cost)>,
}

#[derive(Clone)]
pub(super) struct Sweep {
    lanes: Vec<Lane>,
    /// Any position left of all slots; distances from it are what is added to the rows.
    base: i64,
    /// `f` of the slot to the right.
    after: Cost,
}

impl Sweep {
    pub(super) fn new(rules: &Rules, prefer: Prefer) -> Self {
        let lane = |&(slots, weight): &(u32, u32)| Lane {
            reach: i64::from(slots),
            price: match prefer {
                Prefer::Weight => cost(u64::from(weight), 1, 1),
                Prefer::Requests => cost(1, u64::from(weight), 1),
            },
            ends: VecDeque::new(),
        };
        Self { lanes: rules.steps().iter().map(lane).collect(), base: 0, after: 0 }
    }

    /// Begins a new stretch, none of whose slots lies left of `base`.
    pub(super) fn reset(&mut self, base: i64) {
        self.base = base;
        self.after = 0;
        for lane in &mut self.lanes {
            lane.ends.clear();
        }
    }

    /// Takes the next missing slot to the left; returns the span of the window that begins there in a best plan.
    pub(super) fn step(&mut self, slot: i64) -> u16 {
        let position = u128::from(slot.saturating_sub(self.base).unsigned_abs());
        let as_end = self.after + position;
        let mut best = (Cost::MAX, slot);
        for lane in &mut self.lanes {
            while lane.ends.back().is_some_and(|&(_, c)| c >= as_end) {
                lane.ends.pop_back();
            }
            lane.ends.push_back((slot, as_end));
            while lane.ends.front().is_some_and(|&(end, _)| end - slot >= lane.reach) {
                lane.ends.pop_front();
            }
            if let Some(&(end, rest)) = lane.ends.front() {
                best = best.min((rest - position + lane.price, end));
            }
        }
        self.after = best.0;
        u16::try_from(best.1 - slot + 1).unwrap_or(u16::MAX)
    }

    /// Cost of the plan from the last slot on: primary, secondary, rows.
    #[cfg(test)]
    pub(super) fn total(&self) -> (u64, u64, u64) {
        let part = |shift: u32, bits: u32| (self.after >> shift & ((1 << bits) - 1)) as u64;
        (part(88, 40), part(48, 40), part(0, 48))
    }
}

//! What a request of a given size costs.

use std::time::Duration;

use kline::{Interval, Market};

/// What is minimised first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Prefer {
    /// Least weight; of equal weight, fewest requests. Right unless the line is slow.
    #[default]
    Weight,
    /// Fewest requests; of equally many, least weight. Right when answers take so long that the weight limit is out
    /// of reach (see [`prefer_for`]).
    Requests,
}

/// What a klines request may ask for, and what it costs: steps of (most slots, weight).
///
/// Invariant: at least one step; slots and weights both strictly ascending, so a larger step is worth having.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    steps: Vec<(u32, u32)>,
}

/// Weight of a futures klines request by its `limit`: 1-99, 100-499, 500-1000, 1001-1500.
const FUTURES: [(u32, u32); 4] = [(99, 1), (499, 2), (1000, 5), (1500, 10)];
/// Spot charges the same for any limit.
const SPOT: [(u32, u32); 1] = [(1000, 2)];
/// COIN-M refuses windows longer than this.
const CM_MAX_DAYS: u32 = 200;
/// Spans are kept in 16 bits while planning. No exchange allows pages near this size.
const MAX_SLOTS: u32 = 60_000;

impl Rules {
    /// Steps of (most slots, weight) in any order, none of them over `max_span` slots. Steps that hold no more than a
    /// cheaper one are dropped, sizes are capped at 60,000 slots. `None` when no step holds a slot.
    pub fn new(steps: &[(u32, u32)], max_span: u32) -> Option<Self> {
        let mut capped: Vec<_> = steps.iter().map(|&(l, w)| (l.min(max_span).min(MAX_SLOTS), w)).collect();
        capped.sort_unstable_by_key(|&(slots, weight)| (weight, std::cmp::Reverse(slots)));
        let mut kept: Vec<(u32, u32)> = Vec::new();
        for (slots, weight) in capped {
            if slots > kept.last().map_or(0, |k| k.0) {
                kept.push((slots, weight));
            }
        }
        if kept.is_empty() { None } else { Some(Self { steps: kept }) }
    }

    /// The rules of a market for an interval. COIN-M windows span at most 200 days, which leaves 200 slots of `1d`, 66 of
    /// `3d`, 28 of `1w` and 6 of `1M` (seven months in a row always exceed it).
    pub fn of(market: Market, interval: Interval) -> Self {
        let day_ms = 86_400_000;
        let span = match (market, interval.fixed_ms()) {
            (Market::Cm, None) => 6,
            (Market::Cm, Some(step)) => {
                u32::try_from(i64::from(CM_MAX_DAYS) * day_ms / step).unwrap_or(u32::MAX)
            }
            _ => u32::MAX,
        };
        let steps: &[_] = if market == Market::Spot { &SPOT } else { &FUTURES };
        Self::new(steps, span).unwrap_or(Self { steps: vec![(1, 1)] })
    }

    /// (most slots, weight), both strictly ascending.
    pub fn steps(&self) -> &[(u32, u32)] {
        &self.steps
    }

    /// Most slots one request may ask for.
    pub fn max_slots(&self) -> u32 {
        self.steps.last().map_or(1, |s| s.0)
    }

    /// Weight of a request for that many slots; beyond the largest step, that of the largest step.
    pub fn weight_of(&self, slots: u64) -> u32 {
        let step = self.steps.iter().find(|s| u64::from(s.0) >= slots).or(self.steps.last());
        step.map_or(1, |s| s.1)
    }

    /// Cost of one request of a step, most important part first.
    fn cost(prefer: Prefer, weight: u32) -> (u64, u64) {
        match prefer {
            Prefer::Weight => (u64::from(weight), 1),
            Prefer::Requests => (1, u64::from(weight)),
        }
    }

    /// The step with the least cost per slot; of equals the largest.
    pub(super) fn best(&self, prefer: Prefer) -> (u32, u32) {
        let mut best = self.steps.first().copied().unwrap_or((1, 1));
        for &step in &self.steps {
            let (of_step, of_best) = (Self::cost(prefer, step.1).0, Self::cost(prefer, best.1).0);
            if of_step * u64::from(best.0) <= of_best * u64::from(step.0) {
                best = step;
            }
        }
        best
    }

    /// Length above which windows of the best step can be cut out of a run of missing slots without making the rest
    /// any harder, and be put back in afterwards.
    ///
    /// Let `B` be the best step, `L` the largest. Windows that lie wholly inside a run touch each other, so they may
    /// change places and pass slack on to each other at no cost. Let `k` be the least number for which `k` windows of
    /// a step `c` cover no more than some windows of `B` do that together cost no more; `k <= B` exists, because
    /// `B` copies of `c` are `c` copies of `B` at best. Replacing `k` copies at a time, some optimal plan has fewer
    /// than `k` inside copies of each step but `B`: together at most `N` slots. At most `L - 1` slots at either end
    /// of the run belong to windows that stick out. In a run of `n` slots at least `n - 2(L - 1) - N` are thus covered by
    /// inside windows of `B`, and all but one of those are full (slack is moved to that one; would it not fit there, a
    /// window could be dropped). With `n > m B + 2(L - 1) + N` there are at least `m` full ones: they can be moved
    /// together and cut out, and what is left is a plan for the shortened run. The other way round, a plan for a
    /// shortened run of at least `L` slots has a window that begins inside it, and there the `m` full windows can be put in.
    /// So the optimal costs differ by exactly `m` windows of `B`.
    pub(super) fn peel_above(&self, prefer: Prefer) -> u64 {
        let best = self.best(prefer);
        let (slots, cost) = (u64::from(best.0), Self::cost(prefer, best.1));
        let mut others = 0;
        for &(size, weight) in self.steps.iter().filter(|s| **s != best) {
            let (size, own) = (u64::from(size), Self::cost(prefer, weight));
            let replaceable = |k: &u64| {
                let n = (k * size).div_ceil(slots);
                (n * cost.0, n * cost.1) <= (k * own.0, k * own.1)
            };
            others += (1..=slots).find(replaceable).unwrap_or(slots).saturating_sub(1) * size;
        }
        2 * u64::from(self.max_slots() - 1) + others + 1
    }
}

/// Whether latency or weight is what limits a long fetch: with `in_flight` requests at a time that take `rtt` each, under
/// `limit` weight a minute, which way gets more slots a minute.
pub fn prefer_for(rules: &Rules, rtt: Duration, in_flight: usize, limit: u32) -> Prefer {
    let by_latency = in_flight.max(1) as f64 * 60.0 / rtt.as_secs_f64().max(0.001);
    let slots_a_minute = |(slots, weight): (u32, u32)| {
        f64::from(slots) * by_latency.min(f64::from(limit) / f64::from(weight.max(1)))
    };
    if slots_a_minute(rules.best(Prefer::Requests)) > slots_a_minute(rules.best(Prefer::Weight)) {
        Prefer::Requests
    } else {
        Prefer::Weight
    }
}

//! The weight budget of one pool, as a pure state machine: no clock, no sleep; the caller says what time it is.
//!
//! The exchange counts weight per address in fixed minutes of its own clock and reports the count with each answer. The
//! budget keeps two numbers for the current minute, and believes the larger:
//! * what this process has asked for, which is known at once;
//! * the highest count reported so far plus what is still under way, which includes every other program behind the
//!   same address.
//!
//! Counts of one minute only grow, so the highest report is the latest truth. Weight that is under way when a minute
//! ends may be counted in either, so it is carried over. A report about a request that was sent in an earlier minute says
//! nothing certain about this one and is only shown, not used.

use kline::Millis;

const MINUTE: i64 = 60_000;
/// Pause after the start of a minute before spending its budget. Our clock runs behind the exchange's, never ahead,
/// so this only covers clocks that differ between the exchange's own servers.
const MARGIN: i64 = 100;

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes; hand the ticket back with [`Budget::answered`] or [`Budget::unsent`].
    Go(Ticket),
    /// Not before that time.
    Wait {
        /// When to ask again.
        until: Millis,
        /// Why.
        why: Wait,
    },
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The weight of this minute is spent.
    Spent,
    /// The exchange answered 429.
    Throttled,
    /// The exchange answered 418: this address is banned.
    Banned,
}

/// Weight that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "granted weight must be handed back"]
pub struct Ticket {
    weight: u32,
    minute: i64,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    limit: u32,
    limit_known: bool,
    reserve_percent: u8,
    minute: i64,
    own: u32,
    reported: u32,
    under_way: u32,
    blocked: Option<(Millis, Wait)>,
    usage: PoolUsage,
}

/// What a pool has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolUsage {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Weight of these requests.
    pub weight: u64,
    /// Weight used by everyone behind this address in the current minute, as last reported by the exchange.
    pub reported: Option<u32>,
    /// Weight allowed per minute.
    pub limit: u32,
}

impl Budget {
    /// A budget of `limit` weight per minute, of which `reserve_percent` (at most 90) is left to others.
    pub fn new(limit: u32, reserve_percent: u8) -> Self {
        Self {
            limit,
            limit_known: false,
            reserve_percent: reserve_percent.min(90),
            minute: i64::MIN,
            own: 0,
            reported: 0,
            under_way: 0,
            blocked: None,
            usage: PoolUsage { limit, ..PoolUsage::default() },
        }
    }

    /// Takes the limit from the exchange's own information. Where two hosts share the pool and disagree, the lower holds.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = if self.limit_known { self.limit.min(limit) } else { limit };
        self.limit_known = true;
        self.usage.limit = self.limit;
    }

    /// Weight per minute this process may bring the pool to.
    pub fn usable(&self) -> u32 {
        let reserve = u64::from(self.limit) * u64::from(self.reserve_percent) / 100;
        self.limit - u32::try_from(reserve).unwrap_or(0)
    }

    /// Weight believed used in the minute of `now`, by everyone.
    pub fn used(&mut self, now: Millis) -> u32 {
        self.roll(now);
        self.own.max(self.reported.saturating_add(self.under_way))
    }

    /// Asks to send a request of some weight. A request heavier than the whole budget is let through alone, in a minute
    /// that is otherwise unused, rather than never.
    pub fn ask(&mut self, now: Millis, weight: u32) -> Admission {
        let used = self.used(now);
        if let Some((until, why)) = self.blocked {
            if now < until {
                return Admission::Wait { until, why };
            }
            self.blocked = None;
        }
        if used > 0 && used.saturating_add(weight) > self.usable() {
            let until = Millis((self.minute + 1).saturating_mul(MINUTE)).plus(MARGIN);
            return Admission::Wait { until, why: Wait::Spent };
        }
        self.own = self.own.saturating_add(weight);
        self.under_way = self.under_way.saturating_add(weight);
        self.usage.requests += 1;
        self.usage.weight += u64::from(weight);
        Admission::Go(Ticket { weight, minute: self.minute })
    }

    /// A request was answered, or may have been counted though no answer came; `reported` is the used weight the answer
    /// stated.
    pub fn answered(&mut self, now: Millis, ticket: Ticket, reported: Option<u32>) {
        self.roll(now);
        self.under_way = self.under_way.saturating_sub(ticket.weight);
        self.usage.reported = reported.or(self.usage.reported);
        if let Some(weight) = reported.filter(|_| ticket.minute == self.minute) {
            self.reported = self.reported.max(weight);
        }
    }

    /// A request never reached the exchange.
    pub fn unsent(&mut self, now: Millis, ticket: Ticket) {
        self.roll(now);
        self.under_way = self.under_way.saturating_sub(ticket.weight);
        self.own = self.own.saturating_sub(ticket.weight);
        self.usage.requests = self.usage.requests.saturating_sub(1);
        self.usage.weight = self.usage.weight.saturating_sub(u64::from(ticket.weight));
    }

    /// Lets nothing through before `until`, as the exchange asked. A later end wins.
    pub fn block(&mut self, until: Millis, why: Wait) {
        if self.blocked.is_none_or(|(current, _)| current < until) {
            self.blocked = Some((until, why));
        }
    }

    /// Start of the minute after `now`: when a 429 that names no time is over.
    pub fn next_minute(now: Millis) -> Millis {
        Millis((now.0.div_euclid(MINUTE) + 1).saturating_mul(MINUTE)).plus(MARGIN)
    }

    /// What was used so far.
    pub fn usage(&self) -> PoolUsage {
        self.usage
    }

    fn roll(&mut self, now: Millis) {
        let minute = now.0.div_euclid(MINUTE);
        if minute > self.minute {
            (self.minute, self.own, self.reported) = (minute, self.under_way, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_762_500_000_000 - 1_762_500_000_000 % MINUTE;

    fn granted(budget: &mut Budget, now: Millis, weight: u32) -> Ticket {
        match budget.ask(now, weight) {
            Admission::Go(ticket) => ticket,
            wait => panic!("{wait:?}"),
        }
    }

    fn waits(budget: &mut Budget, now: Millis, weight: u32) -> (Millis, Wait) {
        match budget.ask(now, weight) {
            Admission::Wait { until, why } => (until, why),
            go => panic!("{go:?}"),
        }
    }

    #[test]
    fn what_is_spent_comes_back_with_the_next_minute() {
        let mut budget = Budget::new(100, 10);
        let now = Millis(START + 5000);
        for _ in 0..9 {
            let ticket = granted(&mut budget, now, 10);
            budget.answered(now, ticket, None);
        }
        let (until, why) = waits(&mut budget, now, 1);
        assert_eq!((until, why), (Millis(START + MINUTE + MARGIN), Wait::Spent));
        let _ticket = granted(&mut budget, until, 90);
        assert_eq!((budget.usage().requests, budget.usage().weight), (10, 180));
    }

    #[test]
    fn what_others_use_counts_as_soon_as_it_is_reported() {
        let mut budget = Budget::new(2400, 10);
        let now = Millis(START);
        let ticket = granted(&mut budget, now, 2);
        budget.answered(now, ticket, Some(2150));
        assert_eq!(budget.used(now), 2150);
        let under_way = granted(&mut budget, now, 10);
        assert_eq!(waits(&mut budget, now, 1).1, Wait::Spent);
        // An answer overtaken by another reports less; the higher report stands.
        budget.answered(now, under_way, Some(2140));
        assert_eq!(budget.used(now), 2150);
    }

    #[test]
    fn weight_under_way_at_the_turn_of_a_minute_counts_in_both() {
        let mut budget = Budget::new(100, 0);
        let ticket = granted(&mut budget, Millis(START + MINUTE - 1), 60);
        let next = Millis(START + MINUTE + 500);
        assert_eq!(budget.used(next), 60);
        // Its report is about a minute that may be over.
        budget.answered(next, ticket, Some(99));
        assert_eq!((budget.used(next), budget.usage().reported), (60, Some(99)));
    }

    #[test]
    fn what_never_arrived_is_not_charged() {
        let mut budget = Budget::new(100, 0);
        let ticket = granted(&mut budget, Millis(START), 60);
        budget.unsent(Millis(START), ticket);
        assert_eq!((budget.used(Millis(START)), budget.usage().weight, budget.usage().requests), (0, 0, 0));
    }

    #[test]
    fn a_block_holds_everything_until_its_end_and_the_later_end_wins() {
        let mut budget = Budget::new(100, 0);
        budget.block(Millis(START + 9000), Wait::Throttled);
        budget.block(Millis(START + 5000), Wait::Banned);
        assert_eq!(waits(&mut budget, Millis(START + 8999), 1), (Millis(START + 9000), Wait::Throttled));
        let _ticket = granted(&mut budget, Millis(START + 9000), 1);
    }

    #[test]
    fn a_request_heavier_than_the_budget_goes_alone_rather_than_never() {
        let mut budget = Budget::new(10, 50);
        let ticket = granted(&mut budget, Millis(START), 20);
        budget.answered(Millis(START), ticket, None);
        assert_eq!(waits(&mut budget, Millis(START), 1).1, Wait::Spent);
    }

    #[test]
    fn the_limit_is_the_exchanges_and_the_lower_of_two() {
        let mut budget = Budget::new(2400, 10);
        budget.set_limit(6000);
        assert_eq!((budget.usable(), budget.usage().limit), (5400, 6000));
        budget.set_limit(3000);
        budget.set_limit(4000);
        assert_eq!(budget.usage().limit, 3000);
    }

    /// A simulated exchange and line: up to six requests under way, each counted on arrival, answered later; our clock
    /// lags by `lag`; others use `foreign` weight at random times. Returns the most that was ever used in a minute.
    fn most_used(limit: u32, lag: i64, latencies: &[i64], weights: &[u32], foreign: &[(i64, u32)]) -> u32 {
        let mut budget = Budget::new(limit, 10);
        let (mut now, mut most, mut sent) = (START + 40_000, 0, 0usize);
        let mut counts = std::collections::BTreeMap::<i64, u32>::new();
        // (arrival, departure of the answer, ticket, weight, report once arrived)
        let mut under_way: Vec<(i64, i64, Ticket, u32, Option<u32>)> = Vec::new();
        let mut foreign = foreign.iter().map(|&(at, w)| (START + 40_000 + at, w)).collect::<Vec<_>>();
        foreign.sort_unstable();
        let mut foreign = foreign.into_iter().peekable();
        while now < START + 4 * MINUTE {
            while let Some((at, weight)) = foreign.next_if(|f| f.0 <= now) {
                *counts.entry(at / MINUTE).or_default() += weight;
            }
            for flight in under_way.iter_mut().filter(|f| f.4.is_none() && f.0 <= now) {
                let count = counts.entry(flight.0 / MINUTE).or_default();
                *count += flight.3;
                flight.4 = Some(*count);
                most = most.max(*count);
            }
            let ours = Millis(now - lag);
            for i in (0..under_way.len()).rev().filter(|i| under_way[*i].1 <= now).collect::<Vec<_>>() {
                let (_, _, ticket, _, report) = under_way.remove(i);
                budget.answered(ours, ticket, report);
            }
            while under_way.len() < 6 {
                let weight = weights[sent % weights.len()];
                let Admission::Go(ticket) = budget.ask(ours, weight) else { break };
                let latency = latencies[sent % latencies.len()];
                under_way.push((now + latency / 2, now + latency, ticket, weight, None));
                sent += 1;
            }
            now += 1;
        }
        assert!(sent > 0);
        most
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_minute_never_exceeds_the_limit(
            lag in 0i64..400,
            latencies in proptest::collection::vec(2i64..900, 1..8),
            weights in proptest::collection::vec(prop_oneof![Just(1u32), Just(2), Just(5), Just(10)], 1..8),
            foreign in proptest::collection::vec((0i64..200_000, 1u32..8), 0..250),
        ) {
            let most = most_used(1200, lag, &latencies, &weights, &foreign);
            prop_assert!(most <= 1200, "{} of 1200", most);
        }
    }

    #[test]
    fn a_fast_line_uses_what_it_may_and_no_more() {
        let most = most_used(1200, 20, &[4], &[2], &[]);
        assert!((1080..=1092).contains(&most), "{most}");
    }
}

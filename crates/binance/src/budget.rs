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

//! Request weight: what a request costs, what an IP may spend, and what happens to those who spend more.
//!
//! Pure: the time is handed in. Windows are clock minutes. A refused request counts as well, as it does at Binance, so
//! hammering on after a 429 keeps the counter over the limit and in the end earns a ban.

use std::time::Duration;

use kline::{Market, Millis};

/// What one IP may spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Weight per window for USD-M and COIN-M together (they share one counter). Binance: 2400.
    pub futures_weight: u32,
    /// Weight per window for spot. Binance: 6000.
    pub spot_weight: u32,
    /// Length of a window. Binance: one minute. Shorter windows let tests of waiting run fast; the header and
    /// `exchangeInfo` go on speaking of minutes.
    pub window: Duration,
    /// How many requests may be refused within one window before the IP is banned with 418.
    pub ban_after: u32,
    /// Length of the first ban; each further one is twice as long, up to three days.
    pub ban: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            futures_weight: 2400,
            spot_weight: 6000,
            window: Duration::from_secs(60),
            ban_after: 20,
            ban: Duration::from_secs(120),
        }
    }
}

/// Longest ban there is.
const LONGEST_BAN_MS: i64 = 3 * 86_400_000;

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// 429: over the limit until the window ends.
    Over {
        retry_after_s: i64,
    },
    /// 418: banned for so long.
    Banned {
        remaining_ms: i64,
    },
}

/// One weight counter of one IP.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) limit: u32,
    window_ms: i64,
    ban_after: u32,
    ban_ms: i64,
    window: i64,
    used: u32,
    refused: u32,
    banned_until: i64,
    /// Most weight counted in one window so far.
    pub(crate) max_used: u32,
    /// Requests answered 429 because the limit was truly exceeded.
    pub(crate) over_limit: u64,
    /// Requests answered 418 because of a ban.
    pub(crate) banned: u64,
    bans: u32,
}

impl Pool {
    pub(crate) fn new(limits: &Limits, limit: u32) -> Self {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX).max(1);
        Self {
            limit,
            window_ms: ms(limits.window),
            ban_after: limits.ban_after,
            ban_ms: ms(limits.ban),
            window: i64::MIN,
            used: 0,
            refused: 0,
            banned_until: i64::MIN,
            max_used: 0,
            over_limit: 0,
            banned: 0,
            bans: 0,
        }
    }

    /// Counts one request.
    pub(crate) fn charge(&mut self, now: Millis, weight: u32) -> Verdict {
        self.roll(now);
        if now.0 < self.banned_until {
            self.banned += 1;
            return Verdict::Banned { remaining_ms: self.banned_until - now.0 };
        }
        self.used = self.used.saturating_add(weight);
        self.max_used = self.max_used.max(self.used);
        if self.used <= self.limit {
            return Verdict::Pass;
        }
        self.refused += 1;
        if self.refused > self.ban_after {
            let ban = self.ban_ms.saturating_mul(1 << self.bans.min(20)).min(LONGEST_BAN_MS.max(self.ban_ms));
            self.bans += 1;
            self.banned += 1;
            self.banned_until = now.0.saturating_add(ban);
            return Verdict::Banned { remaining_ms: ban };
        }
        self.over_limit += 1;
        let left = (self.window + 1).saturating_mul(self.window_ms) - now.0;
        Verdict::Over { retry_after_s: left.div_euclid(1000) + i64::from(left.rem_euclid(1000) != 0) }
    }

    /// Weight counted in the window of an instant.
    pub(crate) fn used(&mut self, now: Millis) -> u32 {
        self.roll(now);
        self.used
    }

    /// Forgets what was counted for statistics; the window and bans stay.
    pub(crate) fn reset_statistics(&mut self) {
        self.max_used = self.used;
        self.over_limit = 0;
        self.banned = 0;
    }

    fn roll(&mut self, now: Millis) {
        let window = now.0.div_euclid(self.window_ms);
        if window != self.window {
            self.window = window;
            self.used = 0;
            self.refused = 0;
        }
    }
}

/// Weight of a klines request, by the `limit` that was sent.
pub(crate) fn klines_weight(market: Market, limit: i64) -> u32 {
    match (market, limit) {
        (Market::Spot, _) => 2,
        (_, ..=99) => 1,
        (_, 100..=499) => 2,
        (_, 500..=1000) => 5,
        (_, _) => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(limit: u32) -> Pool {
        Pool::new(&Limits { ban_after: 3, ..Limits::default() }, limit)
    }

    #[test]
    fn futures_weight_follows_the_limit_sent_and_spot_is_flat() {
        let costs = [(1, 1), (99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10)];
        for (limit, weight) in costs {
            assert_eq!(klines_weight(Market::Um, limit), weight, "{limit}");
            assert_eq!(klines_weight(Market::Cm, limit), weight, "{limit}");
            assert_eq!(klines_weight(Market::Spot, limit), 2);
        }
    }

    #[test]
    fn the_limit_itself_may_be_spent_and_one_more_may_not() {
        let mut pool = pool(10);
        assert_eq!(pool.charge(Millis(60_000), 10), Verdict::Pass);
        assert_eq!(pool.charge(Millis(65_500), 1), Verdict::Over { retry_after_s: 55 });
        assert_eq!(pool.charge(Millis(119_999), 1), Verdict::Over { retry_after_s: 1 });
        assert_eq!(pool.charge(Millis(120_000), 1), Verdict::Pass);
        assert_eq!((pool.used(Millis(120_000)), pool.max_used, pool.over_limit), (1, 12, 2));
    }

    #[test]
    fn hammering_on_earns_a_ban_and_the_next_ban_is_longer() {
        let mut pool = pool(1);
        let mut verdicts = (0..6).map(|_| pool.charge(Millis(0), 1)).skip(4);
        assert_eq!(verdicts.next(), Some(Verdict::Banned { remaining_ms: 120_000 }));
        assert_eq!(pool.charge(Millis(119_000), 1), Verdict::Banned { remaining_ms: 1_000 });
        let mut verdicts = (0..5).map(|_| pool.charge(Millis(120_000), 1)).skip(4);
        assert_eq!(verdicts.next(), Some(Verdict::Banned { remaining_ms: 240_000 }));
    }
}

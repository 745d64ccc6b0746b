//! What the markets of one weight pool share: the budget, the number of requests under way, the clock.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kline::{Market, Millis};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ClientConfig;
use crate::budget::{Budget, PoolUsage};

/// Weight per minute until the exchange states its own: what it has been for years.
const FUTURES_LIMIT: u32 = 2400;
const SPOT_LIMIT: u32 = 6000;

pub(super) struct Pool {
    budget: Mutex<Budget>,
    pub(super) permits: Semaphore,
    clock: Clock,
}

impl Pool {
    /// The pool of a market: the two futures markets share one.
    pub(super) fn new(market: Market, config: &ClientConfig) -> Self {
        let limit = if market == Market::Spot { SPOT_LIMIT } else { FUTURES_LIMIT };
        Self {
            budget: Mutex::new(Budget::new(limit, config.reserve_percent)),
            permits: Semaphore::new(config.in_flight.max(1)),
            clock: Clock::new(),
        }
    }

    /// Works on the budget, with the pool's time.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Budget, Millis) -> T) -> T {
        let now = self.clock.now();
        work(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    pub(super) fn usage(&self) -> PoolUsage {
        self.with(|budget, _| budget.usage())
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// The exchange's clock: one reading, advanced by a monotonic clock.
///
/// The reading was taken before it arrived here, so this clock runs behind the exchange's by the way back of one answer,
/// and never ahead. Before the reading it counts from zero, which is enough for a budget.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    reading: OnceLock<(Instant, Millis)>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), reading: OnceLock::new() }
    }

    pub(super) fn now(&self) -> Millis {
        let (since, base) = self.reading.get().copied().unwrap_or((self.started, Millis(0)));
        base.plus(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// Takes the first reading; later ones are ignored, so time never jumps.
    pub(super) fn set(&self, reading: Millis) {
        let _ = self.reading.set((Instant::now(), reading));
    }
}

/// Time from `now` until `until`, not negative.
pub(super) fn until(now: Millis, until: Millis) -> Duration {
    Duration::from_millis(until.0.saturating_sub(now.0).max(0).unsigned_abs())
}

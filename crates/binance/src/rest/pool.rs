//! What the markets of one weight pool share: the budget, the number of requests under way, the clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Shortest time to the first byte of an answer.
    quickest: Mutex<Option<Duration>>,
    /// End of the latest wait that was told to listeners.
    told: Mutex<Millis>,
}

impl Pool {
    /// The pool of a market: the two futures markets share one.
    pub(super) fn new(market: Market, config: &ClientConfig) -> Self {
        let limit = if market == Market::Spot { SPOT_LIMIT } else { FUTURES_LIMIT };
        Self {
            budget: Mutex::new(Budget::new(limit, config.reserve_percent)),
            permits: Semaphore::new(config.in_flight.max(1)),
            clock: Clock::new(),
            quickest: Mutex::new(None),
            told: Mutex::new(Millis(i64::MIN)),
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

    /// Takes note of how long an answer took to begin.
    pub(super) fn answered_in(&self, took: Duration) {
        let mut quickest = self.quickest.lock().unwrap_or_else(PoisonError::into_inner);
        *quickest = Some(quickest.map_or(took, |known| known.min(took)));
    }

    /// Whether a wait until that time is news: all requests of a pool wait for the same thing.
    pub(super) fn is_news(&self, until: Millis) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = until > *told;
        *told = until.max(*told);
        news
    }

    pub(super) fn quickest(&self) -> Option<Duration> {
        *self.quickest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// The exchange's clock: one reading, advanced by a monotonic clock.
///
/// A reading was taken before it arrived here, so this clock runs behind the exchange's by the way back of one answer,
/// and never ahead. It never goes back either. Before the first reading it counts from zero.
#[derive(Debug)]
pub(super) struct Clock(Mutex<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    taken: Instant,
    time: Millis,
    real: bool,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Reading { taken: Instant::now(), time: Millis(0), real: false }))
    }

    pub(super) fn now(&self) -> Millis {
        self.reading().now()
    }

    /// Whether it was ever read.
    pub(super) fn is_real(&self) -> bool {
        self.reading().real
    }

    /// Takes a reading of the exchange's clock that has just arrived.
    pub(super) fn set(&self, time: Millis) {
        let mut reading = self.reading();
        *reading = Reading { taken: Instant::now(), time: time.max(reading.now()), real: true };
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn now(&self) -> Millis {
        self.time.plus(i64::try_from(self.taken.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Time from `now` until `until`, not negative.
pub(super) fn until(now: Millis, until: Millis) -> Duration {
    Duration::from_millis(until.0.saturating_sub(now.0).max(0).unsigned_abs())
}

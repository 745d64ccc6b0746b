//! What all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kline::{Market, Millis};
use tokio::sync::watch;

use crate::archive::Zips;
use crate::clock::Clock;
use crate::data::Catalog;
use crate::faults::{Draws, Faults};
use crate::stats::{Book, PoolStats, Pools, Stats};
use crate::weight::{Limits, Pool, Verdict};

/// The exchange.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) clock: Clock,
    /// Clock offset of the configuration, to which that of the faults is added.
    pub(crate) base_offset_ms: i64,
    futures: Mutex<Pool>,
    spot: Mutex<Pool>,
    faults: RwLock<Arc<Faults>>,
    pub(crate) draws: Draws,
    pub(crate) book: Mutex<Book>,
    pub(crate) zips: Zips,
    /// True once the exchange is closing; wakes everything that waits.
    pub(crate) closing: watch::Sender<bool>,
}

/// Locks, whatever became of the thread that held the lock before: the data are counters, never half-written.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(catalog: Catalog, clock: Clock, limits: &Limits, faults: Faults, log: usize) -> Self {
        let base_offset_ms = clock.offset();
        let shared = Self {
            catalog,
            clock,
            base_offset_ms,
            futures: Mutex::new(Pool::new(limits, limits.futures_weight)),
            spot: Mutex::new(Pool::new(limits, limits.spot_weight)),
            faults: RwLock::default(),
            draws: Draws::default(),
            book: Mutex::new(Book::new(log)),
            zips: Zips::default(),
            closing: watch::channel(false).0,
        };
        shared.set_faults(faults);
        shared
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.clock.set_offset(self.base_offset_ms.saturating_add(faults.clock_offset_ms));
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
        self.draws.reset();
    }

    fn pool(&self, market: Market) -> &Mutex<Pool> {
        if market == Market::Spot { &self.spot } else { &self.futures }
    }

    /// Counts a request, and says what the weight counter then shows and may show at most.
    pub(crate) fn charge(&self, market: Market, weight: u32) -> (Verdict, u32, u32) {
        let now = self.clock.running();
        let mut pool = locked(self.pool(market));
        let verdict = pool.charge(now, weight);
        (verdict, pool.used(now), pool.limit)
    }

    pub(crate) fn weight_limit(&self, market: Market) -> u32 {
        locked(self.pool(market)).limit
    }

    pub(crate) fn stats(&self) -> Stats {
        let now = self.clock.running();
        let mut stats = locked(&self.book).stats();
        stats.pools = Pools { futures: pool_stats(&self.futures, now), spot: pool_stats(&self.spot, now) };
        stats.over_limit = stats.pools.futures.over_limit + stats.pools.spot.over_limit;
        stats
    }

    pub(crate) fn reset_stats(&self) {
        locked(&self.book).reset();
        locked(&self.futures).reset_statistics();
        locked(&self.spot).reset_statistics();
    }

    /// Returns when the exchange closes.
    pub(crate) async fn closed(&self) {
        // An error means that the sender is gone, which is as closed as can be.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

fn pool_stats(pool: &Mutex<Pool>, now: Millis) -> PoolStats {
    let mut pool = locked(pool);
    PoolStats {
        limit: pool.limit,
        used: pool.used(now),
        max_used: pool.max_used,
        over_limit: pool.over_limit,
        banned: pool.banned,
    }
}

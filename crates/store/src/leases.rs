//! Rules of leases, the same for every engine, and the clock they go by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kline::Millis;

/// This machine's clock. Leases, run history and audit entries go by it; klines never do.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// When a lease taken or renewed now ends.
pub(crate) fn expiry(now: Millis, ttl: Duration) -> Millis {
    now.plus(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

/// Whether a lease that ends at `expires` may be taken over. Until somebody does, its holder may go on and renew it:
/// nobody else can have written meanwhile.
pub(crate) fn may_take_over(expires: Millis, now: Millis) -> bool {
    expires <= now
}

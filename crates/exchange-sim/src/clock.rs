//! The exchange's clock.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use kline::Millis;

use crate::locked;

/// What the exchange believes the time to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Now {
    /// The machine's own clock.
    #[default]
    Real,
    /// Starts at an instant and runs on from there.
    From(Millis),
    /// Stands still at an instant.
    Frozen(Millis),
}

/// The exchange's clock: reported time, and the running time that weight windows follow.
#[derive(Debug)]
pub(crate) struct Clock {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: Now,
    started: Instant,
    offset_ms: i64,
}

impl Clock {
    pub(crate) fn new(now: Now, offset_ms: i64) -> Self {
        Self { inner: Mutex::new(Inner { now, started: Instant::now(), offset_ms }) }
    }

    /// Sets what the clock shows; a running start counts from this call.
    pub(crate) fn set(&self, now: Now) {
        let mut inner = locked(&self.inner);
        inner.now = now;
        inner.started = Instant::now();
    }

    /// Sets the offset that is added to what the clock shows, in milliseconds.
    pub(crate) fn set_offset(&self, offset_ms: i64) {
        locked(&self.inner).offset_ms = offset_ms;
    }

    pub(crate) fn offset(&self) -> i64 {
        locked(&self.inner).offset_ms
    }

    /// The time the exchange reports and judges klines by.
    pub(crate) fn now(&self) -> Millis {
        let inner = locked(&self.inner);
        match inner.now {
            Now::Real => wall(),
            Now::From(at) => at.plus(elapsed_ms(inner.started)),
            Now::Frozen(at) => at,
        }
        .plus(inner.offset_ms)
    }

    /// The time that weight windows and bans follow: like [`Self::now`], but a frozen clock runs here too, since a
    /// window that never ends would make every client wait for ever.
    pub(crate) fn running(&self) -> Millis {
        let inner = locked(&self.inner);
        match inner.now {
            Now::Real => wall(),
            Now::From(at) | Now::Frozen(at) => at.plus(elapsed_ms(inner.started)),
        }
        .plus(inner.offset_ms)
    }
}

fn elapsed_ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn wall() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// An instant as the `Date` header wants it; `None` outside the years HTTP can say.
pub(crate) fn http_date(at: Millis) -> Option<String> {
    let timestamp = Timestamp::from_millisecond(at.0).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_shows_one_instant_while_windows_go_on() {
        let clock = Clock::new(Now::Frozen(Millis(1_700_000_000_000)), -500);
        assert_eq!(clock.now(), Millis(1_699_999_999_500));
        let first = clock.running();
        while clock.running() == first {
            std::thread::yield_now();
        }
        assert_eq!(clock.now(), Millis(1_699_999_999_500));
    }

    #[test]
    fn the_date_header_is_in_the_form_http_asks_for() {
        assert_eq!(http_date(Millis(784_111_777_000)).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(http_date(Millis(i64::MAX)), None);
    }
}

//! Whether to try again and when: pure, but for the jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use kline::Millis;

use super::pool::until;
use crate::{ClientConfig, FetchError, Retry};

/// First pause after the exchange's firewall (403) refused; doubled each time.
const SLOW: u32 = 75;
/// Longest backoff, as a multiple of the first.
const LONGEST: u32 = 30;

/// The attempts of one request so far.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Attempts that failed for another reason than 429.
    failed: u32,
    /// Attempts answered with 429.
    throttled: u32,
    /// Pauses taken so far, 429 included.
    waited: Duration,
}

/// What to do after a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GiveUp,
    /// Try again after this pause.
    Pause(Duration),
}

impl Attempts {
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    pub(crate) fn after(&mut self, error: &FetchError, now: Millis, config: &ClientConfig) -> Next {
        let pause = match error.retry() {
            Retry::Never => return Next::GiveUp,
            // An exchange that asks for no pause and then refuses again is given one all the same: insisting means a ban.
            Retry::At(time) => {
                self.throttled += 1;
                until(now, time).max(doubled(config.backoff, self.throttled))
            }
            Retry::Backoff { at_most } => {
                self.failed += 1;
                if self.failed >= config.attempts.min(at_most) {
                    return Next::GiveUp;
                }
                jittered(doubled(config.backoff, self.failed))
            }
            Retry::Slowly => {
                self.failed += 1;
                if self.failed >= config.attempts.min(4) {
                    return Next::GiveUp;
                }
                jittered(doubled(config.backoff.saturating_mul(SLOW), self.failed))
            }
        };
        if self.waited.saturating_add(pause) > config.patience {
            return Next::GiveUp;
        }
        self.waited += pause;
        Next::Pause(pause)
    }
}

/// The pause before the n-th repetition, from 1.
fn doubled(first: Duration, n: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(n.saturating_sub(1)).min(LONGEST))
}

/// Between half and all of a pause, so that many requests that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    // A fresh hasher state is as random as this needs.
    let random = RandomState::new().hash_one(0u8) % 1000;
    pause / 2 + pause.mul_f64(random as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_762_500_000_000);

    fn server_error() -> FetchError {
        FetchError::Server { what: String::new(), status: 500, message: String::new() }
    }

    fn pauses(error: &FetchError, config: &ClientConfig) -> Vec<Duration> {
        let mut attempts = Attempts::default();
        std::iter::from_fn(|| match attempts.after(error, NOW, config) {
            Next::Pause(pause) => Some(pause),
            Next::GiveUp => None,
        })
        .collect()
    }

    #[test]
    fn pauses_grow_and_end() {
        let config = ClientConfig::default();
        let pauses = pauses(&server_error(), &config);
        assert_eq!(pauses.len(), 7, "eight attempts");
        for (i, pause) in pauses.iter().enumerate() {
            let full = config.backoff * 2u32.pow(i as u32).min(LONGEST);
            assert!(full / 2 <= *pause && *pause <= full, "{i}: {pause:?}");
        }
    }

    #[test]
    fn patience_ends_retries_before_attempts_do() {
        let config = ClientConfig { patience: Duration::from_secs(2), ..ClientConfig::default() };
        let pauses = pauses(&server_error(), &config);
        assert!(pauses.len() < 5 && pauses.iter().sum::<Duration>() <= config.patience, "{pauses:?}");
    }

    #[test]
    fn a_429_that_asks_for_no_pause_is_not_insisted_on() {
        let config = ClientConfig::default();
        let throttled = FetchError::Throttled { what: String::new(), until: NOW };
        let pauses = pauses(&throttled, &config);
        assert!(pauses.windows(2).all(|p| p[0] <= p[1]) && pauses[5] >= config.backoff * 30, "{pauses:?}");
        assert!(pauses.iter().sum::<Duration>() <= config.patience);
    }

    #[test]
    fn a_firewall_is_given_half_a_minute_and_more() {
        let error = FetchError::Forbidden { what: String::new(), received: String::new() };
        let pauses = pauses(&error, &ClientConfig::default());
        assert_eq!(pauses.len(), 3);
        assert!(pauses[0] >= Duration::from_secs(15) && pauses[2] >= Duration::from_secs(60), "{pauses:?}");
    }

    #[test]
    fn what_cannot_succeed_is_not_retried() {
        for error in [
            FetchError::Usage(String::new()),
            FetchError::Banned { until: NOW },
            FetchError::Region { message: String::new() },
            FetchError::Refused { what: String::new(), status: 400, code: -1120, message: String::new() },
        ] {
            assert!(pauses(&error, &ClientConfig::default()).is_empty(), "{error}");
        }
    }
}

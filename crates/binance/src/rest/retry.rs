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
pub(super) struct Attempts {
    /// Attempts that failed for another reason than 429.
    failed: u32,
    /// Pauses taken so far, 429 included.
    waited: Duration,
}

/// What to do after a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    GiveUp,
    /// Try again after this pause.
    Pause(Duration),
}

impl Attempts {
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    pub(super) fn after(&mut self, error: &FetchError, now: Millis, config: &ClientConfig) -> Next {
        let pause = match error.retry() {
            Retry::Never => return Next::GiveUp,
            Retry::At(time) => until(now, time),
            Retry::Backoff { at_most } => {
                self.failed += 1;
                if self.failed >= config.attempts.min(at_most) {
                    return Next::GiveUp;
                }
                jittered(config.backoff * 2u32.saturating_pow(self.failed - 1).min(LONGEST))
            }
            Retry::Slowly => {
                self.failed += 1;
                if self.failed >= config.attempts.min(4) {
                    return Next::GiveUp;
                }
                jittered(config.backoff * SLOW * 2u32.pow(self.failed - 1))
            }
        };
        if self.waited + pause > config.patience {
            return Next::GiveUp;
        }
        self.waited += pause;
        Next::Pause(pause)
    }
}

/// Between half and all of a pause, so that many requests that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    // A fresh hasher state is as random as this needs.
    let random = RandomState::new().hash_one(0u8) % 1000;
    pause / 2 + pause.mul_f64(random as f64 / 2000.0)
}

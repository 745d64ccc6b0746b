//! Which requests are hit, and how.

use std::collections::HashMap;
use std::sync::Mutex;

use super::Faults;
use crate::locked;
use crate::random::{hash, hash_text, unit};

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    Reset,
    Hang,
    Forbidden,
    Restricted,
    TooMany,
    Banned,
    Error,
    Truncate,
    Malformed,
    Empty,
}

impl Hit {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Forbidden => "forbidden",
            Self::Restricted => "restricted",
            Self::TooMany => "too_many",
            Self::Banned => "banned",
            Self::Error => "error",
            Self::Truncate => "truncated",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
        }
    }
}

/// Different requests remembered before the count of repeats starts afresh, so that memory stays bounded.
const MOST_REQUESTS: usize = 1 << 18;

/// Counts what the draws depend on.
#[derive(Debug, Default)]
pub(crate) struct Draws {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How often each request was made, by the hash of its path and query.
    attempts: HashMap<u64, u64>,
    seen: u64,
    hits: u64,
}

/// The draw of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    /// Equal for equal requests made equally often.
    pub(crate) key: u64,
    pub(crate) hit: Option<Hit>,
    /// Extra latency in milliseconds.
    pub(crate) delay_ms: u64,
}

impl Draws {
    /// Draws for a request.
    pub(crate) fn next(&self, faults: &Faults, endpoint: &str, path_and_query: &str) -> Draw {
        let request = hash_text(faults.seed, path_and_query);
        let mut inner = locked(&self.inner);
        if inner.attempts.len() >= MOST_REQUESTS {
            inner.attempts.clear();
        }
        let attempt = inner.attempts.entry(request).or_default();
        let key = hash(request, &[*attempt]);
        *attempt += 1;
        let in_scope = faults.endpoints.is_empty() || faults.endpoints.iter().any(|name| name == endpoint);
        if !in_scope {
            return Draw { key, hit: None, delay_ms: 0 };
        }
        inner.seen += 1;
        let spared = inner.seen <= faults.after || faults.max_hits.is_some_and(|most| inner.hits >= most);
        let is_klines = matches!(endpoint, "klines" | "continuousKlines");
        let hit = if spared { None } else { drawn(faults, key, is_klines) };
        inner.hits += u64::from(hit.is_some());
        let jitter = (unit(hash(key, &[99])) * faults.jitter_ms as f64) as u64;
        Draw { key, hit, delay_ms: faults.latency_ms.saturating_add(jitter) }
    }

    /// Starts counting afresh: new faults hit a request as if it were made for the first time.
    pub(crate) fn reset(&self) {
        *locked(&self.inner) = Inner::default();
    }
}

/// The first fault that a draw hits; each has a draw of its own.
fn drawn(faults: &Faults, key: u64, is_klines: bool) -> Option<Hit> {
    [
        (Hit::Reset, faults.reset_rate),
        (Hit::Hang, faults.hang_rate),
        (Hit::Forbidden, faults.forbidden_rate),
        (Hit::Restricted, faults.restricted_rate),
        (Hit::TooMany, faults.too_many_rate),
        (Hit::Banned, faults.banned_rate),
        (Hit::Error, faults.error_rate),
        (Hit::Truncate, faults.truncate_rate),
        (Hit::Malformed, faults.malformed_rate),
        (Hit::Empty, if is_klines { faults.empty_rate } else { 0.0 }),
    ]
    .into_iter()
    .find(|(hit, rate)| unit(hash(key, &[*hit as u64])) < *rate)
    .map(|(hit, _)| hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(order: &[u32]) -> Vec<(u32, Option<Hit>)> {
        let faults = Faults { seed: 3, error_rate: 0.2, truncate_rate: 0.1, ..Faults::default() };
        let draws = Draws::default();
        let mut hits: Vec<_> =
            order.iter().map(|i| (*i, draws.next(&faults, "klines", &format!("/k?{i}")).hit)).collect();
        hits.sort_by_key(|(i, _)| *i);
        hits
    }

    #[test]
    fn the_order_of_requests_changes_nothing() {
        let forward: Vec<u32> = (0..500).collect();
        let backward: Vec<u32> = (0..500).rev().collect();
        assert_eq!(hits(&forward), hits(&backward));
        let share = hits(&forward).iter().filter(|(_, hit)| *hit == Some(Hit::Error)).count();
        assert!((70..130).contains(&share), "{share}");
    }

    #[test]
    fn a_request_made_again_is_drawn_again() {
        let faults = Faults { error_rate: 0.5, ..Faults::default() };
        let draws = Draws::default();
        let outcomes: Vec<_> =
            (0..50).map(|_| draws.next(&faults, "klines", "/same").hit.is_some()).collect();
        assert!(outcomes.contains(&true) && outcomes.contains(&false));
    }

    #[test]
    fn hits_can_be_limited_in_number_and_in_scope() {
        let faults = Faults {
            error_rate: 1.0,
            after: 2,
            max_hits: Some(3),
            endpoints: vec!["klines".into()],
            ..Faults::default()
        };
        let draws = Draws::default();
        let hit = |endpoint: &str| draws.next(&faults, endpoint, "/x").hit.is_some();
        assert!(!hit("time"));
        let outcomes: Vec<_> = (0..7).map(|_| hit("klines")).collect();
        assert_eq!(outcomes, [false, false, true, true, true, false, false]);
    }
}

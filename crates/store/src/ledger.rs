//! Rules that keep the store's own records from growing without end.

use kline::Interval;

use crate::{Fetched, LedgerEntry};

/// Ledger entries kept per series; the oldest go first. Entries of one long fetch are joined, so this is years of
/// nightly runs.
pub(crate) const KEPT_FETCHES: i64 = 4096;

/// Run records kept per series; the oldest go first.
pub(crate) const KEPT_RUNS: i64 = 500;

/// Delivered messages whose ids are remembered, so that a repeat is recognised.
pub(crate) const KEPT_DELIVERED: i64 = 10_000;

/// One entry for both, when `new` continues `last`: same run and source, next page forwards or backwards. A repeat of
/// the very same answer changes nothing.
pub(crate) fn join(last: &LedgerEntry, run: &str, new: &Fetched) -> Option<Fetched> {
    let old = &last.fetched;
    if last.run != run || old.source != new.source {
        return None;
    }
    if old == new {
        return Some(new.clone());
    }
    let touches = old.slots.end == new.slots.start || new.slots.end == old.slots.start;
    touches.then(|| Fetched {
        slots: kline::SlotRange::new(old.slots.start.min(new.slots.start), old.slots.end.max(new.slots.end)),
        source: new.source,
        rows: old.rows + new.rows,
        rejected: old.rejected + new.rejected,
        at: old.at.max(new.at),
    })
}

/// Where a ledger entry begins and ends in time, ms: what is kept, because a person can read it.
pub(crate) fn times(interval: Interval, slots: kline::SlotRange) -> (i64, i64) {
    let range = interval.time_range(slots);
    (range.since.0, range.until.0)
}

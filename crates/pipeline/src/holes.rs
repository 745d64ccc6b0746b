//! What the exchange does not have.
//!
//! An empty answer proves nothing: it may be a hiccup. That a run of slots is empty at the source is believed on *positive*
//! proof: a request of another shape, whose answer is a kline on the far side of the run. `previous_kline` of the run's end
//! opens before its start: nothing lies between. One such request proves a hole of any length, so a hole of years costs no
//! more than one of minutes.

use futures_util::StreamExt;
use futures_util::stream;

use binance::Client;
use kline::{Millis, RangeSet, Series, Slot, SlotRange};
use store::{Absence, AbsentRange};

use crate::error::JobError;

/// Slots that ended less than this ago are never called absent: a halt may still be filled in.
pub(crate) const SETTLED_MS: i64 = 15 * 60_000;

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub absent: Vec<AbsentRange>,
    /// First kline the exchange has, if that was learnt.
    pub listed: Option<Millis>,
}

impl Found {
    pub fn absent_slots(&self) -> RangeSet {
        self.absent.iter().map(|a| a.slots).collect()
    }
}

/// Finds holes of one series.
pub(crate) struct Holes<'a> {
    client: &'a Client,
    series: &'a Series,
    in_flight: usize,
    found: Found,
    /// Runs without a kline on the far side, as of an earlier round.
    doubtful: RangeSet,
}

impl<'a> Holes<'a> {
    pub fn new(client: &'a Client, series: &'a Series, in_flight: usize) -> Self {
        Self { client, series, in_flight, found: Found::default(), doubtful: RangeSet::new() }
    }

    /// Hands over what was found since the last call.
    pub fn take(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// A whole window from `rest`'s first slot on was empty: looks how far the hole goes. Returns the first slot beyond
    /// it; what lies before needs no further request. `leading`: nothing is known to lie before the window.
    pub async fn skip(&mut self, rest: &RangeSet, leading: bool) -> Result<Slot, JobError> {
        let Some(start) = rest.first() else { return Ok(i64::MIN) };
        let interval = self.series.interval;
        if leading {
            let first = self.client.first_kline(self.series).await?;
            let first = first.ok_or_else(|| JobError::NoKlines(self.series.clone()))?;
            if interval.slot_of(first) > start {
                self.found.listed = Some(first);
                self.mark(rest, SlotRange::new(start, interval.slot_of(first)), Absence::NotListedYet)
                    .await?;
                return Ok(interval.slot_of(first));
            }
        }
        let next = self.client.next_kline(self.series, interval.slot_start(start)).await?;
        match next.map(|open| interval.slot_of(open)) {
            // A kline far beyond the window that was empty: two answers agree.
            Some(next) if next > start => {
                self.mark(rest, SlotRange::new(start, next), Absence::EmptyAnswer).await?;
                Ok(next)
            }
            // The window is not empty after all.
            Some(_) => Ok(i64::MIN),
            None => self.skip_to_end(rest, start).await,
        }
    }

    /// Nothing comes after `start` any more, a delisted symbol for instance: if the last kline there is opens before it,
    /// all the rest is a hole.
    async fn skip_to_end(&mut self, rest: &RangeSet, start: Slot) -> Result<Slot, JobError> {
        let interval = self.series.interval;
        let end = rest.last().map_or(start, |last| last + 1);
        let previous = self.client.previous_kline(self.series, interval.slot_start(end)).await?;
        match previous.map(|open| interval.slot_of(open)) {
            Some(previous) if previous < start => {
                self.mark(rest, SlotRange::new(start, end), Absence::EmptyAnswer).await?;
                Ok(end)
            }
            _ => Ok(i64::MIN),
        }
    }

    /// Looks for proof that runs of slots are empty at the exchange.
    pub async fn prove(&mut self, empty: &RangeSet) -> Result<(), JobError> {
        let open = empty.difference(&self.found.absent_slots());
        let runs: Vec<_> = self.settled(&open).await?.ranges().to_vec();
        let (client, series) = (self.client, self.series);
        let ask = |run: SlotRange| async move {
            let end = series.interval.slot_start(run.end);
            (run, client.previous_kline(series, end).await)
        };
        let mut answers = stream::iter(runs).map(ask).buffered(self.in_flight);
        let mut proven = RangeSet::new();
        while let Some((run, answer)) = answers.next().await {
            match answer?.map(|open| series.interval.slot_of(open)) {
                Some(previous) if previous < run.start => proven.push(run),
                Some(_) => {}
                // Nothing before the run either (COIN-M looks back 200 days only): believed when a later round sees the
                // same again.
                None if self.doubtful.clip(run).len() == run.len() => proven.push(run),
                None => self.doubtful = self.doubtful.union(&run.into()),
            }
        }
        drop(answers);
        for run in proven.ranges() {
            self.mark(&proven, *run, Absence::EmptyAnswer).await?;
        }
        Ok(())
    }

    /// The part of a set that ended long enough ago.
    async fn settled(&self, slots: &RangeSet) -> Result<RangeSet, JobError> {
        if slots.is_empty() {
            return Ok(RangeSet::new());
        }
        let now = self.client.now(self.series.market).await?;
        let until = self.series.interval.slot_of(now.plus(-SETTLED_MS));
        Ok(slots.clip(SlotRange::new(i64::MIN, until)))
    }

    async fn mark(&mut self, wanted: &RangeSet, run: SlotRange, how: Absence) -> Result<(), JobError> {
        let at = self.client.now(self.series.market).await?;
        let absent = self.settled(&wanted.clip(run)).await?;
        self.found.absent.extend(absent.ranges().iter().map(|&slots| AbsentRange { slots, how, at }));
        Ok(())
    }
}

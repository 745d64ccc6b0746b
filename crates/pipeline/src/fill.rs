//! One series: from what is missing to what is stored.
//!
//! Works in rounds. A round plans windows for everything still wanted, fetches them in order with a few in flight, checks
//! every kline and hands the good ones to the writer. What a round leaves open is asked again in the next: a refused row
//! may come right, and a slot that stays empty in two clean answers is *absent*: the source does not have it. Rounds end
//! when nothing is open, or when a round brings nothing new.

use std::collections::BTreeMap;
use std::time::Duration;

use binance::planner::{self, Prefer, Rules, Window};
use binance::{Client, FetchError, Page as Answer};
use futures_util::StreamExt;
use kline::validate::{self, Flags, Reason, Rejection};
use kline::{Millis, RangeSet, Series, SlotRange};
use store::{Absence, AbsentRange, Fetched, KlineStore, Source};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::error::JobError;
use crate::event::{Event, Observer};
use crate::writer::{Page, Writer};

/// A slot that closed less than this ago may be empty because the exchange has not published its kline yet.
const FRESH_MS: i64 = 15_000;
/// An empty slot is called absent only when it closed longer ago than this: a halt may still be filled in.
const SETTLED_MS: i64 = 15 * 60_000;
/// Rounds that bring nothing new before the rest is given up.
const STALLED_ROUNDS: u32 = 2;
/// Rounds spent waiting for klines that are due any moment.
const FRESH_ROUNDS: u32 = 6;
/// Requests in flight when a signal comes get this long to finish.
const GRACE: Duration = Duration::from_secs(3);

/// What filling brought.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub fetched: u64,
    pub rejected: u64,
    pub requests: u64,
    pub weight: u64,
    pub flags: Flags,
    pub rejections: BTreeMap<Reason, (u64, String)>,
    /// Slots filled.
    pub filled: RangeSet,
    /// Slots found absent.
    pub absent: RangeSet,
}

/// Fills slots of one series.
pub(crate) struct Filler<'a> {
    pub client: &'a Client,
    pub observer: &'a dyn Observer,
    pub series: &'a Series,
    pub prefer: Prefer,
    pub in_flight: usize,
    /// Set when the program is asked to stop.
    pub stop: &'a CancellationToken,
    pub tally: Tally,
    /// Slots that one clean answer had no kline for.
    empty_once: RangeSet,
}

impl<'a> Filler<'a> {
    pub fn new(
        client: &'a Client,
        observer: &'a dyn Observer,
        series: &'a Series,
        prefer: Prefer,
        in_flight: usize,
        stop: &'a CancellationToken,
    ) -> Self {
        let in_flight = in_flight.max(1);
        Self {
            client,
            observer,
            series,
            prefer,
            in_flight,
            stop,
            tally: Tally::default(),
            empty_once: RangeSet::new(),
        }
    }

    /// Fetches everything in `wanted` into the writer. Returns what is still missing; on an error the tally and the
    /// writer hold what came in before it.
    pub async fn fill<S: KlineStore>(
        &mut self,
        mut wanted: RangeSet,
        leading: bool,
        writer: &mut Writer<'_, S>,
    ) -> Result<RangeSet, JobError> {
        let rules = Rules::of(self.series.market, self.series.interval);
        let (mut stalled, mut fresh) = (0, 0);
        if leading {
            self.skip_unlisted(&rules, &mut wanted, writer).await?;
        }
        while !wanted.is_empty() {
            let windows = planner::plan(&wanted, &rules, self.prefer);
            let before = (wanted.len(), self.empty_once.len());
            self.round(&windows, &mut wanted, writer).await?;
            if wanted.is_empty() {
                break;
            }
            let now = self.client.now(self.series.market).await?;
            if self.all_within(&wanted, now, FRESH_MS) && fresh < FRESH_ROUNDS {
                fresh += 1;
                self.pause(Duration::from_secs(2)).await?;
            } else if (wanted.len(), self.empty_once.len()) == before {
                stalled += 1;
                if stalled >= STALLED_ROUNDS || self.all_within(&wanted, now, SETTLED_MS) {
                    break;
                }
                self.pause(Duration::from_millis(500)).await?;
            }
        }
        Ok(wanted)
    }

    /// Whether every slot ended less than `ms` ago.
    fn all_within(&self, slots: &RangeSet, now: Millis, ms: i64) -> bool {
        slots.first().is_some_and(|first| self.series.interval.slot_end(first).plus(ms) > now)
    }

    async fn pause(&self, time: Duration) -> Result<(), JobError> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.stop.cancelled() => Err(JobError::Interrupted),
        }
    }

    /// When the range may begin before the listing: asks for the first window alone, and if its beginning is empty, for
    /// the first kline there is. All before it is absent, at the price of one request instead of thousands.
    async fn skip_unlisted<S: KlineStore>(
        &mut self,
        rules: &Rules,
        wanted: &mut RangeSet,
        writer: &mut Writer<'_, S>,
    ) -> Result<(), JobError> {
        let Some(first) = planner::plan(wanted, rules, self.prefer).into_iter().next() else { return Ok(()) };
        let start = first.slots.start;
        self.round(&[first], wanted, writer).await?;
        if !wanted.contains(start) || !self.empty_once.contains(start) {
            return Ok(());
        }
        let now = self.client.now(self.series.market).await?;
        self.tally.requests += 1;
        self.tally.weight += u64::from(rules.weight_of(1));
        let Some(listed) = self.client.first_kline(self.series).await? else {
            return Err(JobError::NoKlines(self.series.clone()));
        };
        let first_slot = self.series.interval.slot_of(listed);
        let before = wanted.clip(SlotRange::new(i64::MIN, first_slot));
        writer.absent(before.ranges().iter().map(|&slots| AbsentRange {
            slots,
            how: Absence::NotListedYet,
            at: now,
        }));
        writer.listed(listed);
        *wanted = wanted.difference(&before);
        self.tally.absent = self.tally.absent.union(&before);
        Ok(())
    }

    /// Fetches windows in order and takes what they bring off `wanted`.
    async fn round<S: KlineStore>(
        &mut self,
        windows: &[Window],
        wanted: &mut RangeSet,
        writer: &mut Writer<'_, S>,
    ) -> Result<(), JobError> {
        let (sender, mut pages) = mpsc::channel(self.in_flight);
        let mut gained = Gained::default();
        let (fetching, writing) =
            tokio::join!(self.fetch(windows, wanted, sender, &mut gained), writer.drain(&mut pages));
        let absent = gained.empty.intersection(&self.empty_once);
        self.empty_once = self.empty_once.union(&gained.empty);
        *wanted = wanted.difference(&gained.filled);
        self.tally.filled = self.tally.filled.union(&gained.filled);
        writing?;
        self.settle(absent, wanted, writer).await?;
        fetching
    }

    /// Records as absent what two clean answers left empty and what is old enough to be settled.
    async fn settle<S: KlineStore>(
        &mut self,
        absent: RangeSet,
        wanted: &mut RangeSet,
        writer: &mut Writer<'_, S>,
    ) -> Result<(), JobError> {
        if absent.is_empty() {
            return Ok(());
        }
        let at = self.client.now(self.series.market).await?;
        let settled = self.series.interval.slot_of(at.plus(-SETTLED_MS));
        let absent = absent.clip(SlotRange::new(i64::MIN, settled)).intersection(wanted);
        writer.absent(absent.ranges().iter().map(|&slots| AbsentRange {
            slots,
            how: Absence::EmptyAnswer,
            at,
        }));
        *wanted = wanted.difference(&absent);
        self.tally.absent = self.tally.absent.union(&absent);
        Ok(())
    }

    async fn fetch(
        &mut self,
        windows: &[Window],
        wanted: &RangeSet,
        sender: mpsc::Sender<Page>,
        gained: &mut Gained,
    ) -> Result<(), JobError> {
        let (client, series, stop) = (self.client, self.series, self.stop);
        let mut answers = futures_util::stream::iter(windows)
            .take_while(|_| std::future::ready(!stop.is_cancelled()))
            .map(|window| {
                let span = tracing::info_span!(
                    "klines.window",
                    klines.source = "rest",
                    klines.count = window.slots.len()
                );
                async move { (window, ask(client, series, window.slots, stop).await) }.instrument(span)
            })
            .buffered(self.in_flight);
        while let Some((window, answer)) = answers.next().await {
            let page = self.check(window, answer?, wanted, gained);
            if sender.send(page).await.is_err() {
                return Ok(()); // the writer failed, and says why
            }
        }
        if stop.is_cancelled() { Err(JobError::Interrupted) } else { Ok(()) }
    }

    /// Sorts one answer: what may be stored, what is refused, what is not there.
    fn check(&mut self, window: &Window, answer: Answer, wanted: &RangeSet, gained: &mut Gained) -> Page {
        let interval = self.series.interval;
        let rows = answer.rows_received;
        self.tally.requests += u64::from(answer.requests);
        self.tally.weight += u64::from(answer.weight);
        // A slot counts as answered when any row claims it, good or bad. A row that does not even say when it opens
        // could be any slot, so such an answer proves nothing about emptiness.
        let readable = answer.unreadable.iter().all(|r| r.open_time.is_some());
        let claimed = answer
            .rows
            .iter()
            .map(|k| k.open_time)
            .chain(answer.unreadable.iter().filter_map(|r| r.open_time));
        let claimed: RangeSet = claimed.map(|at| interval.slot_of(at)).collect();

        let mut checked = validate::check_page(interval, window.slots, answer.exchange_now, answer.rows);
        checked.rejected.extend(answer.unreadable);
        for rejection in &checked.rejected {
            self.count_rejection(rejection);
        }
        checked.accepted.retain(|k| wanted.contains(interval.slot_of(k.open_time)));
        let asked = wanted.clip(window.slots);
        if readable {
            for range in asked.difference(&claimed).ranges() {
                gained.empty.push(*range);
            }
        }
        let useful = checked.accepted.len() as u64;
        for kline in &checked.accepted {
            gained.filled.push_slot(interval.slot_of(kline.open_time));
            self.tally.flags.count(interval, kline);
        }
        self.tally.fetched += useful + checked.rejected.len() as u64;
        self.observer.event(&Event::Fetched { series: self.series, slots: window.slots, useful });
        let fetched = Fetched {
            slots: window.slots,
            source: Source::Rest,
            rows,
            rejected: checked.rejected.len() as u64,
            at: answer.exchange_now,
        };
        Page { klines: checked.accepted, fetched }
    }

    fn count_rejection(&mut self, rejection: &Rejection) {
        self.tally.rejected += 1;
        let entry =
            self.tally.rejections.entry(rejection.reason).or_insert_with(|| (0, rejection.to_string()));
        entry.0 += 1;
        self.observer.event(&Event::Rejected { series: self.series, rejection });
    }
}

/// What one round brought.
#[derive(Default)]
struct Gained {
    filled: RangeSet,
    empty: RangeSet,
}

/// Asks for one window. Once the program is to stop, what is in flight gets a moment to come in.
async fn ask(
    client: &Client,
    series: &Series,
    slots: SlotRange,
    stop: &CancellationToken,
) -> Result<Answer, JobError> {
    let answer = client.klines(series, slots);
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        answer = answer => answer.map_err(|error: FetchError| error.into()),
        () = stopped => Err(JobError::Interrupted),
    }
}

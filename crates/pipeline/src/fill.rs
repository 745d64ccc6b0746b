//! One series: from what is missing to what is stored.
//!
//! Works in rounds. A round plans windows for everything still wanted, fetches them in order with a few in flight, checks
//! every kline and hands the good ones to the writer. What a round leaves open is asked again in the next: a refused row may
//! come right. Rounds end when nothing is open, or when a round brings nothing new.
//!
//! A slot is called *absent* on positive proof only, see [`crate::holes`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use binance::planner::{self, Prefer, Rules, Window};
use binance::{Client, FetchError, Page as Answer};
use futures_util::StreamExt;
use kline::validate::{self, Flags, Reason, Rejection};
use kline::{Millis, RangeSet, Series, Slot, SlotRange};
use store::{Fetched, KlineStore, Source};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::error::JobError;
use crate::event::{Event, Observer};
use crate::holes::{self, Holes};
use crate::route::{ArchiveReport, FetchFrom};
use crate::writer::{Page, Writer};

/// A slot that closed less than this ago may be empty because the exchange has not published its kline yet.
const FRESH_MS: i64 = 15_000;
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
    pub flags: Flags,
    pub rejections: BTreeMap<Reason, (u64, String)>,
    /// Slots filled.
    pub filled: RangeSet,
    /// Slots found absent.
    pub absent: RangeSet,
    /// What the archive contributed.
    pub archive: ArchiveReport,
}

impl Tally {
    /// Counts refused rows of one kind.
    pub fn reject(&mut self, rejection: &Rejection, rows: u64) {
        self.rejected += rows;
        let first = || (0, rejection.to_string());
        self.rejections.entry(rejection.reason).or_insert_with(first).0 += rows;
    }
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
    /// A stored slot to read once more: its kline may have settled after it was stored.
    pub recheck: Option<Slot>,
    /// Whether the range may begin before the symbol was listed.
    pub leading: bool,
    /// Where to fetch from.
    pub from: &'a FetchFrom,
    pub tally: Tally,
}

impl Filler<'_> {
    /// Fetches everything in `wanted` into the writer. Returns what is still missing; on an error the tally and the
    /// writer hold what came in before it.
    pub async fn fill<S: KlineStore>(
        &mut self,
        mut wanted: RangeSet,
        writer: &mut Writer<'_, S>,
    ) -> Result<RangeSet, JobError> {
        if let Some(archive) = self.from.archive() {
            self.read_archive(archive, &mut wanted, writer).await?;
        }
        if self.from.only_archive().is_some() {
            return Ok(wanted);
        }
        let rules = Rules::of(self.series.market, self.series.interval);
        let mut holes = Holes::new(self.client, self.series, self.in_flight);
        let (mut stalled, mut fresh) = (0, 0);
        while !wanted.is_empty() {
            let asked = wanted.union(&self.recheck.into_iter().collect());
            let windows = planner::plan(&asked, &rules, self.prefer);
            let before = wanted.len();
            self.round(&windows, &mut wanted, &mut holes, writer).await?;
            self.recheck = None;
            if wanted.is_empty() {
                break;
            }
            let now = self.client.now(self.series.market).await?;
            if self.all_within(&wanted, now, FRESH_MS) && fresh < FRESH_ROUNDS {
                fresh += 1;
                self.pause(Duration::from_secs(2)).await?;
            } else if wanted.len() == before {
                stalled += 1;
                if stalled >= STALLED_ROUNDS || self.all_within(&wanted, now, holes::SETTLED_MS) {
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

    /// Fetches windows in order and takes what they bring off `wanted`.
    async fn round<S: KlineStore>(
        &mut self,
        windows: &[Window],
        wanted: &mut RangeSet,
        holes: &mut Holes<'_>,
        writer: &mut Writer<'_, S>,
    ) -> Result<(), JobError> {
        // The receiver belongs to the writing side: when that fails, it is gone, and the fetching side sees it.
        let (sender, pages) = mpsc::channel(self.in_flight);
        let mut gained = Gained::default();
        let (fetching, writing) =
            tokio::join!(self.fetch(windows, wanted, sender, &mut gained, holes), writer.drain(pages));
        *wanted = wanted.difference(&gained.filled);
        self.tally.filled = self.tally.filled.union(&gained.filled);
        writing?;
        let proof = match fetching {
            Ok(()) => self.or_interrupted(holes.prove(&gained.empty.intersection(wanted))).await,
            Err(error) => Err(error),
        };
        // What was proven before an error holds all the same.
        let found = holes.take();
        if let Some(listed) = found.listed {
            writer.listed(listed);
        }
        let absent = found.absent_slots();
        writer.absent(found.absent);
        *wanted = wanted.difference(&absent);
        self.tally.absent = self.tally.absent.union(&absent);
        proof
    }

    async fn or_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, JobError>>,
    ) -> Result<T, JobError> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(JobError::Interrupted),
        }
    }

    async fn fetch(
        &mut self,
        windows: &[Window],
        wanted: &RangeSet,
        sender: mpsc::Sender<Page>,
        gained: &mut Gained,
        holes: &mut Holes<'_>,
    ) -> Result<(), JobError> {
        let (client, series, stop) = (self.client, self.series, self.stop);
        // Windows that lie in a hole found on the way are not asked for any more.
        let skip_to = &AtomicI64::new(i64::MIN);
        let mut answers = futures_util::stream::iter(windows)
            .take_while(|_| std::future::ready(!stop.is_cancelled()))
            .filter(|window| std::future::ready(window.slots.end > skip_to.load(Ordering::Relaxed)))
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
            let answer = answer?;
            let nothing = answer.rows_received == 0;
            let page = self.check(window, answer, wanted, gained);
            if nothing && window.slots.end > skip_to.load(Ordering::Relaxed) {
                let rest = wanted.clip(SlotRange::new(window.slots.start, i64::MAX));
                let leading = self.leading && wanted.first() == Some(window.slots.start);
                let next = self.or_interrupted(holes.skip(&rest, leading)).await?;
                skip_to.store(next, Ordering::Relaxed);
            }
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
        let asked = wanted.clip(window.slots);
        let (new, rest): (Vec<_>, Vec<_>) =
            checked.accepted.into_iter().partition(|k| wanted.contains(interval.slot_of(k.open_time)));
        let again = rest.into_iter().filter(|k| self.recheck == Some(interval.slot_of(k.open_time)));
        if readable {
            for range in asked.difference(&claimed).ranges() {
                gained.empty.push(*range);
            }
        }
        let useful = new.len() as u64;
        for kline in &new {
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
        Page { klines: again.chain(new).collect(), fetched }
    }

    fn count_rejection(&mut self, rejection: &Rejection) {
        self.tally.reject(rejection, 1);
        self.observer.event(&Event::Rejected { series: self.series, rejection });
    }
}

/// What one round brought.
#[derive(Default)]
struct Gained {
    filled: RangeSet,
    /// Wanted slots that a clean answer had no kline for.
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

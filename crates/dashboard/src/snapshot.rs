//! All series at once, counted from the books and kept for a moment.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use kline::{Millis, Series, SlotRange};
use pipeline::certify::notes::{self, State};
use store::{Books, Extent, KlineStore, SeriesRecord, Store, StoreResult};
use tokio::sync::Mutex;

use crate::coverage::{Cell, Coverage, Unit, coverage, range_of};
use crate::runs::{Run, Weight, weight};
use crate::source::{Away, Source, words};

/// Run records that are looked at for the weight of the last day and the last run of each series.
const RECENT: usize = 3000;
/// Undelivered messages that are counted; more are "at least so many".
const PENDING: usize = 1000;
/// Series counted at the same time.
const AT_ONCE: usize = 4;
/// A snapshot younger than this is given out as it is; an older one is given out while the next is made.
const FRESH: Duration = Duration::from_secs(2);
/// Making snapshots may take this part of the time at most.
const SHARE: u32 = 10;
/// An older one than this is not given out: nobody has looked for a while.
const STALE: Duration = Duration::from_secs(60);

/// What is known of one series.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The series.
    pub series: Series,
    /// When the exchange listed it, if that was learnt.
    pub listed: Option<Millis>,
    /// Stored klines, if any.
    pub extent: Option<Extent>,
    /// First instant of the range that is looked at.
    pub since: Millis,
    /// First instant after it.
    pub until: Millis,
    /// Slots in the range.
    pub expected: u64,
    /// Those neither filled nor absent.
    pub missing: u64,
    /// Runs of missing slots.
    pub gaps: u64,
    /// Those the source has not.
    pub absent: u64,
    /// Counts per month.
    pub months: Vec<Cell>,
    /// What of it was certified, and has changed since.
    pub certified: State,
    /// The newest run.
    pub last_run: Option<Run>,
}

impl Summary {
    /// Filled slots.
    pub fn stored(&self) -> u64 {
        self.expected - self.missing - self.absent
    }

    /// Klines that have closed by `now` after the last stored one. `now` is this machine's clock: for people to see how far
    /// behind a series is, never for judging what is closed.
    pub fn behind(&self, now: Millis) -> u64 {
        let interval = self.series.interval;
        let last = self.extent.map_or(self.until, |extent| extent.last);
        let next = interval.slot_of(last) + 1;
        u64::try_from(interval.first_open_slot(now) - next).unwrap_or(0)
    }
}

/// Sums over series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Series.
    pub series: u64,
    /// Series of which nothing is missing.
    pub complete: u64,
    /// Klines stored.
    pub rows: u64,
    /// Slots looked at.
    pub expected: u64,
    /// Filled slots.
    pub stored: u64,
    /// Missing slots.
    pub missing: u64,
    /// Absent slots.
    pub absent: u64,
    /// Gaps.
    pub gaps: u64,
    /// Series all of whose months were certified, and have not changed since; they may have grown.
    pub certified: u64,
    /// Series of which a certified month has changed since.
    pub changed: u64,
}

/// All series of a store at one time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Name of the engine; `None` while there is no store yet.
    pub engine: Option<&'static str>,
    /// Every series, by name.
    pub series: Vec<Summary>,
    /// Sums over them.
    pub sums: Sums,
    /// Messages that wait in the outbox; more than 1,000 are not counted.
    pub pending: u64,
    /// What the runs of the last day cost.
    pub weight: Vec<Weight>,
    /// The newest run of any series.
    pub last_run: Option<Run>,
    /// When it was made, by this machine's clock.
    pub at: Millis,
    made: Instant,
    took: Duration,
}

impl Snapshot {
    /// How long ago it was made.
    pub fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// One series.
    pub fn find(&self, series: &Series) -> Option<&Summary> {
        self.series.iter().find(|summary| summary.series == *series)
    }

    fn is_fresh(&self) -> bool {
        self.age() < FRESH.max(self.took * SHARE).min(STALE)
    }
}

/// Counts every series of a store, from `since` or else its first kline on.
///
/// # Errors
/// Those of the store.
pub async fn take(store: &Store, since: Option<Millis>, now: Millis) -> StoreResult<Snapshot> {
    let made = Instant::now();
    let records = store.all_series().await?;
    let recent: Vec<_> = store.runs(None, RECENT).await?.into_iter().map(Run::of).collect();
    let mut newest: HashMap<Series, Run> = HashMap::new();
    for run in &recent {
        newest.entry(run.record.series.clone()).or_insert_with(|| run.clone());
    }
    let all_runs_seen = recent.len() < RECENT;
    let series: Vec<Summary> = futures_util::stream::iter(records)
        .map(|record| {
            let known = newest.get(&record.series).cloned();
            async move {
                let mut summary = summary(store, &record, since).await?;
                summary.last_run = match known {
                    None if !all_runs_seen => store.runs(Some(&record.series), 1).await?.pop().map(Run::of),
                    known => known,
                };
                Ok::<_, store::StoreError>(summary)
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Snapshot {
        engine: Some(store.engine()),
        sums: sums(&series),
        pending: store.pending(PENDING).await?.len() as u64,
        weight: weight(recent.iter(), now),
        last_run: recent.into_iter().next(),
        series,
        at: now,
        made,
        took: made.elapsed(),
    })
}

/// What is known of one series, but for its runs.
pub(crate) async fn summary(
    store: &Store,
    record: &SeriesRecord,
    since: Option<Millis>,
) -> StoreResult<Summary> {
    let interval = record.series.interval;
    let slots = range_of(record, since);
    let (counted, certified) = count(store, record, slots).await?;
    let range = interval.time_range(slots);
    Ok(Summary {
        series: record.series.clone(),
        listed: record.listed,
        extent: record.extent,
        since: range.since,
        until: range.until,
        expected: slots.len(),
        missing: counted.missing.len(),
        gaps: counted.missing.runs() as u64,
        absent: counted.absent.len(),
        months: counted.cells(Unit::Month),
        certified,
        last_run: None,
    })
}

/// What a range of a series holds, and what of the series was certified. Books in full are read only of series of which
/// something was, and in place of the question what is missing, which they answer as well.
async fn count(store: &Store, record: &SeriesRecord, slots: SlotRange) -> StoreResult<(Coverage, State)> {
    let (series, stored) = (&record.series, range_of(record, None));
    let notes = store.certified(series).await?;
    let certified = notes::extent(stored, &notes);
    if notes.is_empty() {
        let counted = coverage(store, series, slots).await?;
        return Ok((counted, State::of(series, certified, &notes, &Books::default())));
    }
    let both = match slots.is_empty() {
        true => certified,
        false => SlotRange::new(certified.start.min(slots.start), certified.end.max(slots.end)),
    };
    let books = store.books(series, both).await?;
    let absent = if slots.is_empty() { Vec::new() } else { store.absent(series, slots).await? };
    let counted = Coverage::of(series, slots, &books.missing, &absent);
    Ok((counted, State::of(series, certified, &notes, &books)))
}

fn sums(series: &[Summary]) -> Sums {
    let mut sums = Sums::default();
    for s in series {
        sums.series += 1;
        sums.complete += u64::from(s.missing == 0);
        sums.rows += s.extent.map_or(0, |extent| extent.rows);
        sums.expected += s.expected;
        sums.stored += s.stored();
        sums.missing += s.missing;
        sums.absent += s.absent;
        sums.gaps += s.gaps;
        let c = &s.certified;
        sums.certified += u64::from(c.is_known() && c.changed == 0 && c.open() == 0);
        sums.changed += u64::from(c.changed > 0);
    }
    sums
}

/// The newest snapshot, and the making of the next.
pub(crate) struct Snapshots {
    source: Arc<Source>,
    since: Option<Millis>,
    current: RwLock<Option<Arc<Snapshot>>>,
    making: Mutex<()>,
}

impl Snapshots {
    pub fn new(source: Arc<Source>, since: Option<Millis>) -> Self {
        Self { source, since, current: RwLock::default(), making: Mutex::default() }
    }

    fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A snapshot that is at most a minute old, at once if there is one.
    pub async fn get(self: &Arc<Self>) -> Result<Arc<Snapshot>, Away> {
        match self.current() {
            Some(snapshot) if snapshot.is_fresh() => Ok(snapshot),
            Some(snapshot) if snapshot.age() < STALE => {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    if let Ok(_turn) = this.making.try_lock()
                        && let Err(error) = this.make().await
                    {
                        tracing::warn!("the store cannot be read: {error}");
                    }
                });
                Ok(snapshot)
            }
            _ => self.renewed().await,
        }
    }

    /// A snapshot that is made now, unless somebody else has just made one.
    pub async fn renewed(self: &Arc<Self>) -> Result<Arc<Snapshot>, Away> {
        let asked = Instant::now();
        let _turn = self.making.lock().await;
        match self.current() {
            Some(snapshot) if snapshot.made >= asked => Ok(snapshot),
            _ => self.make().await,
        }
    }

    async fn make(&self) -> Result<Arc<Snapshot>, Away> {
        let now = wall_clock();
        let snapshot = match self.source.store().await? {
            Some(store) => take(&store, self.since, now).await.map_err(|error| Away(words(&error)))?,
            None => nothing(now),
        };
        let snapshot = Arc::new(snapshot);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

fn nothing(now: Millis) -> Snapshot {
    Snapshot {
        engine: None,
        series: Vec::new(),
        sums: Sums::default(),
        pending: 0,
        weight: Vec::new(),
        last_run: None,
        at: now,
        made: Instant::now(),
        took: Duration::ZERO,
    }
}

/// This machine's clock: for ages and the times of snapshots, never for judging what is closed.
pub(crate) fn wall_clock() -> Millis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or_default())
}

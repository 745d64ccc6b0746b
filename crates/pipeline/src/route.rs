//! Klines out of the public archive: which files, what of them counts, what is left to REST.
//!
//! Files are read month by month, then day by day where a month lacked something; slots are counted after each, so a file
//! that lacks days, ends early or is refused leaves its slots to the next source. An empty slot of a file is never taken
//! for an absent kline: only REST says that.

use std::time::Duration;

use binance::archive::plan::{self, Choice, Found, Pace, Tried};
use binance::archive::{Archive, ArchiveError, ArchiveFile, Batch, Opened};
use binance::planner::{self, Prefer, Rules};
use futures_util::StreamExt;
use kline::validate::{self, Reason, Rejection};
use kline::{Kline, Millis, RangeSet, Series, SlotRange};
use serde::Serialize;
use store::{Fetched, KlineStore, Source};
use tokio::sync::mpsc;

use crate::error::JobError;
use crate::event::Event;
use crate::fill::Filler;
use crate::writer::{Page, Writer};

/// Refused files told in a report.
const MOST_REFUSED: usize = 5;
/// Rows of a batch without a trade that are worth this much weight are asked of REST instead: the archive is known to have empty rows
/// where trading went on, and REST to have the trades.
const DOUBT_WEIGHT: u32 = 2;
/// Files of months fetched at once for one series: they are megabytes each, and wait in memory for those before them.
const MONTHS_AHEAD: usize = 2;
/// Round trip assumed before the first answer.
const RTT: Duration = Duration::from_millis(75);

/// Where klines are fetched from.
#[derive(Debug, Clone, Default)]
pub enum FetchFrom {
    /// The REST interface alone.
    #[default]
    Rest,
    /// Whichever takes less time: the archive for long runs that closed days ago, REST for all else, and for what the
    /// archive lacks.
    Auto(Archive),
    /// The archive alone; the REST interface is not asked for anything, not even the time.
    Archive(Archive),
}

impl FetchFrom {
    /// The archive, if it may be used.
    pub fn archive(&self) -> Option<&Archive> {
        match self {
            Self::Rest => None,
            Self::Auto(archive) | Self::Archive(archive) => Some(archive),
        }
    }

    /// The archive, if nothing else may be used.
    pub fn only_archive(&self) -> Option<&Archive> {
        match self {
            Self::Archive(archive) => Some(archive),
            _ => None,
        }
    }
}

/// What the archive contributed to a series.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ArchiveReport {
    /// Files read.
    pub files: u64,
    /// Files that the archive does not have, or not yet.
    pub not_found: u64,
    /// Files that were refused.
    pub refused: u64,
    /// Why, for the first few.
    pub reasons: Vec<String>,
    /// Bytes of the files read.
    pub bytes: u64,
    /// Klines taken from them.
    pub klines: u64,
}

impl ArchiveReport {
    fn refuse(&mut self, reason: String) {
        self.refused += 1;
        if self.reasons.len() < MOST_REFUSED {
            self.reasons.push(reason);
        }
    }
}

impl From<ArchiveError> for JobError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Fetch(error) => Self::Fetch(error),
            other => Self::Archive(other),
        }
    }
}

/// How files are weighed against REST.
pub(crate) fn choice(
    client: &binance::Client,
    series: &Series,
    archive: &Archive,
    prefer: Prefer,
    in_flight: usize,
) -> Choice {
    let limit = client.usage(series.market).limit;
    Choice::Quicker(Pace {
        weight_per_second: f64::from(limit) * 0.9 / 60.0,
        rtt: client.rtt(series.market).unwrap_or(RTT),
        requests_at_once: in_flight,
        files_at_once: archive.config().downloads,
        prefer,
    })
}

/// How many files would be fetched first, and the slots they leave to REST.
pub(crate) fn foresee(wanted: &RangeSet, series: &Series, now: Millis, choice: &Choice) -> (u64, RangeSet) {
    let files = plan::plan(wanted, series, now, &Tried::new(), choice);
    let covered: RangeSet = files.iter().map(ArchiveFile::slots).collect();
    let rest = wanted.difference(&covered);
    (files.len() as u64, rest)
}

/// When the first file of a series begins.
pub(crate) async fn first_file(archive: &Archive, series: &Series) -> Result<Millis, JobError> {
    for monthly in [true, false] {
        if let Some((file, _)) = archive.files(series, monthly).await?.into_iter().next() {
            return Ok(file.period().range().since);
        }
    }
    Err(JobError::NoKlines(series.clone()))
}

/// What one pass over some files brought.
#[derive(Default)]
struct Pass {
    filled: RangeSet,
    disputed: RangeSet,
    tried: Tried,
    /// The archive cannot be reached.
    down: bool,
}

/// What all files of a pass share.
struct Reading<'a> {
    archive: &'a Archive,
    wanted: &'a RangeSet,
    now: Millis,
    /// Nothing else will be asked.
    only: bool,
}

impl Filler<'_> {
    /// Takes off `wanted` what the archive has and the choice of routes leaves to it.
    pub(crate) async fn read_archive<S: KlineStore>(
        &mut self,
        archive: &Archive,
        wanted: &mut RangeSet,
        writer: &mut Writer<'_, S>,
    ) -> Result<(), JobError> {
        let only = self.from.only_archive().is_some();
        let now = match only {
            true => archive.now().await?,
            false => self.client.now(self.series.market).await?,
        };
        let choice = match only {
            true => Choice::All,
            false => choice(self.client, self.series, archive, self.prefer, self.in_flight),
        };
        let mut tried = Tried::new();
        loop {
            let files = plan::plan(wanted, self.series, now, &tried, &choice);
            if files.is_empty() {
                return Ok(());
            }
            let mut pass = Pass::default();
            let (sender, pages) = mpsc::channel(2);
            let reading = Reading { archive, wanted, now, only };
            let (fetching, writing) =
                tokio::join!(self.files(&reading, &files, sender, &mut pass), writer.drain(pages));
            // What is disputed was written, perhaps, and stays wanted: a later answer replaces it.
            let filled = pass.filled.difference(&pass.disputed);
            *wanted = wanted.difference(&filled);
            self.tally.filled = self.tally.filled.union(&filled);
            writing?;
            fetching?;
            if pass.down {
                return Ok(());
            }
            tried.append(&mut pass.tried);
        }
    }

    async fn files(
        &mut self,
        reading: &Reading<'_>,
        files: &[ArchiveFile],
        sender: mpsc::Sender<Page>,
        pass: &mut Pass,
    ) -> Result<(), JobError> {
        let (archive, stop) = (reading.archive, self.stop);
        let months = files.iter().any(|file| file.period().is_month());
        let ahead = archive.config().downloads.clamp(1, if months { MONTHS_AHEAD } else { usize::MAX });
        let mut opened = futures_util::stream::iter(files)
            .take_while(|_| std::future::ready(!stop.is_cancelled()))
            .map(|file| async move {
                tokio::select! {
                    opened = archive.open(file) => (file, Some(opened)),
                    () = stop.cancelled() => (file, None),
                }
            })
            .buffered(ahead);
        while let Some((file, opened)) = opened.next().await {
            let found = match opened {
                None => return Err(JobError::Interrupted),
                Some(Ok(Some(opened))) => self.read(reading, opened, &sender, pass).await,
                Some(Ok(None)) => {
                    self.tally.archive.not_found += 1;
                    Found::Nothing
                }
                Some(Err(error)) if error.is_outage() && reading.only => return Err(error.into()),
                Some(Err(error)) => {
                    self.refuse(&error);
                    // Asking on would fail alike, and REST has it all.
                    pass.down = error.is_outage();
                    Found::Refused
                }
            };
            pass.tried.insert(file.period(), found);
            if pass.down || sender.is_closed() {
                break;
            }
        }
        if stop.is_cancelled() { Err(JobError::Interrupted) } else { Ok(()) }
    }

    fn refuse(&mut self, error: &ArchiveError) {
        let reason = error.to_string();
        self.observer.event(&Event::FileRefused { series: self.series, reason: &reason });
        self.tally.archive.refuse(reason);
    }

    /// Reads one file to its end, or to its first damage.
    async fn read(
        &mut self,
        reading: &Reading<'_>,
        opened: Opened,
        sender: &mpsc::Sender<Page>,
        pass: &mut Pass,
    ) -> Found {
        let file = opened.file().clone();
        let bytes = opened.bytes();
        let mut batches = opened.batches();
        while let Some(batch) = batches.recv().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    self.refuse(&error);
                    return Found::Refused;
                }
            };
            let page = self.sort_out(reading, &file, batch, pass);
            if sender.send(page).await.is_err() {
                return Found::Rows; // the writer failed, and says why
            }
        }
        self.tally.archive.files += 1;
        self.tally.archive.bytes += bytes;
        Found::Rows
    }

    /// What of a batch is stored; the rest is counted.
    fn sort_out(&mut self, reading: &Reading<'_>, file: &ArchiveFile, batch: Batch, pass: &mut Pass) -> Page {
        let interval = self.series.interval;
        let rows = batch.rows.len() as u64 + batch.unreadable.rows;
        let ends = batch.rows.first().zip(batch.rows.last());
        let slots = ends.map_or(file.slots(), |(first, last)| {
            let span =
                SlotRange::new(interval.slot_of(first.open_time), interval.slot_of(last.open_time) + 1);
            let inside = span.intersect(&file.slots());
            if inside.is_empty() { file.slots() } else { inside }
        });
        let disputed = batch.disputed.iter().map(|at| Rejection {
            open_time: Some(*at),
            reason: Reason::NotAscending,
            detail: format!("{} has rows of it that differ", file.stem()),
        });
        let mut refused: Vec<Rejection> = disputed.collect();
        for at in &batch.disputed {
            pass.disputed.push_slot(interval.slot_of(*at));
        }
        let mut checked = validate::check_page(interval, file.slots(), reading.now, batch.rows);
        refused.append(&mut checked.rejected);
        let unshown = batch.unreadable.rows - batch.unreadable.shown.len() as u64;
        refused.extend(batch.unreadable.shown);
        self.count_rejections(&refused, unshown);
        let mut accepted = checked.accepted;
        accepted.retain(|k| reading.wanted.contains(interval.slot_of(k.open_time)));
        if !reading.only {
            self.leave_doubtful(&mut accepted);
        }
        for kline in &accepted {
            pass.filled.push_slot(interval.slot_of(kline.open_time));
            self.tally.flags.count(interval, kline);
        }
        let useful = accepted.len() as u64;
        self.tally.archive.klines += useful;
        self.tally.fetched += useful + refused.len() as u64 + unshown;
        self.observer.event(&Event::Fetched { series: self.series, slots, useful });
        let fetched = Fetched {
            slots,
            source: Source::Archive,
            rows,
            rejected: refused.len() as u64 + unshown,
            at: reading.now,
        };
        Page { klines: accepted, fetched }
    }

    /// Leaves rows without a trade to REST, as long as there are so few that asking is cheap.
    fn leave_doubtful(&self, accepted: &mut Vec<Kline>) {
        let interval = self.series.interval;
        let is_empty = |k: &Kline| k.count == 0 && k.volume.is_zero();
        let doubtful: RangeSet =
            accepted.iter().filter(|k| is_empty(k)).map(|k| interval.slot_of(k.open_time)).collect();
        let rules = Rules::of(self.series.market, interval);
        let mut weight = 0;
        for window in planner::Windows::new(&doubtful, &rules, self.prefer) {
            weight += window.weight;
            if weight > DOUBT_WEIGHT {
                return;
            }
        }
        accepted.retain(|k| !is_empty(k));
    }

    /// Counts refused rows of a file. One of each kind is told: a damaged file has thousands of them.
    fn count_rejections(&mut self, refused: &[Rejection], unshown: u64) {
        let mut told: Vec<Reason> = Vec::new();
        for rejection in refused {
            let new = !told.contains(&rejection.reason);
            if new {
                told.push(rejection.reason);
                self.observer.event(&Event::Rejected { series: self.series, rejection });
            }
            self.tally.reject(rejection, 1);
        }
        if let (Some(like), true) = (refused.iter().find(|r| r.reason == Reason::Unreadable), unshown > 0) {
            self.tally.reject(like, unshown);
        }
    }
}

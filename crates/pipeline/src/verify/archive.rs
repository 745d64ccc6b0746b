//! Comparing with the archive: a month at a time, and day by day what its file left open.

use std::collections::BTreeSet;

use binance::archive::{Archive, ArchiveError, ArchiveFile, Batch, Opened, Period, file};
use kline::validate;
use kline::{Interval, Kline, Millis, RangeSet, SlotRange};
use store::{Fetched, KlineStore, Source};

use super::compare::{Answer, Verdict};
use super::task::{Comparison, slots_of};
use crate::error::JobError;

/// Refused files told in a report.
const MOST_REFUSED: usize = 5;

/// The months of a range, and the slots of it in each.
fn months(interval: Interval, slots: SlotRange) -> impl Iterator<Item = (Period, SlotRange)> {
    let month = |slot| Interval::Mo1.slot_of(interval.slot_start(slot));
    let all = if slots.is_empty() { 0..0 } else { month(slots.start)..month(slots.end - 1) + 1 };
    all.map(Period::Month)
        .map(move |period| (period, interval.slots_starting_in(period.range()).intersect(&slots)))
}

impl<S: KlineStore> Comparison<'_, '_, S> {
    /// Files that would be read if every one had all it should have.
    pub(crate) fn price_of_archive(&self, slots: SlotRange, now: Millis) -> u64 {
        if !file::exists(self.series.interval) {
            return 0;
        }
        let one = |(month, slots): (Period, SlotRange)| {
            if self.comes_whole(month, now) { 1 } else { self.days(month, &slots.into(), now).len() as u64 }
        };
        months(self.series.interval, slots).map(one).sum()
    }

    /// Whether a month is read from one file: it is over, and its file is no hundred megabytes of seconds.
    fn comes_whole(&self, month: Period, now: Millis) -> bool {
        month.range().until <= now && self.series.interval != Interval::S1
    }

    /// The days of a month that are over and hold one of some slots.
    fn days(&self, month: Period, wanted: &RangeSet, now: Millis) -> Vec<Period> {
        let interval = self.series.interval;
        let holds = |day: &Period| !wanted.clip(interval.slots_starting_in(day.range())).is_empty();
        month.days().filter(|day| day.range().until <= now).filter(holds).collect()
    }

    /// Compares a range month by month.
    pub(crate) async fn compare_with_archive(
        &mut self,
        archive: &Archive,
        slots: SlotRange,
        now: Millis,
    ) -> Result<(), JobError> {
        let interval = self.series.interval;
        if !file::exists(interval) {
            return Err(JobError::Usage(format!(
                "{}: the archive has {interval} klines late or not at all: compare with --against rest (a page or two)",
                self.series
            )));
        }
        for (month, slots) in months(interval, slots) {
            self.check_stop()?;
            self.month(archive, month, slots, now).await?;
        }
        Ok(())
    }

    async fn month(
        &mut self,
        archive: &Archive,
        month: Period,
        slots: SlotRange,
        now: Millis,
    ) -> Result<(), JobError> {
        let mut verdict = Verdict::default();
        // Everything is open until a file has spoken about it.
        let mut silent = RangeSet::from(slots);
        if self.comes_whole(month, now) {
            let spoke = self.file(archive, month, &silent, now, &mut verdict).await?;
            silent = if spoke { RangeSet::new() } else { silent };
        }
        let open = silent.union(&verdict.open(self.series.interval));
        for day in self.days(month, &open, now) {
            self.check_stop()?;
            let of_day = open.clip(self.series.interval.slots_starting_in(day.range()));
            if self.file(archive, day, &of_day, now, &mut verdict).await? {
                silent = silent.difference(&of_day);
            }
        }
        for run in silent.ranges() {
            // Nobody spoke of these.
            self.report.counts.unchecked += self.inspect(*run).await?;
        }
        for run in RangeSet::from(slots).difference(&silent).ranges() {
            self.inspect(*run).await?;
        }
        self.settle(verdict).await
    }

    /// Looks at stored klines by themselves. Returns how many there are.
    async fn inspect(&mut self, slots: SlotRange) -> Result<u64, JobError> {
        let before = self.report.counts.stored;
        let mut after = None;
        loop {
            let page = self.shared.store.read(self.series, slots, after, 5000).await?;
            let Some(last) = page.last() else { return Ok(self.report.counts.stored - before) };
            after = Some(last.open_time);
            self.report.inspect(self.series.interval, &page, self.shared.options.most_findings);
        }
    }

    /// Compares some slots with one file. `false` when there is no such file, or none that can be read.
    async fn file(
        &mut self,
        archive: &Archive,
        period: Period,
        slots: &RangeSet,
        now: Millis,
        verdict: &mut Verdict,
    ) -> Result<bool, JobError> {
        let Some(file) = ArchiveFile::new(self.series, period) else { return Ok(false) };
        let opened = tokio::select! {
            opened = archive.open(&file) => opened,
            () = self.shared.stop.cancelled() => return Err(JobError::Interrupted),
        };
        let opened = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(false),
            Err(error) => return self.refuse(error),
        };
        self.report.counts.files += 1;
        let mut answer = match read(opened, self.series.interval, slots, now).await {
            Ok(answer) => answer,
            Err(error) => return self.refuse(error),
        };
        self.note(Fetched {
            slots: file.slots(),
            source: Source::Archive,
            rows: answer.rows.len() as u64,
            rejected: answer.doubtful.len(),
            at: now,
        });
        verdict.forget(self.series.interval, slots);
        self.beside(slots, &mut answer, verdict).await?;
        Ok(true)
    }

    /// Puts stored klines beside those of a file, run by run.
    async fn beside(
        &mut self,
        slots: &RangeSet,
        answer: &mut Answer,
        verdict: &mut Verdict,
    ) -> Result<(), JobError> {
        let interval = self.series.interval;
        let mut rows = std::mem::take(&mut answer.rows).into_iter().peekable();
        for run in slots.ranges() {
            // A portion of a month at a time: two whole lists of it need not be in memory.
            let mut at = run.start;
            while at < run.end {
                let part = SlotRange::new(at, run.end.min(at + 5000));
                at = part.end;
                let until = interval.slot_start(part.end);
                let stored = self.stored(part, None, None).await?;
                let mut theirs: Vec<Kline> = Vec::new();
                while let Some(row) = rows.next_if(|k| k.open_time < until) {
                    theirs.push(row);
                }
                let doubtful = answer.doubtful.clip(part);
                let part = Answer { rows: theirs, doubtful, garbled: answer.garbled };
                verdict.compare(interval, &stored, part);
            }
        }
        Ok(())
    }

    /// A file of no use: its slots are for another one. The archive being away, or a local file, ends the comparison.
    fn refuse(&mut self, error: ArchiveError) -> Result<bool, JobError> {
        if error.is_outage() || matches!(error, ArchiveError::Local { .. }) {
            return Err(error.into());
        }
        tracing::warn!(series = %self.series, "archive file refused: {error}");
        if self.report.refused_files.len() < MOST_REFUSED {
            self.report.refused_files.push(error.to_string());
        }
        Ok(false)
    }
}

/// The klines of a file in some slots.
async fn read(
    opened: Opened,
    interval: Interval,
    slots: &RangeSet,
    now: Millis,
) -> Result<Answer, ArchiveError> {
    let all = opened.file().slots();
    let mut answer = Answer::default();
    let mut disputed: BTreeSet<Millis> = BTreeSet::new();
    let mut batches = opened.batches();
    while let Some(batch) = batches.recv().await {
        let Batch { rows, unreadable, disputed: more, .. } = batch?;
        disputed.extend(more);
        let checked = validate::check_page(interval, all, now, rows);
        let told = checked.rejected.iter().chain(&unreadable.shown).map(|r| r.open_time);
        let nameless = unreadable.rows > unreadable.shown.len() as u64 || told.clone().any(|at| at.is_none());
        answer.garbled |= nameless;
        answer.doubtful = answer.doubtful.union(&slots_of(interval, told.flatten()));
        answer
            .rows
            .extend(checked.accepted.into_iter().filter(|k| slots.contains(interval.slot_of(k.open_time))));
    }
    answer.rows.retain(|k| !disputed.contains(&k.open_time));
    answer.doubtful = answer.doubtful.union(&slots_of(interval, disputed.into_iter()));
    Ok(answer)
}

//! Rows of a verified file, in batches, in order, each once.

use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use kline::{Kline, Millis};
use tokio::sync::{Semaphore, mpsc};

use super::csv::{CsvError, Reader, Unreadable};
use super::spool::Spool;
use super::unzip::Zip;
use super::{ArchiveError, ArchiveFile};

/// Most rows in memory at once, 13 MiB: a day of seconds, or two months of minutes.
const BATCH: usize = 90_000;
/// Most rows handed on at once, so that what is made of them stays small too.
const PORTION: usize = 2_500;

/// Rows read at once of a file that does not say how many it should have.
const WINDOW: usize = 10_000;

/// Room for the rows of whole files, used again and again: freed and taken anew by ever other threads, these megabytes would
/// stay with each of them.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<Kline>>>>);

impl Buffers {
    fn take(&self) -> Vec<Kline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<Kline>) {
        buffer.clear();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
/// Files with rows twice exist, whole blocks of them even three times; with more than this something else is wrong.
const MOST_COPIES: usize = 4;

/// A file that was fetched and whose SHA-256 is right.
pub struct Opened {
    pub(super) file: ArchiveFile,
    pub(super) spool: Spool,
    pub(super) sha256: String,
    pub(super) cached: bool,
    /// Lets only so many files have rows in memory at once.
    pub(super) permits: Arc<Semaphore>,
    pub(super) buffers: Buffers,
}

/// Some rows of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Klines with strictly ascending open times; not validated otherwise.
    pub rows: Vec<Kline>,
    /// Rows that could not be read.
    pub unreadable: Unreadable,
    /// Rows that were there more than once, alike in everything, and count once.
    pub duplicates: u64,
    /// Open times of which the file has rows that differ: none of them is to be trusted, not even one of an earlier batch.
    pub disputed: Vec<Millis>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("file", &self.file)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Which file.
    pub fn file(&self) -> &ArchiveFile {
        &self.file
    }

    /// Its SHA-256, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of the zip.
    pub fn bytes(&self) -> u64 {
        self.spool.len()
    }

    /// Whether it came out of the cache.
    pub fn is_cached(&self) -> bool {
        self.cached
    }

    /// Unzips and parses on a thread of its own. Rows arrive in batches of at most 2,500, when the CRC of the whole file is known to be right; an error
    /// is the last thing to arrive.
    pub fn batches(self) -> mpsc::Receiver<Result<Batch, ArchiveError>> {
        let (send, receive) = mpsc::channel(1);
        let Self { file, spool, permits, buffers, .. } = self;
        let parse = move || {
            // A receiver that is gone wants nothing any more, not even the error.
            let deliver = |batch| send.blocking_send(Ok(batch)).is_ok();
            let mut buffer = buffers.take();
            if let Err(error) = read(&file, spool, BATCH, &mut buffer, deliver) {
                let _ = send.blocking_send(Err(error));
            }
            buffers.give_back(buffer);
        };
        tokio::spawn(async move {
            let permit = permits.acquire_owned().await;
            if let Err(error) = tokio::task::spawn_blocking(parse).await {
                tracing::error!(%error, "reading an archive file failed");
            }
            drop(permit);
        });
        receive
    }
}

/// Reads the zip of a file, wherever it lies; `deliver` gets batches of at most 2,500 rows until it says `false`.
///
/// # Errors
/// [`ArchiveError`]
pub fn read_zip(
    file: &ArchiveFile,
    source: impl Read + Seek,
    deliver: impl FnMut(Batch) -> bool,
) -> Result<(), ArchiveError> {
    read(file, source, BATCH, &mut Vec::new(), deliver)
}

/// Reads a zip of any name, whose only member is a CSV of any name and size; `deliver` as above. `label` names it in errors.
///
/// # Errors
/// [`ArchiveError`]
pub fn read_unnamed_zip(
    label: &str,
    source: impl Read + Seek,
    deliver: impl FnMut(Batch) -> bool,
) -> Result<(), ArchiveError> {
    let mut zip = Zip::open_unnamed(label, source)?;
    zip.verify()?;
    rows(label, None, zip.csv()?, WINDOW, &mut Vec::new(), deliver)
}

/// Reads CSV; `deliver` as above. Rows of a file that says how many slots it should hold are put in order, where that is
/// not more than can be held in memory at once; a row of a larger file that comes too late is disputed.
///
/// # Errors
/// [`ArchiveError`]
pub fn read_csv(
    label: &str,
    slots: Option<u64>,
    source: impl Read,
    deliver: impl FnMut(Batch) -> bool,
) -> Result<(), ArchiveError> {
    let batch = if slots.is_some_and(|slots| slots <= BATCH as u64) { BATCH } else { WINDOW };
    rows(label, slots, source, batch, &mut Vec::new(), deliver)
}

/// Reads a zip; `deliver` gets batches until it says `false`.
pub(super) fn read(
    file: &ArchiveFile,
    source: impl Read + Seek,
    batch: usize,
    buffer: &mut Vec<Kline>,
    deliver: impl FnMut(Batch) -> bool,
) -> Result<(), ArchiveError> {
    let mut zip = Zip::open(file, source)?;
    let slots = file.slots().len();
    if usize::try_from(slots).is_ok_and(|slots| slots > batch) {
        // Rows will be handed on before the end is reached, so the end is looked at first.
        zip.verify()?;
    }
    rows(&file.key(), Some(slots), zip.csv()?, batch, buffer, deliver)
}

/// Reads rows; `slots` are those the file should hold, where that is known.
fn rows(
    label: &str,
    slots: Option<u64>,
    source: impl Read,
    batch: usize,
    buffer: &mut Vec<Kline>,
    mut deliver: impl FnMut(Batch) -> bool,
) -> Result<(), ArchiveError> {
    let slots = slots.and_then(|slots| usize::try_from(slots).ok()).unwrap_or(usize::MAX);
    let whole = slots <= batch;
    let most = if whole { slots.saturating_mul(MOST_COPIES).saturating_add(100) } else { batch };
    let mut reader = Reader::new(source);
    let mut last = None;
    let mut told = Unreadable::default();
    loop {
        buffer.clear();
        buffer.reserve(slots.saturating_add(1).min(batch));
        let more = reader.read(buffer, most).map_err(|error| content(label, error))?;
        if more && whole {
            let detail = format!("it has more than {most} rows, and should have {slots}");
            return Err(ArchiveError::Content { file: label.to_owned(), detail });
        }
        let mut out = tidy(buffer, &mut last);
        let bad = reader.unreadable();
        out.unreadable.rows = bad.rows - told.rows;
        out.unreadable.shown = bad.shown[told.shown.len()..].to_vec();
        told = bad.clone();
        if !portions(out, buffer, &mut deliver) || !more {
            return Ok(());
        }
    }
}

/// Hands rows on in portions; what else there is of a batch goes with the first.
fn portions(mut batch: Batch, rows: &mut Vec<Kline>, deliver: &mut impl FnMut(Batch) -> bool) -> bool {
    let mut rows = rows.drain(..);
    loop {
        batch.rows = Vec::with_capacity(rows.len().min(PORTION));
        batch.rows.extend(rows.by_ref().take(PORTION));
        if !deliver(std::mem::take(&mut batch)) {
            return false;
        }
        if rows.len() == 0 {
            return true;
        }
    }
}

fn content(label: &str, error: CsvError) -> ArchiveError {
    let file = label.to_owned();
    match error {
        CsvError::Io(error) => ArchiveError::Zip { file, detail: error.to_string() },
        other => ArchiveError::Content { file, detail: other.to_string() },
    }
}

/// Puts rows in order and keeps each once; tells what else there was. `last` is the last open time handed on before.
fn tidy(rows: &mut Vec<Kline>, last: &mut Option<Millis>) -> Batch {
    let mut out = Batch::default();
    let ascending = rows.windows(2).all(|pair| pair[0].open_time < pair[1].open_time);
    if !ascending {
        rows.sort_by_key(|row| row.open_time);
        rows.dedup_by(|later, earlier| {
            if later.open_time != earlier.open_time {
                return false;
            }
            if later == earlier {
                out.duplicates += 1;
            } else {
                out.disputed.push(later.open_time);
            }
            true
        });
    }
    if let Some(last) = last {
        let late = rows.partition_point(|row| row.open_time <= *last);
        out.disputed.extend(rows.drain(..late).map(|row| row.open_time));
    }
    out.disputed.sort_unstable();
    out.disputed.dedup();
    rows.retain(|row| out.disputed.binary_search(&row.open_time).is_err());
    *last = rows.last().map(|row| row.open_time).max(*last);
    out
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use kline::{Decimal, Interval, Market, Series, Symbol};
    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::archive::Period;
    use crate::archive::csv::{Unit, write_row};

    const DAY: i64 = 1_735_776_000_000;

    fn file() -> ArchiveFile {
        let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M1).unwrap();
        ArchiveFile::new(&series, Period::day_of(Millis(DAY))).unwrap()
    }

    fn row(minute: i64, close: u32) -> Kline {
        let d = Decimal::from;
        Kline {
            open_time: Millis(DAY + minute * 60_000),
            open: d(5),
            high: d(900),
            low: d(1),
            close: d(close),
            volume: d(7),
            close_time: Millis(DAY + minute * 60_000 + 59_999),
            quote_volume: d(8),
            count: 9,
            taker_buy_volume: d(3),
            taker_buy_quote_volume: d(4),
        }
    }

    fn batches(rows: &[Kline], batch: usize) -> Result<Vec<Batch>, ArchiveError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("BTCUSDT-1m-2025-01-02.csv", SimpleFileOptions::default()).unwrap();
        rows.iter().for_each(|row| write_row(&mut zip, row, Unit::Milliseconds).unwrap());
        zip.write_all(b"rubbish,\n").unwrap();
        let mut out = Vec::new();
        read(&file(), zip.finish().unwrap(), batch, &mut Vec::new(), |batch| {
            out.push(batch);
            true
        })?;
        Ok(out)
    }

    #[test]
    fn rows_twice_count_once_and_rows_out_of_order_are_put_in_order() {
        let rows = [row(2, 5), row(0, 5), row(1, 5), row(0, 5), row(2, 5)];
        let out = batches(&rows, BATCH).unwrap();
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].rows, [row(0, 5), row(1, 5), row(2, 5)]);
        assert_eq!((out[0].duplicates, out[0].disputed.len(), out[0].unreadable.rows), (2, 0, 1));
    }

    #[test]
    fn rows_that_contradict_each_other_are_all_left_out() {
        let out = batches(&[row(0, 5), row(1, 5), row(1, 6), row(1, 5), row(2, 5)], BATCH).unwrap();
        assert_eq!(out[0].rows, [row(0, 5), row(2, 5)]);
        assert_eq!(out[0].disputed, [row(1, 5).open_time]);
    }

    #[test]
    fn a_file_in_several_batches_loses_no_row() {
        let rows: Vec<_> = (0..1440).map(|i| row(i, 5)).collect();
        let out = batches(&rows, 100).unwrap();
        assert_eq!(out.len(), 15);
        let all: Vec<_> = out.iter().flat_map(|b| b.rows.clone()).collect();
        assert_eq!(all, rows);
        assert_eq!(out.iter().map(|b| b.unreadable.rows).sum::<u64>(), 1);
    }

    #[test]
    fn a_large_batch_is_handed_on_in_portions() {
        let rows: Vec<_> = (0..6_001).map(|i| row(i, 5)).collect();
        let disputed = vec![row(0, 5).open_time];
        let mut out = Vec::new();
        let whole = Batch { disputed, ..Batch::default() };
        assert!(portions(whole, &mut rows.clone(), &mut |batch| {
            out.push(batch);
            true
        }));
        let sizes: Vec<_> = out.iter().map(|batch| (batch.rows.len(), batch.disputed.len())).collect();
        assert_eq!(sizes, [(2_500, 1), (2_500, 0), (1_001, 0)]);
        assert_eq!(out.into_iter().flat_map(|batch| batch.rows).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_row_that_comes_back_in_a_later_batch_is_disputed() {
        let mut rows: Vec<_> = (0..150).map(|i| row(i, 5)).collect();
        rows[120] = row(3, 6);
        let out = batches(&rows, 100).unwrap();
        assert_eq!(out[1].disputed, [row(3, 6).open_time]);
        assert!(out[1].rows.iter().all(|k| k.open_time >= row(100, 5).open_time));
    }

    #[test]
    fn far_too_many_rows_refuse_the_file() {
        let rows: Vec<_> = (0..6000).map(|i| row(i, 5)).collect();
        let error = batches(&rows, BATCH).unwrap_err();
        assert!(error.to_string().contains("more than 5860 rows, and should have 1440"), "{error}");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_strictly_ascending_and_undisputed(
            minutes in proptest::collection::vec((0i64..40, 5u32..7), 0..80), batch in prop::sample::select(vec![7usize, BATCH])
        ) {
            let rows: Vec<_> = minutes.iter().map(|(m, close)| row(*m, *close)).collect();
            if rows.is_empty() {
                return Ok(());
            }
            let out = batches(&rows, batch).unwrap();
            let all: Vec<_> = out.iter().flat_map(|b| b.rows.clone()).collect();
            prop_assert!(all.windows(2).all(|w| w[0].open_time < w[1].open_time));
            let disputed: Vec<_> = out.iter().flat_map(|b| b.disputed.clone()).collect();
            for kline in &rows {
                let alike = rows.iter().filter(|r| r.open_time == kline.open_time).all(|r| r == kline);
                let kept = all.contains(kline);
                prop_assert!(kept || disputed.contains(&kline.open_time));
                prop_assert!(alike || disputed.contains(&kline.open_time));
            }
        }
    }
}

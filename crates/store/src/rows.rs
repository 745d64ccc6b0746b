//! Rules about rows that every engine follows: what a chunk must look like, and how its rows meet stored ones.

use std::ops::Range;

use kline::{Interval, Kline, Millis, RangeSet, Series, SlotRange};

use crate::{Chunk, StoreError, StoreResult};

/// First instant after what can be stored: the year 10000. Engines and their date functions agree below it.
const TOO_LATE: Millis = Millis(253_402_300_800_000);

/// Checks what the engines rely on: open times strictly ascending and inside the years 1970 to 9999.
///
/// # Errors
/// [`StoreError::BadChunk`]: a fault of the caller, never of the data, which was validated before.
pub(crate) fn check_chunk(series: &Series, chunk: &Chunk) -> StoreResult<()> {
    let bad = |what: String| Err(StoreError::BadChunk { series: series.clone(), what });
    if let Some(pair) = chunk.klines.windows(2).find(|p| p[0].open_time >= p[1].open_time) {
        return bad(format!("{} follows {}", pair[1].open_time, pair[0].open_time));
    }
    for kline in &chunk.klines {
        if kline.open_time < Millis(0) || kline.open_time >= TOO_LATE {
            return bad(format!("open time {} is outside the years 1970 to 9999", kline.open_time));
        }
        if i64::try_from(kline.count).is_err() {
            return bad(format!("{} trades at {}", kline.count, kline.open_time));
        }
    }
    Ok(())
}

/// Cuts ascending klines into runs without an empty slot inside, so that each run's slots can be looked up at once.
/// Gives positions in `klines`, and the slots.
pub(crate) fn runs(interval: Interval, klines: &[Kline]) -> Vec<(Range<usize>, SlotRange)> {
    let mut out: Vec<(Range<usize>, SlotRange)> = Vec::new();
    for (i, kline) in klines.iter().enumerate() {
        let slot = interval.slot_of(kline.open_time);
        match out.last_mut() {
            Some((run, slots)) if slot <= slots.end => {
                run.end = i + 1;
                slots.end = slot + 1;
            }
            _ => out.push((i..i + 1, SlotRange::new(slot, slot + 1))),
        }
    }
    out
}

/// The slots that klines fill.
pub(crate) fn filled_slots(interval: Interval, klines: &[Kline]) -> RangeSet {
    runs(interval, klines).into_iter().map(|(_, slots)| slots).collect()
}

/// What is to be done with a kline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not stored yet.
    Insert,
    /// Stored with other values.
    Replace,
    /// Stored with equal values: `0.10` is `0.1`.
    Keep,
}

/// Compares klines with what is stored in the same slots, both ascending. A stored row that cannot be read (`None`)
/// differs from everything.
pub(crate) fn fates<'a>(
    klines: &'a [Kline],
    stored: &'a [(Millis, Option<Kline>)],
) -> impl Iterator<Item = (Fate, &'a Kline)> {
    let mut rest = stored;
    klines.iter().map(move |kline| {
        while let [(open, _), tail @ ..] = rest
            && *open < kline.open_time
        {
            rest = tail;
        }
        let fate = match rest {
            [(open, old), ..] if *open == kline.open_time => {
                if old.as_ref() == Some(kline) {
                    Fate::Keep
                } else {
                    Fate::Replace
                }
            }
            _ => Fate::Insert,
        };
        (fate, kline)
    })
}

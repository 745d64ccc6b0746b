//! What the source does not have. Rules in [`crate::absences`].

use ::mongodb::bson::doc;
use ::mongodb::options::FindOptions;
use kline::{Millis, RangeSet, Series, SlotRange};

use super::book::missing;
use super::doc::{Fields, corrupt, date, key};
use super::fail::Step;
use super::pool::Tx;
use crate::{Absence, AbsentRange, absences};

const ABSENT: &str = "kline_absent";

/// Known absences inside a range.
pub(super) async fn inside(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Vec<AbsentRange>> {
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    Ok(absences::clip(near(tx, series, slots).await?, slots))
}

/// Known absences that overlap a range, whole.
async fn near(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<Vec<AbsentRange>> {
    let range = series.interval.time_range(slots);
    let filter =
        doc! { "series": key(series), "since": { "$lt": range.until.0 }, "until": { "$gt": range.since.0 } };
    let by_time = FindOptions::builder().sort(doc! { "since": 1 }).build();
    let mut found: Vec<AbsentRange> = Vec::new();
    for document in tx.documents(ABSENT, filter, by_time).await? {
        let fields = Fields(ABSENT, &document);
        let slot = |ms: i64| series.interval.slot_of(Millis(ms));
        let how = fields.text("how")?;
        found.push(AbsentRange {
            slots: SlotRange::new(slot(fields.int("since")?), slot(fields.int("until")?)),
            how: Absence::from_name(how).ok_or_else(|| corrupt(ABSENT, format!("absence `{how}`")))?,
            at: fields.at("established_at")?,
        });
    }
    let overlap = found.windows(2).any(|pair| pair[0].slots.end > pair[1].slots.start);
    // Left by a writer that was killed on the way, where there are no transactions.
    Ok(if overlap { absences::apply(&[], &found, &RangeSet::new()) } else { found })
}

/// Adds absences (only where no kline is stored) and drops those of slots that are `filled` now.
pub(super) async fn update(
    tx: &mut Tx,
    series: &Series,
    added: &[AbsentRange],
    filled: &RangeSet,
) -> Step<()> {
    let mut new = Vec::new();
    for range in added {
        let empty = missing(tx, series, range.slots).await?;
        new.extend(empty.ranges().iter().map(|slots| AbsentRange { slots: *slots, ..*range }));
    }
    let ends = new.iter().map(|a| a.slots).chain(filled.ranges().iter().copied());
    let Some(span) = ends.reduce(|a, b| SlotRange::new(a.start.min(b.start), a.end.max(b.end))) else {
        return Ok(());
    };
    // One slot more on either side, to find the neighbours to join with.
    let around = SlotRange::new(span.start.saturating_sub(1), span.end.saturating_add(1));
    let known = near(tx, series, around).await?;
    replace(tx, series, &known, &absences::apply(&known, &new, filled)).await
}

/// Forgets absences inside a range.
pub(super) async fn forget(tx: &mut Tx, series: &Series, slots: SlotRange) -> Step<()> {
    let known = near(tx, series, slots).await?;
    replace(tx, series, &known, &absences::cut(&known, &slots.into())).await
}

/// New ranges first, from the last to the first, so that being killed on the way leaves overlaps and no holes.
async fn replace(tx: &mut Tx, series: &Series, known: &[AbsentRange], wanted: &[AbsentRange]) -> Step<()> {
    let start = |range: &AbsentRange| series.interval.time_range(range.slots).since.0;
    let id = |since: i64| doc! { "series": key(series), "since": since };
    let put = |range: &AbsentRange| {
        let until = series.interval.time_range(range.slots).until.0;
        let values = doc! { "until": until, "how": range.how.as_str(), "established_at": date(range.at) };
        doc! { "q": id(start(range)), "u": { "$set": values }, "upsert": true }
    };
    let kept: Vec<i64> = wanted.iter().map(start).collect();
    let fresh = wanted.iter().rev().filter(|range| !known.contains(range));
    tx.update(ABSENT, fresh.map(put).collect()).await?;
    let gone: Vec<i64> = known.iter().map(start).filter(|since| !kept.contains(since)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    tx.delete(ABSENT, vec![doc! { "series": key(series), "since": { "$in": gone } }]).await
}

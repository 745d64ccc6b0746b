//! Absences. Rules in [`crate::absences`].

use kline::{Interval, Millis, RangeSet, Series, SlotRange};

use super::book::{self, Of};
use super::engine::{Session, Upsert};
use super::fail::Step;
use super::read::series_id;
use super::value::{Cells, Value, values};
use crate::{Absence, AbsentRange, StoreError, absences};

/// Absences written with one statement.
const SAVED: usize = 64;

/// Known absences inside a range.
pub(super) async fn inside<S: Session>(
    session: &mut S,
    series: &Series,
    slots: SlotRange,
) -> Step<Vec<AbsentRange>> {
    match series_id(session, series).await? {
        Some(id) => Ok(absences::clip(near(session, id, series.interval, slots).await?, slots)),
        None => Ok(Vec::new()),
    }
}

/// Known absences that overlap a range, whole.
async fn near<S: Session>(
    session: &mut S,
    id: i64,
    interval: Interval,
    slots: SlotRange,
) -> Step<Vec<AbsentRange>> {
    let range = interval.time_range(slots);
    let (since, until) = (range.since.0, range.until.0);
    let rows = session
        .query(
            "SELECT since, until, how, established_at FROM kline_absent \
             WHERE series_id = ? AND since < ? AND since >= COALESCE( \
               (SELECT MAX(since) FROM kline_absent WHERE series_id = ? AND since <= ?), ?) \
             AND until > ? ORDER BY since",
            values![id, until, id, since, since, since],
        )
        .await?;
    let slot = |ms: i64| interval.slot_of(Millis(ms));
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let how = row.text(2)?;
        found.push(AbsentRange {
            slots: SlotRange::new(slot(row.int(0)?), slot(row.int(1)?)),
            how: Absence::from_name(&how).ok_or_else(|| {
                let what = format!("absence `{how}`");
                StoreError::Corrupt { place: "table kline_absent".into(), what }
            })?,
            at: Millis(row.int(3)?),
        });
    }
    Ok(found)
}

/// Adds absences (only where no kline is stored) and drops those of slots that are `filled` now.
pub(super) async fn update<S: Session>(
    session: &mut S,
    of: Of,
    added: &[AbsentRange],
    filled: &RangeSet,
) -> Step<()> {
    let mut new = Vec::new();
    for range in added {
        let empty = book::missing_in(session, of, range.slots).await?;
        new.extend(empty.ranges().iter().map(|slots| AbsentRange { slots: *slots, ..*range }));
    }
    let ends = new.iter().map(|a| a.slots).chain(filled.ranges().iter().copied());
    let Some(span) = ends.reduce(|a, b| SlotRange::new(a.start.min(b.start), a.end.max(b.end))) else {
        return Ok(());
    };
    // One slot more on either side, to find the neighbours to join with.
    let around = SlotRange::new(span.start.saturating_sub(1), span.end.saturating_add(1));
    let known = near(session, of.id, of.interval, around).await?;
    replace(session, of, &known, &absences::apply(&known, &new, filled)).await
}

/// Forgets absences inside a range.
pub(super) async fn forget<S: Session>(session: &mut S, of: Of, slots: SlotRange) -> Step<()> {
    let known = near(session, of.id, of.interval, slots).await?;
    replace(session, of, &known, &absences::cut(&known, &slots.into())).await
}

async fn replace<S: Session>(
    session: &mut S,
    of: Of,
    known: &[AbsentRange],
    wanted: &[AbsentRange],
) -> Step<()> {
    let gone: Vec<_> = known.iter().filter(|a| !wanted.contains(a)).collect();
    for some in gone.chunks(SAVED) {
        let marks = vec!["?"; some.len()].join(", ");
        let sql = format!("DELETE FROM kline_absent WHERE series_id = ? AND since IN ({marks})");
        let mut values: Vec<Value<'_>> = vec![of.id.into()];
        values.extend(some.iter().map(|a| Value::from(of.interval.slot_start(a.slots.start).0)));
        session.execute(&sql, &values).await?;
    }
    let new: Vec<_> = wanted.iter().filter(|a| !known.contains(a)).collect();
    for some in new.chunks(SAVED) {
        let sql = S::upsert(&Upsert {
            table: "kline_absent",
            columns: &["series_id", "since", "until", "how", "established_at"],
            key: &["series_id", "since"],
            update: &["until", "how", "established_at"],
            clear: &[],
            rows: some.len(),
        });
        let mut values: Vec<Value<'_>> = Vec::with_capacity(5 * some.len());
        for range in some {
            let time = of.interval.time_range(range.slots);
            values.extend_from_slice(values![
                of.id,
                time.since.0,
                time.until.0,
                range.how.as_str(),
                range.at.0
            ]);
        }
        session.execute(&sql, &values).await?;
    }
    Ok(())
}

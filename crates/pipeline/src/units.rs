//! Cutting a job into units that many workers can share.

use binance::Client;
use kline::{Millis, RangeSet, Series, SlotRange};
use store::KlineStore;

use crate::error::JobError;
use crate::range;
use crate::spec::{Options, Since};

/// A part of a series in which klines are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkUnit {
    /// The series.
    pub series: Series,
    /// Start of the part.
    pub since: Millis,
    /// End of the part, exclusive.
    pub until: Millis,
    /// Klines missing in it.
    pub missing: u64,
}

/// Units of at most `size` missing klines each, for everything that the job's series lack. Units of different series take
/// turns, since only one worker at a time can write a series.
///
/// # Errors
/// [`JobError`] when a range makes no sense, or the store or the exchange does not answer.
pub async fn units<S: KlineStore>(
    store: &S,
    client: &Client,
    options: &Options,
    size: u64,
) -> Result<Vec<WorkUnit>, JobError> {
    let mut by_series = Vec::new();
    for series in &options.series {
        let record = store.series(series).await?;
        let now = Some(client.now(series.market).await?);
        let listing = match options.since {
            Since::Listing => Some(range::listing(client, series).await?),
            _ => None,
        };
        let slots = range::slots(options, series, record.as_ref(), listing, now)?;
        let absent: RangeSet = store.absent(series, slots).await?.into_iter().map(|r| r.slots).collect();
        let missing = store.missing(series, slots).await?.difference(&absent);
        by_series.push(cut(series, &missing, size.max(1)));
    }
    let longest = by_series.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| by_series.iter().filter_map(move |units| units.get(turn)));
    Ok(turns.cloned().collect())
}

fn cut(series: &Series, missing: &RangeSet, size: u64) -> Vec<WorkUnit> {
    let interval = series.interval;
    let unit = |slots: SlotRange, missing| WorkUnit {
        series: series.clone(),
        since: interval.slot_start(slots.start),
        until: interval.slot_start(slots.end),
        missing,
    };
    let mut out = Vec::new();
    let mut open: Option<(SlotRange, u64)> = None;
    for run in missing.ranges() {
        let mut rest = *run;
        while !rest.is_empty() {
            let (part, held) = open.get_or_insert((SlotRange::new(rest.start, rest.start), 0));
            let take = i64::try_from(size - *held).unwrap_or(i64::MAX).min(rest.end - rest.start);
            part.end = rest.start + take;
            *held += take.unsigned_abs();
            rest.start += take;
            if *held == size {
                out.extend(open.take().map(|(part, held)| unit(part, held)));
            }
        }
    }
    out.extend(open.map(|(part, held)| unit(part, held)));
    out
}

#[cfg(test)]
mod tests {
    use kline::{Interval, Market, Slot, Symbol};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn units_hold_every_missing_kline_once_and_no_more_than_their_size(
            slots in proptest::collection::btree_set(0i64..2000, 0..300), size in 1u64..60,
        ) {
            let series = Series { market: Market::Um, symbol: Symbol::new("BTCUSDT").unwrap(), interval: Interval::M1 };
            let missing: RangeSet = slots.iter().copied().collect::<RangeSet>();
            let units = cut(&series, &missing, size);
            let mut seen: Vec<Slot> = Vec::new();
            for unit in &units {
                let range = SlotRange::new(Interval::M1.slot_of(unit.since), Interval::M1.slot_of(unit.until));
                let inside: Vec<Slot> = missing.clip(range).slots().collect();
                prop_assert_eq!(inside.len() as u64, unit.missing);
                prop_assert!(unit.missing <= size && unit.missing > 0);
                seen.extend(inside);
            }
            prop_assert_eq!(seen, slots.into_iter().collect::<Vec<_>>());
            prop_assert!(units.len() as u64 <= missing.len() / size + 1);
        }
    }
}

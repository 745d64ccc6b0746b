//! The algebra of absences: what the source does not have, as ranges that neither overlap nor pile up.

use kline::{RangeSet, SlotRange};

use crate::AbsentRange;

/// Neighbours that were established this close to each other, ms, become one range (which keeps the earlier time). So
/// an outage that is learnt page by page is one entry, while a date is never off by more than this.
const SAME_FINDING: i64 = 86_400_000;

/// Absences after some were added and some slots were filled. All lists are ascending and free of overlaps, except
/// `added`. What is added replaces what was known of the same slots; a filled slot is absent no more.
pub(crate) fn apply(known: &[AbsentRange], added: &[AbsentRange], filled: &RangeSet) -> Vec<AbsentRange> {
    let mut out: Vec<AbsentRange> = known.to_vec();
    for new in added.iter().filter(|a| !a.slots.is_empty()) {
        out = cut(&out, &RangeSet::from(new.slots));
        out.push(*new);
    }
    let mut out = cut(&out, filled);
    out.sort_unstable_by_key(|a| a.slots.start);
    merge(out)
}

/// The same absences without some slots.
pub(crate) fn cut(ranges: &[AbsentRange], without: &RangeSet) -> Vec<AbsentRange> {
    let part_of = |a: &AbsentRange| RangeSet::from(a.slots).difference(&without.clip(a.slots));
    ranges
        .iter()
        .flat_map(|a| {
            part_of(a).ranges().iter().map(|slots| AbsentRange { slots: *slots, ..*a }).collect::<Vec<_>>()
        })
        .collect()
}

/// The part of absences inside a range.
pub(crate) fn clip(ranges: Vec<AbsentRange>, slots: SlotRange) -> Vec<AbsentRange> {
    let clipped = ranges.into_iter().map(|a| AbsentRange { slots: a.slots.intersect(&slots), ..a });
    clipped.filter(|a| !a.slots.is_empty()).collect()
}

fn merge(sorted: Vec<AbsentRange>) -> Vec<AbsentRange> {
    let mut out: Vec<AbsentRange> = Vec::with_capacity(sorted.len());
    for next in sorted {
        match out.last_mut() {
            Some(last)
                if last.slots.end == next.slots.start
                    && last.how == next.how
                    && (last.at.0 - next.at.0).abs() < SAME_FINDING =>
            {
                last.slots.end = next.slots.end;
                last.at = last.at.min(next.at);
            }
            _ => out.push(next),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kline::Millis;
    use proptest::prelude::*;

    use super::*;
    use crate::Absence;

    fn range(start: i64, end: i64, day: i64) -> AbsentRange {
        let at = Millis(day * SAME_FINDING);
        AbsentRange { slots: SlotRange::new(start, end), how: Absence::EmptyAnswer, at }
    }

    #[test]
    fn an_outage_learnt_page_by_page_is_one_range() {
        let mut known = Vec::new();
        for page in 0..5 {
            let new = AbsentRange { at: Millis(page), ..range(page * 10, page * 10 + 10, 0) };
            known = apply(&known, &[new], &RangeSet::new());
        }
        assert_eq!(known, [range(0, 50, 0)]);
    }

    #[test]
    fn a_recheck_by_pieces_renews_the_whole_range() {
        let once = apply(&[range(0, 10, 0)], &[range(0, 5, 9)], &RangeSet::new());
        assert_eq!(once, [range(0, 5, 9), range(5, 10, 0)]);
        assert_eq!(apply(&once, &[range(5, 10, 9)], &RangeSet::new()), [range(0, 10, 9)]);
    }

    #[test]
    fn kinds_of_absence_are_not_mixed() {
        let early = AbsentRange { how: Absence::NotListedYet, ..range(0, 5, 0) };
        assert_eq!(apply(&[early], &[range(5, 6, 0)], &RangeSet::new()).len(), 2);
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_map_of_slots(
            known in proptest::collection::vec((0i64..60, 1i64..8, 0i64..9), 0..8),
            added in proptest::collection::vec((0i64..60, 1i64..8, 0i64..9), 0..8),
            filled in proptest::collection::vec((0i64..60, 1i64..4), 0..6),
        ) {
            // Days two apart never merge, so the map can hold exact times.
            let list = |v: &[(i64, i64, i64)]| v.iter().map(|&(s, n, d)| range(s, s + n, 2 * d)).collect::<Vec<_>>();
            let filled: RangeSet = filled.iter().map(|&(s, n)| SlotRange::new(s, s + n)).collect();
            let before = apply(&[], &list(&known), &RangeSet::new());
            let after = apply(&before, &list(&added), &filled);
            let mut model = BTreeMap::new();
            for a in list(&known).iter().chain(&list(&added)) {
                model.extend((a.slots.start..a.slots.end).map(|s| (s, a.at)));
            }
            model.retain(|s, _| !filled.contains(*s));
            let got: BTreeMap<_, _> =
                after.iter().flat_map(|a| (a.slots.start..a.slots.end).map(|s| (s, a.at))).collect();
            prop_assert_eq!(got, model);
            prop_assert!(after.windows(2).all(|w| w[0].slots.end <= w[1].slots.start));
            prop_assert_eq!(apply(&after, &[], &filled), after, "nothing new changes nothing");
        }
    }
}

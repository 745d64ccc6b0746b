//! Sets of slots as sorted half-open ranges: the algebra of gaps.

use std::fmt;

use crate::Slot;

/// A half-open run of slots, `[start, end)`. Empty when `end <= start`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotRange {
    /// First slot inside.
    pub start: Slot,
    /// First slot after.
    pub end: Slot,
}

impl SlotRange {
    /// `[start, end)`.
    pub fn new(start: Slot, end: Slot) -> Self {
        Self { start, end }
    }

    /// Number of slots inside.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start).max(0).unsigned_abs()
    }

    /// Whether no slot is inside.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether a slot is inside.
    pub fn contains(&self, slot: Slot) -> bool {
        self.start <= slot && slot < self.end
    }

    /// The slots in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

/// A set of slots.
///
/// Invariant: the ranges are non-empty, ascending, and neither overlap nor touch, so equal sets have equal
/// representations. Set operations are linear in the number of ranges; membership is a binary search.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RangeSet {
    ranges: Vec<SlotRange>,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a range that starts at or after the start of every range so far: constant time. A range that starts
    /// earlier is added as well, at the cost of a merge.
    pub fn push(&mut self, range: SlotRange) {
        if range.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if range.start < last.start => *self = self.union(&Self::from(range)),
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }

    /// Adds one slot; constant time when slots come in ascending order.
    pub fn push_slot(&mut self, slot: Slot) {
        self.push(SlotRange::new(slot, slot.saturating_add(1)));
    }

    /// The ranges, ascending; each is a maximal run.
    pub fn ranges(&self) -> &[SlotRange] {
        &self.ranges
    }

    /// Number of slots.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(SlotRange::len).sum()
    }

    /// Whether the set holds no slot.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of maximal runs: for a set of missing slots, the number of gaps.
    pub fn runs(&self) -> usize {
        self.ranges.len()
    }

    /// First slot.
    pub fn first(&self) -> Option<Slot> {
        self.ranges.first().map(|r| r.start)
    }

    /// Last slot.
    pub fn last(&self) -> Option<Slot> {
        self.ranges.last().map(|r| r.end - 1)
    }

    /// Every slot, ascending.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.ranges.iter().flat_map(|r| r.start..r.end)
    }

    /// Whether a slot is in the set.
    pub fn contains(&self, slot: Slot) -> bool {
        let after = self.ranges.partition_point(|r| r.start <= slot);
        after > 0 && self.ranges[after - 1].contains(slot)
    }

    /// The slots in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut out = Self { ranges: Vec::with_capacity(self.runs().max(other.runs())) };
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) => x.start <= y.start,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return out,
            };
            if let Some(range) = if from_a { a.next() } else { b.next() } {
                out.push(*range);
            }
        }
    }

    /// The slots in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j) = (0, 0);
        let mut out = Self::new();
        while let (Some(a), Some(b)) = (self.ranges.get(i), other.ranges.get(j)) {
            out.push(a.intersect(b));
            if a.end <= b.end {
                i += 1;
            } else {
                j += 1;
            }
        }
        out
    }

    /// The slots in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self::new();
        let mut j = 0;
        for range in &self.ranges {
            let mut start = range.start;
            while let Some(hole) = other.ranges.get(j) {
                if hole.start >= range.end {
                    break;
                }
                out.push(SlotRange::new(start, hole.start));
                start = start.max(hole.end);
                if hole.end > range.end {
                    break;
                }
                j += 1;
            }
            out.push(SlotRange::new(start, range.end));
        }
        out
    }

    /// The part of the set inside a range.
    #[must_use]
    pub fn clip(&self, range: SlotRange) -> Self {
        let from = self.ranges.partition_point(|r| r.end <= range.start);
        let inside = self.ranges[from..].iter().take_while(|r| r.start < range.end);
        Self { ranges: inside.map(|r| r.intersect(&range)).filter(|r| !r.is_empty()).collect() }
    }
}

impl From<SlotRange> for RangeSet {
    fn from(range: SlotRange) -> Self {
        [range].into_iter().collect()
    }
}

impl FromIterator<SlotRange> for RangeSet {
    /// Ranges in any order; they may overlap. Linear when they come ascending, n log n otherwise.
    fn from_iter<I: IntoIterator<Item = SlotRange>>(ranges: I) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut out = Self::new();
        for range in sorted {
            out.push(range);
        }
        out
    }
}

impl FromIterator<Slot> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        slots.into_iter().map(|s| SlotRange::new(s, s.saturating_add(1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type Naive = BTreeSet<Slot>;

    fn pair() -> impl Strategy<Value = (RangeSet, Naive)> {
        proptest::collection::vec((-60i64..60, 0i64..12), 0..12).prop_map(|ranges| {
            let set = ranges.iter().map(|&(s, n)| SlotRange::new(s, s + n)).collect();
            let naive = ranges.iter().flat_map(|&(s, n)| s..s + n).collect();
            (set, naive)
        })
    }

    fn naive_of(set: &RangeSet) -> Naive {
        set.slots().collect()
    }

    fn assert_canonical(set: &RangeSet) {
        assert!(set.ranges().iter().all(|r| !r.is_empty()), "{set:?}");
        assert!(set.ranges().windows(2).all(|w| w[0].end < w[1].start), "{set:?}");
    }

    proptest! {
        #[test]
        fn set_operations_agree_with_a_set_of_numbers((a, na) in pair(), (b, nb) in pair()) {
            for (got, want) in [
                (a.union(&b), &na | &nb),
                (a.intersection(&b), &na & &nb),
                (a.difference(&b), &na - &nb),
                (b.difference(&a), &nb - &na),
            ] {
                assert_canonical(&got);
                prop_assert_eq!(naive_of(&got), want);
            }
        }

        #[test]
        fn questions_agree_with_a_set_of_numbers((a, na) in pair(), from in -70i64..70, len in 0i64..30) {
            prop_assert_eq!(a.len(), na.len() as u64);
            prop_assert_eq!(a.is_empty(), na.is_empty());
            prop_assert_eq!((a.first(), a.last()), (na.first().copied(), na.last().copied()));
            for slot in -70..70 {
                prop_assert_eq!(a.contains(slot), na.contains(&slot));
            }
            let clipped = a.clip(SlotRange::new(from, from + len));
            assert_canonical(&clipped);
            prop_assert_eq!(naive_of(&clipped), na.range(from..from + len).copied().collect::<Naive>());
        }

        #[test]
        fn pushing_in_any_order_gives_the_same_set(ranges in proptest::collection::vec((-60i64..60, 0i64..12), 0..12)) {
            let mut pushed = RangeSet::new();
            for &(s, n) in &ranges {
                pushed.push(SlotRange::new(s, s + n));
            }
            assert_canonical(&pushed);
            prop_assert_eq!(pushed, ranges.iter().map(|&(s, n)| SlotRange::new(s, s + n)).collect::<RangeSet>());
        }
    }

    #[test]
    fn touching_ranges_are_one_run() {
        let set: RangeSet =
            [SlotRange::new(0, 5), SlotRange::new(5, 9), SlotRange::new(11, 12)].into_iter().collect();
        assert_eq!((set.runs(), set.len()), (2, 10));
    }
}

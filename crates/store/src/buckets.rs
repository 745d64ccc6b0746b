//! Which slots are filled, without reading rows: the bookkeeping behind gap search, the same for every engine.
//!
//! A series is cut into buckets of [`SIZE`] consecutive slots. Beside the rows, an engine keeps per bucket one bit per
//! slot ([`Bits`]), written in the transaction that writes the rows. One invariant carries everything:
//!
//! > of a known bucket, a bit is set exactly when a row is there.
//!
//! Whoever inserts, deletes or moves a row behind the engine's back makes its bucket *unknown*: triggers see to it, which
//! the engine's own connection does without. Only the rows of unknown buckets are read when gaps are looked for, and the
//! next write into one, or a recount, makes it known again. So a search costs as much as there are buckets, however the
//! holes are scattered: a year of minutes is 514 buckets, 64 KB of bits.

use kline::{RangeSet, Slot, SlotRange};

/// Slots per bucket, as a power of two.
pub(crate) const SHIFT: u32 = 10;
/// Slots per bucket.
pub(crate) const SIZE: i64 = 1 << SHIFT;
/// Bytes of a bucket's bits.
pub(crate) const BYTES: usize = 1 << (SHIFT - 3);
const WORDS: usize = BYTES / 8;

/// Number of the bucket of a slot.
pub(crate) fn bucket_of(slot: Slot) -> i64 {
    slot >> SHIFT
}

/// The slots of a bucket.
pub(crate) fn slots_of(bucket: i64) -> SlotRange {
    let start = bucket.saturating_mul(SIZE);
    SlotRange::new(start, start.saturating_add(SIZE))
}

/// One bit per slot of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    /// Sets the bit of a slot of this bucket.
    pub(crate) fn set(&mut self, slot: Slot) {
        let at = slot.rem_euclid(SIZE);
        self.0[(at >> 6) as usize] |= 1 << (at & 63);
    }

    /// Whether the bit of a slot of this bucket is set.
    #[cfg(feature = "servers")]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        let at = slot.rem_euclid(SIZE);
        self.0[(at >> 6) as usize] >> (at & 63) & 1 == 1
    }

    /// Number of filled slots.
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|w| w.count_ones()).sum()
    }

    /// Adds another's bits; says whether any was new.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let before = *self;
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
        *self != before
    }

    /// What a store keeps: the number of filled slots, and the bits unless the number says it all.
    pub(crate) fn encode(&self) -> (i64, Option<[u8; BYTES]>) {
        let count = i64::from(self.count());
        if count == 0 || count == SIZE {
            return (count, None);
        }
        let mut bytes = [0; BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        (count, Some(bytes))
    }

    /// Reads what [`encode`](Self::encode) wrote. `None` when the bucket is unknown or makes no sense.
    pub(crate) fn decode(count: Option<i64>, bytes: Option<&[u8]>) -> Option<Self> {
        match (count?, bytes) {
            (0, _) => Some(Self::default()),
            (SIZE, _) => Some(Self([u64::MAX; WORDS])),
            (count, Some(bytes)) if bytes.len() == BYTES => {
                let mut bits = Self::default();
                for (word, from) in bits.0.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = from.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                }
                (i64::from(bits.count()) == count).then_some(bits)
            }
            _ => None,
        }
    }

    /// Adds the filled slots of bucket number `bucket` to a set.
    pub(crate) fn push_into(&self, bucket: i64, set: &mut RangeSet) {
        let base = slots_of(bucket).start;
        let mut at = 0;
        while let Some(start) = self.next(at, true) {
            let end = self.next(start, false).unwrap_or(SIZE);
            set.push(SlotRange::new(base.saturating_add(start), base.saturating_add(end)));
            at = end;
        }
    }

    /// First position at or after `from` whose bit is `wanted`.
    fn next(&self, from: i64, wanted: bool) -> Option<i64> {
        let mut word = (from >> 6) as usize;
        let mut mask = u64::MAX << (from & 63);
        while let Some(&bits) = self.0.get(word) {
            let hits = if wanted { bits } else { !bits } & mask;
            if hits != 0 {
                return Some(((word as i64) << 6) + i64::from(hits.trailing_zeros()));
            }
            (word, mask) = (word + 1, u64::MAX);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bits_of(slots: &BTreeSet<i64>) -> Bits {
        let mut bits = Bits::default();
        slots.iter().for_each(|s| bits.set(*s));
        bits
    }

    proptest! {
        #[test]
        fn bits_hold_exactly_the_slots_that_were_set(bucket in -3i64..3, raw in proptest::collection::btree_set(0i64..SIZE, 0..1024)) {
            let slots: BTreeSet<i64> = raw.iter().map(|s| bucket * SIZE + s).collect();
            let bits = bits_of(&slots);
            let mut set = RangeSet::new();
            bits.push_into(bucket, &mut set);
            prop_assert_eq!(set.slots().collect::<BTreeSet<_>>(), slots.clone());
            let (count, bytes) = bits.encode();
            prop_assert_eq!(count, slots.len() as i64);
            prop_assert_eq!(Bits::decode(Some(count), bytes.as_ref().map(|b| &b[..])), Some(bits));
            prop_assert!(slots.iter().all(|s| bucket_of(*s) == bucket && slots_of(bucket).contains(*s)));
        }
    }

    #[test]
    fn a_bucket_that_makes_no_sense_is_unknown() {
        let some = bits_of(&[1, 5].into());
        let (count, bytes) = some.encode();
        let bytes = bytes.unwrap();
        assert_eq!(Bits::decode(None, Some(&bytes)), None);
        assert_eq!(Bits::decode(Some(count + 1), Some(&bytes)), None);
        assert_eq!(Bits::decode(Some(count), Some(&bytes[1..])), None);
        assert_eq!(Bits::decode(Some(count), None), None);
    }

    #[test]
    fn a_full_bucket_needs_no_bits() {
        let full = bits_of(&(0..SIZE).collect());
        assert_eq!(full.encode(), (SIZE, None));
        assert_eq!(Bits::decode(Some(SIZE), None), Some(full));
    }
}

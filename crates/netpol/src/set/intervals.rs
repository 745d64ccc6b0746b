//! Sets of numbers as sorted, disjoint, non-adjacent closed intervals.

/// A number type that can bound intervals.
pub trait Bound: Copy + Ord {
    /// The least number of the domain.
    const LEAST: Self;
    /// The greatest number of the domain.
    const GREATEST: Self;
    /// The next number; the greatest one stays.
    fn next(self) -> Self;
    /// The number before; the least one stays.
    fn previous(self) -> Self;
}

macro_rules! bound {
    ($type:ty, $least:expr) => {
        impl Bound for $type {
            const LEAST: Self = $least;
            const GREATEST: Self = Self::MAX;
            fn next(self) -> Self {
                self.saturating_add(1)
            }
            fn previous(self) -> Self {
                if self == Self::LEAST { self } else { self - 1 }
            }
        }
    };
}

// Port 0 does not exist.
bound!(u16, 1);
bound!(u32, 0);
bound!(u128, 0);

/// A set of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Intervals<T> {
    spans: Vec<(T, T)>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self { spans: Vec::new() }
    }
}

impl<T: Bound> Intervals<T> {
    /// No number.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every number.
    #[must_use]
    pub fn all() -> Self {
        Self { spans: vec![(T::LEAST, T::GREATEST)] }
    }

    /// From `first` to `last`, both included; nothing when `last` is below `first`.
    #[must_use]
    pub fn range(first: T, last: T) -> Self {
        let first = first.max(T::LEAST);
        Self { spans: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// The intervals, ascending.
    #[must_use]
    pub fn spans(&self) -> &[(T, T)] {
        &self.spans
    }

    /// Whether it holds no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether it holds every number.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self.spans.as_slice(), [(first, last)] if *first == T::LEAST && *last == T::GREATEST)
    }

    /// Whether it holds this number.
    #[must_use]
    pub fn contains(&self, value: T) -> bool {
        let index = self.spans.partition_point(|(_, last)| *last < value);
        self.spans.get(index).is_some_and(|(first, _)| *first <= value)
    }

    /// Whether it holds every number of the other.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        other.spans.iter().all(|(first, last)| {
            let index = self.spans.partition_point(|(_, end)| end < first);
            self.spans.get(index).is_some_and(|(start, end)| start <= first && last <= end)
        })
    }

    /// Whether both share a number.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// From intervals in any order.
    #[must_use]
    pub fn collect(spans: impl IntoIterator<Item = (T, T)>) -> Self {
        let mut spans: Vec<(T, T)> = spans.into_iter().filter(|(first, last)| first <= last).collect();
        spans.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some((_, end)) if first <= *end || first.previous() == *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self { spans: merged }
    }

    /// Numbers in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() || self.is_all() {
            return self.clone();
        }
        if self.is_empty() || other.is_all() {
            return other.clone();
        }
        Self::collect(self.spans.iter().chain(&other.spans).copied())
    }

    /// Numbers in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (0, 0);
        let mut spans = Vec::new();
        while let (Some(a), Some(b)) = (self.spans.get(left), other.spans.get(right)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                spans.push((first, last));
            }
            if a.1 < b.1 { left += 1 } else { right += 1 }
        }
        Self { spans }
    }

    /// Numbers that are not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut spans = Vec::with_capacity(self.spans.len() + 1);
        let mut from = Some(T::LEAST);
        for (first, last) in &self.spans {
            if let Some(start) = from
                && start < *first
            {
                spans.push((start, first.previous()));
            }
            from = (*last < T::GREATEST).then(|| last.next());
        }
        if let Some(start) = from {
            spans.push((start, T::GREATEST));
        }
        Self { spans }
    }

    /// Numbers in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() || self.is_empty() {
            return self.clone();
        }
        self.intersection(&other.complement())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Intervals<u16>> {
        let edge = prop_oneof![1_u16..12, 65_530_u16..=65_535];
        proptest::collection::vec((edge.clone(), edge), 0..5).prop_map(Intervals::collect)
    }

    proptest! {
        #[test]
        fn operations_agree_with_membership(a in set(), b in set()) {
            let (union, both, rest, out) = (a.union(&b), a.intersection(&b), a.difference(&b), a.complement());
            for value in (1..20).chain(65_525..=65_535) {
                let (in_a, in_b) = (a.contains(value), b.contains(value));
                prop_assert_eq!(union.contains(value), in_a || in_b);
                prop_assert_eq!(both.contains(value), in_a && in_b);
                prop_assert_eq!(rest.contains(value), in_a && !in_b);
                prop_assert_eq!(out.contains(value), !in_a);
            }
            prop_assert_eq!(a.is_superset(&b), b.difference(&a).is_empty());
            for set in [union, both, rest, out] {
                prop_assert!(set.spans().windows(2).all(|pair| pair[0].1 < pair[1].0 - 1));
            }
        }
    }
}

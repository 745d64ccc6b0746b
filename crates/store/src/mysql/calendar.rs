//! Instants as dates and times of day: what MySQL's `DATETIME` is.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use kline::Millis;

use crate::servers::numbers::inside;

/// 1970 began.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Date and time in UTC of the nearest instant that can be stored.
pub(super) fn civil(at: Millis) -> DateTime {
    EPOCH.saturating_add(SignedDuration::from_millis(inside(at).0))
}

/// The instant of a date and time in UTC.
pub(super) fn instant(at: DateTime) -> Option<Millis> {
    i64::try_from(at.duration_since(EPOCH).as_millis()).ok().map(Millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::servers::numbers::TOO_LATE;

    proptest! {
        #[test]
        fn instants_survive_the_way_through_the_calendar(ms in 0i64..TOO_LATE.0) {
            prop_assert_eq!(instant(civil(Millis(ms))), Some(Millis(ms)));
        }
    }

    #[test]
    fn instants_outside_become_the_nearest_inside() {
        assert_eq!(civil(Millis(i64::MIN)).to_string(), "1970-01-01T00:00:00");
        assert_eq!(civil(Millis(i64::MAX)).to_string(), "9999-12-31T23:59:59.999");
    }
}

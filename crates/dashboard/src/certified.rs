//! The state of certification in words.

use pipeline::certify::notes::State;

use crate::runs::grouped;

/// What is known of the certification of a series, in a few words. What changed comes first.
pub fn words(state: &State) -> String {
    if !state.is_known() {
        return "never certified".into();
    }
    let months =
        if state.months == 1 { "1 month".into() } else { format!("{} months", grouped(state.months)) };
    let more = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", grouped(n)));
    let mut parts = match (state.changed, state.current) {
        (0, n) if n < state.months => vec![format!("{} of {months}", grouped(n))],
        (0, 1) => vec![months],
        (0, _) => vec![format!("all {months}")],
        (n, _) => vec![format!("{} of {months} changed since", grouped(n))],
    };
    if state.changed > 0 {
        parts.extend(more(state.current, "unchanged"));
    }
    parts.extend(more(state.grown, "grown since"));
    parts.extend(more(state.open(), "never certified"));
    parts.extend(state.since.map(|since| format!("the oldest certified {}", since.date())));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_first_and_what_holds_with_its_age() {
        let since = Some("2025-03-01".parse().unwrap());
        let known = State { months: 24, current: 24, since, ..State::default() };
        let told = [
            (State { months: 24, ..State::default() }, "never certified"),
            (known, "all 24 months, the oldest certified 2025-03-01"),
            (State { months: 1, current: 1, ..known }, "1 month, the oldest certified 2025-03-01"),
            (
                State { current: 23, grown: 1, ..known },
                "23 of 24 months, 1 grown since, the oldest certified 2025-03-01",
            ),
            (
                State { current: 20, changed: 2, grown: 1, ..known },
                "2 of 24 months changed since, 20 unchanged, 1 grown since, 1 never certified, the oldest certified 2025-03-01",
            ),
            (State { months: 1, changed: 1, ..State::default() }, "1 of 1 month changed since"),
        ];
        for (state, expected) in told {
            assert_eq!(words(&state), expected);
        }
    }
}

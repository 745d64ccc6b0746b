//! Cron schedules, as far as the rules look into them.

/// A field of a schedule: which of its values fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// The values that fire, ascending.
    pub(super) values: Vec<u32>,
    /// The step, where the field is `*/step`.
    pub(super) step: Option<u32>,
    /// Number of values of the field: 60 or 24.
    pub(super) size: u32,
}

/// Minutes and hours of a schedule with five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) minutes: Field,
    pub(super) hours: Field,
    /// Day, month and weekday are all `*`.
    pub(super) daily: bool,
}

impl Schedule {
    /// Reads a schedule; `None` for what is no plain five-field schedule.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, rest @ ..] = fields.as_slice() else { return None };
        if rest.len() != 3 {
            return None;
        }
        Some(Self {
            minutes: field(minutes, 60)?,
            hours: field(hours, 24)?,
            daily: rest.iter().all(|field| *field == "*" || *field == "?"),
        })
    }

    /// The times of a day at which it fires, in minutes since midnight.
    pub(super) fn times(&self) -> Vec<u32> {
        let hours = self.hours.values.iter();
        hours.flat_map(|hour| self.minutes.values.iter().map(move |minute| hour * 60 + minute)).collect()
    }

    /// The shortest time between two starts, in minutes.
    pub(super) fn shortest_gap(&self) -> Option<u32> {
        let times = self.times();
        let inside = times.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?));
        let overnight = Some(times.first()? + 24 * 60 - times.last()?);
        inside.chain(overnight).min()
    }
}

fn field(text: &str, size: u32) -> Option<Field> {
    let mut values = Vec::new();
    let mut step = None;
    for part in text.split(',') {
        let (range, by) = match part.split_once('/') {
            Some((range, by)) => (range, by.parse::<u32>().ok().filter(|by| *by > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range {
            "*" => (0, size - 1),
            _ => match range.split_once('-') {
                Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
                None => {
                    let first = range.parse().ok()?;
                    (first, if part.contains('/') { size - 1 } else { first })
                }
            },
        };
        if last >= size || first > last {
            return None;
        }
        if range == "*" && part.contains('/') {
            step = Some(by);
        }
        values.extend((first..=last).step_by(by as usize));
    }
    values.sort_unstable();
    values.dedup();
    Some(Field { values, step, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_larger_than_its_field_fires_once() {
        let schedule = Schedule::parse("5 */30 * * *").unwrap();
        assert_eq!(schedule.times(), [5]);
        assert_eq!(schedule.shortest_gap(), Some(1440));
        assert_eq!(Schedule::parse("2 */15 * * *").unwrap().times(), [2, 902]);
    }

    #[test]
    fn gaps_are_the_shortest_of_the_day() {
        assert_eq!(Schedule::parse("*/5 * * * *").unwrap().shortest_gap(), Some(5));
        assert_eq!(Schedule::parse("1-59/15 * * * *").unwrap().shortest_gap(), Some(15));
        assert_eq!(Schedule::parse("0 2 * * *").unwrap().shortest_gap(), Some(1440));
        assert_eq!(Schedule::parse("0,50 * * * *").unwrap().shortest_gap(), Some(10));
    }

    #[test]
    fn what_is_no_schedule_is_left_alone() {
        for text in ["@daily", "", "* * * *", "61 * * * *", "*/0 * * * *", "MON * * * *", "* 25 * * *"] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}

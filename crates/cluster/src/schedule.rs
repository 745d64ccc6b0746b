//! Schedules of CronJobs: when they start.

use cronexpr::Crontab;
use jiff_kube::{SignedDuration, Timestamp};

/// When a CronJob starts.
#[derive(Clone, Debug)]
pub struct Schedule(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Cron(Box<Crontab>),
    /// `@every 1h`: counted from a given instant.
    Every(SignedDuration),
}

impl Schedule {
    /// Reads `spec.schedule` and `spec.timeZone`. Without a time zone the controller manager's own counts, which is UTC nearly
    /// everywhere.
    ///
    /// # Errors
    /// When the API server would not accept it either; the text says why.
    pub fn parse(text: &str, time_zone: Option<&str>) -> Result<Self, String> {
        let mut text = text.trim();
        let mut zone = time_zone.unwrap_or("Etc/UTC");
        for prefix in ["CRON_TZ=", "TZ="] {
            if let Some((written, rest)) = text.strip_prefix(prefix).and_then(|rest| rest.split_once(' ')) {
                (zone, text) = (written, rest.trim());
            }
        }
        if let Some(every) = text.strip_prefix("@every ") {
            let duration = every.trim().parse::<SignedDuration>().ok().filter(|every| every.is_positive());
            let duration = duration.ok_or_else(|| format!("@every {every:?} is no duration"))?;
            return Ok(Self(Rule::Every(duration)));
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@hourly" => "0 * * * *".to_owned(),
            other => other.split_whitespace().map(as_here).collect::<Vec<_>>().join(" "),
        };
        if fields.split(' ').count() != 5 {
            return Err("a schedule has five fields".to_owned());
        }
        jiff_kube::tz::TimeZone::get(zone).map_err(|_| format!("there is no time zone {zone:?}"))?;
        let crontab =
            cronexpr::parse_crontab(&format!("{fields} {zone}")).map_err(|error| error.to_string())?;
        Ok(Self(Rule::Cron(Box::new(crontab))))
    }

    /// The first start after an instant.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Cron(crontab) => crontab.find_next(instant).ok().map(|zoned| zoned.timestamp()),
            Rule::Every(every) => instant.checked_add(*every).ok(),
        }
    }

    /// The starts in `(after, until]`, at most `most` of them.
    #[must_use]
    pub fn between(&self, after: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        let mut starts = Vec::new();
        let mut next = self.after(after);
        while let Some(start) = next.filter(|start| *start <= until && starts.len() < most) {
            starts.push(start);
            next = self.after(start);
        }
        starts
    }

    /// The longest time between two of the next starts.
    #[must_use]
    pub fn period(&self, from: Timestamp) -> Option<SignedDuration> {
        const LOOK_AHEAD: usize = 16;
        let mut starts = Vec::new();
        let mut next = self.after(from);
        while let Some(start) = next.filter(|_| starts.len() < LOOK_AHEAD) {
            starts.push(start);
            next = self.after(start);
        }
        starts.windows(2).filter_map(|pair| Some(pair.get(1)?.duration_since(*pair.first()?))).max()
    }
}

/// `?` is another word for `*`. A step wider than its field, which Kubernetes accepts, fires at the first value alone.
fn as_here(field: &str) -> String {
    let field = field.replace('?', "*");
    let wide = |step: &str| step.parse::<u32>().is_ok_and(|step| step > 59);
    match field.split_once("*/") {
        Some(("", step)) if wide(step) => "0".to_owned(),
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn next(schedule: &str, zone: Option<&str>, from: &str) -> String {
        Schedule::parse(schedule, zone).unwrap().after(at(from)).unwrap().to_string()
    }

    #[test]
    fn the_time_zone_counts() {
        assert_eq!(next("50 2 * * *", None, "2026-07-01T00:00:00Z"), "2026-07-01T02:50:00Z");
        assert_eq!(
            next("50 2 * * *", Some("America/New_York"), "2026-07-01T00:00:00Z"),
            "2026-07-01T06:50:00Z"
        );
        assert_eq!(
            next("50 2 * * *", Some("America/New_York"), "2026-12-01T00:00:00Z"),
            "2026-12-01T07:50:00Z"
        );
        assert_eq!(next("TZ=Asia/Tokyo 0 9 * * *", None, "2026-07-01T01:00:00Z"), "2026-07-02T00:00:00Z");
    }

    #[test]
    fn short_forms_are_schedules() {
        assert_eq!(next("@hourly", None, "2026-07-01T00:30:00Z"), "2026-07-01T01:00:00Z");
        assert_eq!(next("@weekly", None, "2026-07-01T00:30:00Z"), "2026-07-05T00:00:00Z");
        assert_eq!(next("@every 1h30m", None, "2026-07-01T00:00:00Z"), "2026-07-01T01:30:00Z");
        assert_eq!(next("0 0 ? * MON-FRI", None, "2026-07-03T12:00:00Z"), "2026-07-06T00:00:00Z");
    }

    #[test]
    fn a_day_of_the_month_or_a_day_of_the_week_is_enough() {
        // The 13th, and every Friday.
        assert_eq!(next("0 0 13 * 5", None, "2026-07-01T00:00:00Z"), "2026-07-03T00:00:00Z");
        assert_eq!(next("0 0 13 * 5", None, "2026-07-10T00:00:00Z"), "2026-07-13T00:00:00Z");
    }

    #[test]
    fn a_start_in_the_hour_that_summer_time_skips_is_not_lost_for_ever() {
        let schedule = Schedule::parse("30 2 * * *", Some("Europe/Berlin")).unwrap();
        let starts = schedule.between(at("2026-03-28T00:00:00Z"), at("2026-03-31T00:00:00Z"), 10);
        assert!(starts.len() >= 2, "{starts:?}");
    }

    #[test]
    fn the_period_is_the_longest_pause() {
        let schedule = Schedule::parse("0 9 * * 1-5", None).unwrap();
        assert_eq!(schedule.period(at("2026-07-01T00:00:00Z")), Some(SignedDuration::from_hours(72)));
    }

    #[test]
    fn what_is_no_schedule_is_said_so() {
        for (text, zone) in
            [("61 * * * *", None), ("* * * *", None), ("0 0 * * *", Some("Mars/Base")), ("@every x", None)]
        {
            assert!(Schedule::parse(text, zone).is_err(), "{text}");
        }
    }
}

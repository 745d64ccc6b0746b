//! NP605: a schedule that means something else.

use crate::findings::{Finding, Severity};

use super::Rule;
use super::context::{Check, Sink};
use super::schedule::{Field, Schedule};

pub(super) static RULE: Rule = Rule {
    id: "NP605",
    name: "misleading-schedule",
    severity: Severity::Warning,
    title: "a cron step does not mean what it seems to mean",
    what: "A step in the hours or minutes that does not divide the field, or is larger than it: `2 */15 * * *` fires at 00:02 and 15:02 \
           and not every 15 minutes; `5 */30 * * *` fires once a day.",
    why: "The job runs far less often than whoever wrote it believes, and nothing fails.",
    example: "
schedule: \"2 */15 * * *\"      # */15 stands in the hours
",
    fix: "Put the step into the minutes (`2-59/15 * * * *`), or list the hours that are meant.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, workload) in check.workloads() {
        let Some(text) = workload.cron.as_ref().and_then(|cron| cron.schedule.as_ref()) else { continue };
        let Some(schedule) = Schedule::parse(&text.value) else { continue };
        let off = |field: &Field| field.step.is_some_and(|step| step > 1 && !field.size.is_multiple_of(step));
        let (field, unit) = if off(&schedule.hours) {
            (&schedule.hours, "hours")
        } else if off(&schedule.minutes) {
            (&schedule.minutes, "minutes")
        } else {
            continue;
        };
        let step = field.step.unwrap_or(0);
        let times = schedule.times();
        let shown: Vec<String> =
            times.iter().take(4).map(|time| format!("{:02}:{:02}", time / 60, time % 60)).collect();
        let more = if times.len() > shown.len() { ", ..." } else { "" };
        let message = format!(
            "schedule {:?} of {} fires at {}{more}",
            text.value,
            workload.meta.name,
            super::shared::and_list(&shown)
        );
        let fix = match (unit, step) {
            ("hours", 15 | 20 | 30 | 5 | 10) => {
                let minute = schedule.minutes.values.first().copied().unwrap_or(0) % step;
                format!("if every {step} minutes is meant, write \"{minute}-59/{step} * * * *\"")
            }
            _ => format!("list the {unit} that are meant"),
        };
        sink.emit(
            Finding::new(check.object(&workload.meta), message)
                .at(text.span)
                .note(format!(
                    "*/{step} stands in the {unit} and does not divide {}: the count starts again at 0",
                    field.size
                ))
                .fix(fix)
                .group(format!("{} {}", check.namespace(&workload.meta), text.value)),
        );
    }
}

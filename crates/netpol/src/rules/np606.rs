//! NP606: limits that hide failures.

use crate::findings::{Finding, Severity};

use super::Rule;
use super::context::{Check, Sink};
use super::schedule::Schedule;

pub(super) static RULE: Rule = Rule {
    id: "NP606",
    name: "job-limits",
    severity: Severity::Warning,
    title: "a CronJob's limits overlap its period, or hide its failures",
    what: "With concurrencyPolicy: Forbid, an activeDeadlineSeconds as long as the time between two runs. As a note: \
           failedJobsHistoryLimit of at most 1 together with a backoffLimit of at most 1.",
    why: "A run that takes its whole deadline makes the next one be skipped. With one failed Job kept and one retry, the log of last night's \
          network failure is gone when somebody looks.",
    example: "
schedule: \"*/5 * * * *\"
concurrencyPolicy: Forbid
jobTemplate: {spec: {activeDeadlineSeconds: 300}}
",
    fix: "Make the deadline shorter than the period; keep at least 3 failed Jobs.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, workload) in check.workloads() {
        let (Some(cron), Some(job)) = (&workload.cron, &workload.job) else { continue };
        let namespace = check.namespace(&workload.meta);
        let gap = cron.schedule.as_ref().and_then(|text| Schedule::parse(&text.value)?.shortest_gap());
        let forbid = cron.concurrency_policy.as_ref().is_some_and(|policy| policy.value == "Forbid");
        if let (Some(gap), Some(deadline), true) = (gap, &job.active_deadline_seconds, forbid) {
            let period = i64::from(gap) * 60;
            if deadline.value >= period {
                let message = format!(
                    "{} may run for {} s and starts every {period} s: a slow run makes the next be skipped",
                    workload.meta.name, deadline.value
                );
                sink.emit(
                    Finding::new(check.object(&workload.meta), message)
                        .at(deadline.span)
                        .fix("make activeDeadlineSeconds shorter than the time between two runs")
                        .group(format!("{namespace} {} {period}", deadline.value)),
                );
            }
        }
        if let (Some(history), Some(backoff)) = (&cron.failed_jobs_history_limit, &job.backoff_limit)
            && history.value <= 1
            && backoff.value <= 1
        {
            let message = format!(
                "{} keeps {} failed Job and retries {} time",
                workload.meta.name, history.value, backoff.value
            );
            sink.emit_as(
                Severity::Info,
                Finding::new(check.object(&workload.meta), message)
                    .at(history.span)
                    .note("the log of a failure is gone with the next one; a network failure may go unseen for weeks")
                    .fix("keep at least 3 failed Jobs (failedJobsHistoryLimit: 3)")
                    .group(format!("history {namespace}")),
            );
        }
    }
}

//! From a CronJob and its Jobs to a judgement. Pure: the time is handed in.

use jiff_kube::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{CronJobStatus, Missed, Run};
use crate::schedule::Schedule;
use crate::value::{annotation, instant, job_end, name, namespace, text};

/// How long the controller may take to start a run before it counts as missed.
const GRACE: SignedDuration = SignedDuration::from_secs(90);
/// Most missed starts that are counted: as many as the controller itself looks back.
const MOST: usize = 100;
/// Missed starts that are listed.
const LISTED: usize = 10;

/// A Job of the CronJob.
struct Past<'v> {
    job: &'v Value,
    due: Option<Timestamp>,
    started: Option<Timestamp>,
    end: Option<crate::value::JobEnd>,
}

/// How the CronJob is doing at `now`, with the Jobs that it owns.
///
/// It is failing when its last finished run failed, when nothing succeeded within two periods of the schedule, or when its
/// schedule cannot be understood. A suspended one is not.
#[must_use]
pub fn judge(cron_job: &Value, jobs: &[Value], now: Timestamp) -> CronJobStatus {
    let zone = Some(text(cron_job, "/spec/timeZone")).filter(|zone| !zone.is_empty());
    let written = text(cron_job, "/spec/schedule");
    let suspended = cron_job.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false);
    let is_manual = |job: &&Value| annotation(job, "cronjob.kubernetes.io/instantiate") == Some("manual");
    let mut runs: Vec<Past<'_>> =
        jobs.iter().filter(|job| !is_manual(job)).map(|job| past(cron_job, job)).collect();
    runs.sort_by_key(|run| run.due.or(run.started));
    let count = |succeeded: bool| {
        runs.iter().filter(|run| run.end.as_ref().is_some_and(|end| end.succeeded == succeeded)).count()
    };
    let (succeeded, failed) = (count(true), count(false));
    let finished = succeeded + failed;
    let mut status = CronJobStatus {
        namespace: namespace(cron_job).to_owned(),
        name: name(cron_job).to_owned(),
        schedule: written.to_owned(),
        time_zone: zone.map(str::to_owned),
        suspended,
        active: runs.iter().filter(|run| run.end.is_none()).count(),
        succeeded,
        failed,
        manual: jobs.iter().filter(is_manual).count(),
        success_percent: (finished > 0).then(|| u8::try_from(succeeded * 100 / finished).unwrap_or(100)),
        last_run: runs.last().map(describe),
        last_success: last_success(cron_job, &runs).map(|at| at.to_string()),
        missed: Missed::default(),
        next_run: None,
        failing: false,
        remarks: Vec::new(),
    };
    match Schedule::parse(written, zone) {
        Err(reason) => {
            status.failing = true;
            status.remarks.push(format!("the schedule {written:?} cannot be understood: {reason}"));
        }
        Ok(schedule) => {
            timing(&mut status, cron_job, &runs, &schedule, now);
        }
    }
    let last_failed = runs.iter().rev().find_map(|run| run.end.as_ref()).is_some_and(|end| !end.succeeded);
    if last_failed && !suspended {
        status.failing = true;
        status.remarks.insert(0, failed_in_a_row(&runs));
    }
    if suspended {
        status.failing = false;
        status.remarks.insert(0, "suspended: it does not start".to_owned());
    }
    status
}

fn failed_in_a_row(runs: &[Past<'_>]) -> String {
    let ends = runs.iter().rev().filter_map(|run| run.end.as_ref());
    match ends.take_while(|end| !end.succeeded).count() {
        1 => "the last finished run failed".to_owned(),
        several => format!("the last {several} finished runs failed"),
    }
}

/// What depends on the clock: missed starts, the next one, how long ago the last success is.
fn timing(
    status: &mut CronJobStatus,
    cron_job: &Value,
    runs: &[Past<'_>],
    schedule: &Schedule,
    now: Timestamp,
) {
    if status.suspended {
        return;
    }
    let last_due = instant(cron_job, "/status/lastScheduleTime");
    let created = instant(cron_job, "/metadata/creationTimestamp");
    status.next_run = schedule.after(next_base(cron_job, now)).map(|at| at.to_string());
    if let Some(last_due) = last_due.or(created) {
        let mut missed = earlier_misses(cron_job, runs, schedule, last_due, now);
        let latest = now.checked_sub(GRACE).unwrap_or(now);
        let recent = schedule.between(last_due, latest, MOST + 1);
        explain_recent(status, cron_job, &recent, now);
        missed.extend(recent);
        status.missed = summary(missed);
    }
    let success = status.last_success.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    let Some(since) = success.or(created) else { return };
    let Some(period) = schedule.period(since) else { return };
    if now.duration_since(since) > period + period {
        status.failing = true;
        status.remarks.push(match success {
            Some(at) => format!("no success since {at}: more than two periods of the schedule"),
            None => "no run has succeeded, for more than two periods of the schedule".to_owned(),
        });
    }
}

/// `@every` counts from the last start.
fn next_base(cron_job: &Value, now: Timestamp) -> Timestamp {
    let every = text(cron_job, "/spec/schedule").starts_with("@every");
    instant(cron_job, "/status/lastScheduleTime").filter(|_| every).unwrap_or(now)
}

/// Why the starts since the last one have not been, as far as the CronJob itself tells.
fn explain_recent(status: &mut CronJobStatus, cron_job: &Value, recent: &[Timestamp], now: Timestamp) {
    let Some(first) = recent.first() else { return };
    if status.active > 0 && text(cron_job, "/spec/concurrencyPolicy") == "Forbid" {
        status.remarks.push(format!(
            "starts since {first} are held back: a run is still active and concurrencyPolicy is Forbid"
        ));
        return;
    }
    let deadline = cron_job.pointer("/spec/startingDeadlineSeconds").and_then(Value::as_i64);
    let latest = recent.last().copied().unwrap_or(*first);
    match deadline {
        Some(seconds) if now.duration_since(latest) <= SignedDuration::from_secs(seconds) => {
            status.remarks.push(format!("the start of {latest} is late and may still come (startingDeadlineSeconds {seconds})"));
        }
        Some(seconds) => {
            status.remarks.push(format!(
                "the start of {latest} will not be made up for (startingDeadlineSeconds {seconds} is over)"
            ));
        }
        None if recent.len() > MOST => status.remarks.push(
            "more than 100 starts were missed in a row: without startingDeadlineSeconds the controller gives up".to_owned(),
        ),
        None => {}
    }
}

/// Starts before the last one that left no Job, as far back as Jobs are surely kept.
fn earlier_misses(
    cron_job: &Value,
    runs: &[Past<'_>],
    schedule: &Schedule,
    last_due: Timestamp,
    now: Timestamp,
) -> Vec<Timestamp> {
    let Some(from) = kept_since(cron_job, runs, now) else { return Vec::new() };
    let due: Vec<Timestamp> = runs.iter().filter_map(|run| run.due).collect();
    let until = last_due.checked_sub(SignedDuration::from_secs(1)).unwrap_or(last_due);
    let expected = schedule.between(from, until, MOST + 1);
    // A run carries the time it was due; where that is not known, a time shortly after.
    let ran = |at: Timestamp, next: Timestamp| due.iter().any(|due| (at..next).contains(due));
    let nexts = expected.iter().skip(1).copied().chain([last_due]);
    expected.iter().zip(nexts).filter(|(at, next)| !ran(**at, *next)).map(|(at, _)| *at).collect()
}

/// From when on every run has left a Job: limits on the history and the time to live remove older ones.
fn kept_since(cron_job: &Value, runs: &[Past<'_>], now: Timestamp) -> Option<Timestamp> {
    let mut since = runs.first()?.due?;
    for (succeeded, field, default) in
        [(true, "successfulJobsHistoryLimit", 3), (false, "failedJobsHistoryLimit", 1)]
    {
        let limit = cron_job.pointer(&format!("/spec/{field}")).and_then(Value::as_u64).unwrap_or(default);
        let mut kept = runs
            .iter()
            .filter(|run| run.end.as_ref().is_some_and(|end| end.succeeded == succeeded))
            .peekable();
        let oldest = kept.peek().and_then(|run| run.due);
        if limit == 0 {
            return None;
        }
        if kept.count() as u64 >= limit {
            since = since.max(oldest?);
        }
    }
    let ttl = cron_job.pointer("/spec/jobTemplate/spec/ttlSecondsAfterFinished").and_then(Value::as_i64);
    if let Some(ttl) = ttl {
        since = since.max(now.checked_sub(SignedDuration::from_secs(ttl)).ok()?);
    }
    Some(since)
}

fn summary(missed: Vec<Timestamp>) -> Missed {
    let last = missed.iter().rev().take(LISTED).rev().map(ToString::to_string).collect();
    Missed { count: missed.len().min(MOST), more: missed.len() > MOST, last }
}

fn past<'v>(cron_job: &Value, job: &'v Value) -> Past<'v> {
    let written = annotation(job, "batch.kubernetes.io/cronjob-scheduled-timestamp");
    // Older controllers: the name ends with the minutes since 1970 at which it was due.
    let suffix = name(job).strip_prefix(name(cron_job)).and_then(|rest| rest.strip_prefix('-'));
    let minutes = suffix.and_then(|suffix| suffix.parse::<i64>().ok());
    let due = written
        .and_then(|written| written.parse().ok())
        .or_else(|| Timestamp::from_second(minutes?.checked_mul(60)?).ok())
        .or_else(|| instant(job, "/metadata/creationTimestamp"));
    let started = instant(job, "/status/startTime").or_else(|| instant(job, "/metadata/creationTimestamp"));
    Past { job, due, started, end: job_end(job) }
}

fn describe(run: &Past<'_>) -> Run {
    let finished = run.end.as_ref().and_then(|end| end.at);
    let took =
        run.started.zip(finished).map(|(started, finished)| finished.duration_since(started).as_secs());
    let (outcome, reason) = match &run.end {
        None => ("running", String::new()),
        Some(end) if end.succeeded => ("succeeded", String::new()),
        Some(end) if end.message.is_empty() => ("failed", end.reason.clone()),
        Some(end) => ("failed", format!("{}: {}", end.reason, end.message)),
    };
    Run {
        job: name(run.job).to_owned(),
        scheduled: run.due.map(|at| at.to_string()),
        started: run.started.map(|at| at.to_string()),
        finished: finished.map(|at| at.to_string()),
        duration_seconds: took,
        outcome,
        reason,
    }
}

fn last_success(cron_job: &Value, runs: &[Past<'_>]) -> Option<Timestamp> {
    let kept = runs.iter().filter_map(|run| run.end.as_ref().filter(|end| end.succeeded)?.at).max();
    kept.max(instant(cron_job, "/status/lastSuccessfulTime"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! The judgement on CronJobs, on the clock of the test.

use serde_json::json;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Due daily at 02:00.
fn cron_job(spec: Value, status: Value) -> Value {
    let mut object = json!({"metadata": {"name": "gap-filler", "namespace": "apps", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"schedule": "0 2 * * *"}, "status": status});
    if let (Some(into), Value::Object(fields)) = (object["spec"].as_object_mut(), spec) {
        into.extend(fields);
    }
    object
}

fn job(day: u32, outcome: &str) -> Value {
    let due = format!("2026-11-{day:02}T02:00:00Z");
    let condition = match outcome {
        "succeeded" => json!([{"type": "Complete", "status": "True"}]),
        "failed" => json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit", "lastTransitionTime": format!("2026-11-{day:02}T02:09:00Z")}]),
        _ => json!([]),
    };
    json!({"metadata": {"name": format!("gap-filler-{day}"), "namespace": "apps",
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": due}},
        "status": {"startTime": due, "conditions": condition,
            "completionTime": (outcome == "succeeded").then(|| format!("2026-11-{day:02}T02:05:00Z"))}})
}

#[test]
fn a_healthy_one_is_not_failing() {
    let cron = cron_job(json!({}), json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}));
    let jobs = [job(18, "succeeded"), job(19, "succeeded"), job(20, "succeeded")];
    let status = judge(&cron, &jobs, at("2026-11-20T12:00:00Z"));
    assert!(!status.failing, "{status:?}");
    assert_eq!((status.succeeded, status.failed, status.success_percent), (3, 0, Some(100)));
    assert_eq!(status.next_run.as_deref(), Some("2026-11-21T02:00:00Z"));
    assert_eq!(status.missed, Missed::default());
    let last = status.last_run.unwrap();
    assert_eq!((last.outcome, last.duration_seconds), ("succeeded", Some(300)));
}

#[test]
fn a_failed_last_run_is_failing_with_its_reason() {
    let cron = cron_job(json!({}), json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}));
    let jobs = [job(18, "succeeded"), job(20, "failed"), job(19, "failed")];
    let status = judge(&cron, &jobs, at("2026-11-20T12:00:00Z"));
    assert!(status.failing);
    assert_eq!(status.remarks[0], "the last 2 finished runs failed");
    assert_eq!(status.success_percent, Some(33));
    let reason = status.last_run.unwrap().reason;
    assert_eq!(reason, "BackoffLimitExceeded: Job has reached the specified backoff limit");
}

#[test]
fn a_run_that_goes_on_does_not_hide_the_failure_before_it() {
    let cron = cron_job(json!({}), json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}));
    let status = judge(&cron, &[job(19, "failed"), job(20, "running")], at("2026-11-20T02:01:00Z"));
    assert!(status.failing);
    assert_eq!(status.last_run.unwrap().outcome, "running");
}

#[test]
fn no_success_within_two_periods_is_failing() {
    let cron = cron_job(
        json!({}),
        json!({"lastScheduleTime": "2026-11-20T02:00:00Z", "lastSuccessfulTime": "2026-11-17T02:05:00Z"}),
    );
    let status = judge(&cron, &[job(20, "running")], at("2026-11-20T12:00:00Z"));
    assert!(status.failing);
    assert_eq!(
        status.remarks,
        ["no success since 2026-11-17T02:05:00Z: more than two periods of the schedule"]
    );
}

#[test]
fn a_new_one_has_time_until_its_second_period_is_over() {
    let mut cron = cron_job(json!({}), json!({}));
    cron["metadata"]["creationTimestamp"] = "2026-11-19T12:00:00Z".into();
    assert!(!judge(&cron, &[], at("2026-11-20T01:00:00Z")).failing);
}

#[test]
fn starts_that_were_never_made_are_missed() {
    let cron = cron_job(
        json!({"startingDeadlineSeconds": 3600}),
        json!({"lastScheduleTime": "2026-11-18T02:00:00Z"}),
    );
    let status = judge(&cron, &[job(18, "succeeded")], at("2026-11-20T02:30:00Z"));
    assert_eq!((status.missed.count, status.missed.more), (2, false));
    assert_eq!(status.missed.last, ["2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z"]);
    assert_eq!(
        status.remarks[0],
        "the start of 2026-11-20T02:00:00Z is late and may still come (startingDeadlineSeconds 3600)"
    );
}

#[test]
fn a_hole_between_kept_jobs_is_missed() {
    let cron = cron_job(json!({}), json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}));
    let status = judge(&cron, &[job(18, "succeeded"), job(20, "succeeded")], at("2026-11-20T12:00:00Z"));
    assert_eq!(status.missed.last, ["2026-11-19T02:00:00Z"]);
}

#[test]
fn a_job_that_the_history_limit_removed_is_not_missed() {
    let cron = cron_job(
        json!({"successfulJobsHistoryLimit": 1}),
        json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}),
    );
    let status = judge(&cron, &[job(15, "failed"), job(20, "succeeded")], at("2026-11-20T12:00:00Z"));
    assert_eq!(status.missed.count, 0, "{status:?}");
}

#[test]
fn a_suspended_one_misses_nothing_and_has_no_next_run() {
    let cron = cron_job(json!({"suspend": true}), json!({"lastScheduleTime": "2026-11-10T02:00:00Z"}));
    let status = judge(&cron, &[job(10, "failed")], at("2026-11-20T12:00:00Z"));
    assert!(!status.failing);
    assert_eq!((status.missed.count, status.next_run), (0, None));
    assert_eq!(status.remarks, ["suspended: it does not start"]);
}

#[test]
fn a_run_by_hand_is_counted_apart() {
    let mut manual = job(20, "succeeded");
    manual["metadata"]["annotations"] = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    let cron = cron_job(json!({}), json!({"lastScheduleTime": "2026-11-20T02:00:00Z"}));
    let status = judge(&cron, &[job(20, "failed"), manual], at("2026-11-20T12:00:00Z"));
    assert_eq!((status.manual, status.succeeded, status.failing), (1, 0, true));
}

#[test]
fn a_schedule_that_cannot_be_understood_is_failing() {
    let mut cron = cron_job(json!({}), json!({}));
    cron["spec"]["timeZone"] = "Mars/Base".into();
    let status = judge(&cron, &[], at("2026-11-20T12:00:00Z"));
    assert!(status.failing);
    assert!(status.remarks[0].contains("there is no time zone \"Mars/Base\""), "{:?}", status.remarks);
}

#[test]
fn starts_held_back_by_a_run_that_goes_on_are_explained() {
    let cron = cron_job(
        json!({"concurrencyPolicy": "Forbid"}),
        json!({"lastScheduleTime": "2026-11-19T02:00:00Z", "lastSuccessfulTime": "2026-11-18T02:05:00Z"}),
    );
    let status = judge(&cron, &[job(19, "running")], at("2026-11-20T02:30:00Z"));
    assert_eq!(status.missed.count, 1);
    assert!(status.remarks[0].contains("concurrencyPolicy is Forbid"), "{:?}", status.remarks);
}

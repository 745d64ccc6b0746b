//! The Job that is created.

use jiff_kube::Timestamp;
use serde_json::{Map, Value, json};

use crate::value::{name, namespace};

/// Longest name of a Job whose pods can still carry it as a label.
const LONGEST: usize = 63;

/// The Job from a CronJob's template, as `kubectl create job --from` makes it: labels and annotations of the template, the mark
/// of a run by hand, and the CronJob as its owner.
#[must_use]
pub fn job_from(cron_job: &Value, suffix: &str) -> Value {
    let template = cron_job.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let of_template = |key: &str| -> Map<String, Value> {
        template.pointer(&format!("/metadata/{key}")).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut annotations = of_template("annotations");
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".into());
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(name(cron_job), suffix),
            "namespace": namespace(cron_job),
            "labels": of_template("labels"),
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": name(cron_job),
                "uid": cron_job.pointer("/metadata/uid"),
                "controller": true,
            }],
        },
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

fn job_name(cron_job: &str, suffix: &str) -> String {
    let room = LONGEST.saturating_sub("-smoke-".len() + suffix.len());
    let start: String = cron_job.chars().take(room).collect();
    format!("{}-smoke-{suffix}", start.trim_end_matches(['-', '.']))
}

/// A short suffix that no other run of this program has: the time in microseconds, in the letters of names.
#[must_use]
pub fn unique_suffix(now: Timestamp) -> String {
    let mut rest =
        u64::try_from(now.as_microsecond()).unwrap_or_default() ^ u64::from(std::process::id()) << 44;
    let mut suffix = String::new();
    while rest > 0 && suffix.len() < 9 {
        suffix.extend(char::from_digit(u32::try_from(rest % 36).unwrap_or_default(), 36));
        rest /= 36;
    }
    suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_the_one_that_kubectl_creates() {
        let cron_job = json!({
            "metadata": {"name": "gap-filler", "namespace": "apps", "uid": "u-1", "labels": {"not": "taken"}},
            "spec": {"schedule": "0 2 * * *", "jobTemplate": {
                "metadata": {"labels": {"app": "x"}, "annotations": {"a": "b"}},
                "spec": {"backoffLimit": 2, "template": {"metadata": {"labels": {"app": "x"}}}}}}
        });
        assert_eq!(
            job_from(&cron_job, "abc"),
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": "gap-filler-smoke-abc", "namespace": "apps", "labels": {"app": "x"},
                    "annotations": {"a": "b", "cronjob.kubernetes.io/instantiate": "manual"},
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "gap-filler", "uid": "u-1",
                        "controller": true}]},
                "spec": {"backoffLimit": 2, "template": {"metadata": {"labels": {"app": "x"}}}}
            })
        );
    }

    #[test]
    fn a_long_name_is_cut_to_what_a_label_holds() {
        let name = job_name(&"n".repeat(80), "abcdefghi");
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("-smoke-abcdefghi"));
    }

    #[test]
    fn suffixes_are_short_and_differ() {
        let first = unique_suffix(Timestamp::from_microsecond(1_700_000_000_000_000).unwrap());
        let second = unique_suffix(Timestamp::from_microsecond(1_700_000_000_000_001).unwrap());
        assert!(first != second && first.len() <= 9, "{first} {second}");
    }
}

//! Objects as an API server sends them.

use serde_json::{Value, json};

/// What every stored object carries.
fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "uid": format!("uid-of-{name}"), "resourceVersion": "77", "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "kubectl", "operation": "Update",
            "fieldsV1": {"f:spec": {}}}]});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
        metadata["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"long\":\"text\"}\n"});
    }
    metadata
}

pub fn namespace(name: &str) -> Value {
    let mut metadata = metadata(name, None);
    metadata["labels"] = json!({"kubernetes.io/metadata.name": name});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"}})
}

pub fn cron_job(name: &str, component: &str) -> Value {
    let labels = json!({"app": "binance-extractor", "component": component});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "dnsPolicy": "ClusterFirst",
        "containers": [{"name": "klines", "image": "klines:1", "env": [
            {"name": "BINANCE_FUTURES_API_URL", "value": "https://fapi.binance.com"},
            {"name": "MYSQL_URI", "valueFrom": {"secretKeyRef": {"name": "binance-extractor-secret", "key": "MYSQL_URI"}}}]}]}});
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata(name, Some("apps")),
        "spec": {"schedule": "50 2 * * *", "timeZone": "Etc/UTC", "concurrencyPolicy": "Forbid", "suspend": false,
            "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": {"backoffLimit": 0, "template": pod}}},
        "status": {}})
}

pub fn policy(name: &str, selector: Value, egress: Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata(name, Some("apps")),
        "spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": egress}})
}

pub fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("binance-extractor-secret", Some("apps")),
        "type": "Opaque", "data": {"MYSQL_URI": "bXlzcWw6Ly9yb290Omh1bnRlcjI="}})
}

/// The namespace of the incident: default-deny, a policy for the extractor alone, and a gap filler.
pub fn incident() -> Vec<Value> {
    let extractor = json!({"matchLabels": {"app": "binance-extractor", "component": "klines-extractor"}});
    let ports = json!([{"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53},
        {"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 3306}]}]);
    vec![
        namespace("apps"),
        namespace("kube-system"),
        cron_job("binance-klines-gap-filler-m5", "klines-gap-filler"),
        cron_job("binance-klines-m5", "klines-extractor"),
        policy("default-deny-all", json!({}), json!([])),
        policy("allow-binance-extractor-cronjobs", extractor, ports),
        secret(),
    ]
}

/// The same, with the gap filler let out.
pub fn repaired() -> Vec<Value> {
    let mut objects = incident();
    let filler = json!({"matchLabels": {"app": "binance-extractor", "component": "klines-gap-filler"}});
    let ports = json!([{"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53},
        {"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 3306}]}]);
    objects.push(policy("allow-binance-gap-filler", filler, ports));
    objects
}

/// The start of the minute so many minutes ago.
pub fn minute(ago: i64) -> String {
    let now = cluster::Timestamp::now();
    let then = now.checked_sub(cluster::SignedDuration::from_mins(ago)).unwrap().to_string();
    format!("{}:00Z", &then[..16])
}

/// A Job of a CronJob's schedule that was due so many minutes ago and took half a minute.
pub fn past_job(cron_job: &str, minutes_ago: i64, succeeded: bool) -> Value {
    let due = minute(minutes_ago);
    let end = due.replace(":00Z", ":30Z");
    let condition = if succeeded {
        json!({"type": "Complete", "status": "True"})
    } else {
        json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit", "lastTransitionTime": end})
    };
    let mut metadata = metadata(&format!("{cron_job}-{minutes_ago}"), Some("apps"));
    metadata["ownerReferences"] =
        json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "controller": true}]);
    metadata["annotations"] = json!({"batch.kubernetes.io/cronjob-scheduled-timestamp": due});
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {},
        "status": {"startTime": due, "conditions": [condition], "completionTime": succeeded.then_some(end)}})
}

/// Status of a pod whose container runs.
pub fn running() -> Value {
    json!({"phase": "Running", "containerStatuses": [{"name": "klines", "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]})
}

/// Status of a pod whose container has ended.
pub fn ended(exit_code: i64) -> Value {
    json!({"phase": if exit_code == 0 { "Succeeded" } else { "Failed" }, "containerStatuses": [{"name": "klines",
        "restartCount": 0, "state": {"terminated": {"exitCode": exit_code,
            "reason": if exit_code == 0 { "Completed" } else { "Error" }}}}]})
}

/// Status of a Job that has ended.
pub fn job_status(succeeded: bool) -> Value {
    match succeeded {
        true => json!({"conditions": [{"type": "Complete", "status": "True"}]}),
        false => json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit"}]}),
    }
}

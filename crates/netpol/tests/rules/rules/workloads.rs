//! NP6xx: what surrounds policies.

use super::*;

#[test]
fn np601_what_leads_nowhere() {
    let apps = app("a", "app: binance-extractor", "image: x");
    fires(
        "NP601",
        "closest workload: Deployment a",
        &(apps.clone() + &service("s", "app: binance-data-extractor", "{port: 80}")),
        &(apps.clone() + &service("s", "app: binance-extractor", "{port: 80}")),
    );
    let hpa = |name: &str| {
        format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h, namespace: n}}\nspec: {{scaleTargetRef: {{kind: Deployment, name: {name}}}}}\n---\n"
        )
    };
    fires(
        "NP601",
        "scales Deployment b, which does not exist",
        &(apps.clone() + &hpa("b")),
        &(apps.clone() + &hpa("a")),
    );
    let pdb = |label: &str| {
        format!(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: d, namespace: n}}\nspec: {{selector: {{matchLabels: {{app: {label}}}}}}}\n---\n"
        )
    };
    fires(
        "NP601",
        "PodDisruptionBudget d covers no workload",
        &(apps.clone() + &pdb("x")),
        &(apps + &pdb("binance-extractor")),
    );
}

#[test]
fn np602_a_key_that_is_not_there() {
    let map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: common, namespace: n}\ndata: {NATS_URL: x}\n---\n"
            .to_owned();
    let env = |name: &str, key: &str| {
        app(
            "a",
            "app: a",
            &format!("env: [{{name: N, valueFrom: {{configMapKeyRef: {{name: {name}, key: {key}}}}}}}]"),
        )
    };
    fires(
        "NP602",
        "which has no such key",
        &(map.clone() + &env("common", "NATS_URI")),
        &(map.clone() + &env("common", "NATS_URL")),
    );
    fires(
        "NP602",
        "closest: ConfigMap common",
        &(map.clone() + &env("comon", "NATS_URL")),
        &(map + &env("common", "NATS_URL")),
    );
}

#[test]
fn np603_one_of_the_family_is_different() {
    let job = |name: &str, env: &str| cron(name, "schedule: '0 * * * *'", "backoffLimit: 2", env);
    let full = "{name: NATS_URL, value: x}";
    let wrong = job("a", full) + &job("b", full) + &job("c", "");
    fires("NP603", "NATS_URL missing in c", &wrong, &(job("a", full) + &job("b", full) + &job("c", full)));
}

#[test]
fn np604_a_variable_set_twice() {
    fires(
        "NP604",
        "sets A twice",
        &app("a", "app: a", "env: [{name: A, value: x}, {name: A, value: y}]"),
        &app("a", "app: a", "env: [{name: A, value: x}, {name: B, value: y}]"),
    );
}

#[test]
fn np605_a_step_in_the_wrong_field() {
    let job = |schedule: &str| cron("a", &format!("schedule: '{schedule}'"), "backoffLimit: 2", "");
    fires("NP605", "write \"2-59/15 * * * *\"", &job("2 */15 * * *"), &job("2-59/15 * * * *"));
    fires("NP605", "*/45 stands in the minutes", &job("*/45 * * * *"), &job("0 */6 * * *"));
}

#[test]
fn np606_a_deadline_as_long_as_the_period() {
    let job = |deadline: u32| {
        cron(
            "a",
            "{schedule: '*/5 * * * *', concurrencyPolicy: Forbid}",
            &format!("activeDeadlineSeconds: {deadline}"),
            "",
        )
        .replace(
            "  {schedule: '*/5 * * * *', concurrencyPolicy: Forbid}",
            "  schedule: '*/5 * * * *'\n  concurrencyPolicy: Forbid",
        )
    };
    fires("NP606", "may run for 300 s and starts every 300 s", &job(300), &job(240));
}

#[test]
fn np607_one_try_for_a_job_under_isolation() {
    let job = |limit: u32| {
        cron(
            "a",
            "schedule: '0 * * * *'",
            &format!("backoffLimit: {limit}"),
            "{name: A_URL, value: 'https://a.example.com'}",
        ) + &policy("p", &egress("app: j", "{}"))
    };
    fires("NP607", "a has one try", &job(0), &job(1));
}

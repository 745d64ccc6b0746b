//! Each rule finds what it is for, and is silent about the corrected manifest.

mod breadth;
mod dns;
mod ports;
mod quiet;
mod schema;
mod selectors_and_needs;
mod unknown;
mod workloads;

use crate::support::{Checked, check};

pub const DENY: &str = "podSelector: {}, policyTypes: [Ingress, Egress]";

/// A Deployment in namespace n; `rest` follows inside the container.
pub fn app(name: &str, labels: &str, rest: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: n}}\nspec:\n  template:\n    \
         metadata: {{labels: {{{labels}}}}}\n    spec: {{containers: [{{name: c, {rest}}}]}}\n---\n"
    )
}

pub fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{{spec}}}\n---\n"
    )
}

pub fn service(name: &str, selector: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{selector: {{{selector}}}, ports: [{ports}]}}\n---\n"
    )
}

/// A CronJob; `spec` and `job` are parts of its spec and of its Job's, `env` of its container.
pub fn cron(name: &str, spec: &str, job: &str, env: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: {name}, namespace: n, labels: {{app: j}}}}\nspec:\n  \
         {spec}\n  jobTemplate:\n    spec:\n      {job}\n      template:\n        metadata: {{labels: {{app: j}}}}\n        \
         spec: {{restartPolicy: Never, containers: [{{name: c, image: 'x:1', env: [{env}]}}]}}\n---\n"
    )
}

pub fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

pub fn join(parts: &[String]) -> String {
    parts.concat()
}

/// The rule fires on the first manifest with these words, and not on the second.
pub fn fires(rule: &str, words: &str, wrong: &str, right: &str) -> Checked {
    let checked = check(wrong);
    let found = checked.of(rule);
    assert!(found.iter().any(|finding| finding.contains(words)), "{rule}: {words:?} in\n{}", checked.human());
    let silent = check(right);
    assert_eq!(silent.of(rule), [] as [String; 0], "{rule}\n{}", silent.human());
    checked
}

pub const DB: &str = "env: [{name: DB_URL, value: 'postgres://db.example.com:5432/x'}]";

pub fn egress(selector: &str, rules: &str) -> String {
    format!("podSelector: {{matchLabels: {{{selector}}}}}, policyTypes: [Egress], egress: [{rules}]")
}

use netpol::rules;

#[test]
fn every_rule_is_documented_and_ids_are_in_order() {
    assert_eq!(rules::ALL.len(), 49);
    for pair in rules::ALL.windows(2) {
        assert!(pair[0].id < pair[1].id);
    }
    for rule in rules::ALL {
        for text in [rule.title, rule.what, rule.why, rule.example, rule.fix] {
            assert!(text.len() > 10, "{}", rule.id);
        }
        assert!(rule.page().contains(rule.id));
        assert!(rule.page().lines().all(|line| line.chars().count() <= 120), "{}", rule.page());
        assert_eq!(rules::find(rule.id).map(|rule| rule.name), Some(rule.name));
        assert_eq!(rules::find(&rule.id.to_lowercase()).map(|rule| rule.id), Some(rule.id));
    }
    assert!(rules::find("NP999").is_none());
}

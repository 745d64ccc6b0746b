//! NP603: one of the family lacks a variable.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Finding, Severity};
use crate::object::{EnvValue, Workload, WorkloadKind};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP603",
    name: "family-differs",
    severity: Severity::Warning,
    title: "CronJobs of one family do not have the same variables",
    what: "CronJobs of one namespace that run the same image with the same command are a family. A variable that some of them set and others \
           do not, or that they take from different places, is listed with who lacks it. As a note, variables that most CronJobs of the same \
           app set and a whole family lacks.",
    why: "They were copied from each other, and one copy was forgotten: that one talks to the default host, or is silent.",
    example: "
# m5 and m15 set NATS_URL, m30 does not
",
    fix: "Add the missing variable, or move the common ones into a ConfigMap and use envFrom.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut families: BTreeMap<(&str, String), Vec<&Workload>> = BTreeMap::new();
    for (_, workload) in check.workloads() {
        if workload.kind == WorkloadKind::CronJob
            && let Some(container) = workload.pod.containers.iter().find(|container| !container.init)
        {
            let image =
                container.image.as_ref().map_or("", |image| image.value.split(':').next().unwrap_or(""));
            let command: Vec<&str> = container.command.iter().map(|word| word.value.as_str()).collect();
            let first = container.args.first().map_or("", |word| word.value.as_str());
            let verb = if first.starts_with('-') { "" } else { first };
            let key = format!("{image} {} {verb}", command.join(" "));
            families.entry((check.namespace(&workload.meta), key)).or_default().push(workload);
        }
    }
    let families: Vec<Vec<&Workload>> = families.into_values().collect();
    for family in families.iter().filter(|family| family.len() >= 3) {
        inside(check, family, sink);
    }
    between(check, &families, sink);
}

/// The variables of a workload, with where each comes from.
fn variables(workload: &Workload) -> BTreeMap<&str, String> {
    let mut found = BTreeMap::new();
    for entry in workload.pod.containers.iter().flat_map(|container| &container.env) {
        let source = match &entry.value {
            EnvValue::ConfigMapKey(reference) => {
                format!("ConfigMap {} key {}", reference.name, reference.key)
            }
            EnvValue::SecretKey(reference) => format!("Secret {} key {}", reference.name, reference.key),
            _ => String::new(),
        };
        found.insert(entry.name.value.as_str(), source);
    }
    found
}

fn inside(check: &Check<'_>, family: &[&Workload], sink: &mut Sink<'_>) {
    let all: Vec<BTreeMap<&str, String>> = family.iter().map(|workload| variables(workload)).collect();
    let keys: BTreeSet<&str> = all.iter().flat_map(|of| of.keys().copied()).collect();
    // By the set of workloads that lack them.
    let mut missing: BTreeMap<Vec<usize>, Vec<&str>> = BTreeMap::new();
    for key in &keys {
        let lacking: Vec<usize> = (0..family.len()).filter(|index| !all[*index].contains_key(key)).collect();
        if !lacking.is_empty() {
            missing.entry(lacking).or_default().push(key);
        }
    }
    let Some((lacking, _)) = missing.first_key_value() else {
        sources(check, family, &all, &keys, sink);
        return;
    };
    let Some(first) = lacking.first().and_then(|index| family.get(*index)) else { return };
    let members: Vec<&str> = family.iter().map(|workload| workload.meta.name.value.as_str()).collect();
    let message = format!("{} lacks variables that CronJobs of its family set", first.meta.name);
    let mut finding = Finding::new(check.object(&first.meta), message)
        .note(format!("the family: {}", members.join(", ")))
        .fix("add the missing variables, or share them with envFrom");
    for (lacking, keys) in &missing {
        let names: Vec<&str> = lacking.iter().map(|index| members[*index]).collect();
        finding = finding.note(format!("{} missing in {}", keys.join(", "), names.join(", ")));
    }
    let others: BTreeSet<usize> = missing.keys().flatten().copied().collect();
    for index in others {
        if !std::ptr::eq(family[index], *first) {
            finding.objects.push(check.object(&family[index].meta));
        }
    }
    sink.emit(finding);
    sources(check, family, &all, &keys, sink);
}

/// Families differ in their database on purpose.
fn is_database(key: &str) -> bool {
    ["MYSQL", "MARIADB", "MONGO", "POSTGRES", "PG"].iter().any(|word| key.starts_with(word))
}

/// One variable from several places.
fn sources(
    check: &Check<'_>,
    family: &[&Workload],
    all: &[BTreeMap<&str, String>],
    keys: &BTreeSet<&str>,
    sink: &mut Sink<'_>,
) {
    for key in keys {
        let places: BTreeSet<&String> =
            all.iter().filter_map(|of| of.get(key)).filter(|place| !place.is_empty()).collect();
        if places.len() < 2 {
            continue;
        }
        let Some(first) = family.first() else { continue };
        let places: Vec<&str> = places.into_iter().map(String::as_str).collect();
        let message = format!("{key} comes from different places in the family of {}", first.meta.name);
        sink.emit_as(
            Severity::Info,
            Finding::new(check.object(&first.meta), message)
                .note(places.join("; "))
                .fix("take it from one place"),
        );
    }
}

/// Variables that most CronJobs of the same app set and a whole family lacks, and variables that families take from different
/// places.
fn between(check: &Check<'_>, families: &[Vec<&Workload>], sink: &mut Sink<'_>) {
    let mut apps: BTreeMap<(&str, &str), Vec<&Vec<&Workload>>> = BTreeMap::new();
    for family in families {
        let Some(first) = family.first() else { continue };
        if let Some(app) = first.pod.labels.value("app").or(first.pod.labels.value("app.kubernetes.io/name"))
        {
            apps.entry((check.namespace(&first.meta), app)).or_default().push(family);
        }
    }
    for ((_, app), families) in apps.iter().filter(|(_, families)| families.len() > 1) {
        let all: Vec<&Workload> = families.iter().flat_map(|family| family.iter().copied()).collect();
        for family in families.iter().filter(|family| family.len() >= 3) {
            let own: BTreeSet<&str> =
                family.iter().flat_map(|workload| variables(workload).into_keys()).collect();
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for workload in &all {
                for key in variables(workload).into_keys() {
                    *counts.entry(key).or_insert(0) += 1;
                }
            }
            let others = all.len() - family.len();
            let lacking: Vec<&str> = counts
                .iter()
                .filter(|(key, count)| !own.contains(*key) && **count * 3 >= others * 2 && !is_database(key))
                .map(|(key, _)| *key)
                .collect();
            if lacking.is_empty() {
                continue;
            }
            let Some(first) = family.first() else { continue };
            let message = format!(
                "{} and its family lack variables that most CronJobs of app {app} set",
                first.meta.name
            );
            sink.emit_as(
                Severity::Info,
                Finding::new(check.object(&first.meta), message)
                    .note(lacking.join(", "))
                    .fix("add them, or share them with envFrom"),
            );
        }
    }
}

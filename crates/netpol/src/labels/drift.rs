//! Where the labels do not follow their own conventions.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{cell, code};
use super::{Row, Survey};
use crate::nearmiss::{self, similar};
use crate::reach_render::group_name;

/// Findings in words, in a stable order.
pub(super) fn find(survey: &Survey<'_>) -> Vec<String> {
    let mut found = Vec::new();
    nothing_selected(survey, &mut found);
    unselected(survey, &mut found);
    missing_keys(survey, &mut found);
    spellings(survey, &mut found);
    off_the_pod(survey, &mut found);
    found
}

/// Selectors without a pod.
fn nothing_selected(survey: &Survey<'_>, found: &mut Vec<String>) {
    for selecting in survey.selecting.iter().filter(|selecting| selecting.selects.is_empty()) {
        let near = nearmiss::workload_for(survey.model, &selecting.selector, Some(&selecting.namespace));
        let near = near.map_or_else(String::new, |near| {
            let workload = &survey.model.input().workloads[near.workload];
            format!("; closest is {}: {}", cell(&workload.meta.name), cell(&near.comparison.describe()))
        });
        found.push(format!(
            "{} selects no pod ({}){near}.",
            cell(&selecting.label()),
            code(&selecting.text())
        ));
    }
}

/// Workloads that only selectors for everything find, while others of the namespace have policies of their own.
fn unselected(survey: &Survey<'_>, found: &mut Vec<String>) {
    let own = |row: &Row| {
        survey.selecting.iter().any(|selecting| {
            selecting.kind == "NetworkPolicy"
                && !selecting.selector.is_empty()
                && selecting.selects.contains(&row.id)
        })
    };
    let with: BTreeSet<&str> =
        survey.rows.iter().filter(|row| own(row)).map(|row| row.namespace.as_str()).collect();
    for namespace in with {
        let rows = survey.rows.iter().filter(|row| row.namespace == namespace && !own(row));
        let rows: Vec<&Row> = rows.collect();
        let Some(first) = rows.first() else { continue };
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let near = nearmiss::policies_for(survey.model, first.id).into_iter().next();
        let near = near.map_or_else(String::new, |near| {
            let policy = &survey.model.input().policies[near.policy];
            format!("; closest is {}: {}", cell(&policy.meta.name), cell(&near.comparison.describe()))
        });
        found.push(format!(
            "No policy of its own selects {}, while others in {} have one{near}.",
            cell(&group_name(&names)),
            cell(namespace)
        ));
    }
}

/// Keys that policies look at and that some pods lack.
fn missing_keys(survey: &Survey<'_>, found: &mut Vec<String>) {
    let looked_at: BTreeSet<&str> = survey.selecting.iter().flat_map(|selecting| selecting.keys()).collect();
    for (key, values) in survey.keys().iter().filter(|(key, _)| looked_at.contains(*key)) {
        let holders: BTreeSet<usize> = values.values().flatten().map(|row| row.id).collect();
        let namespaces: BTreeSet<&str> =
            values.values().flatten().map(|row| row.namespace.as_str()).collect();
        let without = survey
            .rows
            .iter()
            .filter(|row| namespaces.contains(row.namespace.as_str()) && !holders.contains(&row.id));
        let names: Vec<&str> = without.map(|row| row.name.as_str()).collect();
        if !names.is_empty() {
            found.push(format!("{} is missing on the pods of {}.", code(key), cell(&group_name(&names))));
        }
    }
}

/// Values that are probably the same thing written in two ways.
fn spellings(survey: &Survey<'_>, found: &mut Vec<String>) {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &survey.rows {
        let workload = &survey.model.input().workloads[row.id];
        let outer = workload.meta.labels.pairs.iter().chain(&workload.job_labels.pairs);
        for pair in outer.chain(&workload.pod.labels.pairs) {
            values.entry(pair.key.value.as_str()).or_default().insert(&pair.value.value);
        }
    }
    for (key, values) in values {
        let all: Vec<&str> = values.into_iter().collect();
        for (at, value) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                let alike = similar::values(value, other)
                    .is_some_and(|likeness| likeness <= similar::Likeness::Plural)
                    || same_characters(value, other);
                if alike {
                    found.push(format!("{} is written {} and {}.", code(key), code(value), code(other)));
                }
            }
        }
    }
}

/// `m5` and `5m`.
fn same_characters(a: &str, b: &str) -> bool {
    let halves = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        (digits, letters)
    };
    let (one, two) = (halves(a), halves(b));
    a != b && one == two && !one.0.is_empty() && !one.1.is_empty() && a.len() == b.len() && a.len() <= 4
}

/// Keys that are on the objects and not on any of their pods: selecting by them finds nothing.
fn off_the_pod(survey: &Survey<'_>, found: &mut Vec<String>) {
    let keys = survey.keys();
    let mut off: BTreeSet<&str> = BTreeSet::new();
    for row in &survey.rows {
        let workload = &survey.model.input().workloads[row.id];
        let outer = workload.meta.labels.pairs.iter().chain(&workload.job_labels.pairs);
        off.extend(
            outer.map(|pair| pair.key.value.as_str()).filter(|key| workload.pod.labels.get(key).is_none()),
        );
    }
    for key in off {
        let place =
            if keys.contains_key(key) { "some objects whose pods lack it" } else { "objects and on no pod" };
        found.push(format!(
            "{} is on {place}: a policy that selects by it does not find those pods.",
            code(key)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::same_characters;

    #[test]
    fn turned_intervals_are_the_same_thing() {
        assert!(same_characters("m5", "5m"));
        assert!(!same_characters("m5", "m15"));
        assert!(!same_characters("m5", "m5"));
    }
}

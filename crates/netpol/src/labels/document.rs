//! The document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Row, Selecting, Survey, drift};
use crate::model::{Model, WorkloadId};
use crate::object::Labels;
use crate::reach_render::group_name;

/// Most values of a key that are listed one by one.
const VALUES: usize = 16;

/// The document about the objects of the first `files` files of the model's input. `command` is what makes it again,
/// for the reader.
#[must_use]
pub fn document(model: &Model<'_>, files: usize, command: &str) -> String {
    let survey = Survey::new(model, files);
    let mut text = "# Label conventions\n\n".to_owned();
    let _ = writeln!(text, "Generated: do not edit. To make it again: `{}`.\n", command.replace('`', "'"));
    text.push_str(
        "Network policies and Services find pods by the labels of the **pod template**. Labels of a CronJob, a\n\
         Deployment or a Job template are for people and tools; no policy looks at them. A pod whose labels match no\n\
         policy below is cut off wherever a default-deny holds.\n\n",
    );
    write_keys(&mut text, &survey);
    write_selectors(&mut text, &survey);
    write_workloads(&mut text, &survey);
    write_drift(&mut text, &survey);
    text
}

fn write_keys(text: &mut String, survey: &Survey<'_>) {
    text.push_str("## Keys\n\n");
    let keys = survey.keys();
    if keys.is_empty() {
        text.push_str("No workload has pod labels.\n\n");
        return;
    }
    text.push_str("| key | values in use | on | selected by |\n|---|---|---|---|\n");
    for (key, values) in &keys {
        let mut listed: Vec<String> = values
            .iter()
            .take(VALUES)
            .map(|(value, rows)| format!("{} ({})", code(value), rows.len()))
            .collect();
        if values.len() > VALUES {
            listed.push(format!("and {} more", values.len() - VALUES));
        }
        let count: usize = values.values().map(Vec::len).sum();
        let on = if count == survey.rows.len() {
            "every pod".to_owned()
        } else {
            format!("{count} of {} pods", survey.rows.len())
        };
        let by: Vec<String> = survey
            .selecting
            .iter()
            .filter(|selecting| selecting.keys().contains(key))
            .map(|selecting| cell(&selecting.label()))
            .collect();
        let by = if by.is_empty() { "nothing".to_owned() } else { by.join(", ") };
        let _ = writeln!(text, "| {} | {} | {on} | {by} |", code(key), listed.join(", "));
    }
    text.push('\n');
}

fn write_selectors(text: &mut String, survey: &Survey<'_>) {
    text.push_str("## Who selects pods\n\n");
    if survey.selecting.is_empty() {
        text.push_str("No policy and no Service selects pods by labels.\n\n");
        return;
    }
    text.push_str("| selected by | labels a pod must carry | pods |\n|---|---|---|\n");
    for selecting in &survey.selecting {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cell(&selecting.label()),
            wanted(selecting),
            chosen(survey, &selecting.selects)
        );
    }
    text.push('\n');
}

fn wanted(selecting: &Selecting) -> String {
    if selecting.selector.is_empty() { "none: every pod".to_owned() } else { code(&selecting.text()) }
}

fn chosen(survey: &Survey<'_>, ids: &[WorkloadId]) -> String {
    let rows = survey.rows.iter().filter(|row| ids.contains(&row.id));
    let names: Vec<&str> = rows.map(|row| row.name.as_str()).collect();
    match names.len() {
        0 => "**none**".to_owned(),
        all if all == survey.rows.len() && all > 1 => format!("all {all}"),
        1 | 2 => cell(&names.join(", ")),
        _ => cell(&group_name(&names)),
    }
}

/// Workloads with equal labels and equal selectors share a row.
fn write_workloads(text: &mut String, survey: &Survey<'_>) {
    text.push_str("## Workloads\n\n");
    if survey.rows.is_empty() {
        text.push_str("There are no workloads.\n\n");
        return;
    }
    text.push_str("| workload | kind | pod labels | other labels, not on the pod | selected by |\n|---|---|---|---|---|\n");
    for row in &survey.rows {
        let by: Vec<String> = survey
            .selecting
            .iter()
            .filter(|selecting| selecting.selects.contains(&row.id))
            .map(|selecting| cell(&selecting.name))
            .collect();
        let by = if by.is_empty() { "**nothing**".to_owned() } else { by.join(", ") };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {by} |",
            cell(&format!("{}/{}", row.namespace, row.name)),
            cell(&row.kind),
            pairs(survey.labels(row.id), None),
            elsewhere(survey, row)
        );
    }
    text.push('\n');
}

/// Labels of the object or its job template that the pods do not carry.
fn elsewhere(survey: &Survey<'_>, row: &Row) -> String {
    let workload = &survey.model.input().workloads[row.id];
    if workload.kind == crate::object::WorkloadKind::Pod {
        return String::new();
    }
    let mut parts = Vec::new();
    for (place, labels) in
        [(row.kind.as_str(), &workload.meta.labels), ("job template", &workload.job_labels)]
    {
        let list = pairs(labels, Some(&workload.pod.labels));
        if !list.is_empty() {
            parts.push(format!("{list} ({})", cell(place)));
        }
    }
    parts.join(", ")
}

fn pairs(labels: &Labels, without: Option<&Labels>) -> String {
    let mut sorted: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in &labels.pairs {
        let (key, value) = (pair.key.value.as_str(), pair.value.value.as_str());
        if without.is_none_or(|others| others.value(key) != Some(value)) {
            sorted.insert(key, value);
        }
    }
    sorted.iter().map(|(key, value)| code(&format!("{key}: {value}"))).collect::<Vec<_>>().join(", ")
}

fn write_drift(text: &mut String, survey: &Survey<'_>) {
    text.push_str("## Drift\n\n");
    let found = drift::find(survey);
    if found.is_empty() {
        text.push_str("None: every selector selects something, and siblings carry the same keys.\n");
    }
    for line in found {
        let _ = writeln!(text, "- {line}");
    }
}

/// A name in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '<' | '>' | '\\' | '[' | ']' | '`' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Text as code in a cell of a table.
pub(super) fn code(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    format!("`{}`", flat.replace('|', "\\|"))
}

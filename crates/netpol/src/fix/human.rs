//! A proposal for people.

use std::fmt::Write as _;

use super::{NeedGroup, Proposal};
use crate::changes::Changes;
use crate::reach_render::group_name;

/// What is blocked, what the new policies open, what stays open, and the other ways.
#[must_use]
pub fn summary(proposal: &Proposal) -> String {
    let mut text = String::new();
    if proposal.is_empty() {
        return "Every need is allowed: nothing to fix.\n".to_owned();
    }
    for namespace in &proposal.suspected_default_deny {
        let _ = writeln!(
            text,
            "Assumed: a default-deny in {namespace} outside the files (other workloads of it are under policies)."
        );
    }
    text.push_str("Blocked now:\n");
    write_groups(&mut text, &proposal.blocked);
    text.push_str(&outcome(proposal));
    for alternative in &proposal.alternatives {
        let _ = writeln!(text, "Or --alternative {}: {}", alternative.kind, alternative.title);
        for warning in &alternative.warnings {
            let _ = writeln!(text, "  mind: {warning}");
        }
        write_changes(&mut text, &alternative.changes);
        if !alternative.remaining.is_empty() {
            text.push_str("  it leaves:\n");
            write_groups(&mut text, &alternative.remaining);
        }
    }
    text
}

/// What the new policies open, and what stays open with them.
#[must_use]
pub fn outcome(proposal: &Proposal) -> String {
    let mut text = "The new policies open:\n".to_owned();
    write_changes(&mut text, &proposal.opens);
    if !proposal.remaining.is_empty() {
        text.push_str("Not certain even then:\n");
        write_groups(&mut text, &proposal.remaining);
    }
    text
}

/// The new policies as YAML, with the summary as comments above them.
#[must_use]
pub fn human(proposal: &Proposal) -> String {
    let mut text = String::new();
    for line in summary(proposal).lines() {
        let _ = writeln!(text, "{}", format!("# {line}").trim_end());
    }
    text.push_str(&proposal.policies);
    text
}

fn write_groups(text: &mut String, groups: &[NeedGroup]) {
    for group in groups {
        let names: Vec<&str> = group.workloads.iter().map(String::as_str).collect();
        let why = group.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
        let _ = writeln!(text, "  {} of {}: {}{why}", group.need, group_name(&names), group.verdict);
    }
}

fn write_changes(text: &mut String, changes: &Changes) {
    for change in &changes.changes {
        for (sign, ports, real) in
            [('+', &change.opened, change.opens()), ('-', &change.closed, change.closes())]
        {
            if real {
                let ports = if ports == "all" { "all ports" } else { ports };
                let _ = writeln!(text, "  {sign} {} -> {}: {ports}", change.from_text(), change.to_text());
            }
        }
    }
    if changes.equal {
        text.push_str("  (no connection)\n");
    }
}

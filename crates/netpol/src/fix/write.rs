//! New policies into a file: one that is made, or one that is there and keeps its comments and order.

use super::draft::{Draft, rules_yaml, yaml};
use super::edit::{Edit, apply, line_at, line_break};
use crate::object::NetworkPolicy;
use crate::read::Input;
use crate::source::{FileId, SourceFile};

/// The text of the file with the drafts in it. A policy of the file that selects the same pods for the same direction
/// gets the rules at the end of its list; the others are added at the end of the file.
pub(super) fn merged(
    name: &str,
    existing: Option<&str>,
    drafts: &[(Draft, Vec<String>)],
    default: &str,
) -> String {
    let Some(text) = existing.filter(|text| !text.trim().is_empty()) else {
        let documents: Vec<String> = drafts.iter().map(|(draft, head)| yaml(draft, head)).collect();
        return documents.join("---\n");
    };
    let newline = line_break(text);
    let file = SourceFile::new(name, text);
    let input = Input::parse([file.clone()]);
    let mut edits = Vec::new();
    let mut added = String::new();
    for (draft, head) in drafts {
        let home = input.policies.iter().find(|policy| is_home(policy, draft, default));
        match home.and_then(|policy| insertion(text, policy, draft)) {
            Some(edit) => edits.push(edit),
            None => {
                added.push_str("---\n");
                added.push_str(&yaml(draft, head));
            }
        }
    }
    let mut merged = match apply(&[file], &edits).pop() {
        Some(file) => file.text().to_owned(),
        None => text.to_owned(),
    };
    if !added.is_empty() {
        if !merged.ends_with('\n') {
            merged.push_str(newline);
        }
        // A file that ends with a separator has its next document's already.
        let open = merged.trim_end().ends_with("\n---");
        let added = if open { added.trim_start_matches("---\n") } else { &added };
        merged.push_str(&added.replace('\n', newline));
    }
    merged
}

/// Whether the policy is about the pods and the direction of the draft.
fn is_home(policy: &NetworkPolicy, draft: &Draft, default: &str) -> bool {
    let selector = &policy.pod_selector;
    let pairs = &selector.match_labels.pairs;
    policy.meta.namespace_or(default) == draft.namespace
        && policy.applies_to(draft.direction)
        && selector.match_expressions.is_empty()
        && pairs.len() == draft.selector.len()
        && draft.selector.iter().all(|(key, value)| selector.match_labels.value(key) == Some(value))
}

/// The rules behind the last one of the policy; `None` when its list is empty or written with brackets.
fn insertion(text: &str, policy: &NetworkPolicy, draft: &Draft) -> Option<Edit> {
    let last = policy.rules(draft.direction).last()?;
    let start = last.span.start as usize;
    let (line, indent) = line_at(text, start);
    if !text.get(line..start)?.trim_start().starts_with('-') {
        return None;
    }
    // The parser ends a block where the next thing begins: blank lines and comments before that are not part of it.
    let body = text.get(start..last.span.end as usize)?;
    let mut end = start;
    let mut at = start;
    for line in body.split_inclusive('\n') {
        at += line.len();
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            end = at;
        }
    }
    let newline = line_break(text);
    let lead = if text.get(..end)?.ends_with('\n') { "" } else { newline };
    let rules = rules_yaml(&draft.rules, draft.direction, indent).replace('\n', newline);
    Some(Edit { file: FileId(0), range: end..end, text: format!("{lead}{rules}") })
}

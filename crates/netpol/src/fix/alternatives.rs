//! The other ways out of a near miss: the policy's selector, or the pods' label.

use super::draft::{Draft, scalar};
use super::edit::{Edit, line_at, line_break};
use crate::model::{Model, WorkloadId};
use crate::nearmiss::{self, Difference, DifferenceKind, NearPolicy};
use crate::object::{Direction, Label, NetworkPolicy, Operator, Tri, WorkloadKind};

/// Edits of existing files, and what to mind about them.
pub(super) struct Way {
    pub(super) title: String,
    pub(super) edits: Vec<Edit>,
    pub(super) warnings: Vec<String>,
}

/// The policy that was probably meant for a group, when exactly one value of its selector is off.
fn near(model: &Model<'_>, draft: &Draft) -> Option<(NearPolicy, Difference)> {
    if draft.direction != Direction::Egress {
        return None;
    }
    let first = *draft.workloads.first()?;
    let near = nearmiss::policies_for(model, first).into_iter().next()?;
    let [difference] = near.comparison.differences.as_slice() else { return None };
    let difference = difference.clone();
    (near.namespaces.is_none() && difference.kind == DifferenceKind::Value).then_some((near, difference))
}

/// Lets the closest policy select the group too.
pub(super) fn widen(model: &Model<'_>, draft: &Draft) -> Option<Way> {
    let (near, difference) = near(model, draft)?;
    let policy = model.input().policies.get(near.policy)?;
    let found = difference.found.as_deref()?;
    let edits = widened(model, policy, &difference.key, found)?;
    let title = format!(
        "let {}/{} select {} {found} beside {}",
        draft.namespace, policy.meta.name, difference.key, difference.wanted
    );
    Some(Way { title, edits, warnings: Vec::new() })
}

fn widened(model: &Model<'_>, policy: &NetworkPolicy, key: &str, value: &str) -> Option<Vec<Edit>> {
    let selector = &policy.pod_selector;
    if let Some(expression) =
        selector.match_expressions.iter().find(|one| one.key.value == key && one.operator == Operator::In)
    {
        let last = expression.values.last()?;
        let text = text_of(model, last.span.file.0 as usize)?;
        let (start, indent) = line_at(text, last.span.start as usize);
        let own_line = text.get(start..last.span.start as usize)?.trim() == "-";
        let addition = match own_line {
            true => format!("{}{}- {}", line_break(text), " ".repeat(indent), scalar(value)),
            false => format!(", {}", scalar(value)),
        };
        let end = last.span.end as usize;
        return Some(vec![Edit { file: last.span.file, range: end..end, text: addition }]);
    }
    let pairs = &selector.match_labels.pairs;
    let pair = pairs.iter().find(|pair| pair.key.value == key)?;
    let text = text_of(model, pair.key.span.file.0 as usize)?;
    // matchLabels and each of its pairs on lines of their own; other layouts are left to people.
    let (line, indent) = line_at(text, pair.key.span.start as usize);
    if text.get(line..pair.key.span.start as usize)?.trim() != "" {
        return None;
    }
    let head = text.get(..selector.match_labels.span.start as usize)?.rfind("matchLabels")?;
    let (head_line, head_indent) = line_at(text, head);
    if text.get(head_line..head)?.trim() != "" || head_indent >= indent {
        return None;
    }
    let newline = line_break(text);
    let outer = " ".repeat(head_indent);
    let expressions = format!(
        "{outer}matchExpressions:{newline}{outer}  - key: {}{newline}{outer}    operator: In{newline}{outer}    values: \
         [{}, {}]{newline}",
        scalar(key),
        scalar(&pair.value.value),
        scalar(value)
    );
    if !selector.match_expressions.is_empty() {
        return None;
    }
    let end_of_line =
        |at: usize| text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |to| at + to + 1);
    let pair_end = end_of_line(pair.value.span.end as usize);
    let last_end = pairs.iter().map(|pair| end_of_line(pair.value.span.end as usize)).max()?;
    let file = pair.key.span.file;
    let from = if pairs.len() == 1 { head_line } else { line };
    if last_end == pair_end {
        return Some(vec![Edit { file, range: from..pair_end, text: expressions }]);
    }
    Some(vec![
        Edit { file, range: from..pair_end, text: String::new() },
        Edit { file, range: last_end..last_end, text: expressions },
    ])
}

/// Gives the pods of the group the label that the closest policy wants.
pub(super) fn relabel(model: &Model<'_>, draft: &Draft) -> Option<Way> {
    let (near, difference) = near(model, draft)?;
    let policy = model.input().policies.get(near.policy)?;
    let requirement = policy.pod_selector.match_labels.get(&difference.key)?;
    let wanted = &requirement.value.value;
    let mut edits = Vec::new();
    let mut warnings = Vec::new();
    for id in &draft.workloads {
        let workload = model.input().workloads.get(*id)?;
        let label = workload.pod.labels.get(&difference.key)?;
        edits.push(set_value(label, wanted));
        // A workload must select its own pods.
        if let Some(own) =
            workload.selector.as_ref().and_then(|selector| selector.match_labels.get(&difference.key))
        {
            edits.push(set_value(own, wanted));
            if workload.kind != WorkloadKind::Job {
                warnings.push(format!(
                    "the selector of {} {} cannot be changed in place: it has to be deleted and created again",
                    workload.kind, workload.meta.name
                ));
            }
        }
        selected_otherwise(model, *id, &difference.key, wanted, &mut warnings);
    }
    warnings.sort();
    warnings.dedup();
    let found = difference.found.as_deref().unwrap_or("");
    let title = format!("relabel the pods: {} {wanted} in place of {found}", difference.key);
    Some(Way { title, edits, warnings })
}

fn set_value(label: &Label, value: &str) -> Edit {
    Edit::replace(label.value.span, scalar(value))
}

/// What else would begin or cease to select the pod.
fn selected_otherwise(model: &Model<'_>, id: WorkloadId, key: &str, value: &str, warnings: &mut Vec<String>) {
    let input = model.input();
    let default = model.options().default_namespace.as_str();
    let Some(workload) = input.workloads.get(id) else { return };
    let namespace = workload.meta.namespace_or(default);
    let before = &workload.pod.labels;
    let mut after = before.clone();
    for pair in after.pairs.iter_mut().filter(|pair| pair.key.value == key) {
        value.clone_into(&mut pair.value.value);
    }
    let mut note = |what: String, was: Tri, is: Tri| {
        if was != is {
            let verb = if is == Tri::No { "would no longer select" } else { "would select" };
            warnings.push(format!("{what} {verb} the pods"));
        }
    };
    for service in input.services.iter().filter(|service| service.meta.namespace_or(default) == namespace) {
        if let Some(selector) = &service.selector {
            let selector = crate::object::LabelSelector {
                match_labels: selector.clone(),
                ..crate::object::LabelSelector::default()
            };
            note(
                format!("Service {}", service.meta.name),
                selector.matches(before),
                selector.matches(&after),
            );
        }
    }
    for policy in input.policies.iter().filter(|policy| policy.meta.namespace_or(default) == namespace) {
        let selector = &policy.pod_selector;
        note(
            format!("NetworkPolicy {}", policy.meta.name),
            selector.matches(before),
            selector.matches(&after),
        );
    }
    for budget in
        input.disruption_budgets.iter().filter(|budget| budget.meta.namespace_or(default) == namespace)
    {
        if let Some(selector) = &budget.selector {
            note(
                format!("PodDisruptionBudget {}", budget.meta.name),
                selector.matches(before),
                selector.matches(&after),
            );
        }
    }
}

fn text_of<'m>(model: &'m Model<'_>, file: usize) -> Option<&'m str> {
    model.input().files.get(file).map(crate::source::SourceFile::text)
}

//! NP104: a policy selects nothing.

use crate::findings::{Finding, Severity};
use crate::nearmiss;

use super::context::{Check, Sink};
use super::{Rule, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP104",
    name: "policy-selects-nothing",
    severity: Severity::Warning,
    title: "a policy selects no workload",
    what: "No workload of the input in the policy's namespace has the labels that spec.podSelector wants. The workload that \
           comes closest is named.",
    why: "The policy has no effect. Either it is a leftover of a workload that is gone, or one of the two has a typo and the \
          workload runs without the policy that was written for it.",
    example: "
kind: NetworkPolicy
spec:
  podSelector:
    matchLabels: {app: binance-data-extractor}   # the pods say app: binance-extractor
",
    fix: "Correct the label that is off, on the policy or on the pod template, or delete the policy. When the workload is \
          deployed from elsewhere, add its manifests with --context.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        let hidden = policy.meta.templated || policy.pod_selector.match_labels.incomplete;
        if hidden || policy.pod_selector.is_empty() || !check.selected[index].is_empty() {
            continue;
        }
        let namespace = check.namespace(&policy.meta);
        let near = nearmiss::workload_for(check.model, &policy.pod_selector, Some(namespace));
        if near.as_ref().is_some_and(|near| near.namespace.is_some() || only_elsewhere(near)) {
            // NP109 and NP105 say more.
            continue;
        }
        if check.is_made_by_operator(&policy.pod_selector, namespace) {
            continue;
        }
        let selector = &policy.pod_selector;
        let span = selector.requirements().next().map_or(selector.span, |first| first.span());
        let finding = Finding::new(
            check.object(&policy.meta),
            format!("policy {} selects no workload", policy.meta.name),
        )
        .at(span)
        .cause("selects-nothing", "no pod has the labels of spec.podSelector", Some(span));
        let finding = match shared::job_name_note(check, selector, &[namespace]) {
            Some(note) => finding.note(note),
            None => finding,
        };
        match near {
            Some(near) => {
                let workload = &check.input.workloads[near.workload];
                let place = near.comparison.differences.iter().find_map(|off| off.found_span);
                let what = near.comparison.describe();
                let text = format!("closest workload: {} {} ({{}}): {what}", workload.kind, workload.meta.name);
                sink.emit(
                    finding
                        .note_at(text, place.unwrap_or(workload.meta.name.span))
                        .fix("correct the label that is off, or delete the policy if its workload is gone"),
                );
            }
            None if check.is_inhabited(namespace) => sink.emit(
                finding
                    .fix("delete the policy if its workload is gone, or add the workload's manifests with --context")
                    .group(namespace),
            ),
            None => sink.emit_as(
                Severity::Info,
                finding
                    .note(format!("the input has no workload in namespace {namespace}"))
                    .fix("add the manifests of the workloads with --context")
                    .group(namespace),
            ),
        }
    }
}

/// Whether every difference is a label that stands outside the pod template.
pub(super) fn only_elsewhere(near: &nearmiss::NearWorkload) -> bool {
    let off = &near.comparison.differences;
    !off.is_empty()
        && off.iter().all(|difference| matches!(difference.kind, nearmiss::DifferenceKind::NotOnTemplate(_)))
}

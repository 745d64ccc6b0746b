//! NP109: the policy is in the wrong namespace.

use crate::findings::{Finding, Severity};
use crate::nearmiss;

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP109",
    name: "wrong-namespace",
    severity: Severity::Warning,
    title: "a policy would select workloads in another namespace",
    what: "The policy selects nothing in its own namespace, and workloads of another namespace have exactly the labels that it \
           wants.",
    why: "A podSelector looks in the policy's own namespace alone. A policy without metadata.namespace goes to whatever \
          namespace the person or pipeline that applies it happens to use.",
    example: "
kind: NetworkPolicy
metadata: {name: web, namespace: default}   # the pods are in namespace shop
spec:
  podSelector:
    matchLabels: {app: web}
",
    fix: "Set metadata.namespace to the namespace of the workloads.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        if policy.pod_selector.is_empty() || policy.meta.templated || !check.selected[index].is_empty() {
            continue;
        }
        let own = check.namespace(&policy.meta);
        let near = nearmiss::workload_for(check.model, &policy.pod_selector, Some(own));
        let Some((near, other)) = near.as_ref().and_then(|near| Some((near, near.namespace.as_ref()?)))
        else {
            continue;
        };
        let workload = &check.input.workloads[near.workload];
        let place = policy.meta.namespace.as_ref().map_or(policy.meta.name.span, |namespace| namespace.span);
        let message = format!("policy {} selects nothing in namespace {own}", policy.meta.name);
        // Without a namespace of its own the policy goes where it is applied, which may well be the right place.
        let severity = if policy.meta.namespace.is_some() { RULE.severity } else { Severity::Info };
        sink.emit_as(
            severity,
            Finding::new(check.object(&policy.meta), message)
                .at(place)
                .note_at(
                    format!(
                        "{} {} ({{}}) has these labels, in namespace {other}",
                        workload.kind, workload.meta.name
                    ),
                    workload.meta.name.span,
                )
                .fix(format!("set metadata.namespace to {other}")),
        );
    }
}

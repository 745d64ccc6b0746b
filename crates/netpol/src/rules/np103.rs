//! NP103: a policy almost selects a workload.

use crate::findings::{Finding, Severity};
use crate::nearmiss::{DifferenceKind, NearPolicy, similar::Likeness};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::shared;

pub(super) static RULE: Rule = Rule {
    id: "NP103",
    name: "near-miss-selector",
    severity: Severity::Warning,
    title: "a policy selects siblings of a workload and misses it by one label",
    what: "A policy selects other workloads of the namespace, and differs from this one in one pair alone, by what looks \
           like a slip: a letter, the case, a plural, a separator, or another key for the same thing (app against \
           app.kubernetes.io/name). No other policy allows the workload anything in the policy's direction. When a need is \
           blocked because of it, NP101 says so instead; when no policy at all is about the workload, NP102.",
    why: "The two were meant for each other, and the cluster will not say that they are not.",
    example: "
kind: NetworkPolicy
spec:
  podSelector:
    matchLabels: {app: shop, component: worker}
---
kind: Deployment     # pods are labelled {app: shop, component: workers}
",
    fix: "Correct the label on the pod template or in the selector.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if check.is_explained(id) || workload.pod.labels.incomplete {
            continue;
        }
        let near = check.near_policies(id);
        let Some(near) =
            near.iter().find(|near| near.selects > 0 && is_slip(near) && !has_own(check, id, near))
        else {
            continue;
        };
        let policy = &check.input.policies[near.policy].meta.name;
        let message = format!("policy {policy} misses {} by one label", workload.meta.name);
        let finding = Finding::new(shared::workload_object(check, id, Some(near)), message);
        let group = format!("{} {}", near.policy, near.comparison.describe());
        sink.emit(
            shared::with_near(finding, check, Some(near))
                .note(format!("the policy selects {} other workloads", near.selects))
                .fix("correct the label on the pod template or in the selector")
                .group(group),
        );
    }
}

fn is_slip(near: &NearPolicy) -> bool {
    let [off] = near.comparison.differences.as_slice() else { return false };
    near.namespaces.is_none()
        && !matches!(off.kind, DifferenceKind::NotOnTemplate(_))
        && off.likeness.is_some_and(|likeness| likeness <= Likeness::Synonym)
}

/// Whether a policy of its own allows the workload something where the near one would.
fn has_own(check: &Check<'_>, id: usize, near: &NearPolicy) -> bool {
    let policy = &check.input.policies[near.policy];
    [Direction::Ingress, Direction::Egress].into_iter().filter(|direction| policy.applies_to(*direction)).all(
        |direction| {
            check.selecting(id, direction).iter().any(|(other, _)| {
                check.network_policy(*other).is_some_and(|other| !other.rules(direction).is_empty())
            })
        },
    )
}

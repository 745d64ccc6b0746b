//! NP702: the manifests and the cluster differ.

use crate::findings::{Finding, Severity};
use crate::object::{Labels, NetworkPolicy};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP702",
    name: "drift",
    severity: Severity::Warning,
    title: "the manifests and the cluster differ",
    what: "With a snapshot of the live cluster as context (--context): a policy whose live form differs from the manifest, a workload whose live \
           pod labels differ, and policies that exist in the cluster alone, in a namespace that the manifests are about. Nothing without a \
           snapshot.",
    why: "What is checked is not what runs. A policy that only the cluster knows is lost with the next rebuild, and selects by labels that \
          nobody maintains.",
    example: "
# in the cluster: allow-binance-extractor selects app: binance-extractor; in git: no such policy
",
    fix: "Bring the live object into the manifests, or apply the manifests.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let Some(replaced) = &check.options.replaced else { return };
    for (_, policy) in check.policies() {
        let live = replaced.policies.iter().find(|live| {
            live.meta.name.value == policy.meta.name.value
                && check.namespace(&live.meta) == check.namespace(&policy.meta)
        });
        let Some(live) = live.filter(|live| meaning(check, live) != meaning(check, policy)) else { continue };
        let message = format!("policy {} is not the same in the cluster", policy.meta.name);
        sink.emit(
            Finding::new(check.object(&policy.meta), message)
                .note_at("the live one is at {}", live.meta.name.span)
                .fix("apply the manifest, or take the live change into it"),
        );
    }
    for (_, workload) in check.workloads() {
        let live = replaced.workloads.iter().find(|live| {
            live.kind == workload.kind
                && live.meta.name.value == workload.meta.name.value
                && check.namespace(&live.meta) == check.namespace(&workload.meta)
        });
        let Some(live) = live.filter(|live| pairs(&live.pod.labels) != pairs(&workload.pod.labels)) else {
            continue;
        };
        let message = format!("the pods of {} have other labels in the cluster", workload.meta.name);
        sink.emit(
            Finding::new(check.object(&workload.meta), message)
                .at(workload.pod.labels.span)
                .note_at("the live labels are at {}", live.pod.labels.span)
                .fix("apply the manifest, or take the live change into it"),
        );
    }
    live_only(check, sink);
}

/// Policies that the cluster has and the manifests do not.
fn live_only(check: &Check<'_>, sink: &mut Sink<'_>) {
    let ours: std::collections::BTreeSet<&str> =
        check.policies().map(|(_, policy)| check.namespace(&policy.meta)).collect();
    for (index, policy) in check.input.policies.iter().enumerate() {
        let namespace = check.namespace(&policy.meta);
        if check.is_checked(policy.meta.span) || !policy.meta.live || !ours.contains(namespace) {
            continue;
        }
        let message = format!("policy {} is in the cluster and in no manifest", policy.meta.name);
        let selects = check.selected[index].len();
        sink.emit_always(
            Finding::new(check.object(&policy.meta), message)
                .note(if selects == 0 {
                    "it selects nothing".to_owned()
                } else {
                    format!("it selects {selects} workloads")
                })
                .fix("add it to the manifests, or delete it"),
        );
    }
}

fn pairs(labels: &Labels) -> std::collections::BTreeMap<&str, &str> {
    // Controllers add labels of their own.
    let own = |key: &str| {
        !key.ends_with("-hash")
            && !key.starts_with("batch.kubernetes.io/")
            && key != "controller-uid"
            && key != "job-name"
    };
    labels
        .pairs
        .iter()
        .filter(|pair| own(&pair.key.value))
        .map(|pair| (pair.key.value.as_str(), pair.value.value.as_str()))
        .collect()
}

/// The meaning of a policy, without places: its text, with everything that YAML leaves open removed.
fn meaning(check: &Check<'_>, policy: &NetworkPolicy) -> Vec<String> {
    let mut lines: Vec<String> = check
        .rules_of(policy)
        .map(|(direction, _, rule)| format!("{direction} {}", super::np505::rule_words(rule)))
        .collect();
    lines.push(format!("selects {}", super::np505::selector_words(&policy.pod_selector)));
    for direction in [crate::object::Direction::Ingress, crate::object::Direction::Egress] {
        lines.push(format!("{direction} {}", policy.applies_to(direction)));
    }
    lines.sort();
    lines
}

//! NP106: a rule's peer matches nothing.

use crate::findings::{Finding, Severity};
use crate::nearmiss;
use crate::object::{LabelSelector, NetworkPolicy, PolicyPeer, Requirement, Tri};

use super::context::{Check, Sink};
use super::{Rule, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP106",
    name: "peer-matches-nothing",
    severity: Severity::Warning,
    title: "a peer of a rule matches no pod",
    what: "A podSelector in `from` or `to` matches no workload in the namespaces it looks in, and these namespaces have \
           workloads in the input. Namespaces that the input does not describe are not judged. A namespaceSelector that \
           matches no known namespace is reported when it almost matches one.",
    why: "The rule allows nothing, and the connection that it was written for is denied.",
    example: "
ingress:
  - from:
      - podSelector:
          matchLabels: {app: fronted}   # the pods say app: frontend
",
    fix: "Correct the selector or the label. A podSelector without a namespaceSelector looks in the policy's own namespace \
          alone: for pods elsewhere, put a namespaceSelector into the same list item.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        let inhabited = check.is_inhabited(check.namespace(&policy.meta));
        // A policy that selects nothing is NP104's business.
        if inhabited && check.selected[index].is_empty() && !policy.pod_selector.is_empty() {
            continue;
        }
        for (direction, number, rule) in check.rules_of(policy) {
            for peer in rule.peers.iter().filter(|peer| !peer.invalid) {
                if let Some(finding) = peer_finding(check, policy, peer) {
                    let place = format!("{direction} rule {number}");
                    let finding = finding.cause("peer-matches-nothing", place, Some(peer.span));
                    if inhabited {
                        sink.emit(finding);
                    } else {
                        let namespace = check.namespace(&policy.meta);
                        sink.emit_as(Severity::Info, finding.group(format!("uninhabited {namespace}")));
                    }
                }
            }
        }
    }
}

fn peer_finding(check: &Check<'_>, policy: &NetworkPolicy, peer: &PolicyPeer) -> Option<Finding> {
    let own = check.namespace(&policy.meta);
    let namespaces: Vec<&str> = match &peer.namespace_selector {
        None => vec![own],
        Some(selector) => {
            let known = check.known_namespaces();
            known.iter().copied().filter(|name| check.namespace_matches(selector, name) == Tri::Yes).collect()
        }
    };
    let Some(pods) = &peer.pod_selector else {
        return peer.namespace_selector.as_ref().and_then(|selector| near_namespace(check, policy, selector));
    };
    if pods.is_empty() || pods.match_labels.incomplete || namespaces.is_empty() {
        return None;
    }
    if is_foreign(check, pods, &namespaces) || !is_missing(check, peer, pods, &namespaces) {
        return None;
    }
    let span = pods.requirements().next().map_or(pods.span, |first| first.span());
    let wanted: Vec<String> = pods
        .requirements()
        .map(|one| format!("{}={}", one.key(), one.values().collect::<Vec<_>>().join("|")))
        .collect();
    let place = namespaces.join(", ");
    let message =
        format!("policy {} names pods {} that do not exist in {place}", policy.meta.name, wanted.join(","));
    let mut finding = Finding::new(check.object(&policy.meta), message).at(span);
    if let Some(note) = shared::job_name_note(check, pods, &namespaces) {
        finding = finding.note(note);
    }
    let only = peer.namespace_selector.is_none().then_some(own);
    finding = match nearmiss::workload_for(check.model, pods, only) {
        Some(near) => {
            let workload = &check.input.workloads[near.workload];
            let text = match &near.namespace {
                Some(other) => format!(
                    "{} {} ({{}}) in namespace {other} has these labels: a podSelector alone looks in {own}",
                    workload.kind, workload.meta.name
                ),
                None => format!(
                    "closest workload: {} {} ({{}}): {}",
                    workload.kind,
                    workload.meta.name,
                    near.comparison.describe()
                ),
            };
            finding.note_at(text, workload.meta.name.span).fix("correct the selector or the label")
        }
        None => finding
            .fix("correct the selector, remove the peer, or add the workload's manifests with --context"),
    };
    Some(finding.group(format!("{place} {}", wanted.join(","))))
}

/// Pods that no manifest would show: the resolver (NP204's business), labels that controllers add, custom resources.
fn is_foreign(check: &Check<'_>, pods: &LabelSelector, namespaces: &[&str]) -> bool {
    let foreign = |one: Requirement<'_>| {
        let key = one.key();
        one.values().any(|value| matches!(value, "kube-dns" | "coredns"))
            || key.ends_with("-hash")
            || matches!(key, "statefulset.kubernetes.io/pod-name" | "apps.kubernetes.io/pod-index")
    };
    pods.requirements().any(foreign)
        || namespaces.iter().any(|namespace| check.is_made_by_operator(pods, namespace))
}

/// Whether no workload of the namespaces matches, and that says something.
fn is_missing(check: &Check<'_>, peer: &PolicyPeer, pods: &LabelSelector, namespaces: &[&str]) -> bool {
    // `namespaceSelector: {}` looks into namespaces that the input does not describe.
    if peer.namespace_selector.as_ref().is_some_and(LabelSelector::is_empty) {
        return false;
    }
    let mut inhabited = peer.namespace_selector.is_none();
    for (index, workload) in check.input.workloads.iter().enumerate() {
        if namespaces.contains(&check.namespace(&workload.meta)) {
            inhabited = true;
            if pods.matches(&check.model.pod(index).labels) != Tri::No {
                return false;
            }
        }
    }
    inhabited
}

/// A namespace selector that matches none of the known namespaces and almost one of them.
fn near_namespace(check: &Check<'_>, policy: &NetworkPolicy, selector: &LabelSelector) -> Option<Finding> {
    if selector.is_empty() || selector.match_labels.incomplete {
        return None;
    }
    let mut closest = None;
    for namespace in &check.input.namespaces {
        if check.namespace_matches(selector, &namespace.meta.name.value) != Tri::No {
            return None;
        }
        let comparison = nearmiss::compare(selector, &namespace.meta.labels, &[]);
        // Names that every cluster has are no slips of others.
        let usual = ["kube-system", "kube-public", "default", "monitoring", "ingress-nginx"];
        let slips = comparison.differences.iter().all(|off| {
            !usual.contains(&off.wanted.as_str())
                && off.likeness.is_some_and(|likeness| likeness <= nearmiss::similar::Likeness::Synonym)
        });
        if slips && !comparison.differences.is_empty() {
            closest = closest.or(Some((namespace, comparison)));
        }
    }
    let (namespace, comparison) = closest?;
    let span = comparison.differences.first()?.wanted_span;
    let text = format!("closest namespace: {} ({{}}): {}", namespace.meta.name, comparison.describe());
    let text = text.replace("pod has", "namespace has");
    Some(
        Finding::new(
            check.object(&policy.meta),
            format!("policy {} names a namespace that does not exist", policy.meta.name),
        )
        .at(span)
        .note_at(text, namespace.meta.name.span)
        .fix("correct the selector or the namespace's label"),
    )
}

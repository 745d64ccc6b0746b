//! NP404: open pods.

use std::collections::BTreeMap;

use crate::findings::{Finding, Severity};
use crate::model::WorkloadId;
use crate::object::{Direction, Meta};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP404",
    name: "not-isolated",
    severity: Severity::Info,
    title: "no policy isolates a workload",
    what: "No policy selects the workload's pods for ingress, for egress, or for both: everything is allowed there. One note per \
           namespace and direction.",
    why: "A pod that nobody isolates can be reached by, and reach, every other pod of the cluster.",
    example: "
kind: Deployment       # and no NetworkPolicy in its namespace
",
    fix: "Start with a default-deny in the namespace (podSelector: {}, policyTypes: [Ingress, Egress]) and let `netpol fix` write what \
          each workload needs. When the default-deny is elsewhere, say so: --context or --assume-default-deny.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut open: BTreeMap<(&str, &str), Vec<WorkloadId>> = BTreeMap::new();
    for (id, workload) in check.workloads() {
        if workload.pod.host_network || workload.meta.templated {
            continue;
        }
        let ingress = check.selecting(id, Direction::Ingress).is_empty();
        let mut egress = check.selecting(id, Direction::Egress).is_empty();
        egress &= !check.is_explained(id);
        let word = match (ingress, egress) {
            (true, true) => "ingress and egress",
            (true, false) => "ingress",
            (false, true) => "egress",
            (false, false) => continue,
        };
        open.entry((check.namespace(&workload.meta), word)).or_default().push(id);
    }
    for namespace in check.input.namespaces.iter().filter(|namespace| check.is_checked(namespace.meta.span)) {
        empty_namespace(check, &namespace.meta, sink);
    }
    for ((namespace, word), ids) in open {
        for id in ids {
            let workload = &check.input.workloads[id];
            let message = format!("no policy isolates {} for {word}", workload.meta.name);
            sink.emit(
                Finding::new(check.object(&workload.meta), message)
                    .fix("add a default-deny to the namespace, then `netpol fix`; or say where it is: --assume-default-deny")
                    .group(format!("{namespace} {word}")),
            );
        }
    }
}

/// A namespace without workloads and without policies: whatever is deployed there will be open.
fn empty_namespace(check: &Check<'_>, meta: &Meta, sink: &mut Sink<'_>) {
    let name = meta.name.value.as_str();
    let has_policy = check.input.policies.iter().any(|policy| check.namespace(&policy.meta) == name);
    let assumed = check.model.options().assume_default_deny.iter().any(|assumed| assumed == name);
    if has_policy || assumed || meta.templated || check.is_inhabited(name) {
        return;
    }
    sink.emit(
        Finding::new(check.object(meta), format!("namespace {name} has no policy"))
            .fix("add a default-deny to the namespace")
            .group("namespaces"),
    );
}

//! NP508: what the network plugin does not do.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, NetworkPolicy, WorkloadKind};

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP508",
    name: "plugin-limits",
    severity: Severity::Warning,
    title: "the network plugin does not enforce this",
    what: "The input installs a network plugin that enforces no policies (flannel without Calico), while there are policies. Under a \
           profile whose ipBlock does not match pods (cilium): egress rules that name 0.0.0.0/0 for ports of services that usually run \
           inside the cluster (DNS, databases, brokers, collectors).",
    why: "Policies without a plugin that enforces them are accepted and do nothing. Under Cilium, 0.0.0.0/0 is the world outside the \
          cluster, and pods are not in it.",
    example: "
# profile cilium
egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    ports: [{port: 53, protocol: UDP}]     # does not reach CoreDNS
",
    fix: "Install a plugin that enforces policies. Under Cilium, select pods by namespace and label.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    flannel(check, sink);
    if check.model.options().profile.ip_block_matches_pods {
        return;
    }
    for (_, policy) in check.policies() {
        blocks(check, policy, sink);
    }
}

fn flannel(check: &Check<'_>, sink: &mut Sink<'_>) {
    let named = |word: &str| {
        check.input.workloads.iter().find(|workload| {
            workload.kind == WorkloadKind::DaemonSet && workload.meta.name.value.contains(word)
        })
    };
    let enforcing = ["calico", "canal", "cilium", "kube-router", "antrea", "weave", "ovn"];
    let Some(plugin) = named("flannel").filter(|_| !enforcing.iter().any(|word| named(word).is_some()))
    else {
        return;
    };
    if check.input.policies.is_empty() {
        return;
    }
    let message = format!(
        "{} enforces no policies: {} policies have no effect",
        plugin.meta.name,
        check.input.policies.len()
    );
    sink.emit(
        Finding::new(check.object(&plugin.meta), message)
            .fix("install a plugin that enforces policies (for flannel: with Calico, as Canal)"),
    );
}

fn blocks(check: &Check<'_>, policy: &NetworkPolicy, sink: &mut Sink<'_>) {
    let mut names = Vec::new();
    let mut first = None;
    for (direction, _, rule) in check.rules_of(policy) {
        let only_blocks = !rule.peers.is_empty() && rule.peers.iter().all(|peer| peer.ip_block.is_some());
        if direction != Direction::Egress || !only_blocks || !ports::reaches_everywhere(rule) {
            continue;
        }
        for (protocol, port, span) in ports::single(rule) {
            if port == 53 || crate::needs::by_port(port).is_some() {
                names.push(ports::name(protocol, port));
                first = first.or(Some(span));
            }
        }
    }
    let Some(span) = first else { return };
    let profile = &check.model.options().profile.name;
    let message =
        format!("under profile {profile} policy {} reaches no pod on {}", policy.meta.name, names.join(", "));
    sink.emit(
        Finding::new(check.object(&policy.meta), message)
            .at(span)
            .note("an ipBlock matches addresses outside the cluster alone")
            .fix("select pods by namespace and label"),
    );
}

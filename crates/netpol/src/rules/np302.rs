//! NP302: a named port that no pod has.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, NetworkPolicy, PolicyRule, PortRef, Protocol, Tri, Workload};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP302",
    name: "named-port-unknown",
    severity: Severity::Error,
    title: "a rule names a port that the receiving pods do not have",
    what: "A named port in a rule is looked up among the container ports of the receiving pods: of the selected pods for ingress, \
           of each peer for egress. Here no such pod has a container port of that name and protocol. A warning when some have it \
           and some do not, or when a Service has a port of that name, which does not count.",
    why: "A name that does not resolve allows nothing, and the API server does not complain.",
    example: "
ingress:
  - ports: [{port: http}]     # the container port is called web
",
    fix: "Use the name of the container port (spec.containers[].ports[].name), or the number.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            if !rule
                .ports
                .iter()
                .any(|port| matches!(port.port.as_ref().map(|port| &port.value), Some(PortRef::Name(_))))
            {
                continue;
            }
            let receivers = match direction {
                Direction::Ingress => {
                    check.selected[index].iter().map(|id| &check.input.workloads[*id]).collect()
                }
                Direction::Egress => peers(check, policy, rule),
            };
            if receivers.is_empty() {
                continue;
            }
            for port in rule.ports.iter().filter(|port| !port.invalid) {
                let Some(PortRef::Name(name)) = port.port.as_ref().map(|port| &port.value) else { continue };
                let protocol = port.protocol.unwrap_or(Protocol::Tcp);
                let having = receivers.iter().filter(|pod| has(pod, protocol, name)).count();
                // For a selector of everything it is enough that somebody has the port.
                if having > 0 {
                    continue;
                }
                let known = known_names(&receivers);
                let message = format!(
                    "policy {} names port {name} ({protocol}), which no receiving pod has",
                    policy.meta.name
                );
                let names: Vec<&str> =
                    receivers.iter().take(3).map(|pod| pod.meta.name.value.as_str()).collect();
                let offer = match known.is_empty() {
                    true => "they name no port at all".to_owned(),
                    false => format!("they name {}", known.join(", ")),
                };
                sink.emit(
                    Finding::new(check.object(&policy.meta), message)
                        .at(port.port.as_ref().map_or(port.span, |port| port.span))
                        .note(format!(
                            "{direction} rule {number}: the receiving pods are {}; {offer}",
                            names.join(", ")
                        ))
                        .fix("use the name of the container port, or its number"),
                );
            }
        }
    }
}

fn has(workload: &Workload, protocol: Protocol, name: &str) -> bool {
    let mut ports = workload.pod.reachable_ports();
    ports.any(|port| {
        port.protocol == protocol
            && port.name.as_ref().is_some_and(|known| known.value == name || known.value.contains("{{"))
    })
}

fn known_names(workloads: &[&Workload]) -> Vec<String> {
    let mut names: Vec<String> = workloads
        .iter()
        .flat_map(|workload| workload.pod.reachable_ports())
        .filter_map(|port| Some(format!("{} ({}/{})", port.name.as_ref()?, port.port.value, port.protocol)))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The workloads that the peers of an egress rule select.
fn peers<'c>(check: &Check<'c>, policy: &NetworkPolicy, rule: &PolicyRule) -> Vec<&'c Workload> {
    let own = check.namespace(&policy.meta);
    let matches = |workload: &&'c Workload| {
        let namespace = check.namespace(&workload.meta);
        rule.peers.iter().filter(|peer| peer.ip_block.is_none()).any(|peer| {
            let pods = peer.pod_selector.as_ref();
            pods.is_none_or(|pods| pods.matches(&workload.pod.labels) == Tri::Yes)
                && match &peer.namespace_selector {
                    Some(selector) => check.namespace_matches(selector, namespace) == Tri::Yes,
                    None => namespace == own,
                }
        })
    };
    check.input.workloads.iter().filter(matches).collect()
}

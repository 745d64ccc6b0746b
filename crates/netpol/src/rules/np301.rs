//! NP301: the Service's port where the pod's is needed.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, NetworkPolicy, PolicyRule, PortRef, Protocol, Service, Tri, Workload};
use crate::source::Span;

use super::context::{Check, Sink};
use super::shared::{self, Block};
use super::{Rule, ports};

pub(super) static RULE: Rule = Rule {
    id: "NP301",
    name: "service-port-in-policy",
    severity: Severity::Error,
    title: "a policy names the Service's port instead of the pod's",
    what: "A Service maps its port to another targetPort, and a rule names the Service's port: either a need of a workload is \
           denied because of it, or a rule for the pods behind the Service names a port that none of their containers listens \
           on.",
    why: "Policies see packets after the Service's address was translated: the port that counts is the one the container listens \
          on.",
    example: "
kind: Service
spec:
  ports: [{port: 80, targetPort: 8000}]
---
kind: NetworkPolicy
spec:
  ingress:
    - ports: [{port: 80}]      # 8000 is needed
",
    fix: "Write the targetPort in the policy. A named port (the name of the container port) follows when the number changes.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        for (_, need, block) in shared::blocked(check, id, |block| matches!(block, Block::PortMapping { .. }))
        {
            let Block::PortMapping { service_port, pod_port, direction } = block else { continue };
            let side = match direction {
                Direction::Egress => "its own egress policies",
                Direction::Ingress => "the ingress policies of the pods behind it",
            };
            let message = format!(
                "{} cannot reach {}: {side} allow {service_port}, the pods listen on {pod_port}",
                workload.meta.name,
                need.label()
            );
            let mut finding = Finding::new(check.object(&workload.meta), message)
                .at(need.evidence.first().map_or(workload.meta.name.span, |evidence| evidence.span))
                .note(format!(
                    "the Service maps {service_port} to {pod_port}, and policies see the pod's port"
                ))
                .fix(format!("write {pod_port} in the policy"))
                .group(format!("{} {service_port} {pod_port} {direction}", need.label()));
            finding.confidence = Some(need.confidence);
            let severity = if need.confidence.is_strong() { Severity::Error } else { Severity::Warning };
            sink.emit_as(severity, finding);
        }
    }
    for (_, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            for (protocol, port, span) in ports::single(rule) {
                if let Some((service, target)) = mapped(check, policy, direction, rule, protocol, port) {
                    sink.emit(finding(check, policy, direction, number, (port, span), service, target));
                }
            }
        }
    }
}

fn finding(
    check: &Check<'_>,
    policy: &NetworkPolicy,
    direction: Direction,
    number: usize,
    (port, span): (u16, Span),
    service: &Service,
    target: u16,
) -> Finding {
    let name = &service.meta.name;
    let message = format!(
        "policy {} allows {port}, the port of Service {name}; its pods listen on {target}",
        policy.meta.name
    );
    Finding::new(check.object(&policy.meta), message)
        .at(span)
        .note_at(format!("{direction} rule {number}: Service {name} ({{}}) maps {port} to {target}, and policies see the pod's port"), service.meta.name.span)
        .fix(format!("write {target} in the policy"))
}

/// The Service that maps this port to another one, for pods that the rule is about and that do not listen on it.
fn mapped<'c>(
    check: &Check<'c>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &PolicyRule,
    protocol: Protocol,
    port: u16,
) -> Option<(&'c Service, u16)> {
    // Most ports are no Service's at all.
    let listed = |service: &Service| {
        service.ports.iter().any(|listed| listed.port.as_ref().is_some_and(|number| number.value == port))
    };
    if !check.input.services.iter().any(listed) {
        return None;
    }
    let receivers = receivers(check, policy, direction, rule);
    if receivers.is_empty() || receivers.iter().any(|pod| listens(pod, protocol, port)) {
        return None;
    }
    check.input.services.iter().find_map(|service| {
        let selector = service.selector.as_ref()?;
        let behind = |pod: &&Workload| {
            check.namespace(&pod.meta) == check.namespace(&service.meta)
                && selector
                    .pairs
                    .iter()
                    .all(|pair| pod.pod.labels.value(&pair.key.value) == Some(&pair.value.value))
        };
        if service.headless || selector.is_empty() || !receivers.iter().any(behind) {
            return None;
        }
        let listed = service.ports.iter().find(|listed| {
            listed.protocol == protocol && listed.port.as_ref().is_some_and(|number| number.value == port)
        })?;
        let target = match &listed.target_port.as_ref()?.value {
            PortRef::Number(number) => *number,
            PortRef::Name(name) => receivers.iter().find_map(|pod| {
                let mut ports = pod.pod.reachable_ports();
                ports
                    .find(|port| port.name.as_ref().is_some_and(|known| known.value == *name))
                    .map(|port| port.port.value)
            })?,
        };
        let allowed = policy.rules(direction).iter().any(|rule| ports::rule_holds(rule, protocol, target));
        (target != port && !allowed).then_some((service, target))
    })
}

/// The workloads at the receiving end of a rule, as far as the input knows them.
fn receivers<'c>(
    check: &Check<'c>,
    policy: &NetworkPolicy,
    direction: Direction,
    rule: &PolicyRule,
) -> Vec<&'c Workload> {
    let own = check.namespace(&policy.meta);
    let matches = |workload: &&'c Workload| {
        let namespace = check.namespace(&workload.meta);
        if direction == Direction::Ingress {
            return namespace == own && policy.pod_selector.matches(&workload.pod.labels) == Tri::Yes;
        }
        rule.peers.iter().any(|peer| {
            let pods = peer.pod_selector.as_ref();
            // A selector for everything says nothing about which pods were meant.
            pods.is_some_and(|pods| !pods.is_empty() && pods.matches(&workload.pod.labels) == Tri::Yes)
                && match &peer.namespace_selector {
                    Some(selector) => check.namespace_matches(selector, namespace) == Tri::Yes,
                    None => namespace == own,
                }
        })
    };
    let empty = direction == Direction::Ingress && policy.pod_selector.is_empty();
    if empty { Vec::new() } else { check.input.workloads.iter().filter(matches).collect() }
}

fn listens(workload: &Workload, protocol: Protocol, port: u16) -> bool {
    workload
        .pod
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .any(|listed| listed.protocol == protocol && listed.port.value == port)
}

//! NP307: one end allows, the other denies.

use crate::findings::{Finding, Severity};
use crate::model::{Peer, PodNamespace, PodShape, PolicyRef, WorkloadId};
use crate::needs::Target;
use crate::object::{Direction, PortRef, Service, ServicePort};

use super::Rule;
use super::context::{Check, Sink};
use super::shared::{self, Block};

pub(super) static RULE: Rule = Rule {
    id: "NP307",
    name: "other-end-denies",
    severity: Severity::Error,
    title: "the receiver's ingress policies deny what the sender's egress policies allow",
    what: "A need of a workload passes its own policies and is denied by those of the pods it goes to. Also a Service whose pods are \
           isolated for ingress and whose port no pod and no address at all may reach, so that every caller is denied.",
    why: "A connection between pods needs both: egress at the sender and ingress at the receiver. The caller sees a timeout and \
          nothing that names the policy at the other end.",
    example: "
kind: NetworkPolicy            # selects the engine for Egress alone
spec:
  podSelector: {matchLabels: {app: engine}}
  policyTypes: [Egress]
---
kind: NetworkPolicy            # and this one isolates it for Ingress
metadata: {name: default-deny-all}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
",
    fix: "Add an ingress rule at the receiver for the caller's pods and the port that the container listens on.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    callers(check, sink);
    for service in &check.input.services {
        if check.is_checked(service.meta.span) && service.external_name.is_none() && !service.meta.templated {
            unreachable(check, service, sink);
        }
    }
}

fn callers(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        for (index, need, _) in shared::blocked(check, id, |block| block == Block::Ingress) {
            let judged = &check.judged[id][index];
            let Some(route) = judged.routes.first() else { continue };
            let receiver = name_of(check, &route.to);
            let side = route.decision.ingress.as_ref();
            let policies: Vec<String> = side
                .map(|side| {
                    side.selected_by.iter().map(|(policy, _)| shared::short_name(check, *policy)).collect()
                })
                .unwrap_or_default();
            let message = format!(
                "{} cannot reach {}: the ingress policies of {receiver} deny it",
                workload.meta.name,
                need.label()
            );
            let evidence = need.evidence.first();
            let mut finding = Finding::new(check.object(&workload.meta), message)
                .at(evidence.map_or(workload.meta.name.span, |evidence| evidence.span))
                .note(format!(
                    "egress of {} allows it; isolated for ingress at the other end by {}",
                    workload.meta.name,
                    shared::and_list(&policies)
                ));
            finding = match side.and_then(|side| shared::closest_rule(check, side)) {
                Some((text, Some(span))) => finding.note_at(text, span),
                Some((text, None)) => finding.note(text),
                None => finding,
            };
            finding.confidence = Some(need.confidence);
            let fix = format!(
                "allow ingress on {}/{} at {receiver} from pods of {}",
                route.port, need.protocol, workload.meta.name
            );
            // Pods that no manifest of the input defines may have policies that are not in the input either.
            let sure = need.confidence.is_strong()
                && !matches!(need.target, Target::ClusterName { .. } | Target::Hidden);
            let severity = if sure { Severity::Error } else { Severity::Warning };
            let group = format!("{} {receiver} {}", check.namespace(&workload.meta), need.label());
            sink.emit_as(severity, finding.fix(fix).group(group));
        }
    }
}

fn name_of(check: &Check<'_>, peer: &Peer) -> String {
    match peer {
        Peer::Workload(id) => check
            .input
            .workloads
            .get(*id)
            .map_or_else(String::new, |workload| workload.meta.name.value.clone()),
        Peer::Pod(shape) => match &shape.namespace {
            PodNamespace::Named(name) => format!("the pods in {name}"),
            _ => "the receiving pods".to_owned(),
        },
        Peer::Addresses(_) | Peer::Name(_) => "the receiver".to_owned(),
    }
}

/// A Service that nobody may reach on any of its ports.
fn unreachable(check: &Check<'_>, service: &Service, sink: &mut Sink<'_>) {
    let pods = backends(check, service);
    let isolated = |id: &WorkloadId| check.is_isolated(*id, Direction::Ingress);
    if pods.is_empty() || service.ports.is_empty() || !pods.iter().all(isolated) {
        return;
    }
    let dead = |port: &ServicePort| pods.iter().all(|id| !anybody(check, *id, port));
    if !service.ports.iter().all(dead) {
        return;
    }
    let Some(first) = pods.first() else { return };
    let policies: Vec<PolicyRef> =
        check.selecting(*first, Direction::Ingress).iter().map(|(policy, _)| *policy).collect();
    let names: Vec<String> = policies.iter().map(|policy| shared::short_name(check, *policy)).collect();
    let workload = &check.input.workloads[*first];
    let ports: Vec<String> = service
        .ports
        .iter()
        .filter_map(|port| pod_port(check, *first, port))
        .map(|port| port.to_string())
        .collect();
    let message = format!(
        "nobody can reach Service {}: its pods are isolated for ingress, and no rule allows its ports",
        service.meta.name
    );
    let finding = Finding::new(check.object(&service.meta), message)
        .note_at(
            format!(
                "{} {} ({{}}) is selected for ingress by {}",
                workload.kind,
                workload.meta.name,
                shared::and_list(&names)
            ),
            workload.meta.name.span,
        )
        .fix(format!(
            "add a policy for these pods that allows ingress on {} from their callers",
            shared::and_list(&ports)
        ));
    sink.emit(shared::with_isolation(finding, check, *first, Direction::Ingress));
}

/// Workloads behind a Service.
pub(super) fn backends(check: &Check<'_>, service: &Service) -> Vec<WorkloadId> {
    match &service.selector {
        Some(selector) if !selector.is_empty() => {
            check.model.backends(check.namespace(&service.meta), selector)
        }
        _ => Vec::new(),
    }
}

/// The pod's port behind a Service's port.
pub(super) fn pod_port(check: &Check<'_>, id: WorkloadId, port: &ServicePort) -> Option<u16> {
    match port.target_port.as_ref().map(|target| &target.value) {
        None => port.port.as_ref().map(|number| number.value),
        Some(PortRef::Number(number)) => Some(*number),
        Some(PortRef::Name(name)) => {
            let workload = check.input.workloads.get(id)?;
            let mut ports = workload.pod.reachable_ports();
            ports
                .find(|port| port.name.as_ref().is_some_and(|known| known.value == *name))
                .map(|port| port.port.value)
        }
    }
}

/// Whether any rule lets anybody in on this port.
fn anybody(check: &Check<'_>, id: WorkloadId, port: &ServicePort) -> bool {
    let Some(number) = pod_port(check, id, port) else { return true };
    let workload = Peer::Workload(id);
    // Any pod, wherever it is, and any address: what may be allowed from one of them is allowed to somebody.
    let anywhere =
        [Peer::Pod(PodShape::unknown(None)), Peer::Addresses(check.model.options().families.addresses())];
    anywhere.iter().any(|from| check.model.allowed(from, &workload).may.contains(port.protocol, number))
}

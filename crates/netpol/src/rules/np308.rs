//! NP308: the ingress controller is kept out.

use crate::findings::{Finding, Severity};
use crate::model::{Peer, PodShape, Verdict};
use crate::object::{Direction, Ingress, PortRef, Protocol};

use super::context::{Check, Sink};
use super::np307::{backends, pod_port};
use super::{Rule, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP308",
    name: "ingress-controller-denied",
    severity: Severity::Warning,
    title: "an Ingress leads to pods that do not let its controller in",
    what: "An Ingress names a Service whose pods are isolated for ingress, and no rule lets the controller's namespace in on the pod's \
           port. The namespace is known by convention (ingress-nginx, traefik, ...) from the class of the Ingress.",
    why: "The controller is a pod like any other: its connections need an ingress rule. Users see 502 or 504.",
    example: "
kind: Ingress                  # class nginx -> Service web
---
kind: NetworkPolicy
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: api}}}]
",
    fix: "Allow ingress from the controller's namespace (kubernetes.io/metadata.name: ingress-nginx) on the pod's port.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for ingress in check.input.ingresses.iter().filter(|ingress| check.is_checked(ingress.meta.span)) {
        let Some(controller) = controller(ingress) else { continue };
        for backend in &ingress.backends {
            let namespace = check.namespace(&ingress.meta);
            let Some(index) = check.names.service(namespace, &backend.service.value) else { continue };
            let Some(service) = check.input.services.get(index) else { continue };
            let port =
                service.ports.iter().find(|port| match backend.port.as_ref().map(|port| &port.value) {
                    Some(PortRef::Number(number)) => {
                        port.port.as_ref().is_some_and(|own| own.value == *number)
                    }
                    Some(PortRef::Name(name)) => port.name.as_ref().is_some_and(|own| own.value == *name),
                    None => true,
                });
            let Some(port) = port else { continue };
            for id in backends(check, service) {
                let Some(number) = pod_port(check, id, port) else { continue };
                let from = Peer::Pod(PodShape::unknown(Some(controller)));
                let decision = check.model.decide(&from, &Peer::Workload(id), Protocol::Tcp, number);
                let denied = decision.ingress.as_ref().is_some_and(|side| side.verdict == Verdict::Denied);
                if !denied || !check.is_isolated(id, Direction::Ingress) {
                    continue;
                }
                let workload = &check.input.workloads[id];
                let message = format!(
                    "Ingress {} leads to {}, which does not let the controller in {controller} in",
                    ingress.meta.name, workload.meta.name
                );
                let finding = Finding::new(check.object(&ingress.meta), message)
                    .at(backend.service.span)
                    .note(shared::deny_note(check, id, Direction::Ingress))
                    .fix(format!(
                        "allow ingress on {number} to the pods of {} from namespace {controller}",
                        workload.meta.name
                    ))
                    .group(format!("{namespace} {id} {number}"));
                sink.emit(shared::with_isolation(finding, check, id, Direction::Ingress));
            }
        }
    }
}

/// Where the controller of an Ingress usually lives.
fn controller(ingress: &Ingress) -> Option<&'static str> {
    let annotated = ingress.meta.annotations.value("kubernetes.io/ingress.class");
    let class = ingress.class.as_ref().map(|class| class.value.as_str()).or(annotated)?;
    Some(match class {
        "nginx" => "ingress-nginx",
        "traefik" => "traefik",
        "haproxy" => "haproxy-controller",
        "kong" => "kong",
        "contour" => "projectcontour",
        _ => return None,
    })
}

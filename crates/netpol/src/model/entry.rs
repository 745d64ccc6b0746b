//! From an Ingress to the pods that serve it.

use super::target::target_port;
use super::{Model, WorkloadId};
use crate::object::{Ingress, IngressBackend, PortRef, Protocol, ServicePort};

/// A way from outside the cluster through an Ingress (or Route) to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath {
    /// Index into [`crate::Input::ingresses`].
    pub ingress: usize,
    /// Index into its backends.
    pub backend: usize,
    /// Index into [`crate::Input::services`].
    pub service: usize,
    /// The pods.
    pub workload: WorkloadId,
    /// The protocol at the pod.
    pub protocol: Protocol,
    /// The port at the pod.
    pub port: u16,
}

impl Model<'_> {
    /// Every way from an Ingress through its Service to a pod. The traffic then comes from the pods of the
    /// ingress controller, which the input seldom describes.
    #[must_use]
    pub fn entry_paths(&self) -> Vec<EntryPath> {
        let mut paths = Vec::new();
        for (ingress, object) in self.input.ingresses.iter().enumerate() {
            for (backend, target) in object.backends.iter().enumerate() {
                self.add_paths(object, target, (ingress, backend), &mut paths);
            }
        }
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn add_paths(
        &self,
        object: &Ingress,
        target: &IngressBackend,
        at: (usize, usize),
        paths: &mut Vec<EntryPath>,
    ) {
        let namespace = object.meta.namespace_or(&self.options.default_namespace);
        let Some(index) = self.service(&target.service, namespace) else { return };
        let service = &self.input.services[index];
        let Some(selector) = &service.selector else { return };
        let route = object.meta.kind.value == "Route";
        let workloads = self.backends(namespace, selector);
        for listed in service.ports.iter().filter(|listed| is_meant(listed, target, route)) {
            let Some(number) = &listed.port else { continue };
            for workload in &workloads {
                let named = self.pod(*workload).named_ports.as_deref();
                if let Ok(port) = target_port(Some(listed), number.value, named) {
                    paths.push(EntryPath {
                        ingress: at.0,
                        backend: at.1,
                        service: index,
                        workload: *workload,
                        protocol: listed.protocol,
                        port,
                    });
                }
            }
        }
    }
}

/// Whether a backend names this port of the Service. An Ingress names the Service's port; a Route the port
/// at the pod, or the name of either.
fn is_meant(listed: &ServicePort, backend: &IngressBackend, route: bool) -> bool {
    let named = |name: &str| listed.name.as_ref().is_some_and(|own| own.value == name);
    let target = listed.target_port.as_ref().map(|target| &target.value);
    let number = listed.port.as_ref().map(|port| port.value);
    match backend.port.as_ref().map(|port| &port.value) {
        None => true,
        Some(PortRef::Name(name)) => {
            named(name) || (route && matches!(target, Some(PortRef::Name(own)) if own == name))
        }
        Some(PortRef::Number(wanted)) if route => match target {
            Some(PortRef::Number(own)) => own == wanted,
            Some(PortRef::Name(_)) => false,
            None => number == Some(*wanted),
        },
        Some(PortRef::Number(wanted)) => number == Some(*wanted),
    }
}

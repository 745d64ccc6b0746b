//! Services, Ingresses, Routes.

use super::field::Reader;
use crate::object::{Ingress, IngressBackend, Meta, PortRef, Protocol, Service, ServicePort};
use crate::source::{Spanned, Text};
use crate::yaml::Node;

impl Reader<'_> {
    pub(super) fn service(&mut self, node: &Node<'_>, meta: Meta) -> Service {
        let spec = node.get("spec");
        let at = |key: &str| spec.and_then(|spec| spec.get(key));
        let selector = self.labels(at("selector"), node.span, "spec.selector");
        let mut addresses: Vec<Text> =
            at("clusterIP").and_then(|ip| self.text(ip, "clusterIP")).into_iter().collect();
        addresses.extend(self.texts(at("clusterIPs"), "clusterIPs"));
        let mut cluster_ips: Vec<_> = addresses.iter().filter_map(|text| text.value.parse().ok()).collect();
        cluster_ips.dedup();
        let ports = self.list(at("ports"), "spec.ports");
        Service {
            service_type: at("type").and_then(|value| self.text(value, "type")),
            selector: (!selector.is_empty() || selector.incomplete).then_some(selector),
            headless: addresses.iter().any(|text| text.value == "None"),
            cluster_ips,
            external_name: at("externalName").and_then(|value| self.text(value, "externalName")),
            ports: ports.iter().map(|item| self.service_port(item)).collect(),
            meta,
        }
    }

    fn service_port(&mut self, node: &Node<'_>) -> ServicePort {
        let port = self.port(node.get("port"), "port");
        let mut target_port = self.port_ref(node.get("targetPort"), "targetPort");
        if let Some(target) = &mut target_port
            && let PortRef::Name(name) = &target.value
            && let Ok(number @ 1..) = name.parse::<u16>()
        {
            // Reported already; what was meant is clear.
            target.value = PortRef::Number(number);
        }
        ServicePort {
            name: self.text_at(node, "name"),
            port,
            target_port,
            protocol: self.protocol(node.get("protocol")).unwrap_or(Protocol::Tcp),
            node_port: node
                .get("nodePort")
                .filter(|node| node.as_str() != Some("0"))
                .and_then(|port| self.port(Some(port), "nodePort")),
            span: node.span,
        }
    }

    pub(super) fn ingress(&mut self, node: &Node<'_>, meta: Meta) -> Ingress {
        let spec = node.get("spec");
        let at = |key: &str| spec.and_then(|spec| spec.get(key));
        let mut backends = Vec::new();
        let default = at("defaultBackend").or(at("backend"));
        backends.extend(default.and_then(|backend| self.backend(backend, None, None)));
        for rule in self.list(at("rules"), "spec.rules") {
            let host = self.text_at(rule, "host");
            for path in self.list(rule.at(&["http", "paths"]), "paths") {
                let written = self.text_at(path, "path");
                let backend = path.get("backend");
                backends.extend(backend.and_then(|backend| self.backend(backend, host.clone(), written)));
            }
        }
        let class = at("ingressClassName").and_then(|class| self.text(class, "ingressClassName"));
        Ingress { meta, class, backends }
    }

    fn backend(&mut self, node: &Node<'_>, host: Option<Text>, path: Option<Text>) -> Option<IngressBackend> {
        if let Some(service) = node.get("service") {
            let port = service.get("port");
            let port = match port.and_then(|port| port.get("number")) {
                Some(number) => self.port_ref(Some(number), "port.number"),
                None => self.port_ref(port.and_then(|port| port.get("name")), "port.name"),
            };
            return Some(IngressBackend { host, path, service: self.text_at(service, "name")?, port });
        }
        // The form before networking.k8s.io/v1.
        let service = self.text_at(node, "serviceName")?;
        let port = self.port_ref(node.get("servicePort"), "servicePort");
        Some(IngressBackend { host, path, service, port })
    }

    /// An OpenShift Route: its port is the target port of the Service, by number or name.
    pub(super) fn route(&mut self, node: &Node<'_>, meta: Meta) -> Ingress {
        let spec = node.get("spec");
        let at = |key: &str| spec.and_then(|spec| spec.get(key));
        let host = at("host").and_then(|host| self.text(host, "host"));
        let port: Option<Spanned<PortRef>> =
            self.port_ref(at("port").and_then(|port| port.get("targetPort")), "targetPort");
        let mut backends = Vec::new();
        let others = self.list(at("alternateBackends"), "alternateBackends");
        for target in at("to").into_iter().chain(others) {
            if let Some(service) = self.text_at(target, "name") {
                backends.push(IngressBackend { host: host.clone(), path: None, service, port: port.clone() });
            }
        }
        Ingress { meta, class: None, backends }
    }
}

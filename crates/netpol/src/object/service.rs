//! Services and Ingresses: what stands between a name and a pod.

use std::net::IpAddr;

use super::{Labels, Meta, PortRef, Protocol};
use crate::source::{Span, Spanned, Text};

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name, namespace, labels.
    pub meta: Meta,
    /// `spec.type`, when written.
    pub service_type: Option<Text>,
    /// `spec.selector`; `None` when missing or empty: the endpoints are then not derivable.
    pub selector: Option<Labels>,
    /// `spec.clusterIP` is `None`: clients get the pods' addresses.
    pub headless: bool,
    /// Addresses of `spec.clusterIP(s)`.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalName`.
    pub external_name: Option<Text>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `name`.
    pub name: Option<Text>,
    /// `port`, what clients connect to.
    pub port: Option<Spanned<u16>>,
    /// `targetPort`, what the pod listens on; the same as `port` when missing.
    pub target_port: Option<Spanned<PortRef>>,
    /// `protocol`, TCP when missing.
    pub protocol: Protocol,
    /// `nodePort`.
    pub node_port: Option<Spanned<u16>>,
    /// The item.
    pub span: Span,
}

/// An Ingress (or an OpenShift Route, which says the same).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Name, namespace, labels.
    pub meta: Meta,
    /// `spec.ingressClassName`.
    pub class: Option<Text>,
    /// All backends, the default one first.
    pub backends: Vec<IngressBackend>,
}

/// A backend of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressBackend {
    /// `host` of its rule.
    pub host: Option<Text>,
    /// `path` of its rule.
    pub path: Option<Text>,
    /// Name of the Service.
    pub service: Text,
    /// Port of the Service, by number or by name; `None` means any.
    pub port: Option<Spanned<PortRef>>,
}

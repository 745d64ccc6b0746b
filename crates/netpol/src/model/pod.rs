//! Pods as policies see them.

use std::net::IpAddr;

use crate::object::{Label, Labels, Protocol, Workload, WorkloadKind};
use crate::source::Text;

/// The labels that tell to which Job a pod belongs.
pub(crate) const JOB_NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

/// A named container port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedPort {
    /// The name.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub port: u16,
}

/// The namespace of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodNamespace {
    /// This one.
    Named(String),
    /// One that the input does not know, with exactly these labels.
    Other(Labels),
    /// Not known: any.
    Unknown,
}

/// What policies see of a pod. Made from workloads, or by hand for a pod that no manifest describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodShape {
    /// Its namespace.
    pub namespace: PodNamespace,
    /// Its labels; [`Labels::incomplete`] says that there may be more.
    pub labels: Labels,
    /// Its named ports; `None` when they are not known.
    pub named_ports: Option<Vec<NamedPort>>,
    /// Its addresses; empty when they are not known.
    pub addresses: Vec<IpAddr>,
    /// Shares the network of its node.
    pub host_network: bool,
}

/// The pods' labels, with those that the Job controller adds.
fn with_job_name(workload: &Workload) -> Labels {
    let mut labels = workload.pod.labels.clone();
    let name = &workload.meta.name;
    if workload.kind == WorkloadKind::Job && !name.value.is_empty() && !name.value.ends_with('*') {
        for key in JOB_NAME_LABELS.into_iter().filter(|key| workload.pod.labels.get(key).is_none()) {
            let key = Text::new(key.to_owned(), name.span);
            labels.pairs.push(Label { key, value: name.clone(), templated: false });
        }
    }
    labels
}

impl PodShape {
    /// The pods of a workload.
    #[must_use]
    pub fn of(workload: &Workload, default_namespace: &str) -> Self {
        let named = workload.pod.reachable_ports().filter_map(|port| {
            let name = port.name.as_ref()?.value.clone();
            Some(NamedPort { name, protocol: port.protocol, port: port.port.value })
        });
        Self {
            namespace: PodNamespace::Named(workload.meta.namespace_or(default_namespace).to_owned()),
            labels: with_job_name(workload),
            named_ports: Some(named.collect()),
            addresses: workload.pod_ips.clone(),
            host_network: workload.pod.host_network,
        }
    }

    /// A pod of which nothing is known but, perhaps, the namespace.
    #[must_use]
    pub fn unknown(namespace: Option<&str>) -> Self {
        Self {
            namespace: namespace.map_or(PodNamespace::Unknown, |name| PodNamespace::Named(name.to_owned())),
            labels: Labels { incomplete: true, ..Labels::default() },
            named_ports: None,
            addresses: Vec::new(),
            host_network: false,
        }
    }

    /// The namespace's name, where it is known.
    #[must_use]
    pub fn namespace_name(&self) -> Option<&str> {
        match &self.namespace {
            PodNamespace::Named(name) => Some(name),
            _ => None,
        }
    }
}

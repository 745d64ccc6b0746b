//! What a host name means inside the cluster.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::read::Input;

use super::Target;

/// The names of the input.
pub(crate) struct Names<'a> {
    services: HashMap<(&'a str, &'a str), usize>,
    workloads: HashMap<(&'a str, &'a str), usize>,
    namespaces: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Indexes the input.
    pub(crate) fn new(input: &'a Input, default_namespace: &'a str) -> Self {
        let mut names =
            Self { services: HashMap::new(), workloads: HashMap::new(), namespaces: HashSet::new() };
        for (index, service) in input.services.iter().enumerate() {
            let namespace = service.meta.namespace_or(default_namespace);
            names.services.entry((namespace, &service.meta.name.value)).or_insert(index);
            names.namespaces.insert(namespace);
        }
        for (index, workload) in input.workloads.iter().enumerate() {
            let namespace = workload.meta.namespace_or(default_namespace);
            names.workloads.entry((namespace, &workload.meta.name.value)).or_insert(index);
            names.namespaces.insert(namespace);
        }
        names.namespaces.extend(input.namespaces.iter().map(|namespace| namespace.meta.name.value.as_str()));
        names
            .namespaces
            .extend(input.policies.iter().map(|policy| policy.meta.namespace_or(default_namespace)));
        names
    }

    /// A Service by namespace and name.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<usize> {
        self.services.get(&(namespace, name)).copied()
    }

    /// A workload by namespace and name.
    pub(crate) fn workload(&self, namespace: &str, name: &str) -> Option<usize> {
        self.workloads.get(&(namespace, name)).copied()
    }

    /// What a host means for a pod of the given namespace. `None` for the pod itself (localhost) and for
    /// addresses that only a listener uses.
    pub(crate) fn resolve(&self, host: &str, namespace: &str) -> Option<Target> {
        if let Ok(address) = host.parse::<IpAddr>() {
            let local = address.is_loopback() || address.is_unspecified();
            return (!local).then_some(Target::Address(address));
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host == "localhost" || host.ends_with(".localhost") || host == "host.docker.internal" {
            return None;
        }
        let labels: Vec<&str> = host.split('.').collect();
        let in_cluster = |name: &str, namespace: &str| match self.service(namespace, name) {
            Some(index) => Target::Service(index),
            None => Target::ClusterName { namespace: namespace.to_owned(), name: name.to_owned() },
        };
        if let Some(at) = labels.iter().rposition(|label| *label == "svc")
            && at >= 2
        {
            // `pod.service.namespace.svc` names one pod behind a headless Service.
            let name = labels.get(at - 2).copied().unwrap_or("");
            let owner = labels.get(at - 1).copied().unwrap_or("");
            return Some(in_cluster(name, owner));
        }
        match labels.as_slice() {
            [name] => Some(in_cluster(name, namespace)),
            [name, owner] if self.service(owner, name).is_some() || !is_public_suffix(owner) => {
                Some(in_cluster(name, owner))
            }
            // `pod.service` of a headless Service in the own namespace, or `pod.service.namespace`.
            [_, name, owner] if self.service(owner, name).is_some() => Some(in_cluster(name, owner)),
            [.., last] if self.namespaces.contains(last) && !is_public_suffix(last) && labels.len() == 3 => {
                let name = labels.get(1).copied().unwrap_or("");
                Some(in_cluster(name, last))
            }
            _ => Some(Target::Name(host)),
        }
    }
}

/// Whether a last label is one of the public Internet: `svc.namespace` and `example.com` have the same shape.
fn is_public_suffix(label: &str) -> bool {
    const LONG: [&str; 36] = [
        "com", "net", "org", "info", "biz", "edu", "gov", "mil", "int", "dev", "app", "cloud", "online",
        "site", "xyz", "tech", "store", "shop", "blog", "page", "run", "live", "pro", "name", "local",
        "internal", "corp", "lan", "home", "test", "example", "invalid", "arpa", "zone", "systems",
        "network",
    ];
    (label.len() == 2 && label.bytes().all(|byte| byte.is_ascii_alphabetic())) || LONG.contains(&label)
}

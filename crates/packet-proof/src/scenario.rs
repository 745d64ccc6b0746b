//! From workloads to machines: which node stands for which pod, and at which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netpol::Input;
use netpol::object::{Labels, Workload};

use crate::compile::{Cluster, Pod};
use crate::plan::{Listen, Node, Transport};

/// The range that pods without a known address get one from; the usual one of kubeadm and kind.
const POD_RANGE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 0);
const POD_RANGE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 0);

/// The machines of a run, and what the compiler has to know of them.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The machines.
    pub nodes: Vec<Node>,
    /// Those of them that are pods.
    pub cluster: Cluster,
    used: BTreeSet<IpAddr>,
    next: u16,
}

impl Scenario {
    /// An empty one that knows the namespaces of the input.
    #[must_use]
    pub fn new(input: &Input, ip_block_matches_pods: bool) -> Self {
        let named = input.namespaces.iter();
        let namespaces =
            named.map(|namespace| (namespace.meta.name.value.clone(), plain(&namespace.meta.labels)));
        let cluster = Cluster { pods: Vec::new(), namespaces: namespaces.collect(), ip_block_matches_pods };
        let addresses = input.workloads.iter().flat_map(|workload| workload.pod_ips.clone());
        Self { nodes: Vec::new(), cluster, used: addresses.collect(), next: 0 }
    }

    /// Adds a pod of a workload; returns its node.
    pub fn add_workload(&mut self, workload: &Workload, default_namespace: &str) -> usize {
        let namespace = workload.meta.namespace_or(default_namespace);
        let mut ports = Vec::new();
        let mut listen = BTreeSet::new();
        for port in workload.pod.reachable_ports() {
            let transport = Transport::from(port.protocol);
            listen.insert(Listen { transport, port: port.port.value });
            if let Some(name) = &port.name {
                ports.push((name.value.clone(), transport, port.port.value));
            }
        }
        let name = format!("{namespace}/{}", workload.meta.name.value);
        let pod = Pod {
            namespace: namespace.to_owned(),
            labels: plain(&workload.pod.labels),
            ports,
            addresses: workload.pod_ips.clone(),
            ..Pod::default()
        };
        self.add_pod(name, pod, listen)
    }

    /// Adds a pod; one without addresses gets an IPv4 and an IPv6 address. Returns its node.
    pub fn add_pod(&mut self, name: String, mut pod: Pod, listen: impl IntoIterator<Item = Listen>) -> usize {
        if pod.addresses.is_empty() {
            pod.addresses = self.free_addresses();
        }
        self.used.extend(&pod.addresses);
        pod.node = self.nodes.len();
        self.nodes.push(Node {
            name,
            addresses: pod.addresses.clone(),
            listen: listen.into_iter().collect(),
            ..Node::default()
        });
        self.cluster.pods.push(pod);
        self.nodes.len() - 1
    }

    /// Adds a machine outside the cluster; returns its node.
    pub fn add_outside(&mut self, name: String, addresses: Vec<IpAddr>) -> usize {
        self.used.extend(&addresses);
        self.nodes.push(Node { name, addresses, ..Node::default() });
        self.nodes.len() - 1
    }

    /// Lets a node's server answer on a port.
    pub fn listen(&mut self, node: usize, transport: Transport, port: u16) {
        let wanted = Listen { transport, port };
        if let Some(node) = self.nodes.get_mut(node)
            && !node.listen.contains(&wanted)
        {
            node.listen.push(wanted);
        }
    }

    /// Makes a node a resolver on the given port, over UDP and TCP.
    pub fn resolve(&mut self, node: usize, port: u16, names: BTreeMap<String, Vec<IpAddr>>) {
        for transport in [Transport::Udp, Transport::Tcp] {
            self.listen(node, transport, port);
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.names = Some(names);
        }
    }

    fn free_addresses(&mut self) -> Vec<IpAddr> {
        loop {
            self.next = self.next.wrapping_add(1);
            // .0 and .255 of every /24 look special to people; they are skipped.
            if matches!(self.next % 256, 0 | 255) {
                continue;
            }
            let v4 = IpAddr::V4(Ipv4Addr::from(u32::from(POD_RANGE) | u32::from(self.next)));
            let v6 = IpAddr::V6(Ipv6Addr::from(u128::from(POD_RANGE_V6) | u128::from(self.next)));
            if !self.used.contains(&v4) && !self.used.contains(&v6) {
                return vec![v4, v6];
            }
        }
    }
}

/// Labels without their places.
fn plain(labels: &Labels) -> BTreeMap<String, String> {
    labels.pairs.iter().map(|pair| (pair.key.value.clone(), pair.value.value.clone())).collect()
}

//! From the engine's peers to machines with addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netpol::object::{IpBlock, Labels, Protocol};
use netpol::set::IpSet;
use netpol::{Model, Peer, PodNamespace, PodShape, WorkloadId};

use crate::compile::Pod;
use crate::scenario::Scenario;

/// Public addresses that stand for "whatever a name resolves to". Nothing is sent to them: they exist in a namespace.
const PUBLIC_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(5, 5, 5, 5), Ipv4Addr::new(99, 99, 99, 99), Ipv4Addr::new(200, 200, 200, 200)];
const PUBLIC_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2400, 0xcb00, 0, 0, 0, 0, 0, 0x11), Ipv6Addr::new(0x2a00, 0x1450, 0, 0, 0, 0, 0, 0x22)];
/// Most addresses tried for one end.
const SAMPLES: usize = 12;
/// Namespace of a pod that may be in any.
const ANYWHERE: &str = "elsewhere";

/// A machine and the address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) node: usize,
    pub(super) address: IpAddr,
}

/// The machines that were needed so far.
pub(super) struct Places<'m, 'i> {
    pub(super) scenario: Scenario,
    model: &'m Model<'i>,
    workloads: BTreeMap<WorkloadId, usize>,
    shapes: Vec<(PodShape, usize)>,
    outside: Option<usize>,
}

impl<'m, 'i> Places<'m, 'i> {
    pub(super) fn new(model: &'m Model<'i>) -> Self {
        let scenario = Scenario::new(model.input(), model.options().profile.ip_block_matches_pods);
        Self { scenario, model, workloads: BTreeMap::new(), shapes: Vec::new(), outside: None }
    }

    /// The machine of a workload's pod.
    pub(super) fn workload(&mut self, id: WorkloadId) -> usize {
        if let Some(node) = self.workloads.get(&id) {
            return *node;
        }
        let workload = &self.model.input().workloads[id];
        let node = self.scenario.add_workload(workload, &self.model.options().default_namespace);
        self.workloads.insert(id, node);
        node
    }

    /// Where packets for a peer go; several addresses for one that may have several.
    pub(super) fn ends(
        &mut self,
        peer: &Peer,
        resolver: bool,
        names: &BTreeMap<String, Vec<IpAddr>>,
    ) -> Vec<End> {
        let nodes: Vec<End> = match peer {
            Peer::Workload(id) => {
                let node = self.workload(*id);
                self.addresses_of(node)
            }
            Peer::Pod(shape) => {
                let node = self.shape(shape, resolver);
                self.addresses_of(node)
            }
            Peer::Addresses(addresses) => self.outside(addresses, resolver),
            Peer::Name(_) => self.outside(&self.model.public_addresses(), false),
        };
        if resolver {
            for end in &nodes {
                if let Some(node) = self.scenario.nodes.get_mut(end.node) {
                    node.names = Some(names.clone());
                }
            }
        }
        nodes
    }

    /// Lets a machine answer.
    pub(super) fn listen(&mut self, node: usize, protocol: Protocol, port: u16) {
        self.scenario.listen(node, protocol.into(), port);
    }

    /// The ends in words.
    pub(super) fn describe(&self, ends: &[End]) -> String {
        let name = |end: &End| self.scenario.nodes.get(end.node).map_or("?", |node| node.name.as_str());
        match ends {
            [] => "not in the files".to_owned(),
            [one] => format!("{} ({})", name(one), one.address),
            [first, ..] => format!("{} ({} addresses)", name(first), ends.len()),
        }
    }

    /// The addresses of a node in the families of the cluster; the first of each.
    fn addresses_of(&self, node: usize) -> Vec<End> {
        let families = self.model.options().families.addresses();
        let all = self.scenario.nodes.get(node).map(|node| node.addresses.as_slice()).unwrap_or_default();
        let mut ends: Vec<End> = Vec::new();
        for address in all.iter().filter(|address| families.contains(**address)) {
            if !ends.iter().any(|end| end.address.is_ipv4() == address.is_ipv4()) {
                ends.push(End { node, address: *address });
            }
        }
        ends
    }

    /// The machine of a pod that no manifest describes.
    fn shape(&mut self, shape: &PodShape, resolver: bool) -> usize {
        if let Some((_, node)) = self.shapes.iter().find(|(known, _)| known == shape) {
            return *node;
        }
        let labels = |labels: &Labels| -> BTreeMap<String, String> {
            labels.pairs.iter().map(|pair| (pair.key.value.clone(), pair.value.value.clone())).collect()
        };
        let namespace = match &shape.namespace {
            PodNamespace::Named(name) => name.clone(),
            PodNamespace::Other(_) | PodNamespace::Unknown => ANYWHERE.to_owned(),
        };
        if let PodNamespace::Other(own) = &shape.namespace {
            self.scenario.cluster.namespaces.insert(namespace.clone(), labels(own));
        }
        let named = shape.named_ports.iter().flatten();
        let pod = Pod {
            labels: labels(&shape.labels),
            ports: named.map(|port| (port.name.clone(), port.protocol.into(), port.port)).collect(),
            addresses: shape.addresses.clone(),
            namespace: namespace.clone(),
            ..Pod::default()
        };
        let name = match (resolver, pod.labels.is_empty()) {
            (true, _) => format!("the resolver in {namespace}"),
            (false, true) => format!("a pod in {namespace}"),
            (false, false) => {
                let labels: Vec<String> =
                    pod.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("a pod with {} in {namespace}", labels.join(","))
            }
        };
        let node = self.scenario.add_pod(name, pod, []);
        self.shapes.push((shape.clone(), node));
        node
    }

    /// Addresses outside the cluster, of one machine that has them all. A resolver there is a machine of its own.
    fn outside(&mut self, addresses: &IpSet, resolver: bool) -> Vec<End> {
        let samples = self.samples(addresses);
        let mut ends = Vec::new();
        for address in samples {
            let held = self.scenario.nodes.iter().position(|node| node.addresses.contains(&address));
            let node = match (held, self.outside) {
                (Some(node), _) => node,
                (None, _) if resolver => self.scenario.add_outside("the resolver".to_owned(), vec![address]),
                (None, Some(node)) => {
                    if let Some(outside) = self.scenario.nodes.get_mut(node) {
                        outside.addresses.push(address);
                    }
                    node
                }
                (None, None) => {
                    let name = "outside the cluster".to_owned();
                    let node = self.scenario.add_outside(name, vec![address]);
                    self.outside = Some(node);
                    node
                }
            };
            ends.push(End { node, address });
        }
        ends
    }

    /// Addresses of the set that together see every border which a policy draws.
    fn samples(&self, addresses: &IpSet) -> Vec<IpAddr> {
        let input = self.model.input();
        let rules =
            input.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten());
        let blocks = rules.flat_map(|rule| &rule.peers).filter_map(|peer| peer.ip_block.as_ref());
        let mut candidates: Vec<IpAddr> = PUBLIC_V4.map(IpAddr::V4).to_vec();
        candidates.extend(PUBLIC_V6.map(IpAddr::V6));
        candidates.extend(blocks.flat_map(inside));
        candidates.extend(addresses.ranges().map(|(first, _)| first));
        let mut chosen: Vec<IpAddr> = Vec::new();
        for address in candidates {
            if addresses.contains(address) && is_usable(address) && !chosen.contains(&address) {
                chosen.push(address);
            }
        }
        chosen.truncate(SAMPLES);
        chosen
    }
}

/// An address in the block, and one in each of its exceptions.
fn inside(block: &IpBlock) -> impl Iterator<Item = IpAddr> + '_ {
    let nets = std::iter::once(&block.cidr).chain(&block.except).filter_map(|cidr| cidr.net);
    nets.filter_map(|net| net.hosts().nth(9).or_else(|| net.hosts().next()))
}

/// Whether a machine can have the address.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let gateway = v4 == Ipv4Addr::new(169, 254, 1, 1);
            !(v4.octets()[0] == 0 || v4.octets()[0] >= 224 || v4.is_loopback() || gateway)
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || v6.segments()[0] & 0xffc0 == 0xfe80)
        }
    }
}

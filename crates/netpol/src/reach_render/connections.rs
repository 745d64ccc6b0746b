//! From the engine's rows to nodes and connections.

use std::collections::{BTreeMap, HashMap};

use super::nodes;
use super::{Connection, Node, RuleNames};
use crate::model::{
    Bounds, Decision, Model, Peer, PodNamespace, PodShape, PotentialPeer, Reach, SideDecision, Traffic,
};
use crate::object::{Direction, Labels, Protocol};
use crate::set::{IpSet, PortSet};

/// Port ranges of one connection whose rules are looked up; beyond that the list would not be read.
const RANGES: usize = 12;
/// Address ranges of one node whose rules are looked up.
const BLOCKS: usize = 8;
/// Pairs of workload groups beyond which the rules behind each are not looked up: a report of that size is for
/// programs, and the lookups would take longer than all the rest.
const PAIRS: usize = 20_000;

pub(super) fn collect(model: &Model<'_>) -> (Vec<Node>, Vec<Connection>) {
    let reach = model.reach();
    let classes = reach.classes();
    let mut graph = Graph {
        nodes: classes.iter().map(|class| nodes::of_class(model, class)).collect(),
        by_name: HashMap::new(),
        connections: Vec::new(),
    };
    nodes::make_unique(&mut graph.nodes);
    let with_rules = reach.pairs() <= PAIRS;
    for (from, class) in classes.iter().enumerate() {
        let Some(sender) = class.members.first() else { continue };
        for group in reach.row(from) {
            for to in group.to {
                let members = &classes[to].members;
                let other = if to == from { members.get(1) } else { members.first() };
                let Some(receiver) = other else { continue };
                let ends = with_rules.then_some((Peer::Workload(*sender), Peer::Workload(*receiver)));
                graph.connect(model, from, to, &group.ports, ends.as_slice());
            }
        }
    }
    add_outside(model, &reach, &mut graph);
    add_potential(model, &reach, &mut graph);
    let Graph { mut connections, nodes, .. } = graph;
    connections.sort_by_key(|connection| (connection.from, connection.to));
    (nodes, connections)
}

struct Graph {
    nodes: Vec<Node>,
    by_name: HashMap<String, usize>,
    connections: Vec<Connection>,
}

impl Graph {
    /// The index of a node that is no workload.
    fn node(&mut self, node: Node) -> usize {
        if let Some(index) = self.by_name.get(&node.name) {
            return *index;
        }
        self.by_name.insert(node.name.clone(), self.nodes.len());
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn connect(&mut self, model: &Model<'_>, from: usize, to: usize, bounds: &Bounds, ends: &[(Peer, Peer)]) {
        let unknown = bounds.may.difference(&bounds.must);
        let mut connection = Connection {
            from,
            to,
            ports: bounds.must.to_string(),
            unknown: unknown.to_string(),
            egress_rules: Vec::new(),
            ingress_rules: Vec::new(),
        };
        for (sender, receiver) in ends {
            for (protocol, port) in samples(&bounds.must).chain(samples(&unknown)).take(RANGES) {
                let decision = model.decide(sender, receiver, protocol, port);
                let Decision { egress, ingress, .. } = decision;
                add_rules(model, egress.as_ref(), &mut connection.egress_rules);
                add_rules(model, ingress.as_ref(), &mut connection.ingress_rules);
            }
        }
        self.connections.push(connection);
    }
}

/// One port of each range.
fn samples(ports: &PortSet) -> impl Iterator<Item = (Protocol, u16)> + '_ {
    Protocol::ALL.into_iter().flat_map(|protocol| {
        ports.of(protocol).spans().iter().map(move |(first, _)| (protocol, (*first).max(1)))
    })
}

fn add_rules(model: &Model<'_>, side: Option<&SideDecision>, list: &mut Vec<RuleNames>) {
    for rule in side.iter().flat_map(|side| &side.deciding) {
        let (policy, direction) = (model.policy_name(rule.policy), rule.direction.to_string());
        let number = rule.index + 1;
        match list.iter_mut().find(|known| known.policy == policy && known.direction == direction) {
            Some(known) => {
                if let Err(at) = known.rules.binary_search(&number) {
                    known.rules.insert(at, number);
                }
            }
            None => list.push(RuleNames { policy, direction, rules: vec![number] }),
        }
    }
}

/// Addresses outside, cut so that every class treats each part as a whole, parts that all treat alike joined again.
fn add_outside(model: &Model<'_>, reach: &Reach, graph: &mut Graph) {
    let everything = model.options().families.addresses();
    let mut sets: Vec<&IpSet> = Vec::new();
    let mut seen: Vec<(usize, Direction, &IpSet, &Bounds)> = Vec::new();
    for class in 0..reach.classes().len() {
        for direction in [Direction::Egress, Direction::Ingress] {
            for (addresses, bounds) in reach.outside(class, direction) {
                seen.push((class, direction, addresses, bounds));
                if !sets.contains(&addresses) {
                    sets.push(addresses);
                }
            }
        }
    }
    // What each part means to each class; equal meanings are one node.
    let mut meanings: BTreeMap<Vec<(usize, bool, Bounds)>, IpSet> = BTreeMap::new();
    for part in everything.parts(sets) {
        let holding = seen.iter().filter(|(_, _, addresses, _)| addresses.overlaps(&part));
        let meaning: Vec<_> = holding
            .map(|(class, direction, _, bounds)| (*class, *direction == Direction::Egress, (*bounds).clone()))
            .collect();
        if meaning.is_empty() {
            continue;
        }
        meanings.entry(meaning).and_modify(|all| *all = all.union(&part)).or_insert(part);
    }
    for (meaning, addresses) in meanings {
        let node = graph.node(nodes::of_addresses(&addresses, &everything));
        for (class, egress, bounds) in meaning {
            let Some(member) = reach.classes()[class].members.first() else { continue };
            // One address of each range: a rule that holds one range need not hold the next.
            let ends = addresses.ranges().take(BLOCKS).map(|(first, _)| {
                let (pod, outside) = (Peer::Workload(*member), Peer::Addresses(IpSet::one(first)));
                if egress { (pod, outside) } else { (outside, pod) }
            });
            let ends: Vec<_> = ends.collect();
            let (from, to) = if egress { (class, node) } else { (node, class) };
            graph.connect(model, from, to, &bounds, &ends);
        }
    }
}

/// Pods that policies allow and that no file describes.
fn add_potential(model: &Model<'_>, reach: &Reach, graph: &mut Graph) {
    for (index, class) in reach.classes().iter().enumerate() {
        let Some(member) = class.members.first() else { continue };
        let pod = Peer::Workload(*member);
        let exposure = model.exposure(*member);
        for (side, egress) in [(&exposure.egress, true), (&exposure.ingress, false)] {
            let stranger = Peer::Pod(PodShape { named_ports: Some(Vec::new()), ..PodShape::unknown(None) });
            let mut peers = vec![(nodes::any_pod(), &side.everyone, stranger)];
            // Peers that are in the files have nodes of their own.
            let unseen = side.named.iter().filter(|peer| peer.members.is_empty());
            peers.extend(unseen.map(|peer| (nodes::of_potential(peer), &peer.traffic, example(peer))));
            for (node, traffic, other) in peers {
                let bounds = with_names(traffic);
                if bounds.may.is_empty() {
                    continue;
                }
                let node = graph.node(node);
                let (from, to) = if egress { (index, node) } else { (node, index) };
                let ends = if egress { (pod.clone(), other) } else { (other, pod.clone()) };
                graph.connect(model, from, to, &bounds, &[ends]);
            }
        }
    }
}

/// Named ports of pods that nobody knows may be any.
pub(crate) fn with_names(traffic: &Traffic) -> Bounds {
    let mut bounds = traffic.ports.clone();
    for (protocol, _) in &traffic.port_names {
        let named = protocol.map_or_else(PortSet::all, PortSet::protocol);
        bounds.may = bounds.may.union(&named);
    }
    bounds
}

/// A pod that a potential peer holds.
fn example(peer: &PotentialPeer) -> Peer {
    let labels = |selector: &crate::object::LabelSelector| {
        let pairs = selector.match_labels.pairs.iter();
        Labels::from_pairs(pairs.map(|pair| (pair.key.value.as_str(), pair.value.value.as_str())))
    };
    let namespace = match (&peer.namespace, &peer.namespaces) {
        (Some(name), _) => PodNamespace::Named(name.clone()),
        (None, Some(selector)) => PodNamespace::Other(labels(selector)),
        (None, None) => PodNamespace::Unknown,
    };
    Peer::Pod(PodShape {
        namespace,
        labels: peer.pods.as_ref().map(labels).unwrap_or_default(),
        named_ports: Some(Vec::new()),
        addresses: Vec::new(),
        host_network: false,
    })
}

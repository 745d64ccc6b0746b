//! For each distinct end of a connection, what it lets through to or from every class: a default and the
//! classes that differ from it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::classes::{Class, ClassId, Pool};
use super::compile::{Rule, RuleRef, Term};
use super::matching::{Outside, destination};
use super::pod::{NamedPort, PodShape};
use super::side::{Bounds, Destination, Side, fold};
use super::{Model, WorkloadId};
use crate::object::{Direction, Tri};
use crate::profile::HostNetwork;
use crate::set::IpSet;

/// What one end lets through.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// For classes that are not in `others`.
    pub(super) default: u32,
    /// Classes that are treated differently, ascending.
    pub(super) others: Vec<(ClassId, u32)>,
    /// What it lets through from or to addresses outside, each address once.
    pub(super) outside: Vec<(IpSet, u32)>,
}

/// The rows of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// The row of each class.
    pub(super) of: Vec<u32>,
}

/// A side, and what of its pod the side's rules depend on.
type SideKey = (Side, Option<Vec<NamedPort>>);

impl Model<'_> {
    pub(super) fn rows(
        &self,
        direction: Direction,
        classes: &[Class],
        hits: &[Vec<(ClassId, Tri)>],
        bounds: &mut Pool<Bounds>,
    ) -> Rows {
        let mut known: HashMap<SideKey, u32> = HashMap::new();
        let addresses = &self.all_pod_addresses();
        let out = direction == Direction::Egress;
        let on_node = |class: &ClassId| {
            self.pod(classes[*class].members[0]).host_network
                && self.options.profile.host_network == HostNetwork::Unknown
        };
        let on_nodes: &Vec<ClassId> = &(0..classes.len()).filter(on_node).collect();
        let mut rows = Rows::default();
        for class in classes {
            let pod = self.pod(class.members[0]);
            let side = self.side(pod, direction);
            let named = (direction == Direction::Ingress && self.names_ports(&side, direction))
                .then(|| pod.named_ports.clone())
                .flatten();
            let key = (side, named);
            let row = match known.get(&key) {
                Some(row) => *row,
                None => {
                    let builder = Builder {
                        model: self,
                        direction,
                        side: &key.0,
                        subject: pod,
                        classes,
                        hits,
                        addresses,
                        on_nodes,
                        by_address: self.tells_addresses(&key.0, direction, addresses),
                        by_port_name: out && self.names_ports(&key.0, direction),
                        strangers_by_port_name: out
                            && self.names_ports_of_strangers(&key.0, direction, addresses),
                    };
                    let row = builder.row(bounds);
                    let id = u32::try_from(rows.rows.len()).unwrap_or(u32::MAX);
                    rows.rows.push(row);
                    known.insert(key, id);
                    id
                }
            };
            rows.of.push(row);
        }
        rows
    }

    fn names_ports(&self, side: &Side, direction: Direction) -> bool {
        self.rules_of(side, direction).any(|rule| !rule.ports.named.is_empty())
    }

    /// Whether the rules of a side tell pods apart by address.
    fn tells_addresses(&self, side: &Side, direction: Direction, addresses: &IpSet) -> bool {
        let partial = |set: &IpSet| set.overlaps(addresses) && !set.is_superset(addresses);
        self.options.profile.ip_block_matches_pods
            && self.rules_of(side, direction).flat_map(|rule| &rule.terms).any(|term| match term {
                Term::Block { must, may } => partial(must) || partial(may),
                _ => false,
            })
    }

    /// What a side lets through from or to a pod that none of its selectors holds, except those that hold
    /// every pod. It has no named ports.
    pub(super) fn side_with_stranger(
        &self,
        side: &Side,
        direction: Direction,
        subject: &PodShape,
        addresses: &IpSet,
    ) -> Bounds {
        let none: [NamedPort; 0] = [];
        let receiver = match direction {
            Direction::Ingress => destination(subject),
            Direction::Egress => Destination::Pod(&none),
        };
        let matched = &mut |rule: &Rule| self.rule_holds_stranger(rule, addresses);
        fold(&self.compiled, side, direction, &receiver, matched)
    }

    /// Whether a rule holds a pod that no selector holds, except those that hold every pod.
    fn rule_holds_stranger(&self, rule: &Rule, addresses: &IpSet) -> Tri {
        if rule.everyone {
            return Tri::Yes;
        }
        let terms = rule.terms.iter().map(|term| match term {
            Term::Pods(selector) if self.selector(*selector).is_universal() => Tri::Yes,
            Term::Pods(_) | Term::Nodes | Term::Names(_) | Term::Never => Tri::No,
            Term::Block { .. } => self.term_holds_pod(term, &PodShape::unknown(None), addresses),
            Term::Invalid => Tri::Maybe,
        });
        terms.max().unwrap_or(Tri::No)
    }

    fn names_ports_of_strangers(&self, side: &Side, direction: Direction, addresses: &IpSet) -> bool {
        let holds = |rule: &Rule| {
            !rule.ports.named.is_empty() && self.rule_holds_stranger(rule, addresses) != Tri::No
        };
        self.rules_of(side, direction).any(holds)
    }

    /// Every address that some pod has or may have.
    pub(super) fn all_pod_addresses(&self) -> IpSet {
        let known = self.pods.iter().flat_map(|pod| &pod.addresses);
        let known: Vec<ipnet::IpNet> = known.map(|address| (*address).into()).collect();
        self.pod_addresses.union(&IpSet::networks(&known))
    }
}

struct Builder<'b, 'i> {
    model: &'b Model<'i>,
    direction: Direction,
    side: &'b Side,
    subject: &'b PodShape,
    classes: &'b [Class],
    hits: &'b [Vec<(ClassId, Tri)>],
    /// Every address that some pod has or may have.
    addresses: &'b IpSet,
    /// Classes on their node's network, where that matters.
    on_nodes: &'b [ClassId],
    /// The rules tell pods apart by address.
    by_address: bool,
    /// The rules name ports of the peers.
    by_port_name: bool,
    /// Even rules that hold pods without a selector for them do.
    strangers_by_port_name: bool,
}

impl Builder<'_, '_> {
    fn row(&self, bounds: &mut Pool<Bounds>) -> Row {
        let (model, side, direction) = (self.model, self.side, self.direction);
        if side.is_open() {
            let all = bounds.id(Bounds::all());
            return Row { default: all, others: Vec::new(), outside: vec![(self.outside_addresses(), all)] };
        }
        let mut matched = self.selected();
        for class in self.special() {
            matched.entry(class).or_default();
        }
        let default = bounds.id(model.side_with_stranger(side, direction, self.subject, self.addresses));
        let mut memo: HashMap<Signature, u32> = HashMap::new();
        let mut others = Vec::with_capacity(matched.len());
        for (class, mut rules) in matched {
            let id = self.classes[class].members[0];
            rules.sort_unstable();
            let signature = self.signature(rules, id);
            let value = match memo.get(&signature) {
                Some(value) => *value,
                None => {
                    let value = bounds.id(model.side_with_pod(side, direction, self.subject, model.pod(id)));
                    memo.insert(signature, value);
                    value
                }
            };
            if value != default {
                others.push((class, value));
            }
        }
        Row { default, others, outside: self.outside(bounds) }
    }

    /// The classes that some selector of this side holds, and which. A selector of all pods makes no
    /// difference and is left out.
    fn selected(&self) -> BTreeMap<ClassId, Vec<(RuleRef, Tri)>> {
        let mut matched: BTreeMap<ClassId, Vec<(RuleRef, Tri)>> = BTreeMap::new();
        for rule in self.model.rules_of(self.side, self.direction).filter(|rule| !rule.everyone) {
            for term in &rule.terms {
                let Term::Pods(selector) = term else { continue };
                if self.model.selector(*selector).is_universal() {
                    continue;
                }
                for (class, sure) in &self.hits[*selector] {
                    matched.entry(*class).or_default().push((rule.id, *sure));
                }
            }
        }
        matched
    }

    /// Classes that this side may treat by more than its selectors: by address, by the node's network, or by
    /// the names of their ports.
    fn special(&self) -> Vec<ClassId> {
        if !self.by_address && !self.strangers_by_port_name {
            return self.on_nodes.to_vec();
        }
        let named = |pod: &PodShape| pod.named_ports.as_ref().is_none_or(|ports| !ports.is_empty());
        let special = |class: &ClassId| {
            let pod = self.model.pod(self.classes[*class].members[0]);
            self.by_address || pod.host_network || named(pod)
        };
        (0..self.classes.len()).filter(special).collect()
    }

    /// Classes with the same signature are treated the same by this side.
    fn signature(&self, rules: Vec<(RuleRef, Tri)>, id: WorkloadId) -> Signature {
        let pod = self.model.pod(id);
        Signature {
            rules,
            ports: self.by_port_name.then(|| pod.named_ports.clone()).flatten(),
            addresses: if self.by_address { pod.addresses.clone() } else { Vec::new() },
            host_network: pod.host_network,
        }
    }

    fn outside_addresses(&self) -> IpSet {
        self.model.options.families.addresses()
    }

    fn outside(&self, bounds: &mut Pool<Bounds>) -> Vec<(IpSet, u32)> {
        let cells = self.model.cells(self.side, self.direction, &self.outside_addresses());
        let mut parts: BTreeMap<u32, Vec<IpSet>> = BTreeMap::new();
        for cell in cells {
            let outside = Outside { addresses: cell, name: None };
            let value = self.model.side_with_outside(self.side, self.direction, self.subject, &outside);
            parts.entry(bounds.id(value)).or_default().push(outside.addresses);
        }
        parts.into_iter().map(|(value, sets)| (IpSet::union_all(&sets), value)).collect()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Signature {
    rules: Vec<(RuleRef, Tri)>,
    ports: Option<Vec<NamedPort>>,
    addresses: Vec<IpAddr>,
    host_network: bool,
}

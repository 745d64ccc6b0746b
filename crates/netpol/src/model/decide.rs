//! Asking for one connection: the verdict with its causes.

use super::compile::{Rule, Term};
use super::decision::{Decision, Miss, Peer, PeerOutcome, Reason, RuleOutcome, SideDecision, Unmet, Verdict};
use super::matching::{Outside, destination};
use super::pod::{PodNamespace, PodShape};
use super::side::{Bounds, Destination, Side};
use super::{Model, PolicyRef, RuleRef};
use crate::object::{AdminPeerKind, Direction, LabelSelector, Labels, Protocol, Tri};
use crate::profile::{HostNetwork, special_ranges};
use crate::set::IpSet;
use crate::source::Span;

/// The other end as one side sees it.
enum Other<'a> {
    Pod(&'a PodShape),
    Outside { addresses: IpSet, name: Option<&'a str> },
}

impl Model<'_> {
    /// All ports that may go from one peer to another: what both ends allow.
    #[must_use]
    pub fn allowed(&self, from: &Peer, to: &Peer) -> Bounds {
        let mut bounds = Bounds::all();
        if let Some(pod) = self.shape(from) {
            bounds = bounds.and(&self.side_bounds(pod, Direction::Egress, &self.other(to)));
        }
        if let Some(pod) = self.shape(to) {
            bounds = bounds.and(&self.side_bounds(pod, Direction::Ingress, &self.other(from)));
        }
        bounds
    }

    /// The verdict on one connection between two peers, with its causes. The port is the receiving pod's own
    /// (a Service's `targetPort`); for Services and names see [`Self::verdict`].
    #[must_use]
    pub fn decide(&self, from: &Peer, to: &Peer, protocol: Protocol, port: u16) -> Decision {
        let side = |subject: &Peer, other: &Peer, direction| {
            self.shape(subject)
                .map(|pod| self.side_decision(pod, direction, &self.other(other), protocol, port))
        };
        let egress = side(from, to, Direction::Egress);
        let ingress = side(to, from, Direction::Ingress);
        let verdicts = [&egress, &ingress].into_iter().flatten().map(|side| side.verdict);
        Decision { verdict: verdicts.min().unwrap_or(Verdict::Allowed), egress, ingress }
    }

    pub(crate) fn shape<'p>(&'p self, peer: &'p Peer) -> Option<&'p PodShape> {
        match peer {
            Peer::Workload(id) => Some(self.pod(*id)),
            Peer::Pod(pod) => Some(pod),
            Peer::Addresses(_) | Peer::Name(_) => None,
        }
    }

    fn other<'p>(&'p self, peer: &'p Peer) -> Other<'p> {
        match peer {
            Peer::Addresses(addresses) => Other::Outside { addresses: addresses.clone(), name: None },
            Peer::Name(name) => Other::Outside { addresses: self.public_addresses(), name: Some(name) },
            Peer::Workload(id) => Other::Pod(self.pod(*id)),
            Peer::Pod(pod) => Other::Pod(pod),
        }
    }

    /// Addresses that a public DNS name may resolve to.
    #[must_use]
    pub fn public_addresses(&self) -> IpSet {
        self.options.families.addresses().difference(&IpSet::networks(&special_ranges()))
    }

    fn side_bounds(&self, pod: &PodShape, direction: Direction, other: &Other<'_>) -> Bounds {
        let side = self.side(pod, direction);
        match other {
            Other::Pod(peer) => self.side_with_pod(&side, direction, pod, peer),
            Other::Outside { addresses, name } => {
                let parts = self.outside_parts(&side, direction, pod, addresses, *name);
                let bounds = parts.into_iter().map(|(_, bounds)| bounds).reduce(|all, next| all.blur(&next));
                bounds.unwrap_or_else(Bounds::all)
            }
        }
    }

    /// What a side lets through, part by part of the addresses.
    fn outside_parts(
        &self,
        side: &Side,
        direction: Direction,
        pod: &PodShape,
        addresses: &IpSet,
        name: Option<&str>,
    ) -> Vec<(IpSet, Bounds)> {
        let cells = self.cells(side, direction, addresses);
        cells
            .into_iter()
            .map(|cell| {
                let outside = Outside { addresses: cell, name: name.map(str::to_owned) };
                let bounds = self.side_with_outside(side, direction, pod, &outside);
                (outside.addresses, bounds)
            })
            .collect()
    }

    fn side_decision(
        &self,
        pod: &PodShape,
        direction: Direction,
        other: &Other<'_>,
        protocol: Protocol,
        port: u16,
    ) -> SideDecision {
        let side = self.side(pod, direction);
        let mut allowed_addresses = None;
        let ports = match other {
            Other::Pod(peer) => self.side_with_pod(&side, direction, pod, peer),
            Other::Outside { addresses, name } => {
                let parts = self.outside_parts(&side, direction, pod, addresses, *name);
                let allowed = parts.iter().filter(|(_, bounds)| bounds.must.contains(protocol, port));
                allowed_addresses = Some(allowed.fold(IpSet::none(), |sum, (part, _)| sum.union(part)));
                let bounds = parts.into_iter().map(|(_, bounds)| bounds).reduce(|all, next| all.blur(&next));
                bounds.unwrap_or_else(Bounds::all)
            }
        };
        let verdict = Verdict::of(&ports, protocol, port);
        let rules = self.outcomes(&side, direction, pod, other, protocol, port);
        let selected_by: Vec<(PolicyRef, Tri)> =
            side.policies.iter().map(|(index, sure)| (self.compiled.policies[*index].id, *sure)).collect();
        let some = allowed_addresses.as_ref().is_some_and(|allowed| !allowed.is_empty());
        let (reason, deciding) = self.reason(pod, verdict, &side, &rules, some);
        SideDecision { direction, verdict, reason, deciding, selected_by, rules, ports, allowed_addresses }
    }

    fn reason(
        &self,
        pod: &PodShape,
        verdict: Verdict,
        side: &Side,
        rules: &[RuleOutcome],
        some_addresses: bool,
    ) -> (Reason, Vec<RuleRef>) {
        let isolated = side.policies.iter().any(|(_, sure)| *sure == Tri::Yes);
        if verdict == Verdict::Unknown {
            let open = rules
                .iter()
                .filter(|rule| rule.hit() == Tri::Maybe || (some_addresses && rule.hit() != Tri::No));
            let open: Vec<RuleRef> = open.map(|rule| rule.rule).collect();
            let host = pod.host_network && self.options.profile.host_network == HostNetwork::Unknown;
            return match (host, some_addresses) {
                (true, _) => (Reason::HostNetwork, open),
                (false, true) => (Reason::SomeAddresses, open),
                (false, false) => (Reason::Open, open),
            };
        }
        let admin =
            |rule: &&RuleOutcome| self.compiled.admin.iter().any(|entry| entry.id == rule.rule.policy);
        let network = |rule: &&RuleOutcome| matches!(rule.rule.policy, PolicyRef::Network(_));
        let certain = |rule: &&RuleOutcome| rule.hit() == Tri::Yes;
        let decides = |rule: &RuleOutcome| match verdict {
            Verdict::Allowed => rule.action == crate::object::Action::Accept,
            _ => rule.action == crate::object::Action::Deny,
        };
        if let Some(rule) = rules.iter().filter(admin).find(certain)
            && decides(rule)
        {
            return (Reason::AdminRule, vec![rule.rule]);
        }
        if isolated {
            let allowing = rules.iter().filter(network).filter(certain).map(|rule| rule.rule);
            return match verdict {
                Verdict::Allowed => (Reason::PolicyRule, allowing.collect()),
                _ => (Reason::Isolated, Vec::new()),
            };
        }
        let mut last = rules.iter().filter(|rule| !admin(rule) && !network(rule)).filter(certain);
        if let Some(rule) = last.next()
            && decides(rule)
        {
            return (Reason::BaselineRule, vec![rule.rule]);
        }
        (if side.is_open() { Reason::NotIsolated } else { Reason::Default }, Vec::new())
    }

    fn outcomes(
        &self,
        side: &Side,
        direction: Direction,
        subject: &PodShape,
        other: &Other<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Vec<RuleOutcome> {
        let destination = match (direction, other) {
            (Direction::Ingress, _) => destination(subject),
            (Direction::Egress, Other::Pod(peer)) => destination(peer),
            (Direction::Egress, Other::Outside { .. }) => Destination::Address,
        };
        let subject_of = |rule: &Rule| {
            let in_tier = |entries: &[super::compile::AdminEntry], list: &[(usize, Tri)]| {
                list.iter().find(|(index, _)| entries[*index].id == rule.id.policy).map(|(_, sure)| *sure)
            };
            let network =
                side.policies.iter().find(|(index, _)| self.compiled.policies[*index].id == rule.id.policy);
            network
                .map(|(_, sure)| *sure)
                .or_else(|| in_tier(&self.compiled.admin, &side.admin))
                .or_else(|| in_tier(&self.compiled.baseline, &side.baseline))
                .unwrap_or(Tri::No)
        };
        let outcome = |rule: &Rule| {
            let ports = rule.ports.resolve(&destination);
            let peers: Vec<PeerOutcome> = rule
                .terms
                .iter()
                .enumerate()
                .map(|(index, term)| self.peer_outcome(rule, index, term, other))
                .collect();
            let peer = match other {
                _ if rule.everyone => Tri::Yes,
                Other::Pod(pod) => self.rule_holds_pod(rule, pod, &self.addresses_of(pod)),
                Other::Outside { .. } => peers.iter().map(|peer| peer.matched).max().unwrap_or(Tri::No),
            };
            let port = match Verdict::of(&ports, protocol, port) {
                Verdict::Allowed => Tri::Yes,
                Verdict::Unknown => Tri::Maybe,
                Verdict::Denied => Tri::No,
            };
            RuleOutcome {
                rule: rule.id,
                action: rule.action,
                subject: subject_of(rule),
                peer,
                port,
                unresolved: unresolved(rule, &destination),
                ports,
                peers,
            }
        };
        self.rules_of(side, direction).map(outcome).collect()
    }

    fn peer_outcome(&self, rule: &Rule, index: usize, term: &Term, other: &Other<'_>) -> PeerOutcome {
        let matched = match other {
            Other::Pod(pod) => self.term_holds_pod(term, pod, &self.addresses_of(pod)),
            Other::Outside { addresses, name } => {
                let outside = Outside { addresses: addresses.clone(), name: name.map(str::to_owned) };
                self.term_holds_outside(term, &outside)
            }
        };
        let written = self.written_peer(rule.id, index);
        let span = written.as_ref().map_or_else(Span::default, |peer| peer.span);
        let misses =
            if matched == Tri::Yes { Vec::new() } else { self.misses(term, written.as_ref(), other) };
        PeerOutcome { matched, misses, span }
    }

    fn misses(&self, term: &Term, written: Option<&WrittenPeer<'_>>, other: &Other<'_>) -> Vec<Miss> {
        match (term, other) {
            (Term::Pods(_), Other::Outside { .. }) => vec![Miss::SelectorForAddress],
            (Term::Pods(_), Other::Pod(pod)) => self.selector_misses(written, pod),
            (Term::Block { .. }, Other::Pod(_)) if !self.options.profile.ip_block_matches_pods => {
                vec![Miss::RangeForPod]
            }
            (Term::Block { .. }, other) => {
                let addresses = match other {
                    Other::Pod(pod) => self.addresses_of(pod),
                    Other::Outside { addresses, .. } => addresses.clone(),
                };
                let cidr = written.map_or_else(String::new, |peer| peer.ranges.clone());
                vec![Miss::Outside { cidr, addresses }]
            }
            (Term::Nodes, _) => vec![Miss::Nodes],
            (Term::Names(names), _) => vec![Miss::Name(names.clone())],
            (Term::Invalid | Term::Never, _) => vec![Miss::Invalid],
        }
    }

    fn selector_misses(&self, written: Option<&WrittenPeer<'_>>, pod: &PodShape) -> Vec<Miss> {
        let mut misses = Vec::new();
        let Some(written) = written else { return misses };
        match (written.namespaces, &pod.namespace) {
            (None, PodNamespace::Named(name)) if *name == written.own_namespace => {}
            (None, namespace) => {
                let pod = match namespace {
                    PodNamespace::Named(name) => Some(name.clone()),
                    _ => None,
                };
                misses.push(Miss::OtherNamespace { policy: written.own_namespace.clone(), pod });
            }
            (Some(selector), namespace) => {
                let labels = match namespace {
                    PodNamespace::Named(name) => self.namespace_labels(name).into_owned(),
                    PodNamespace::Other(labels) => labels.clone(),
                    PodNamespace::Unknown => Labels { incomplete: true, ..Labels::default() },
                };
                misses.extend(unmet(selector, &labels).into_iter().map(Miss::NamespaceLabel));
            }
        }
        if let Some(pods) = written.pods {
            misses.extend(unmet(pods, &pod.labels).into_iter().map(Miss::Label));
        }
        if pod.host_network && misses.is_empty() {
            misses.push(Miss::HostNetwork);
        }
        misses
    }

    /// The peer as it stands in the file.
    fn written_peer(&self, rule: RuleRef, index: usize) -> Option<WrittenPeer<'_>> {
        match rule.policy {
            PolicyRef::Network(id) => {
                let policy = self.input.policies.get(id)?;
                let peer = policy.rules(rule.direction).get(rule.index)?.peers.get(index)?;
                let ranges = peer.ip_block.as_ref().map_or_else(String::new, |block| {
                    let except: Vec<&str> =
                        block.except.iter().map(|cidr| cidr.text.value.as_str()).collect();
                    match except.as_slice() {
                        [] => block.cidr.text.value.clone(),
                        _ => format!("{} except {}", block.cidr.text.value, except.join(", ")),
                    }
                });
                Some(WrittenPeer {
                    namespaces: peer.namespace_selector.as_ref(),
                    pods: peer.pod_selector.as_ref(),
                    ranges,
                    own_namespace: policy.meta.namespace_or(&self.options.default_namespace).to_owned(),
                    span: peer.span,
                })
            }
            PolicyRef::Admin(id) => {
                let policy = self.input.admin_policies.get(id)?;
                let peer = policy.rules(rule.direction).get(rule.index)?.peers.get(index)?;
                let (namespaces, pods) = match &peer.kind {
                    AdminPeerKind::Namespaces(namespaces) => (Some(namespaces), None),
                    AdminPeerKind::Pods { namespaces, pods } => (Some(namespaces), Some(pods)),
                    _ => (None, None),
                };
                let ranges = match &peer.kind {
                    AdminPeerKind::Networks(cidrs) => {
                        let texts: Vec<&str> = cidrs.iter().map(|cidr| cidr.text.value.as_str()).collect();
                        texts.join(", ")
                    }
                    _ => String::new(),
                };
                Some(WrittenPeer { namespaces, pods, ranges, own_namespace: String::new(), span: peer.span })
            }
            PolicyRef::Assumed(_) => None,
        }
    }
}

struct WrittenPeer<'a> {
    namespaces: Option<&'a LabelSelector>,
    pods: Option<&'a LabelSelector>,
    ranges: String,
    own_namespace: String,
    span: Span,
}

impl RuleOutcome {
    /// Whether the rule, as a whole, holds the connection.
    #[must_use]
    pub fn hit(&self) -> Tri {
        self.subject.and(self.peer).and(self.port)
    }
}

/// The requirements of a selector that these labels do not, or may not, meet.
#[must_use]
pub fn unmet(selector: &LabelSelector, labels: &Labels) -> Vec<Unmet> {
    let mut list = Vec::new();
    for requirement in selector.requirements() {
        let matched = requirement.matches(labels);
        if matched != Tri::Yes {
            list.push(Unmet {
                key: requirement.key().to_owned(),
                operator: requirement.operator(),
                values: requirement.values().map(str::to_owned).collect(),
                actual: labels.value(requirement.key()).map(str::to_owned),
                open: matched == Tri::Maybe,
                span: requirement.span(),
            });
        }
    }
    list
}

fn unresolved(rule: &Rule, destination: &Destination<'_>) -> Vec<String> {
    let Destination::Pod(named) = destination else { return Vec::new() };
    let known = |protocol: &Option<Protocol>, name: &str| {
        named
            .iter()
            .any(|port| port.name == name && protocol.is_none_or(|protocol| protocol == port.protocol))
    };
    let missing = rule.ports.named.iter().filter(|(protocol, name)| !known(protocol, name));
    missing.map(|(_, name)| name.clone()).collect()
}

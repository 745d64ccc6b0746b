//! Policies of all kinds in one form: rules with an action, peers and ports.

use std::collections::HashMap;

use crate::object::{
    Action, AdminPeerKind, AdminPolicy, AdminPort, AdminPortKind, AdminRule, Direction, IpBlock,
    LabelSelector, NetworkPolicy, PolicyPort, PolicyRule, PortRef, Protocol, Tier,
};
use crate::set::{IpSet, PortSet};

/// Names one policy of an [`crate::Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyRef {
    /// Index into [`crate::Input::policies`].
    Network(usize),
    /// Index into [`crate::Options::assume_default_deny`]: a default-deny that is assumed to exist.
    Assumed(usize),
    /// Index into [`crate::Input::admin_policies`].
    Admin(usize),
}

/// Names one rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// The policy.
    pub policy: PolicyRef,
    /// Which of its two lists.
    pub direction: Direction,
    /// Index in the list, from 0.
    pub index: usize,
}

/// A rule, ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Terms stand in the order of the written peers.
    pub(crate) id: RuleRef,
    pub(crate) action: Action,
    /// Every peer, pods and addresses.
    pub(crate) everyone: bool,
    pub(crate) terms: Vec<Term>,
    pub(crate) ports: Ports,
}

/// One alternative of a rule's peers.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    /// Index into [`Compiled::selectors`].
    Pods(usize),
    /// Addresses that are certainly and that are possibly meant.
    Block { must: IpSet, may: IpSet },
    /// Nodes, by labels that are not known here.
    Nodes,
    /// DNS names.
    Names(Vec<String>),
    /// What the API server would reject, or a template hides.
    Invalid,
    /// A field that is not known here, in a rule that must then match nothing.
    Never,
}

/// Pods by namespace and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerSelector {
    pub(crate) scope: Scope,
    /// `None`: every pod.
    pub(crate) pods: Option<LabelSelector>,
}

/// In which namespaces a [`PeerSelector`] looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Own(String),
    Labels(LabelSelector),
}

/// The ports of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    /// Certainly meant.
    pub(crate) must: PortSet,
    /// Possibly meant; holds `must`.
    pub(crate) may: PortSet,
    /// Named ports of the destination; the protocol is `None` where any counts.
    pub(crate) named: Vec<(Option<Protocol>, String)>,
}

/// A NetworkPolicy in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) id: PolicyRef,
    /// The API server would reject it, so it may not be there at all.
    pub(crate) rejected: bool,
    pub(crate) selector: Option<LabelSelector>,
    /// `None`: the policy does not isolate this direction.
    pub(crate) ingress: Option<Vec<Rule>>,
    pub(crate) egress: Option<Vec<Rule>>,
}

impl Policy {
    pub(crate) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// A cluster-wide policy.
#[derive(Clone, Debug)]
pub(crate) struct AdminEntry {
    pub(crate) id: PolicyRef,
    /// Subject and priority could be read.
    pub(crate) readable: bool,
    pub(crate) subject: PeerSelector,
    pub(crate) ingress: Vec<Rule>,
    pub(crate) egress: Vec<Rule>,
}

impl AdminEntry {
    pub(crate) fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// All policies of an input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) policies: Vec<Policy>,
    /// Policies by namespace, as indices.
    pub(crate) by_namespace: HashMap<String, Vec<usize>>,
    /// In order of priority.
    pub(crate) admin: Vec<AdminEntry>,
    pub(crate) baseline: Vec<AdminEntry>,
    pub(crate) selectors: Vec<PeerSelector>,
    known_selectors: HashMap<String, usize>,
}

impl Compiled {
    pub(crate) fn add_policy(&mut self, index: usize, policy: &NetworkPolicy, namespace: &str) {
        let id = PolicyRef::Network(index);
        let mut rules = |direction: Direction| {
            policy.applies_to(direction).then(|| {
                let written = policy.rules(direction).iter().enumerate();
                let compile =
                    |(index, rule)| self.rule(RuleRef { policy: id, direction, index }, rule, namespace);
                written.map(compile).collect()
            })
        };
        let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
        let selector = Some(policy.pod_selector.clone());
        self.push(Policy { id, rejected: policy.rejected, selector, ingress, egress }, namespace);
    }

    /// A default-deny for both directions that is not in the input.
    pub(crate) fn assume_default_deny(&mut self, index: usize, namespace: &str) {
        let id = PolicyRef::Assumed(index);
        let none = || Some(Vec::new());
        let policy = Policy { id, rejected: false, selector: None, ingress: none(), egress: none() };
        self.push(policy, namespace);
    }

    fn push(&mut self, policy: Policy, namespace: &str) {
        self.by_namespace.entry(namespace.to_owned()).or_default().push(self.policies.len());
        self.policies.push(policy);
    }

    pub(crate) fn add_admin(&mut self, policies: &[AdminPolicy]) {
        let mut order: Vec<usize> = (0..policies.len()).collect();
        let key = |index: &usize| {
            let policy = &policies[*index];
            (
                policy.priority.as_ref().map_or(i64::MAX, |priority| priority.value),
                policy.meta.name.value.clone(),
            )
        };
        order.sort_by_cached_key(key);
        for index in order {
            let policy = &policies[index];
            let id = PolicyRef::Admin(index);
            let mut rules = |direction: Direction| {
                let written = policy.rules(direction).iter().enumerate();
                let compile = |(index, rule)| self.admin_rule(RuleRef { policy: id, direction, index }, rule);
                written.map(compile).collect()
            };
            let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
            let subject = PeerSelector {
                scope: Scope::Labels(policy.subject.namespaces.clone()),
                pods: policy.subject.pods.clone(),
            };
            let readable = policy.priority.is_some() && !policy.subject.invalid;
            let entry = AdminEntry { id, readable, subject, ingress, egress };
            match policy.tier {
                Tier::Admin => self.admin.push(entry),
                Tier::Baseline => self.baseline.push(entry),
            }
        }
    }

    fn rule(&mut self, id: RuleRef, rule: &PolicyRule, namespace: &str) -> Rule {
        let mut terms = Vec::new();
        for peer in &rule.peers {
            terms.push(match (&peer.namespace_selector, &peer.pod_selector, &peer.ip_block) {
                _ if peer.invalid => Term::Invalid,
                (None, None, Some(block)) => block_term(block),
                (Some(namespaces), pods, _) => {
                    self.pods_term(Scope::Labels(namespaces.clone()), pods.clone())
                }
                (None, Some(pods), _) => self.pods_term(Scope::Own(namespace.to_owned()), Some(pods.clone())),
                (None, None, None) => Term::Invalid,
            });
        }
        let mut ports = Ports::default();
        for port in &rule.ports {
            ports.add(port);
        }
        if rule.ports.is_empty() {
            ports = Ports::all();
        }
        Rule { id, action: Action::Accept, everyone: rule.peers.is_empty(), terms, ports }
    }

    fn admin_rule(&mut self, id: RuleRef, rule: &AdminRule) -> Rule {
        let unknown = rule.peers.iter().any(|peer| matches!(peer.kind, AdminPeerKind::Unknown(_)));
        if unknown && rule.action != Action::Accept {
            // Implementations must fail closed on what they do not know.
            return Rule { id, action: Action::Deny, everyone: true, terms: Vec::new(), ports: Ports::all() };
        }
        let mut terms = Vec::new();
        for peer in &rule.peers {
            terms.push(match &peer.kind {
                AdminPeerKind::Namespaces(namespaces) => {
                    self.pods_term(Scope::Labels(namespaces.clone()), None)
                }
                AdminPeerKind::Pods { namespaces, pods } => {
                    self.pods_term(Scope::Labels(namespaces.clone()), Some(pods.clone()))
                }
                AdminPeerKind::Networks(cidrs) => {
                    let must = IpSet::networks(cidrs.iter().filter_map(|cidr| cidr.net.as_ref()));
                    let readable = cidrs.iter().all(|cidr| cidr.net.is_some());
                    let may = if readable { must.clone() } else { IpSet::all() };
                    Term::Block { must, may }
                }
                AdminPeerKind::Nodes(_) => Term::Nodes,
                AdminPeerKind::DomainNames(names) => {
                    Term::Names(names.iter().map(|name| name.value.clone()).collect())
                }
                AdminPeerKind::Unknown(_) => Term::Never,
            });
        }
        if rule.peers.is_empty() {
            terms.push(Term::Invalid);
        }
        let mut ports = Ports::default();
        for port in &rule.ports {
            ports.add_admin(port);
        }
        if rule.ports.is_empty() {
            ports = Ports::all();
        }
        Rule { id, action: rule.action, everyone: false, terms, ports }
    }

    /// Equal selectors get one number, so that each is evaluated once.
    fn pods_term(&mut self, scope: Scope, pods: Option<LabelSelector>) -> Term {
        let pods = pods.filter(|selector| !selector.is_empty());
        let selector = PeerSelector { scope, pods };
        let next = self.selectors.len();
        let index = *self.known_selectors.entry(selector.key()).or_insert(next);
        if index == next {
            self.selectors.push(selector);
        }
        Term::Pods(index)
    }
}

impl PeerSelector {
    /// Selects every pod of every namespace.
    pub(crate) fn is_universal(&self) -> bool {
        self.pods.is_none() && matches!(&self.scope, Scope::Labels(labels) if labels.is_empty())
    }

    /// The same text for selectors that mean the same and are written alike.
    fn key(&self) -> String {
        let mut key = String::new();
        match &self.scope {
            Scope::Own(namespace) => key.push_str(namespace),
            Scope::Labels(labels) => selector_key(labels, &mut key),
        }
        key.push('\u{1}');
        if let Some(pods) = &self.pods {
            selector_key(pods, &mut key);
        }
        key
    }
}

fn selector_key(selector: &LabelSelector, key: &mut String) {
    let mut parts: Vec<String> = selector
        .requirements()
        .map(|requirement| {
            let mut values: Vec<&str> = requirement.values().collect();
            values.sort_unstable();
            let templated =
                requirement.matches(&crate::object::Labels::default()) == crate::object::Tri::Maybe;
            let (name, operator) = (requirement.key(), requirement.operator().as_str());
            format!("{name}\u{2}{operator}\u{2}{templated}\u{2}{}", values.join("\u{3}"))
        })
        .collect();
    parts.sort_unstable();
    key.push_str(if selector.match_labels.incomplete { "?" } else { "=" });
    key.push_str(&parts.join("\u{4}"));
}

fn block_term(block: &IpBlock) -> Term {
    let Some(outer) = &block.cidr.net else {
        return Term::Block { must: IpSet::none(), may: IpSet::all() };
    };
    let except = IpSet::networks(block.except.iter().filter_map(|cidr| cidr.net.as_ref()));
    let may = IpSet::network(outer).difference(&except);
    let readable = block.except.iter().all(|cidr| cidr.net.is_some());
    Term::Block { must: if readable { may.clone() } else { IpSet::none() }, may }
}

impl Ports {
    pub(crate) fn all() -> Self {
        Self { must: PortSet::all(), may: PortSet::all(), named: Vec::new() }
    }

    fn allow(&mut self, ports: &PortSet) {
        self.must = self.must.union(ports);
        self.may = self.may.union(ports);
    }

    fn add(&mut self, port: &PolicyPort) {
        if port.invalid {
            let possible = port.protocol.map_or_else(PortSet::all, PortSet::protocol);
            self.may = self.may.union(&possible);
            return;
        }
        let protocol = port.protocol.unwrap_or(Protocol::Tcp);
        match port.port.as_ref().map(|port| &port.value) {
            None => self.allow(&PortSet::protocol(protocol)),
            Some(PortRef::Number(first)) => {
                let last = port.end_port.as_ref().map_or(*first, |end| end.value);
                self.allow(&PortSet::range(protocol, *first, last));
            }
            Some(PortRef::Name(name)) => self.named.push((Some(protocol), name.clone())),
        }
    }

    fn add_admin(&mut self, port: &AdminPort) {
        match &port.kind {
            AdminPortKind::Range { protocol, first, last } => {
                self.allow(&PortSet::range(*protocol, *first, *last));
            }
            AdminPortKind::Named(name) => self.named.push((None, name.clone())),
            AdminPortKind::Unknown => self.may = PortSet::all(),
        }
    }
}

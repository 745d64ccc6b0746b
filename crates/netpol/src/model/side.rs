//! One end of a connection: which policies are about it, and what they let through together.

use super::compile::{AdminEntry, Compiled, Ports, Rule};
use super::pod::NamedPort;
use crate::object::{Action, Direction, Tri};
use crate::set::PortSet;

/// What is certainly and what is possibly allowed. A port in `must` is allowed, one outside `may` is denied,
/// one between them is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Bounds {
    /// Certainly allowed.
    pub must: PortSet,
    /// Possibly allowed; holds `must`.
    pub may: PortSet,
}

impl Bounds {
    /// Everything is allowed.
    #[must_use]
    pub fn all() -> Self {
        Self { must: PortSet::all(), may: PortSet::all() }
    }

    /// Both ends allow it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { must: self.must.intersection(&other.must), may: self.may.intersection(&other.may) }
    }

    /// What holds for every one of several peers that cannot be told apart.
    #[must_use]
    pub fn blur(&self, other: &Self) -> Self {
        Self { must: self.must.intersection(&other.must), may: self.may.union(&other.may) }
    }
}

/// The policies that are about a pod in one direction, and how sure that is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Side {
    /// Indices into `Compiled::admin`, by priority.
    pub(crate) admin: Vec<(usize, Tri)>,
    /// Indices into `Compiled::policies`.
    pub(crate) policies: Vec<(usize, Tri)>,
    /// Indices into `Compiled::baseline`.
    pub(crate) baseline: Vec<(usize, Tri)>,
}

impl Side {
    /// No policy at all: everything is allowed.
    pub(crate) fn is_open(&self) -> bool {
        self.admin.is_empty() && self.policies.is_empty() && self.baseline.is_empty()
    }
}

/// First match wins, port by port: what may have been decided so far, and what may still be undecided.
pub(crate) struct Walk {
    live: PortSet,
    accepted: PortSet,
    denied: PortSet,
    passed: PortSet,
}

impl Walk {
    pub(crate) fn new(live: PortSet) -> Self {
        Self { live, accepted: PortSet::none(), denied: PortSet::none(), passed: PortSet::none() }
    }

    /// A rule that matches `ports` of this peer, as sure as `matched` says.
    pub(crate) fn rule(&mut self, action: Action, matched: Tri, ports: &Bounds) {
        if matched == Tri::No {
            return;
        }
        let hit = self.live.intersection(&ports.may);
        if matches!(action, Action::Accept | Action::Unknown) {
            self.accepted = self.accepted.union(&hit);
        }
        if matches!(action, Action::Deny | Action::Unknown) {
            self.denied = self.denied.union(&hit);
        }
        if matches!(action, Action::Pass | Action::Unknown) {
            self.passed = self.passed.union(&hit);
        }
        if matched == Tri::Yes {
            self.live = self.live.difference(&ports.must);
        }
    }
}

/// What the NetworkPolicies of a pod do, port by port.
struct Isolation {
    allowed: PortSet,
    denied: PortSet,
    /// No policy may be about the pod: what comes after the policies decides.
    open: bool,
}

/// Says how sure a rule's peers hold the peer in question.
pub(crate) type Matched<'m> = dyn FnMut(&Rule) -> Tri + 'm;

/// Folds the policies of a side for one peer. `destination` are the named ports of the receiving pod.
pub(crate) fn fold(
    compiled: &Compiled,
    side: &Side,
    direction: Direction,
    destination: &Destination<'_>,
    matched: &mut Matched<'_>,
) -> Bounds {
    if side.is_open() {
        return Bounds::all();
    }
    let admin = tier(&compiled.admin, &side.admin, direction, PortSet::all(), destination, matched);
    let next = admin.passed.union(&admin.live);
    let isolation = isolate(compiled, side, direction, destination, matched);
    let mut allowed = admin.accepted.union(&next.intersection(&isolation.allowed));
    let mut denied = admin.denied.union(&next.intersection(&isolation.denied));
    if isolation.open {
        let last = tier(&compiled.baseline, &side.baseline, direction, next, destination, matched);
        allowed = allowed.union(&last.accepted).union(&last.passed).union(&last.live);
        denied = denied.union(&last.denied);
    }
    Bounds { must: allowed.difference(&denied), may: allowed }
}

fn tier(
    entries: &[AdminEntry],
    subjects: &[(usize, Tri)],
    direction: Direction,
    live: PortSet,
    destination: &Destination<'_>,
    matched: &mut Matched<'_>,
) -> Walk {
    let mut walk = Walk::new(live);
    for (index, sure) in subjects {
        for rule in entries[*index].rules(direction) {
            let hit = matched(rule).and(*sure);
            if hit != Tri::No {
                walk.rule(rule.action, hit, &rule.ports.resolve(destination));
            }
        }
    }
    walk
}

fn isolate(
    compiled: &Compiled,
    side: &Side,
    direction: Direction,
    destination: &Destination<'_>,
    matched: &mut Matched<'_>,
) -> Isolation {
    let mut allowed = PortSet::none();
    let mut least_sure: Option<PortSet> = None;
    let mut least_any: Option<PortSet> = None;
    for (index, selected) in &side.policies {
        let mut must = PortSet::none();
        for rule in compiled.policies[*index].rules(direction).unwrap_or_default() {
            let hit = matched(rule);
            if hit == Tri::No {
                continue;
            }
            let ports = rule.ports.resolve(destination);
            allowed = allowed.union(&ports.may);
            if hit == Tri::Yes {
                must = must.union(&ports.must);
            }
        }
        if *selected == Tri::Yes {
            least_sure = Some(least_sure.map_or(must.clone(), |sum| sum.union(&must)));
        } else {
            least_any = Some(least_any.map_or(must.clone(), |least| least.intersection(&must)));
        }
    }
    let open = least_sure.is_none();
    let least = least_sure.or(least_any).unwrap_or_else(PortSet::all);
    Isolation { allowed, denied: least.complement(), open }
}

/// Where a connection ends, as far as ports go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination<'a> {
    /// A pod with these named ports.
    Pod(&'a [NamedPort]),
    /// A pod whose named ports are not known.
    UnknownPod,
    /// An address: named ports mean nothing there.
    Address,
}

impl Ports {
    /// The ports with names resolved at the destination.
    pub(crate) fn resolve(&self, destination: &Destination<'_>) -> Bounds {
        let mut bounds = Bounds { must: self.must.clone(), may: self.may.clone() };
        for (protocol, name) in &self.named {
            match destination {
                Destination::Address => {}
                Destination::UnknownPod => {
                    let possible = protocol.map_or_else(PortSet::all, PortSet::protocol);
                    bounds.may = bounds.may.union(&possible);
                }
                Destination::Pod(named) => {
                    for port in named.iter().filter(|port| {
                        port.name == *name && protocol.is_none_or(|protocol| protocol == port.protocol)
                    }) {
                        let port = PortSet::one(port.protocol, port.port);
                        bounds.must = bounds.must.union(&port);
                        bounds.may = bounds.may.union(&port);
                    }
                }
            }
        }
        bounds
    }
}

//! What a pod would exchange with pods that no manifest describes.

use super::compile::{PeerSelector, Scope, Term};
use super::pod::{PodNamespace, PodShape};
use super::side::{Bounds, Side};
use super::{Model, NAMESPACE_NAME_LABEL, WorkloadId};
use crate::object::{Action, Direction, LabelSelector, Labels, Operator, Protocol, Tri};

/// What a workload's pods expose, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Into the pod.
    pub ingress: SideExposure,
    /// Out of the pod.
    pub egress: SideExposure,
}

/// One direction of an [`Exposure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideExposure {
    /// Whether any policy is about the pod in this direction.
    pub protected: bool,
    /// What any pod gets, whatever its namespace and labels.
    pub everyone: Traffic,
    /// What pods get that a rule names, where that differs from [`Self::everyone`].
    pub named: Vec<PotentialPeer>,
}

/// Ports by number, and by names that only the receiving pod can resolve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By number.
    pub ports: Bounds,
    /// By name; the protocol is `None` where any counts.
    pub port_names: Vec<(Option<Protocol>, String)>,
}

/// Pods that a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PotentialPeer {
    /// The namespace, where the rule names one.
    pub namespace: Option<String>,
    /// The namespaces by label, where it does not; empty selects all.
    pub namespaces: Option<LabelSelector>,
    /// The pods; `None` means all.
    pub pods: Option<LabelSelector>,
    /// Workloads of the input that are certainly among them.
    pub members: Vec<WorkloadId>,
    /// What they get.
    pub traffic: Traffic,
}

impl Model<'_> {
    /// What a workload's pods would exchange with pods that no manifest describes.
    ///
    /// # Panics
    /// When there is no such workload.
    #[must_use]
    pub fn exposure(&self, workload: WorkloadId) -> Exposure {
        let pod = self.pod(workload);
        Exposure {
            ingress: self.side_exposure(pod, Direction::Ingress),
            egress: self.side_exposure(pod, Direction::Egress),
        }
    }

    fn side_exposure(&self, pod: &PodShape, direction: Direction) -> SideExposure {
        let side = self.side(pod, direction);
        let stranger = PodShape { named_ports: Some(Vec::new()), ..PodShape::unknown(None) };
        let ports = self.side_with_stranger(&side, direction, pod, &self.addresses_of(&stranger));
        let held = |term: &Term| match term {
            Term::Pods(index) => self.selector(*index).is_universal(),
            _ => false,
        };
        let everyone = Traffic { ports, port_names: self.port_names(&side, direction, held) };
        let mut named = Vec::new();
        for index in self.selectors_of(&side, direction) {
            let selector = self.selector(index);
            let example = example_of(selector);
            let ports = self.side_with_pod(&side, direction, pod, &example);
            let held = |term: &Term| match term {
                Term::Pods(other) => self.selects(self.selector(*other), &example) == Tri::Yes,
                _ => false,
            };
            let traffic = Traffic { ports, port_names: self.port_names(&side, direction, held) };
            if traffic != everyone {
                named.push(self.potential_peer(selector, example, traffic));
            }
        }
        SideExposure { protected: !side.is_open(), everyone, named }
    }

    /// The selectors that the rules of a side name, each once, without those that select every pod.
    fn selectors_of(&self, side: &Side, direction: Direction) -> Vec<usize> {
        let mut list = Vec::new();
        for term in self.rules_of(side, direction).flat_map(|rule| &rule.terms) {
            if let Term::Pods(index) = term
                && !list.contains(index)
                && !self.selector(*index).is_universal()
            {
                list.push(*index);
            }
        }
        list
    }

    /// Names of ports that rules allow out to some pods.
    fn port_names(
        &self,
        side: &Side,
        direction: Direction,
        held: impl Fn(&Term) -> bool,
    ) -> Vec<(Option<Protocol>, String)> {
        if direction == Direction::Ingress {
            return Vec::new();
        }
        let mut names = Vec::new();
        for rule in self.rules_of(side, direction).filter(|rule| rule.action == Action::Accept) {
            if rule.everyone || rule.terms.iter().any(&held) {
                names.extend(rule.ports.named.iter().cloned());
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn potential_peer(&self, selector: &PeerSelector, example: PodShape, traffic: Traffic) -> PotentialPeer {
        let namespace = example.namespace_name().map(str::to_owned);
        let namespaces = match &selector.scope {
            Scope::Labels(labels) if namespace.is_none() => Some(labels.clone()),
            _ => None,
        };
        let member = |id: &WorkloadId| self.selects(selector, self.pod(*id)) == Tri::Yes;
        let members = (0..self.pods.len()).filter(member).collect();
        PotentialPeer { namespace, namespaces, pods: selector.pods.clone(), members, traffic }
    }
}

/// A pod that a selector holds and that has no more labels than that takes.
fn example_of(selector: &PeerSelector) -> PodShape {
    let namespace = match &selector.scope {
        Scope::Own(name) => PodNamespace::Named(name.clone()),
        Scope::Labels(labels) => match single_name(labels) {
            Some(name) => PodNamespace::Named(name.to_owned()),
            None => PodNamespace::Other(labels_for(labels)),
        },
    };
    PodShape {
        namespace,
        labels: selector.pods.as_ref().map_or_else(Labels::default, labels_for),
        named_ports: Some(Vec::new()),
        addresses: Vec::new(),
        host_network: false,
    }
}

/// The one namespace that a selector names, if that is all it says.
fn single_name(selector: &LabelSelector) -> Option<&str> {
    let mut requirements = selector.requirements();
    let only = requirements.next().filter(|_| !selector.match_labels.incomplete)?;
    let mut values = only.values();
    let value = values.next()?;
    let single = requirements.next().is_none() && values.next().is_none();
    (single && only.key() == NAMESPACE_NAME_LABEL && only.operator() == Operator::In).then_some(value)
}

fn labels_for(selector: &LabelSelector) -> Labels {
    let pairs = selector.requirements().filter_map(|requirement| match requirement.operator() {
        Operator::In => Some((requirement.key(), requirement.values().next().unwrap_or(""))),
        // Any value will do; this one no selector asks for.
        Operator::Exists => Some((requirement.key(), "*")),
        _ => None,
    });
    Labels::from_pairs(pairs)
}

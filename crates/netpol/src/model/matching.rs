//! Whether a rule's peers hold a pod or an address.

use super::Model;
use super::compile::{PeerSelector, Rule, Scope, Term};
use super::pod::{PodNamespace, PodShape};
use super::side::{Bounds, Destination, Side, fold};
use crate::object::{Direction, Tri};
use crate::profile::HostNetwork;
use crate::set::IpSet;

/// Addresses that no pod of the input has.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// Addresses between which no rule in question tells a difference.
    pub(crate) addresses: IpSet,
    /// The DNS name they belong to, if the question was about a name.
    pub(crate) name: Option<String>,
}

impl Model<'_> {
    /// How sure a selector of namespaces and labels holds a pod.
    pub(crate) fn selects(&self, selector: &PeerSelector, pod: &PodShape) -> Tri {
        let namespace = match (&selector.scope, &pod.namespace) {
            (Scope::Own(own), PodNamespace::Named(name)) => (own == name).into(),
            (Scope::Own(_), PodNamespace::Other(_)) => Tri::No,
            (Scope::Own(_), PodNamespace::Unknown) => Tri::Maybe,
            (Scope::Labels(labels), _) if labels.is_empty() => Tri::Yes,
            (Scope::Labels(labels), PodNamespace::Named(name)) => {
                labels.matches(&self.namespace_labels(name))
            }
            (Scope::Labels(labels), PodNamespace::Other(other)) => labels.matches(other),
            (Scope::Labels(_), PodNamespace::Unknown) => Tri::Maybe,
        };
        if namespace == Tri::No {
            return Tri::No;
        }
        namespace.and(selector.pods.as_ref().map_or(Tri::Yes, |pods| pods.matches(&pod.labels)))
    }

    /// `at` are the addresses the pod may have, between which no rule in question tells a difference.
    pub(crate) fn rule_holds_pod(&self, rule: &Rule, pod: &PodShape, at: &IpSet) -> Tri {
        if rule.everyone {
            return Tri::Yes;
        }
        let terms = rule.terms.iter().map(|term| self.term_holds_pod(term, pod, at));
        terms.max().unwrap_or(Tri::No)
    }

    pub(crate) fn term_holds_pod(&self, term: &Term, pod: &PodShape, at: &IpSet) -> Tri {
        let outside_rules = pod.host_network && self.options.profile.host_network == HostNetwork::Unknown;
        match term {
            Term::Pods(index) => {
                let sure = self.selects(self.selector(*index), pod);
                if outside_rules { sure.and(Tri::Maybe) } else { sure }
            }
            // Where the CNI matches no pods by address, it matches no nodes either.
            Term::Block { must, may } if self.options.profile.ip_block_matches_pods => {
                tri(must.is_superset(at), may.overlaps(at))
            }
            Term::Nodes if pod.host_network => Tri::Maybe,
            Term::Block { .. } | Term::Nodes | Term::Names(_) | Term::Never => Tri::No,
            Term::Invalid => Tri::Maybe,
        }
    }

    /// The addresses a pod may have.
    pub(crate) fn addresses_of(&self, pod: &PodShape) -> IpSet {
        if !pod.addresses.is_empty() {
            return pod.addresses.iter().fold(IpSet::none(), |set, one| set.union(&IpSet::one(*one)));
        }
        if pod.host_network || self.pod_addresses.is_empty() {
            return self.options.families.addresses();
        }
        self.pod_addresses.clone()
    }

    /// The addresses of a pod, cut so that no rule of the side tells a difference inside a part.
    pub(crate) fn pod_cells(&self, side: &Side, direction: Direction, addresses: &IpSet) -> Vec<IpSet> {
        let partial = |block: &IpSet| block.overlaps(addresses) && !block.is_superset(addresses);
        let differs = self.options.profile.ip_block_matches_pods
            && self.rules_of(side, direction).flat_map(|rule| &rule.terms).any(|term| match term {
                Term::Block { must, may } => partial(may) || (must != may && partial(must)),
                _ => false,
            });
        if differs { self.cells(side, direction, addresses) } else { vec![addresses.clone()] }
    }

    pub(crate) fn rule_holds_outside(&self, rule: &Rule, outside: &Outside) -> Tri {
        if rule.everyone {
            return Tri::Yes;
        }
        let terms = rule.terms.iter().map(|term| self.term_holds_outside(term, outside));
        terms.max().unwrap_or(Tri::No)
    }

    pub(crate) fn term_holds_outside(&self, term: &Term, outside: &Outside) -> Tri {
        match term {
            Term::Pods(_) | Term::Never => Tri::No,
            Term::Block { must, may } => {
                tri(must.is_superset(&outside.addresses), may.overlaps(&outside.addresses))
            }
            // A node has an address of the cluster's own network, never a public one.
            Term::Nodes => tri(false, self.pod_addresses.overlaps(&outside.addresses)),
            Term::Names(patterns) => match &outside.name {
                Some(name) => patterns.iter().any(|pattern| name_matches(pattern, name)).into(),
                None => Tri::Maybe,
            },
            Term::Invalid => Tri::Maybe,
        }
    }

    /// What a side lets through from or to a pod. `subject` is the pod the side belongs to.
    pub(crate) fn side_with_pod(
        &self,
        side: &Side,
        direction: Direction,
        subject: &PodShape,
        peer: &PodShape,
    ) -> Bounds {
        let receiver = match direction {
            Direction::Ingress => subject,
            Direction::Egress => peer,
        };
        let destination = destination(receiver);
        let cells = self.pod_cells(side, direction, &self.addresses_of(peer));
        let one = |at: &IpSet| {
            let matched = &mut |rule: &Rule| self.rule_holds_pod(rule, peer, at);
            fold(&self.compiled, side, direction, &destination, matched)
        };
        let bounds = cells.iter().map(one).reduce(|all, next| all.blur(&next));
        bounds.unwrap_or_else(|| one(&IpSet::none()))
    }

    /// What a side lets through from or to addresses between which its rules tell no difference.
    pub(crate) fn side_with_outside(
        &self,
        side: &Side,
        direction: Direction,
        subject: &PodShape,
        outside: &Outside,
    ) -> Bounds {
        let destination = match direction {
            Direction::Ingress => destination(subject),
            Direction::Egress => Destination::Address,
        };
        fold(&self.compiled, side, direction, &destination, &mut |rule| {
            self.rule_holds_outside(rule, outside)
        })
    }

    /// Cuts addresses at the borders that the rules of a side know.
    pub(crate) fn cells(&self, side: &Side, direction: Direction, addresses: &IpSet) -> Vec<IpSet> {
        let mut borders: Vec<&IpSet> = Vec::new();
        for rule in self.rules_of(side, direction) {
            for term in &rule.terms {
                if let Term::Block { must, may } = term {
                    borders.push(may);
                    if must != may {
                        borders.push(must);
                    }
                }
                if matches!(term, Term::Nodes) {
                    borders.push(&self.pod_addresses);
                }
            }
        }
        addresses.parts(borders)
    }

    /// All rules of a side, in order of evaluation.
    pub(crate) fn rules_of(&self, side: &Side, direction: Direction) -> impl Iterator<Item = &Rule> {
        let admin =
            side.admin.iter().flat_map(move |(index, _)| self.compiled.admin[*index].rules(direction));
        let network = side
            .policies
            .iter()
            .flat_map(move |(index, _)| self.compiled.policies[*index].rules(direction).unwrap_or_default());
        let baseline =
            side.baseline.iter().flat_map(move |(index, _)| self.compiled.baseline[*index].rules(direction));
        admin.chain(network).chain(baseline)
    }
}

pub(crate) fn destination(pod: &PodShape) -> Destination<'_> {
    match &pod.named_ports {
        Some(named) => Destination::Pod(named),
        None => Destination::UnknownPod,
    }
}

fn tri(yes: bool, maybe: bool) -> Tri {
    match (yes, maybe) {
        (true, _) => Tri::Yes,
        (false, true) => Tri::Maybe,
        (false, false) => Tri::No,
    }
}

/// `*.example.com` matches names below it and not `example.com` itself.
fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_end_matches('.').to_ascii_lowercase();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(suffix) => name.strip_suffix(suffix).is_some_and(|head| head.ends_with('.') && head.len() > 1),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::name_matches;

    #[test]
    fn a_wildcard_does_not_match_its_own_suffix() {
        assert!(name_matches("*.kubernetes.io", "docs.kubernetes.io"));
        assert!(name_matches("*.kubernetes.io", "a.b.kubernetes.io."));
        assert!(!name_matches("*.kubernetes.io", "kubernetes.io"));
        assert!(!name_matches("*.kubernetes.io", "notkubernetes.io"));
        assert!(name_matches("Kubernetes.io.", "kubernetes.io"));
    }
}

//! Pods that no policy can tell apart, as one.
//!
//! Two pods of a namespace are the same to every policy when they agree on the label keys and values, port
//! names and address ranges that some policy mentions. Everything after this works on classes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::compile::{PeerSelector, Rule, Scope, Term};
use super::pod::{NamedPort, PodShape};
use super::{Model, WorkloadId};
use crate::object::{Labels, Operator, Tri};
use crate::set::IpSet;

/// Index of a class in a [`super::Reach`].
pub type ClassId = usize;

/// Pods that no policy of the model can tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The workloads, ascending; never empty.
    pub members: Vec<WorkloadId>,
}

/// What the policies of a model mention.
struct Mentioned<'m> {
    values: HashMap<&'m str, BTreeSet<&'m str>>,
    port_names: BTreeSet<&'m str>,
    borders: Borders,
}

/// Where some mentioned address range begins or has just ended, per family. Addresses between the same two
/// borders are the same to every policy.
#[derive(Default)]
struct Borders {
    v4: BTreeSet<u32>,
    v6: BTreeSet<u128>,
}

impl Borders {
    fn add(&mut self, set: &IpSet) {
        for (first, last) in set.v4().spans() {
            self.v4.insert(*first);
            self.v4.extend(last.checked_add(1));
        }
        for (first, last) in set.v6().spans() {
            self.v6.insert(*first);
            self.v6.extend(last.checked_add(1));
        }
    }

    /// The last border at or before an address.
    fn place(&self, address: IpAddr) -> (bool, Option<u128>) {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                (false, self.v4.range(..=address.to_bits()).next_back().map(|bits| u128::from(*bits)))
            }
            IpAddr::V6(address) => (true, self.v6.range(..=address.to_bits()).next_back().copied()),
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key<'m> {
    namespace: Option<&'m str>,
    /// Value `None`: one that no policy mentions.
    labels: Vec<(&'m str, Option<&'m str>)>,
    templated: Vec<&'m str>,
    incomplete: bool,
    ports: Vec<&'m NamedPort>,
    host_network: bool,
    /// For each address, where it is among the mentioned ranges.
    addresses: Vec<(bool, Option<u128>)>,
}

impl Model<'_> {
    /// Groups the workloads; the second value is the class of each.
    pub(super) fn classes(&self) -> (Vec<Class>, Vec<ClassId>) {
        let mentioned = self.mentioned();
        let mut known: HashMap<Key<'_>, ClassId> = HashMap::new();
        let mut classes: Vec<Class> = Vec::new();
        let mut of = Vec::with_capacity(self.pods.len());
        for (id, pod) in self.pods.iter().enumerate() {
            let class = *known.entry(self.key(pod, &mentioned)).or_insert(classes.len());
            if class == classes.len() {
                classes.push(Class { members: Vec::new() });
            }
            classes[class].members.push(id);
            of.push(class);
        }
        (classes, of)
    }

    fn mentioned(&self) -> Mentioned<'_> {
        let mut all =
            Mentioned { values: HashMap::new(), port_names: BTreeSet::new(), borders: Borders::default() };
        let compiled = &self.compiled;
        let subjects = compiled.admin.iter().chain(&compiled.baseline).map(|entry| &entry.subject);
        let peers = compiled.selectors.iter().chain(subjects).filter_map(|selector| selector.pods.as_ref());
        let own = compiled.policies.iter().filter_map(|policy| policy.selector.as_ref());
        for selector in peers.chain(own) {
            for requirement in selector.requirements() {
                all.values.entry(requirement.key()).or_default().extend(requirement.values());
            }
        }
        for rule in compiled.rules() {
            all.port_names.extend(rule.ports.named.iter().map(|(_, name)| name.as_str()));
            for term in &rule.terms {
                if let Term::Block { must, may } = term {
                    all.borders.add(may);
                    all.borders.add(must);
                }
            }
        }
        all
    }

    fn key<'m>(&'m self, pod: &'m PodShape, mentioned: &Mentioned<'m>) -> Key<'m> {
        let mut labels = Vec::new();
        let mut templated = Vec::new();
        for pair in &pod.labels.pairs {
            let Some(values) = mentioned.values.get(pair.key.value.as_str()) else { continue };
            if pair.templated {
                templated.push(pair.key.value.as_str());
            } else {
                labels.push((pair.key.value.as_str(), values.get(pair.value.value.as_str()).copied()));
            }
        }
        labels.sort_unstable();
        let named = pod.named_ports.iter().flatten();
        let mut ports: Vec<&NamedPort> =
            named.filter(|port| mentioned.port_names.contains(port.name.as_str())).collect();
        ports.sort_unstable();
        ports.dedup();
        let matters = self.options.profile.ip_block_matches_pods;
        let known = pod.addresses.iter().filter(|_| matters);
        let addresses = known.map(|address| mentioned.borders.place(*address)).collect();
        Key {
            namespace: pod.namespace_name(),
            labels,
            templated,
            incomplete: pod.labels.incomplete,
            ports,
            host_network: pod.host_network,
            addresses,
        }
    }

    /// For each selector of the rules, the classes it holds, in ascending order.
    pub(super) fn selector_hits(&self, classes: &[Class]) -> Vec<Vec<(ClassId, Tri)>> {
        let index = Index::new(self, classes);
        let hits = |selector: &PeerSelector| {
            let mut hits = Vec::new();
            for class in index.candidates(selector, classes.len()) {
                let sure = self.selects(selector, self.pod(classes[class].members[0]));
                if sure != Tri::No {
                    hits.push((class, sure));
                }
            }
            hits
        };
        self.compiled.selectors.iter().map(hits).collect()
    }
}

impl super::compile::Compiled {
    /// All rules of all policies.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        let network = self.policies.iter().flat_map(|policy| [&policy.ingress, &policy.egress]);
        let tiers = self.admin.iter().chain(&self.baseline);
        let tiers = tiers.flat_map(|entry| entry.ingress.iter().chain(&entry.egress));
        network.flatten().flatten().chain(tiers)
    }
}

/// Finds the few classes that a selector may hold without asking all.
struct Index<'m> {
    by_namespace: HashMap<&'m str, Vec<ClassId>>,
    by_label: HashMap<(&'m str, &'m str), Vec<ClassId>>,
    /// Classes with labels that are not known.
    open: Vec<ClassId>,
}

impl<'m> Index<'m> {
    fn new(model: &'m Model<'_>, classes: &[Class]) -> Self {
        let mut index = Self { by_namespace: HashMap::new(), by_label: HashMap::new(), open: Vec::new() };
        for (class, entry) in classes.iter().enumerate() {
            let pod = model.pod(entry.members[0]);
            if let Some(name) = pod.namespace_name() {
                index.by_namespace.entry(name).or_default().push(class);
            }
            if is_open(&pod.labels) {
                index.open.push(class);
                continue;
            }
            // The members of a class may differ in labels that no policy mentions; those are never asked for.
            for pair in &pod.labels.pairs {
                let key = (pair.key.value.as_str(), pair.value.value.as_str());
                index.by_label.entry(key).or_default().push(class);
            }
        }
        index
    }

    fn candidates(&self, selector: &PeerSelector, count: usize) -> BTreeSet<ClassId> {
        if let Scope::Own(namespace) = &selector.scope {
            return self.by_namespace.get(namespace.as_str()).into_iter().flatten().copied().collect();
        }
        let labelled = selector.pods.iter().filter(|pods| !pods.match_labels.incomplete).flat_map(|pods| {
            pods.requirements().filter(|requirement| {
                requirement.operator() == Operator::In && requirement.matches(&Labels::default()) == Tri::No
            })
        });
        let lists = labelled.map(|requirement| {
            let values = requirement.values();
            let found: Vec<&Vec<ClassId>> =
                values.filter_map(|value| self.by_label.get(&(requirement.key(), value))).collect();
            found
        });
        match lists.min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>()) {
            Some(lists) => lists.into_iter().flatten().chain(&self.open).copied().collect(),
            None => (0..count).collect(),
        }
    }
}

fn is_open(labels: &Labels) -> bool {
    labels.incomplete || labels.pairs.iter().any(|pair| pair.templated)
}

/// Interned values.
#[derive(Clone, Debug)]
pub(super) struct Pool<T> {
    pub(super) items: Vec<T>,
    ids: BTreeMap<T, u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ids: BTreeMap::new() }
    }
}

impl<T: Clone + Ord> Pool<T> {
    pub(super) fn id(&mut self, item: T) -> u32 {
        if let Some(id) = self.ids.get(&item) {
            return *id;
        }
        let id = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(item.clone());
        self.ids.insert(item, id);
        id
    }
}

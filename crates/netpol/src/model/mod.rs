//! The evaluated form of an input: who may talk to whom.

mod ask;
mod classes;
mod compile;
mod decide;
mod decision;
mod diff;
mod entry;
mod exposure;

mod matching;
mod pod;
mod reach;
mod rows;
mod side;
mod target;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

pub use ask::{AskError, ask};
pub use classes::{Class, ClassId};
pub use compile::{PolicyRef, RuleRef};
pub use decide::unmet;
pub use decision::*;
pub use diff::{Diff, EntryChange, Node, NodeId, OutsideChange, PodChange, diff};
pub use entry::EntryPath;
pub use exposure::{Exposure, PotentialPeer, SideExposure, Traffic};
pub(crate) use pod::JOB_NAME_LABELS;
pub use pod::{NamedPort, PodNamespace, PodShape};
pub use reach::{Connection, Group, Reach};
pub use side::Bounds;
pub use target::{Answer, Note, Route, Target};

use crate::object::{Direction, Label, Labels, Meta, Tri};
use crate::profile::{HostNetwork, Profile};
use crate::read::Input;
use crate::set::IpSet;
use crate::source::{Span, Text};
use compile::{Compiled, PeerSelector};
use side::Side;

/// The label that the control plane puts on every namespace.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Index of a workload in [`Input::workloads`].
pub type WorkloadId = usize;

/// Address families in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Families {
    /// IPv4 alone.
    #[default]
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    Dual,
}

impl Families {
    /// All addresses of these families.
    #[must_use]
    pub fn addresses(self) -> IpSet {
        match self {
            Self::V4 => IpSet::all_v4(),
            Self::V6 => IpSet::all_v6(),
            Self::Dual => IpSet::all(),
        }
    }
}

/// What the input does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Behaviour of DNS and CNI.
    pub profile: Profile,
    /// Namespace of objects that name none.
    pub default_namespace: String,
    /// Namespaces in which a default-deny for both directions is taken to exist.
    pub assume_default_deny: Vec<String>,
    /// The input is all there is: a namespace it does not describe has no labels but its name. Otherwise its
    /// labels are unknown, and so is what depends on them.
    pub complete: bool,
    /// Address families of the cluster. Verdicts on external names and unknown pod addresses cover these.
    pub families: Families,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            default_namespace: "default".to_owned(),
            assume_default_deny: Vec::new(),
            complete: false,
            families: Families::default(),
        }
    }
}

/// An input, ready for questions.
#[derive(Clone, Debug)]
pub struct Model<'i> {
    input: &'i Input,
    options: Options,
    /// By [`WorkloadId`].
    pods: Vec<PodShape>,
    namespaces: HashMap<&'i str, Labels>,
    /// Workloads by namespace.
    by_namespace: HashMap<String, Vec<WorkloadId>>,
    /// NetworkPolicies by namespace.
    policies_by_namespace: HashMap<&'i str, Vec<usize>>,
    /// NetworkPolicies by the first label that they want; those that name none under an empty one.
    policies_by_label: HashMap<(&'i str, &'i str), Vec<usize>>,
    /// By NetworkPolicy, how many workloads it selects; counted when somebody asks.
    selected_counts: OnceLock<Vec<usize>>,
    compiled: Compiled,
    /// What pods without a known address may have.
    pod_addresses: IpSet,
}

impl<'i> Model<'i> {
    /// Prepares an input. Costs one pass over all objects.
    #[must_use]
    pub fn new(input: &'i Input, options: &Options) -> Self {
        let default = options.default_namespace.as_str();
        let mut compiled = Compiled::default();
        for (index, policy) in input.policies.iter().enumerate() {
            compiled.add_policy(index, policy, policy.meta.namespace_or(default));
        }
        for (index, namespace) in options.assume_default_deny.iter().enumerate() {
            compiled.assume_default_deny(index, namespace);
        }
        compiled.add_admin(&input.admin_policies);
        let pods: Vec<PodShape> =
            input.workloads.iter().map(|workload| PodShape::of(workload, default)).collect();
        let mut by_namespace: HashMap<String, Vec<WorkloadId>> = HashMap::new();
        for (id, workload) in input.workloads.iter().enumerate() {
            by_namespace.entry(workload.meta.namespace_or(default).to_owned()).or_default().push(id);
        }
        let mut policies_by_namespace: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut policies_by_label: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, policy) in input.policies.iter().enumerate() {
            let namespace = policy.meta.namespace.as_ref().map_or("", |namespace| namespace.value.as_str());
            policies_by_namespace.entry(namespace).or_default().push(index);
            let first = policy.pod_selector.match_labels.pairs.first().filter(|pair| !pair.templated);
            let label = first.map_or(("", ""), |pair| (pair.key.value.as_str(), pair.value.value.as_str()));
            policies_by_label.entry(label).or_default().push(index);
        }
        let namespaces = input
            .namespaces
            .iter()
            .map(|namespace| {
                let name = namespace.meta.name.value.as_str();
                (name, named_labels(namespace.meta.labels.clone(), name))
            })
            .collect();
        let ranges = IpSet::networks(&options.profile.pod_ranges);
        let pod_addresses = ranges.intersection(&options.families.addresses());
        Self {
            input,
            options: options.clone(),
            pods,
            namespaces,
            by_namespace,
            policies_by_namespace,
            policies_by_label,
            selected_counts: OnceLock::new(),
            compiled,
            pod_addresses,
        }
    }

    /// The input.
    #[must_use]
    pub fn input(&self) -> &'i Input {
        self.input
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What policies see of a workload's pods.
    ///
    /// # Panics
    /// When there is no such workload.
    #[must_use]
    pub fn pod(&self, workload: WorkloadId) -> &PodShape {
        &self.pods[workload]
    }

    /// The workloads of a namespace.
    pub(crate) fn workloads_in(&self, namespace: &str) -> &[WorkloadId] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// How many workloads a NetworkPolicy selects, for sure or perhaps.
    pub(crate) fn selected_count(&self, policy: usize) -> usize {
        let count = |policy| crate::nearmiss::selected(self, policy).count();
        let counts = self.selected_counts.get_or_init(|| self.input.policies.iter().map(count).collect());
        counts.get(policy).copied().unwrap_or(0)
    }

    /// The NetworkPolicies of a namespace.
    pub(crate) fn policies_in(&self, namespace: &str) -> impl Iterator<Item = usize> {
        // Those that name no namespace are kept under an empty name.
        let unnamed = (namespace == self.options.default_namespace).then_some("");
        let names = std::iter::once(namespace).chain(unnamed);
        names.filter_map(|name| self.policies_by_namespace.get(name)).flatten().copied()
    }

    /// The NetworkPolicies, of any namespace, that may surely select pods with these labels.
    pub(crate) fn policies_for_labels(&self, labels: &Labels) -> Vec<usize> {
        let own = labels.pairs.iter().map(|pair| (pair.key.value.as_str(), pair.value.value.as_str()));
        let lists = own.chain([("", "")]).filter_map(|key| self.policies_by_label.get(&key));
        lists.flatten().copied().collect()
    }

    /// Whether the input describes this namespace.
    #[must_use]
    pub fn knows_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name)
    }

    /// Name, place and labels of a policy; `None` for an assumed one.
    #[must_use]
    pub fn policy_meta(&self, policy: PolicyRef) -> Option<&'i Meta> {
        match policy {
            PolicyRef::Network(index) => self.input.policies.get(index).map(|policy| &policy.meta),
            PolicyRef::Admin(index) => self.input.admin_policies.get(index).map(|policy| &policy.meta),
            PolicyRef::Assumed(_) => None,
        }
    }

    /// `namespace/name` of a NetworkPolicy, `name` of a cluster-wide one, `namespace/default-deny-all
    /// (assumed)` of an assumed one.
    #[must_use]
    pub fn policy_name(&self, policy: PolicyRef) -> String {
        match policy {
            PolicyRef::Network(index) => self.input.policies.get(index).map_or_else(String::new, |policy| {
                let namespace = policy.meta.namespace_or(&self.options.default_namespace);
                format!("{namespace}/{}", policy.meta.name)
            }),
            PolicyRef::Admin(index) => self
                .input
                .admin_policies
                .get(index)
                .map_or_else(String::new, |policy| policy.meta.name.value.clone()),
            PolicyRef::Assumed(index) => {
                let namespace = self.options.assume_default_deny.get(index).map_or("", String::as_str);
                format!("{namespace}/default-deny-all (assumed)")
            }
        }
    }

    /// Where a rule is written; `None` for one of an assumed policy.
    #[must_use]
    pub fn rule_span(&self, rule: RuleRef) -> Option<Span> {
        match rule.policy {
            PolicyRef::Network(index) => {
                let policy = self.input.policies.get(index)?;
                policy.rules(rule.direction).get(rule.index).map(|rule| rule.span)
            }
            PolicyRef::Admin(index) => {
                let policy = self.input.admin_policies.get(index)?;
                policy.rules(rule.direction).get(rule.index).map(|rule| rule.span)
            }
            PolicyRef::Assumed(_) => None,
        }
    }

    /// The NetworkPolicies that select a pod for a direction, and how sure that is. A pod is isolated in
    /// that direction when there is one that surely does.
    #[must_use]
    pub fn selecting(&self, pod: &PodShape, direction: Direction) -> Vec<(PolicyRef, Tri)> {
        let side = self.side(pod, direction);
        side.policies.iter().map(|(index, sure)| (self.compiled.policies[*index].id, *sure)).collect()
    }

    /// Labels of a namespace, the name label included.
    fn namespace_labels(&self, name: &str) -> Cow<'_, Labels> {
        match self.namespaces.get(name) {
            Some(labels) => Cow::Borrowed(labels),
            None => {
                let labels = Labels { incomplete: !self.options.complete, ..Labels::default() };
                Cow::Owned(named_labels(labels, name))
            }
        }
    }

    fn side(&self, pod: &PodShape, direction: Direction) -> Side {
        let as_pod = !pod.host_network || self.options.profile.host_network == HostNetwork::AsPod;
        let mut side = Side::default();
        let own = pod.namespace_name().and_then(|name| self.compiled.by_namespace.get(name));
        for index in own.into_iter().flatten() {
            let policy = &self.compiled.policies[*index];
            if policy.rules(direction).is_none() {
                continue;
            }
            let mut sure =
                policy.selector.as_ref().map_or(Tri::Yes, |selector| selector.matches(&pod.labels));
            if !as_pod || policy.rejected {
                sure = sure.and(Tri::Maybe);
            }
            if sure != Tri::No {
                side.policies.push((*index, sure));
            }
        }
        if as_pod {
            side.admin = self.subjects(&self.compiled.admin, pod, direction);
            side.baseline = self.subjects(&self.compiled.baseline, pod, direction);
        }
        side
    }

    fn subjects(
        &self,
        entries: &[compile::AdminEntry],
        pod: &PodShape,
        direction: Direction,
    ) -> Vec<(usize, Tri)> {
        let mut subjects = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry.rules(direction).is_empty() {
                continue;
            }
            let mut sure = self.selects(&entry.subject, pod);
            if !entry.readable {
                sure = sure.and(Tri::Maybe);
            }
            if sure != Tri::No {
                subjects.push((index, sure));
            }
        }
        subjects
    }

    fn selector(&self, index: usize) -> &PeerSelector {
        &self.compiled.selectors[index]
    }
}

fn named_labels(mut labels: Labels, name: &str) -> Labels {
    if labels.get(NAMESPACE_NAME_LABEL).is_none() {
        let text = |value: &str| Text { value: value.to_owned(), span: labels.span };
        let pair = Label { key: text(NAMESPACE_NAME_LABEL), value: text(name), templated: false };
        labels.pairs.push(pair);
    }
    labels
}

//! Near misses: the policy that was probably meant, and the one label that is off.
//!
//! Works in both directions: for a workload, the policies that almost select it ([`policies_for`]); for a
//! selector that selects nothing, the workloads it almost selects ([`workload_for`]).

pub mod similar;

use crate::model::{Model, WorkloadId};
use crate::object::{LabelSelector, Labels, NetworkPolicy, Operator, Requirement, Tri, Workload};
use crate::source::Span;
use similar::Likeness;

/// How a selector fails to match.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The key that the selector names.
    pub key: String,
    /// What the selector wants, in words: `klines-extractor`, `one of a, b`, `the label to exist`.
    pub wanted: String,
    /// What the pod has under that key.
    pub found: Option<String>,
    /// Where the selector says so.
    pub wanted_span: Span,
    /// Where the pod's label is written.
    pub found_span: Option<Span>,
    /// How alike the two are.
    pub likeness: Option<Likeness>,
    /// What was probably meant instead.
    pub kind: DifferenceKind,
}

/// What kind of difference it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The pod has the key with another value.
    Value,
    /// The pod does not have the key.
    Missing,
    /// The pod has the value under another key.
    OtherKey(String),
    /// The pod template lacks the label, but the object or its job template has it; policies look at pods alone.
    NotOnTemplate(&'static str),
}

impl Difference {
    /// The difference in words: `component differs: policy wants klines-extractor, pod has klines-gap-filler`.
    #[must_use]
    pub fn describe(&self) -> String {
        let key = &self.key;
        let wanted = &self.wanted;
        match (&self.kind, &self.found) {
            (DifferenceKind::NotOnTemplate(place), _) => {
                format!("{key}: {wanted} is on the {place} and not on the pod template, which alone counts")
            }
            (DifferenceKind::OtherKey(other), _) => {
                format!("{key} is missing: policy wants {key}: {wanted}, pod has {other}: {wanted}")
            }
            (_, Some(found)) => format!("{key} differs: policy wants {wanted}, pod has {found}"),
            (_, None) => format!("{key} is missing: policy wants {wanted}"),
        }
    }
}

/// Compares a selector with labels: the keys that match and what differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Keys of requirements that are met.
    pub matched: Vec<String>,
    /// Requirements that are not met.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// The whole comparison in words: `app matches, component differs: ...`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.parts().join(", ")
    }

    /// The same in parts: what matches, then each difference.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        match self.matched.as_slice() {
            [] => {}
            [one] => parts.push(format!("{one} matches")),
            many => parts.push(format!("{} match", many.join(" and "))),
        }
        parts.extend(self.differences.iter().map(Difference::describe));
        parts
    }

    /// Between 0 and 1: how likely the selector was meant for these labels.
    #[must_use]
    pub fn score(&self) -> f64 {
        let all = self.matched.len() + self.differences.len();
        if all == 0 {
            return 0.0;
        }
        let alike = |difference: &Difference| difference.likeness.map_or(0.0, Likeness::weight);
        let sum = self.matched.len() as f64 + self.differences.iter().map(alike).sum::<f64>();
        sum / all as f64
    }
}

/// Compares a selector with the labels of pods. `elsewhere` are labels that are not on the pods (of the object,
/// of its job template), with the name of the place.
#[must_use]
pub fn compare(
    selector: &LabelSelector,
    labels: &Labels,
    elsewhere: &[(&'static str, &Labels)],
) -> Comparison {
    let mut comparison = Comparison::default();
    for requirement in selector.requirements() {
        match requirement.matches(labels) {
            Tri::No => comparison.differences.push(difference(&requirement, labels, elsewhere)),
            // What a template hides is not held against it.
            _ => comparison.matched.push(requirement.key().to_owned()),
        }
    }
    comparison
}

fn difference(
    requirement: &Requirement<'_>,
    labels: &Labels,
    elsewhere: &[(&'static str, &Labels)],
) -> Difference {
    let key = requirement.key();
    let values: Vec<&str> = requirement.values().collect();
    let list = values.join(", ");
    let wanted = match (requirement.operator(), values.len()) {
        (Operator::In, 1) => list,
        (Operator::In, _) => format!("one of {list}"),
        (Operator::NotIn, _) => format!("not {list}"),
        (Operator::Exists, _) => "any value".to_owned(),
        (Operator::DoesNotExist, _) => "no such label".to_owned(),
        (Operator::Unknown, _) => "?".to_owned(),
    };
    let own = labels.get(key);
    let mut difference = Difference {
        key: key.to_owned(),
        wanted,
        found: own.map(|pair| pair.value.value.clone()),
        wanted_span: requirement.span(),
        found_span: own.map(|pair| pair.value.span),
        likeness: None,
        kind: if own.is_some() { DifferenceKind::Value } else { DifferenceKind::Missing },
    };
    if !matches!(requirement.operator(), Operator::In | Operator::Exists) {
        return difference;
    }
    let place = elsewhere.iter().find(|(_, labels)| requirement.matches(labels) == Tri::Yes);
    if let Some((place, _)) = place {
        difference.kind = DifferenceKind::NotOnTemplate(place);
        difference.likeness = Some(Likeness::Case);
        return difference;
    }
    if let Some(pair) = own {
        let alike = values.iter().filter_map(|value| similar::values(value, &pair.value.value));
        difference.likeness = alike.min();
        return difference;
    }
    for pair in &labels.pairs {
        let same_value = values.iter().any(|value| *value == pair.value.value);
        if let Some(likeness) = similar::keys(key, &pair.key.value)
            && same_value
        {
            difference.kind = DifferenceKind::OtherKey(pair.key.value.clone());
            difference.likeness = Some(likeness);
            difference.found_span = Some(pair.key.span);
        }
    }
    difference
}

/// A policy that almost selects a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct NearPolicy {
    /// Index into [`crate::Input::policies`].
    pub policy: usize,
    /// What matches and what differs; no difference when only the namespace is another.
    pub comparison: Comparison,
    /// The namespaces, policy's and pod's, when they differ.
    pub namespaces: Option<(String, String)>,
    /// Workloads that the policy does select.
    pub selects: usize,
    /// Between 0 and 1.
    pub score: f64,
}

/// The labels of a workload that policies do not look at.
#[must_use]
pub fn elsewhere(workload: &Workload) -> Vec<(&'static str, &Labels)> {
    if workload.kind == crate::object::WorkloadKind::Pod {
        return Vec::new();
    }
    vec![("job template", &workload.job_labels), (workload.kind.as_str(), &workload.meta.labels)]
}

/// Policies that almost select a workload, the closest first. Policies that select everything, or the workload
/// itself, are none.
#[must_use]
pub fn policies_for(model: &Model<'_>, workload: WorkloadId) -> Vec<NearPolicy> {
    let input = model.input();
    let default = model.options().default_namespace.as_str();
    let own = &input.workloads[workload];
    let namespace = own.meta.namespace_or(default);
    let mut found = Vec::new();
    for index in model.policies_in(namespace) {
        if let Some((comparison, score)) = candidate(&input.policies[index], true, own) {
            found.push(NearPolicy { policy: index, comparison, namespaces: None, selects: 0, score });
        }
    }
    // Other namespaces are looked into when there is nothing here, and then for a full match alone.
    if found.is_empty() {
        for index in model.policies_for_labels(&own.pod.labels) {
            let policy = &input.policies[index];
            let theirs = policy.meta.namespace_or(default);
            if theirs == namespace || policy.pod_selector.matches(&own.pod.labels) != Tri::Yes {
                continue;
            }
            if let Some((comparison, score)) = candidate(policy, false, own) {
                let namespaces = Some((theirs.to_owned(), namespace.to_owned()));
                found.push(NearPolicy { policy: index, comparison, namespaces, selects: 0, score });
            }
        }
    }
    for near in &mut found {
        near.selects = model.selected_count(near.policy);
        if near.selects > 0 {
            near.score += 0.05;
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.policy.cmp(&b.policy)));
    found
}

/// The comparison of a policy with a workload that it does not select, when it is close.
fn candidate(policy: &NetworkPolicy, same_namespace: bool, workload: &Workload) -> Option<(Comparison, f64)> {
    if policy.pod_selector.is_empty() || policy.pod_selector.match_labels.incomplete {
        return None;
    }
    let comparison = compare(&policy.pod_selector, &workload.pod.labels, &elsewhere(workload));
    let score = comparison.score();
    if !same_namespace {
        // In another namespace only a full match is worth a word, and one on more than a common word.
        let full = comparison.differences.is_empty() && !comparison.matched.is_empty();
        return full.then_some((comparison, 0.8));
    }
    is_close(&comparison).then_some((comparison, score))
}

/// Whether a comparison that is no match is close enough to be a slip.
#[must_use]
pub fn is_close(comparison: &Comparison) -> bool {
    let off = &comparison.differences;
    let alike = off.iter().filter(|difference| difference.likeness.is_some()).count();
    match (off.len(), comparison.matched.len()) {
        (0, _) => false,
        // One pair of several is off.
        (1, 1..) => true,
        // The only pair is off: it must be recognisable.
        (1, 0) => off
            .iter()
            .all(|difference| difference.likeness.is_some_and(|likeness| likeness != Likeness::SharedWords)),
        (count, matched) => {
            alike == count
                && (matched > 0
                    || off.iter().all(|difference| difference.likeness < Some(Likeness::SharedWords)))
        }
    }
}

/// Workloads that a policy selects, for sure or perhaps.
pub fn selected<'m>(
    model: &'m Model<'_>,
    policy: &'m NetworkPolicy,
) -> impl Iterator<Item = WorkloadId> + 'm {
    let default = model.options().default_namespace.as_str();
    let namespace = policy.meta.namespace_or(default);
    let here = model.workloads_in(namespace).iter().copied();
    here.filter(move |id| policy.pod_selector.matches(&model.input().workloads[*id].pod.labels) != Tri::No)
}

/// A workload that a selector almost selects.
#[derive(Clone, Debug, PartialEq)]
pub struct NearWorkload {
    /// Index into [`crate::Input::workloads`].
    pub workload: WorkloadId,
    /// What matches and what differs; no difference when only the namespace is another.
    pub comparison: Comparison,
    /// The workload's namespace, when it is not the selector's.
    pub namespace: Option<String>,
    /// Between 0 and 1.
    pub score: f64,
}

/// The workload that a selector which selects nothing was probably meant for. `namespace` is where the selector
/// looks; `None` when it looks everywhere.
#[must_use]
pub fn workload_for(
    model: &Model<'_>,
    selector: &LabelSelector,
    namespace: Option<&str>,
) -> Option<NearWorkload> {
    let default = model.options().default_namespace.as_str();
    let mut best: Option<NearWorkload> = None;
    for (index, workload) in model.input().workloads.iter().enumerate() {
        let here = workload.meta.namespace_or(default);
        let same = namespace.is_none_or(|namespace| namespace == here);
        if !same && selector.matches(&workload.pod.labels) != Tri::Yes {
            continue;
        }
        let comparison = compare(selector, &workload.pod.labels, &elsewhere(workload));
        let full = comparison.differences.is_empty() && !comparison.matched.is_empty();
        let score = match (same, full) {
            (true, false) if is_close(&comparison) => comparison.score(),
            (false, true) => 0.8,
            _ => continue,
        };
        if best.as_ref().is_none_or(|known| score > known.score) {
            let namespace = (!same).then(|| here.to_owned());
            best = Some(NearWorkload { workload: index, comparison, namespace, score });
        }
    }
    best
}

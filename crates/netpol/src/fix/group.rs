//! Which workloads need a policy, and how it selects them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Model, Peer, SideDecision, Verdict, WorkloadId};
use crate::needs::{Need, Target, WorkloadNeeds};
use crate::object::{Direction, Labels, Tri};

use super::draft::{self, Draft, RuleDraft};

/// Labels that say which copy a pod is and not what it is.
const VOLATILE: [&str; 9] = [
    "interval",
    "version",
    "app.kubernetes.io/version",
    "pod-template-hash",
    "helm.sh/chart",
    "heritage",
    "release",
    "environment",
    "schedule",
];

/// Labels as key and value.
type Pairs = Vec<(String, String)>;

/// A need of a workload that the policies deny.
#[derive(Clone, Debug)]
pub(super) struct Blocked<'n> {
    pub(super) workload: WorkloadId,
    pub(super) need: &'n Need,
    /// The sender's own policies deny it.
    pub(super) egress: bool,
    /// The receivers whose policies deny it, with the port there.
    pub(super) ingress: Vec<(WorkloadId, u16)>,
}

/// Everything that is denied, workload by workload.
pub(super) fn blocked<'n>(model: &Model<'_>, needs: &'n [WorkloadNeeds]) -> Vec<Blocked<'n>> {
    let mut found = Vec::new();
    for (workload, own) in needs.iter().enumerate() {
        for need in &own.needs {
            let judged = need.judge(model, workload);
            if judged.verdict == Verdict::Allowed || judged.port_not_exposed() {
                continue;
            }
            let denied =
                |side: Option<&SideDecision>| side.is_some_and(|side| side.verdict == Verdict::Denied);
            let hidden = need.target == Target::Hidden && judged.verdict != Verdict::Denied;
            let egress = !hidden && judged.routes.iter().any(|route| denied(route.decision.egress.as_ref()));
            let receivers = judged.routes.iter().filter(|route| denied(route.decision.ingress.as_ref()));
            let ingress = receivers.filter_map(|route| match route.to {
                Peer::Workload(id) if id != workload => Some((id, route.port)),
                _ => None,
            });
            let ingress: Vec<_> = ingress.collect();
            if egress || !ingress.is_empty() {
                found.push(Blocked { workload, need, egress, ingress });
            }
        }
    }
    found
}

/// The egress policies for what is denied at senders. Workloads of a namespace with the same blocked needs share one
/// where labels tell them apart from the rest; else those with the same labels do.
pub(super) fn egress_drafts(model: &Model<'_>, blocked: &[Blocked<'_>]) -> Vec<Draft> {
    let mut senders: BTreeMap<WorkloadId, Vec<&Need>> = BTreeMap::new();
    for one in blocked.iter().filter(|one| one.egress) {
        senders.entry(one.workload).or_default().push(one.need);
    }
    let mut groups: Vec<(&str, Vec<RuleDraft>, Vec<WorkloadId>)> = Vec::new();
    for (id, needs) in &senders {
        let namespace = namespace_of(model, *id);
        let mut rules = draft::egress_rules(model, namespace, needs);
        draft::sort_rules(&mut rules);
        let same = |other: &[RuleDraft]| {
            other.len() == rules.len()
                && other.iter().zip(&rules).all(|(a, b)| a.peers == b.peers && a.ports == b.ports)
        };
        match groups.iter_mut().find(|(space, other, _)| *space == namespace && same(other)) {
            Some((.., members)) => members.push(*id),
            None => groups.push((namespace, rules, vec![*id])),
        }
    }
    let mut drafts: Vec<Draft> = Vec::new();
    for (namespace, rules, members) in groups {
        for (selector, workloads) in selections(model, namespace, members) {
            let same = |draft: &&mut Draft| draft.namespace == namespace && draft.selector == selector;
            if let Some(draft) = drafts.iter_mut().find(same) {
                // Labels cannot tell these from others that need something else: one policy for both.
                draft.workloads.extend(workloads);
                draft::join_rules(&mut draft.rules, &rules);
                continue;
            }
            let taken: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
            let name = name(model, &workloads, "allow-", &taken);
            let (namespace, rules) = (namespace.to_owned(), rules.clone());
            drafts.push(Draft { namespace, name, selector, direction: Direction::Egress, rules, workloads });
        }
    }
    drafts
}

/// How to select the members of a group: all at once when that selects nothing else, else by equal labels.
fn selections(model: &Model<'_>, namespace: &str, members: Vec<WorkloadId>) -> Vec<(Pairs, Vec<WorkloadId>)> {
    let labels = |id: &WorkloadId| telling(&model.pod(*id).labels);
    let mut shared = members.first().map(labels).unwrap_or_default();
    for id in &members {
        let own = labels(id);
        shared.retain(|pair| own.contains(pair));
    }
    if let Some(selector) = selector(model, namespace, &shared, &members) {
        return vec![(selector, members)];
    }
    let mut by_labels: BTreeMap<Vec<(String, String)>, Vec<WorkloadId>> = BTreeMap::new();
    for id in members {
        by_labels.entry(labels(&id)).or_default().push(id);
    }
    let parts = by_labels
        .into_iter()
        .map(|(labels, members)| (selector(model, namespace, &labels, &members).unwrap_or(labels), members));
    // Pods without labels cannot be selected without selecting all.
    parts.filter(|(selector, _)| !selector.is_empty()).collect()
}

/// The ingress policies for what is denied at receivers.
pub(super) fn ingress_drafts(model: &Model<'_>, blocked: &[Blocked<'_>]) -> Vec<Draft> {
    let mut receivers: BTreeSet<WorkloadId> = BTreeSet::new();
    receivers.extend(blocked.iter().flat_map(|one| one.ingress.iter().map(|(id, _)| *id)));
    let mut drafts = Vec::new();
    for receiver in receivers {
        let namespace = namespace_of(model, receiver);
        let mut rules: Vec<RuleDraft> = Vec::new();
        for one in blocked {
            for (_, port) in one.ingress.iter().filter(|(id, _)| *id == receiver) {
                let sender = namespace_of(model, one.workload);
                let labels = telling(&model.pod(one.workload).labels);
                let chosen = selector(model, sender, &labels, &[one.workload]).unwrap_or(labels);
                let pairs = chosen.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                let labels = Labels::from_pairs(pairs);
                let peers = vec![draft::pods(namespace, sender, &labels)];
                let wanted = (one.need.protocol, *port, *port);
                let comment = format!("{}: {}", full_name(model, one.workload), draft::evidence(one.need));
                match rules.iter_mut().find(|rule| rule.peers == peers) {
                    Some(rule) => {
                        if !rule.ports.contains(&wanted) {
                            rule.ports.push(wanted);
                        }
                        if !rule.comments.contains(&comment) {
                            rule.comments.push(comment);
                        }
                    }
                    None => rules.push(RuleDraft { comments: vec![comment], peers, ports: vec![wanted] }),
                }
            }
        }
        let workloads = vec![receiver];
        let labels = telling(&model.pod(receiver).labels);
        let selector = selector(model, namespace, &labels, &workloads).unwrap_or(labels);
        if !selector.is_empty() {
            let taken: Vec<&str> = drafts.iter().map(|draft: &Draft| draft.name.as_str()).collect();
            let name = name(model, &workloads, "allow-to-", &taken);
            let namespace = namespace.to_owned();
            drafts.push(Draft { namespace, name, selector, direction: Direction::Ingress, rules, workloads });
        }
    }
    drafts
}

pub(super) fn namespace_of<'m>(model: &'m Model<'_>, id: WorkloadId) -> &'m str {
    model.input().workloads[id].meta.namespace_or(&model.options().default_namespace)
}

pub(super) fn full_name(model: &Model<'_>, id: WorkloadId) -> String {
    format!("{}/{}", namespace_of(model, id), model.input().workloads[id].meta.name)
}

/// Labels that say what a pod is.
fn telling(labels: &Labels) -> Vec<(String, String)> {
    let pairs = labels.pairs.iter().filter(|pair| !pair.templated);
    let all: Vec<(String, String)> =
        pairs.map(|pair| (pair.key.value.clone(), pair.value.value.clone())).collect();
    let kept: Vec<_> = all.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str())).cloned().collect();
    if kept.is_empty() { all } else { kept }
}

/// The labels to select a group by: the keys that the namespace's policies use already where they tell it apart from
/// the rest, else the fewest that do; `None` when none do.
fn selector(
    model: &Model<'_>,
    namespace: &str,
    labels: &[(String, String)],
    members: &[WorkloadId],
) -> Option<Vec<(String, String)>> {
    let others: Vec<&Labels> = (0..model.input().workloads.len())
        .filter(|id| namespace_of(model, *id) == namespace && !members.contains(id))
        .map(|id| &model.pod(id).labels)
        .collect();
    let apart = |chosen: &[(String, String)]| {
        let holds =
            |labels: &&Labels| chosen.iter().all(|(key, value)| labels.value(key) == Some(value.as_str()));
        !chosen.is_empty() && !others.iter().any(holds)
    };
    for keys in used_keys(model, namespace) {
        let chosen: Vec<_> = labels.iter().filter(|(key, _)| keys.contains(key)).cloned().collect();
        if chosen.len() == keys.len() && apart(&chosen) {
            return Some(chosen);
        }
    }
    if labels.len() <= 10 {
        let mut subsets: Vec<u32> = (1..1_u32 << labels.len()).collect();
        subsets.sort_by_key(|bits| (bits.count_ones(), *bits));
        for bits in subsets {
            let chosen = labels.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            let chosen: Vec<_> = chosen.map(|(_, pair)| pair.clone()).collect();
            if apart(&chosen) {
                return Some(chosen);
            }
        }
    }
    apart(labels).then(|| labels.to_vec())
}

/// The key sets of the selectors in use in a namespace, the most used first.
fn used_keys(model: &Model<'_>, namespace: &str) -> Vec<BTreeSet<String>> {
    let default = model.options().default_namespace.as_str();
    let mut counted: Vec<(usize, BTreeSet<String>)> = Vec::new();
    for policy in &model.input().policies {
        let selector = &policy.pod_selector;
        if policy.meta.namespace_or(default) != namespace || selector.match_labels.is_empty() {
            continue;
        }
        let keys: BTreeSet<String> =
            selector.match_labels.pairs.iter().map(|pair| pair.key.value.clone()).collect();
        match counted.iter_mut().find(|(_, known)| *known == keys) {
            Some((count, _)) => *count += 1,
            None => counted.push((1, keys)),
        }
    }
    counted.sort_by_key(|(count, keys)| (std::cmp::Reverse(*count), keys.len()));
    counted.into_iter().map(|(_, keys)| keys).collect()
}

/// A name that no policy of the namespace has, written or drafted.
fn name(model: &Model<'_>, members: &[WorkloadId], before: &str, drafted: &[&str]) -> String {
    let input = model.input();
    let names: Vec<&str> = members.iter().map(|id| input.workloads[*id].meta.name.value.as_str()).collect();
    let stem = crate::reach_render::group_name(&names);
    let stem: String = stem
        .split([' ', '*'])
        .next()
        .unwrap_or("")
        .trim_matches(['-', '.'])
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .take(50)
        .collect();
    let base = format!("{before}{stem}");
    let namespace = members.first().map_or("", |id| namespace_of(model, *id));
    let default = model.options().default_namespace.as_str();
    let taken = |name: &str| {
        let mut in_namespace =
            input.policies.iter().filter(|policy| policy.meta.namespace_or(default) == namespace);
        drafted.contains(&name) || in_namespace.any(|policy| policy.meta.name.value == name)
    };
    let mut candidates =
        std::iter::once(base.clone()).chain((2..1000).map(|number| format!("{base}-{number}")));
    candidates.find(|name| !taken(name)).unwrap_or(base)
}

/// Namespaces in which some workloads are under egress policies and others, which have needs, are under none: the
/// default-deny is most likely outside the files.
pub(super) fn suspected(model: &Model<'_>, needs: &[WorkloadNeeds]) -> Vec<String> {
    let isolated = |id: WorkloadId| {
        let selecting = model.selecting(model.pod(id), Direction::Egress);
        selecting.iter().any(|(_, sure)| *sure == Tri::Yes)
    };
    let mut found = BTreeSet::new();
    let ids = 0..model.input().workloads.len();
    let under: BTreeSet<&str> =
        ids.clone().filter(|id| isolated(*id)).map(|id| namespace_of(model, id)).collect();
    for id in ids {
        let has_needs = needs.get(id).is_some_and(|own| !own.needs.is_empty());
        if has_needs && !isolated(id) && under.contains(namespace_of(model, id)) {
            found.insert(namespace_of(model, id).to_owned());
        }
    }
    found.into_iter().collect()
}

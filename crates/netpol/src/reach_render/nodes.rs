//! Names for the ends of connections.

use std::collections::HashMap;

use super::{Node, NodeKind};
use crate::model::{Class, Model, PotentialPeer};
use crate::object::{Direction, LabelSelector, Operator, Tri};
use crate::set::IpSet;

/// Most address ranges listed for a node.
const RANGES: usize = 24;
/// A shared beginning shorter than this says nothing about a group.
const TELLING: usize = 4;

/// The node of a class of workloads.
pub(super) fn of_class(model: &Model<'_>, class: &Class) -> Node {
    let default = model.options().default_namespace.as_str();
    let workloads: Vec<_> = class.members.iter().map(|id| &model.input().workloads[*id]).collect();
    let namespace = workloads.first().map_or(default, |first| first.meta.namespace_or(default));
    let names: Vec<&str> = workloads.iter().map(|workload| workload.meta.name.value.as_str()).collect();
    let members = workloads.iter().map(|workload| {
        format!("{} {}/{}", workload.kind, workload.meta.namespace_or(default), workload.meta.name)
    });
    let isolated = |direction| {
        let pod = class.members.first().map(|id| model.pod(*id));
        let selecting = pod.map(|pod| model.selecting(pod, direction)).unwrap_or_default();
        Some(
            selecting
                .iter()
                .map(|(policy, sure)| {
                    let doubt = if *sure == Tri::Yes { "" } else { " (perhaps)" };
                    format!("{}{doubt}", model.policy_name(*policy))
                })
                .collect(),
        )
    };
    Node {
        name: format!("{namespace}/{}", group_name(&names)),
        kind: NodeKind::Workloads,
        namespace: Some(namespace.to_owned()),
        members: members.collect(),
        isolated_ingress: isolated(Direction::Ingress),
        isolated_egress: isolated(Direction::Egress),
    }
}

/// One name for several: what they begin with, and how many they are.
pub(crate) fn group_name(names: &[&str]) -> String {
    let Some((first, rest)) = names.split_first() else { return String::new() };
    if rest.is_empty() {
        return (*first).to_owned();
    }
    let mut shared = *first;
    for name in rest {
        let same = shared.char_indices().zip(name.chars()).take_while(|((_, a), b)| a == b);
        let length = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
        shared = &shared[..length];
    }
    // Ends at a word, so that m5 and m15 share binance- and not binance-m.
    let whole = match shared.rfind(['-', '.']) {
        _ if names.contains(&shared) => shared,
        Some(at) => &shared[..=at],
        None => shared,
    };
    if whole.len() >= TELLING {
        format!("{whole}* ({})", names.len())
    } else {
        format!("{first} and {} more", rest.len())
    }
}

/// The node of pods that no file describes.
pub(super) fn of_potential(peer: &PotentialPeer) -> Node {
    other_pods(potential_name(peer))
}

/// Pods that no file describes, in words.
pub(crate) fn potential_name(peer: &PotentialPeer) -> String {
    let pods = match &peer.pods {
        Some(selector) if !selector.is_empty() => format!("pods with {}", selector_text(selector)),
        _ => "any pod".to_owned(),
    };
    let place = match (&peer.namespace, &peer.namespaces) {
        (Some(name), _) => format!("in {name}"),
        (None, Some(selector)) if !selector.is_empty() => {
            format!("in namespaces with {}", selector_text(selector))
        }
        _ => "of any namespace".to_owned(),
    };
    format!("{pods} {place}")
}

/// The node of every pod there may be.
pub(super) fn any_pod() -> Node {
    other_pods(any_pod_name())
}

/// Every pod there may be, in words.
pub(crate) fn any_pod_name() -> String {
    "any other pod of the cluster".to_owned()
}

fn other_pods(name: String) -> Node {
    Node {
        name,
        kind: NodeKind::OtherPods,
        namespace: None,
        members: Vec::new(),
        isolated_ingress: None,
        isolated_egress: None,
    }
}

/// The node of addresses outside the cluster.
pub(super) fn of_addresses(addresses: &IpSet, everything: &IpSet) -> Node {
    let name = address_name(addresses, everything);
    let mut members = ranges_of(addresses);
    if members.len() > RANGES {
        let more = members.len() - RANGES;
        members.truncate(RANGES);
        members.push(format!("and {more} more ranges"));
    }
    Node {
        name,
        kind: NodeKind::Addresses,
        namespace: None,
        members,
        isolated_ingress: None,
        isolated_egress: None,
    }
}

fn ranges_of(addresses: &IpSet) -> Vec<String> {
    addresses.to_string().split(", ").map(str::to_owned).collect()
}

/// Addresses outside the cluster in a few words.
pub(crate) fn address_name(addresses: &IpSet, everything: &IpSet) -> String {
    let public = [[1, 1, 1, 1], [8, 8, 8, 8]].iter().any(|address| addresses.contains((*address).into()));
    let ranges = ranges_of(addresses);
    if addresses == everything {
        "any address outside the cluster".to_owned()
    } else if public {
        "public internet".to_owned()
    } else if ranges.len() > 3 {
        format!("{} and {} more ranges", ranges[..2].join(", "), ranges.len() - 2)
    } else {
        ranges.join(", ")
    }
}

/// A selector on one line: `app=a, tier in (b, c), !d`.
pub(crate) fn selector_text(selector: &LabelSelector) -> String {
    let parts = selector.requirements().map(|requirement| {
        let key = requirement.key();
        let values: Vec<&str> = requirement.values().collect();
        match (requirement.operator(), values.as_slice()) {
            (Operator::In, [one]) => format!("{key}={one}"),
            (Operator::In, many) => format!("{key} in ({})", many.join(", ")),
            (Operator::NotIn, many) => format!("{key} not in ({})", many.join(", ")),
            (Operator::Exists, _) => key.to_owned(),
            (Operator::DoesNotExist, _) => format!("!{key}"),
            (Operator::Unknown, _) => format!("{key} ?"),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Numbers names that several nodes have.
pub(super) fn make_unique(nodes: &mut [Node]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for node in nodes {
        let count = seen.entry(node.name.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            node.name = format!("{} #{count}", node.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_the_words_its_members_share() {
        assert_eq!(group_name(&["gap-filler-m5", "gap-filler-m15"]), "gap-filler-* (2)");
        assert_eq!(group_name(&["gap-filler", "gap-filler-m15"]), "gap-filler* (2)");
        assert_eq!(group_name(&["gap-filler-m5"]), "gap-filler-m5");
        assert_eq!(group_name(&["api", "worker", "cache"]), "api and 2 more");
        assert_eq!(group_name(&["äb-c", "äd-c"]), "äb-c and 1 more");
    }
}

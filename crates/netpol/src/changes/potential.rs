//! Changes with pods that no file describes.

use std::collections::BTreeMap;

use super::Change;
use crate::model::{Bounds, Model};
use crate::reach_render::{any_pod_name, potential_name, potential_ports};

/// Workload, other end, whether the workload is the sender.
type Key = (String, String, bool);

/// What changed, equal changes of several workloads as one.
pub(super) fn changes(before: &Model<'_>, after: &Model<'_>) -> Vec<Change> {
    let (old, new) = (collect(before), collect(after));
    let nothing = Bounds::default();
    let mut grouped: BTreeMap<(String, bool, Bounds, Bounds), Vec<String>> = BTreeMap::new();
    let keys: std::collections::BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
    for key in keys {
        // A peer that has a line of its own only on one side is on the other side one of "any pod".
        let any = || (key.0.clone(), any_pod_name(), key.2);
        let of = |map: &BTreeMap<Key, Bounds>| {
            map.get(key).or_else(|| map.get(&any())).cloned().unwrap_or_else(|| nothing.clone())
        };
        let (was, is) = (of(&old), of(&new));
        if was != is {
            grouped.entry((key.1.clone(), key.2, was, is)).or_default().push(key.0.clone());
        }
    }
    let change = |((other, sends, was, is), workloads): ((String, bool, Bounds, Bounds), Vec<String>)| {
        let other = vec![other];
        let (from, to) = if sends { (workloads, other) } else { (other, workloads) };
        Change::new(from, to, &was, &is)
    };
    grouped.into_iter().map(change).collect()
}

fn collect(model: &Model<'_>) -> BTreeMap<Key, Bounds> {
    let reach = model.reach();
    let default = model.options().default_namespace.as_str();
    let mut found = BTreeMap::new();
    for class in reach.classes() {
        let Some(member) = class.members.first() else { continue };
        let exposure = model.exposure(*member);
        for (side, sends) in [(&exposure.egress, true), (&exposure.ingress, false)] {
            let mut peers = vec![(any_pod_name(), potential_ports(&side.everyone))];
            let unseen = side.named.iter().filter(|peer| peer.members.is_empty());
            peers.extend(unseen.map(|peer| (potential_name(peer), potential_ports(&peer.traffic))));
            for id in &class.members {
                let workload = &model.input().workloads[*id];
                let (_, name) = workload.display_name();
                let name = format!("{}/{name}", workload.meta.namespace_or(default));
                for (other, ports) in &peers {
                    if !ports.may.is_empty() {
                        found.insert((name.clone(), other.clone(), sends), ports.clone());
                    }
                }
            }
        }
    }
    found
}

//! Differences between two clusters.

use std::collections::BTreeMap;

use netpol::object::Direction;
use netpol::set::{IpSet, PortSet};
use netpol::{Diff, Model, NodeId};

use super::{Case, cases, external, input, options, ports};

/// What changed, each address and pair once: (source, destination) to (before, after).
#[derive(Debug, Default)]
struct Changes {
    pods: BTreeMap<(String, String), (PortSet, PortSet)>,
    /// (workload, direction, before, after) to the addresses.
    outside: BTreeMap<(String, Direction, PortSet, PortSet), IpSet>,
}

#[test]
fn every_difference_is_the_same() {
    let Some((folder, cases)) = cases("diff") else { return };
    let (mut compared, mut lines, mut failed) = (0, 0, Vec::new());
    for case in &cases {
        let inputs = [input(&folder, &case.tests[0]), input(&folder, &case.tests[1])];
        let models = inputs.each_ref().map(|input| Model::new(input, &options()));
        let found = of(&netpol::diff(&models[0], &models[1]));
        let mut wanted = expected(case);
        wanted.pods.retain(|(from, to), _| from != "{ingress-controller}" || !case.not_served_here(to));
        compared += 1;
        lines += wanted.pods.len() + wanted.outside.len();
        let mut list = Vec::new();
        compare(&found.pods, &wanted.pods, &mut list);
        compare(&found.outside, &wanted.outside, &mut list);
        if !list.is_empty() {
            failed.push(format!("{} ({}):\n  {}", case.name, case.category, list.join("\n  ")));
        }
    }
    println!("np-guard diff: {compared} cases, {lines} changes compared");
    assert!(failed.is_empty(), "{} of {compared} differ:\n{}", failed.len(), failed.join("\n"));
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    list: &mut Vec<String>,
) {
    for (key, value) in wanted {
        if found.get(key) != Some(value) {
            list.push(format!("{key:?}: expected {value:?}, found {:?}", found.get(key)));
        }
    }
    for (key, value) in found.iter().filter(|(key, _)| !wanted.contains_key(key)) {
        list.push(format!("{key:?}: expected no change, found {value:?}"));
    }
}

fn of(diff: &Diff) -> Changes {
    let name = |id: NodeId| {
        let node = &diff.nodes[id];
        format!("{}/{}[{}]", node.namespace, node.name, node.kind)
    };
    let mut changes = Changes::default();
    for change in &diff.pods {
        for from in &change.from {
            for to in change.to.iter().filter(|to| *to != from) {
                let value = (change.before.must.clone(), change.after.must.clone());
                changes.pods.insert((name(*from), name(*to)), value);
            }
        }
    }
    for change in &diff.outside {
        for node in &change.nodes {
            let key = (name(*node), change.direction, change.before.must.clone(), change.after.must.clone());
            let known = changes.outside.entry(key).or_default();
            *known = known.union(&change.addresses);
        }
    }
    for change in &diff.entries {
        let pair = ("{ingress-controller}".to_owned(), name(change.node));
        changes.pods.insert(pair, (change.before.clone(), change.after.clone()));
    }
    changes
}

fn expected(case: &Case) -> Changes {
    let mut changes = Changes::default();
    let rows = match (case.file("txt"), case.file("csv")) {
        (Some(text), _) => text.lines().filter_map(text_row).collect(),
        (None, Some(table)) => table.lines().skip(1).map(csv_row).collect::<Vec<_>>(),
        (None, None) => panic!("{} has no expected file", case.name),
    };
    for [from, to, before, after] in rows {
        let (before, after) = (ports(&before), ports(&after));
        let outside = match (external(&from), external(&to)) {
            (Some(addresses), _) => Some((to.clone(), Direction::Ingress, addresses)),
            (_, Some(addresses)) => Some((from.clone(), Direction::Egress, addresses)),
            _ => None,
        };
        match outside {
            Some((workload, direction, addresses)) => {
                let known = changes.outside.entry((workload, direction, before, after)).or_default();
                *known = known.union(&addresses);
            }
            None => {
                changes.pods.insert((from, to), (before, after));
            }
        }
    }
    changes
}

/// `diff-type: added, source: A, destination: B, ref1: No Connections, ref2: TCP 80, workloads-diff-info: ...`
fn text_row(line: &str) -> Option<[String; 4]> {
    let rest = line.strip_prefix("diff-type: ")?;
    let (_, rest) = rest.split_once(", source: ")?;
    let (from, rest) = rest.split_once(", destination: ")?;
    let names = if rest.contains(", ref1: ") { [", ref1: ", ", ref2: "] } else { [", dir1: ", ", dir2: "] };
    let (to, rest) = rest.split_once(names[0])?;
    let (before, rest) = rest.split_once(names[1])?;
    let after = rest.split(", workloads-diff-info").next()?;
    Some([from, to, before, after].map(|text| text.trim().to_owned()))
}

fn csv_row(line: &str) -> [String; 4] {
    let mut cells = Vec::new();
    let (mut cell, mut quoted) = (String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    [&cells[1], &cells[2], &cells[3], cells.get(4).unwrap_or(&cell)].map(String::clone)
}

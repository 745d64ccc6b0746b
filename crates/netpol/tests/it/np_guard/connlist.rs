//! Connection lists: every pair, every range, every port.

use std::collections::{BTreeMap, BTreeSet};

use netpol::object::Direction;
use netpol::set::{IpSet, PortSet};
use netpol::{Bounds, Model, Peer, PodShape};

use super::{Case, cases, external, input, join, name, options, ports};

/// Cases whose verdict on some outside addresses is unknown here and definite there; the possible traffic is
/// compared instead of the certain one.
const OPEN_HERE: [(&str, &str); 1] = [(
    "anp_and_banp_using_networks_and_nodes_test",
    "rules name nodes, of which the manifests say nothing: np-guard drops such peers with a warning, here they may \
     be any private address",
)];

/// Everything that is allowed in one cluster, by the names that np-guard uses.
#[derive(Debug, Default, PartialEq)]
pub struct Connections {
    pub pods: BTreeMap<(String, String), PortSet>,
    pub egress: BTreeMap<(String, PortSet), IpSet>,
    pub ingress: BTreeMap<(String, PortSet), IpSet>,
    /// Through Ingress and Route objects.
    pub entries: BTreeMap<String, PortSet>,
}

impl Connections {
    /// What the engine says. `take` picks the certain or the possible traffic with the outside.
    pub fn of(model: &Model<'_>, take: fn(&Bounds) -> &PortSet) -> Self {
        let workloads = &model.input().workloads;
        let reach = model.reach();
        let mut all = Self::default();
        reach.for_each(|connection| {
            assert_eq!(connection.ports.must, connection.ports.may, "complete input leaves nothing open");
            let pair = (name(&workloads[connection.from]), name(&workloads[connection.to]));
            if pair.0 != pair.1 {
                let known = all.pods.entry(pair).or_default();
                *known = known.union(&connection.ports.must);
            }
        });
        for (id, workload) in workloads.iter().enumerate() {
            for (direction, map) in
                [(Direction::Egress, &mut all.egress), (Direction::Ingress, &mut all.ingress)]
            {
                for (addresses, bounds) in reach.outside(reach.class_of(id), direction) {
                    if !take(bounds).is_empty() {
                        let known = map.entry((name(workload), take(bounds).clone())).or_default();
                        *known = known.union(addresses);
                    }
                }
            }
        }
        let controller = Peer::Pod(PodShape::unknown(None));
        for path in model.entry_paths() {
            let allowed = model.allowed(&controller, &Peer::Workload(path.workload)).must;
            if allowed.contains(path.protocol, path.port) {
                let known = all.entries.entry(name(&workloads[path.workload])).or_default();
                *known = known.union(&PortSet::one(path.protocol, path.port));
            }
        }
        all
    }

    /// What a text with `source => destination : ports` lines says.
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        let (mut egress, mut ingress) = (Vec::new(), Vec::new());
        let only = only(text);
        for line in text.lines().take_while(|line| !line.starts_with("Exposure Analysis")) {
            let Some((from, rest)) = line.split_once(" => ") else { continue };
            let (to, conn) = match &only {
                Some(port) => (rest, port.as_str()),
                None => rest.rsplit_once(" : ").unwrap_or_else(|| panic!("{line}")),
            };
            let (from, to, conn) = (from.trim(), to.trim(), ports(conn));
            if from == "{ingress-controller}" {
                all.entries.insert(to.to_owned(), conn);
            } else if let Some(addresses) = external(from) {
                ingress.push((to.to_owned(), addresses, conn));
            } else if let Some(addresses) = external(to) {
                egress.push((from.to_owned(), addresses, conn));
            } else {
                all.pods.insert((from.to_owned(), to.to_owned()), conn);
            }
        }
        for (list, map) in [(egress, &mut all.egress), (ingress, &mut all.ingress)] {
            let names: BTreeSet<String> = list.iter().map(|(name, _, _)| name.clone()).collect();
            for name in names {
                let own = list.iter().filter(|(other, _, _)| *other == name);
                for (ports, addresses) in
                    join(own.map(|(_, addresses, ports)| (addresses.clone(), ports.clone())))
                {
                    map.insert((name.clone(), ports), addresses);
                }
            }
        }
        all
    }

    /// The same, with these ports alone.
    fn cut(&self, ports: &PortSet) -> Self {
        let mut cut = Self::default();
        for (pair, own) in &self.pods {
            cut.pods.insert(pair.clone(), own.intersection(ports));
        }
        for (list, to) in [(&self.egress, &mut cut.egress), (&self.ingress, &mut cut.ingress)] {
            for ((name, own), addresses) in list {
                let entry = to.entry((name.clone(), own.intersection(ports))).or_default();
                *entry = entry.union(addresses);
            }
            to.retain(|(_, ports), _| !ports.is_empty());
        }
        cut.pods.retain(|_, ports| !ports.is_empty());
        cut
    }

    fn len(&self) -> usize {
        self.pods.len() + self.egress.len() + self.ingress.len() + self.entries.len()
    }
}

/// The port of a list that is about one port: `Permitted connections on UDP 52:`.
fn only(text: &str) -> Option<String> {
    let port = text.lines().next()?.strip_prefix("Permitted connections on ")?;
    Some(port.trim_end_matches(':').to_owned())
}

#[test]
fn every_connection_list_is_the_same() {
    let Some((folder, cases)) = cases("connlist") else { return };
    let (mut compared, mut lines, mut failed) = (0, 0, Vec::new());
    for case in &cases {
        let input = input(&folder, &case.tests[0]);
        let model = Model::new(&input, &options());
        let text = case.file("txt").unwrap();
        let open = OPEN_HERE.iter().any(|(name, _)| *name == case.name);
        let mut found =
            Connections::of(&model, if open { |bounds| &bounds.may } else { |bounds| &bounds.must });
        if let Some(port) = only(&text) {
            found = found.cut(&ports(&port));
        }
        let wanted = Connections::parse(&text);
        let differences = differences(case, &found, &wanted);
        compared += 1;
        lines += wanted.len();
        if !differences.is_empty() {
            failed.push(format!("{} ({}):\n  {}", case.name, case.category, differences.join("\n  ")));
        }
    }
    for (name, reason) in OPEN_HERE {
        println!("np-guard connlist: {name}: {reason}");
    }
    println!("np-guard connlist: {compared} cases, {lines} connections compared");
    assert!(failed.is_empty(), "{} of {compared} differ:\n{}", failed.len(), failed.join("\n"));
}

/// A focused list holds some lines only: each of them must be there; a full list must be the same.
fn differences(case: &Case, found: &Connections, wanted: &Connections) -> Vec<String> {
    let mut list = Vec::new();
    compare(&found.pods, &wanted.pods, case.focus, &mut list);
    compare(&found.egress, &wanted.egress, case.focus, &mut list);
    compare(&found.ingress, &wanted.ingress, case.focus, &mut list);
    compare(&found.entries, &wanted.entries, case.focus, &mut list);
    list
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Display>(
    found: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    focus: bool,
    list: &mut Vec<String>,
) {
    for (key, value) in wanted {
        match found.get(key) {
            Some(own) if own == value => {}
            Some(own) => list.push(format!("{key:?}: expected {value}, found {own}")),
            None => list.push(format!("{key:?}: expected {value}, found nothing")),
        }
    }
    if !focus {
        for (key, value) in found.iter().filter(|(key, _)| !wanted.contains_key(key)) {
            list.push(format!("{key:?}: expected nothing, found {value}"));
        }
    }
}

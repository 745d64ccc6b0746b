//! Exposure: what pods that no manifest describes would get.

use std::collections::{BTreeMap, BTreeSet};

use netpol::object::{Direction, LabelSelector, Protocol, Requirement};
use netpol::set::PortSet;
use netpol::{Model, PotentialPeer, SideExposure, Traffic};

use super::{Case, cases, input, name, options, ports};

/// Ports by number, and by name.
type Conn = (PortSet, BTreeSet<String>);

/// One direction of one listing: (workload, peer) to ports, and the unprotected workloads.
#[derive(Debug, Default)]
struct Listing {
    lines: BTreeMap<(String, Direction, String), Conn>,
    unprotected: BTreeSet<(String, Direction)>,
    /// Lines about pods that the input does describe as well.
    described: BTreeSet<(String, Direction, String)>,
}

/// Lines where np-guard shows less, with the reason.
const NARROWER_THERE: &str = "np-guard keeps selectors with expressions apart, so a line shows the ports of its own \
                              rule alone; here a pod with such labels gets what every matching rule gives it";

/// Single lines that are wider here: (case, peer, reason).
const WIDER_HERE: [(&str, &str, &str); 1] = [(
    "exposure_test_real_namespace_without_real_pod",
    "ns1/[pod with {app=foo}]",
    "the input labels namespace ns1 with x=xval, so the rule for namespaces with that label holds its pods too; \
     np-guard looks at real namespaces that hold no pod by name alone",
)];

#[test]
fn every_exposure_listing_is_the_same() {
    let Some((folder, cases)) = cases("exposure") else { return };
    let (mut compared, mut lines, mut narrower, mut failed) = (0, 0, 0, Vec::new());
    for case in &cases {
        let input = input(&folder, &case.tests[0]);
        let model = Model::new(&input, &options());
        let found = of(&model);
        let wanted = parse(&case.file("txt").unwrap());
        compared += 1;
        lines += wanted.lines.len() + wanted.unprotected.len();
        let list = differences(case, &found, &wanted, &mut narrower);
        if !list.is_empty() {
            failed.push(format!("{} ({}):\n  {}", case.name, case.category, list.join("\n  ")));
        }
    }
    println!(
        "np-guard exposure: {compared} cases, {lines} lines compared; {narrower} wider here: {NARROWER_THERE}"
    );
    assert!(failed.is_empty(), "{} of {compared} differ:\n{}", failed.len(), failed.join("\n"));
}

fn differences(case: &Case, found: &Listing, wanted: &Listing, narrower: &mut usize) -> Vec<String> {
    let mut list = Vec::new();
    for (key, conn) in &wanted.lines {
        match found.lines.get(key) {
            Some(own) if own == conn => {}
            Some(own) if own.0.is_superset(&conn.0) && key.2.contains("Key:") => *narrower += 1,
            Some(own) if own.0.is_superset(&conn.0) && known_wider(case, &key.2) => {}
            other => list.push(format!("{key:?}: expected {conn:?}, found {other:?}")),
        }
    }
    list.extend(
        wanted.unprotected.difference(&found.unprotected).map(|key| format!("protected here: {key:?}")),
    );
    if case.focus {
        return list;
    }
    for (key, conn) in found.lines.iter().filter(|(key, _)| !wanted.lines.contains_key(key)) {
        // Where a real workload has the very labels, np-guard lists the workload alone.
        if !found.described.contains(key) {
            list.push(format!("{key:?}: expected nothing, found {conn:?}"));
        }
    }
    list.extend(
        found.unprotected.difference(&wanted.unprotected).map(|key| format!("protected there: {key:?}")),
    );
    list
}

fn known_wider(case: &Case, peer: &str) -> bool {
    let known = WIDER_HERE.iter().find(|(name, line, _)| *name == case.name && *line == peer);
    if let Some((name, _, reason)) = known {
        println!("np-guard exposure: {name}: {peer}: {reason}");
    }
    known.is_some()
}

fn of(model: &Model<'_>) -> Listing {
    let mut listing = Listing::default();
    for (id, workload) in model.input().workloads.iter().enumerate() {
        let exposure = model.exposure(id);
        for (direction, side) in
            [(Direction::Ingress, &exposure.ingress), (Direction::Egress, &exposure.egress)]
        {
            add(&mut listing, &name(workload), direction, side);
        }
    }
    listing
}

fn add(listing: &mut Listing, workload: &str, direction: Direction, side: &SideExposure) {
    if !side.protected {
        listing.unprotected.insert((workload.to_owned(), direction));
    }
    let everyone = conn(&side.everyone);
    if !everyone.0.is_empty() || !everyone.1.is_empty() {
        listing.lines.insert((workload.to_owned(), direction, "entire-cluster".to_owned()), everyone);
    }
    for peer in &side.named {
        let key = (workload.to_owned(), direction, peer_name(peer));
        if !peer.members.is_empty() {
            listing.described.insert(key.clone());
        }
        listing.lines.insert(key, conn(&peer.traffic));
    }
}

fn conn(traffic: &Traffic) -> Conn {
    let name = |(protocol, name): &(Option<Protocol>, String)| match protocol {
        Some(protocol) => format!("{protocol} {name}"),
        None => name.clone(),
    };
    (traffic.ports.must.clone(), traffic.port_names.iter().map(name).collect())
}

fn peer_name(peer: &PotentialPeer) -> String {
    let namespace = match (&peer.namespace, &peer.namespaces) {
        (Some(name), _) => name.clone(),
        (None, Some(labels)) if !labels.is_empty() => format!("[namespace with {}]", selector(labels)),
        _ => "[all namespaces]".to_owned(),
    };
    match &peer.pods {
        Some(pods) if !pods.is_empty() => format!("{namespace}/[pod with {}]", selector(pods)),
        _ => format!("{namespace}/[all pods]"),
    }
}

fn selector(selector: &LabelSelector) -> String {
    let mut parts: Vec<String> = selector
        .requirements()
        .map(|requirement| match requirement {
            Requirement::Label(pair) => format!("{}={}", pair.key, pair.value),
            Requirement::Expression(expression) => {
                let values: Vec<&str> = requirement.values().collect();
                let (key, operator) = (&expression.key, expression.operator.as_str());
                format!("{{Key:{key},Operator:{operator},Values:[{}],}}", values.join(" "))
            }
        })
        .collect();
    parts.sort_unstable();
    format!("{{{}}}", parts.join(","))
}

fn parse(text: &str) -> Listing {
    let mut listing = Listing::default();
    let section = text.split("Exposure Analysis Result:").nth(1).unwrap_or("");
    for line in section.lines() {
        if let Some((workload, direction)) = line.split_once(" is not protected on ") {
            let direction = if direction.trim() == "Egress" { Direction::Egress } else { Direction::Ingress };
            listing.unprotected.insert((workload.trim().to_owned(), direction));
            continue;
        }
        let (direction, arrow) = if line.contains("\t=> \t") {
            (Direction::Egress, "\t=> \t")
        } else {
            (Direction::Ingress, "\t<= \t")
        };
        let Some((workload, rest)) = line.split_once(arrow) else { continue };
        let (peer, conn) = rest.rsplit_once(" : ").unwrap_or_else(|| panic!("{line}"));
        // The outside is compared with the connection lists.
        if peer.ends_with("[External]") || workload.starts_with('{') || peer.starts_with("{ingress") {
            continue;
        }
        let key = (workload.trim().to_owned(), direction, normal(peer.trim()));
        listing.lines.insert(key, parse_conn(conn));
    }
    listing
}

/// Sorts the parts of each `{...}` group; expressions are kept whole.
fn normal(peer: &str) -> String {
    let groups = peer.split(" with {").enumerate().map(|(index, group)| {
        let Some(end) = group.rfind("}]").filter(|_| index > 0) else { return group.to_owned() };
        let (body, tail) = group.split_at(end);
        let mut parts = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let end = if rest.starts_with('{') {
                rest.find('}').map_or(rest.len(), |at| at + 1)
            } else {
                rest.find(',').unwrap_or(rest.len())
            };
            parts.push(&rest[..end]);
            rest = rest[end..].trim_start_matches(',');
        }
        parts.sort_unstable();
        format!("{}{tail}", parts.join(","))
    });
    groups.collect::<Vec<String>>().join(" with {")
}

fn parse_conn(text: &str) -> Conn {
    let mut numbers = Vec::new();
    let mut names = BTreeSet::new();
    let mut protocol = String::new();
    if text.contains("Connections") {
        return (ports(text), names);
    }
    for part in text.split(',') {
        let mut range = part.trim();
        if let Some((name, rest)) = range.split_once(' ').filter(|(name, _)| Protocol::parse(name).is_some())
        {
            name.clone_into(&mut protocol);
            range = rest;
        }
        if range.starts_with(|c: char| c.is_ascii_digit()) {
            numbers.push(format!("{protocol} {range}"));
        } else if protocol.is_empty() {
            names.insert(range.to_owned());
        } else {
            names.insert(format!("{protocol} {range}"));
        }
    }
    let numbers = numbers.iter().map(|part| ports(part)).fold(PortSet::none(), |sum, next| sum.union(&next));
    (numbers, names)
}

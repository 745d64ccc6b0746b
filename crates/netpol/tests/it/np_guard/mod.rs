//! Results of the np-guard analyzer. It never matches pods by address range, takes the input as complete, and
//! treats hostNetwork pods as ordinary ones.

mod connlist;
mod diff;
mod explain;
mod exposure;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use netpol::object::{Protocol, Workload};
use netpol::set::{IpSet, PortSet};
use netpol::{Families, HostNetwork, Input, Options, Profile};
use serde_json::Value;

use crate::corpus;
use crate::json::{list, text};

/// One entry of the index.
pub struct Case {
    pub name: String,
    pub category: String,
    /// Only lines about some workloads are listed.
    pub focus: bool,
    pub tests: Vec<String>,
    pub expected: Vec<PathBuf>,
}

/// The folder and its cases of one kind, routes included.
pub fn cases(kind: &str) -> Option<(PathBuf, Vec<Case>)> {
    let folder = corpus::shared("netpol-cases/np-guard")?;
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let of_kind = list(&index).iter().filter(|case| text(&case["kind"]) == kind);
    let cases = of_kind.map(|case| Case {
        name: text(&case["name"]).to_owned(),
        category: text(&case["category"]).to_owned(),
        focus: case["focus"] == Value::Bool(true),
        tests: list(&case["tests"]).iter().map(|test| text(test).to_owned()).collect(),
        expected: list(&case["expected"]).iter().map(|file| folder.join(text(file))).collect(),
    });
    Some((folder.clone(), cases.collect()))
}

/// Receivers that np-guard lets the ingress controller reach and this engine does not: (test, receiver).
const NOT_SERVED: [(&str, &str); 2] = [
    ("k8s_ingress_test_new", "default/unicorn[Deployment]"),
    ("onlineboutique_workloads_with_ingress", "default/frontend[Deployment]"),
];
const NOT_SERVED_REASON: &str = "the Ingress names the pod's port 8080 where the Service offers another one; np-guard \
                                 accepts that, ingress controllers answer 503: a backend must name a port of the Service";

impl Case {
    /// Whether this is one of the receivers of [`NOT_SERVED`]; says so.
    pub fn not_served_here(&self, receiver: &str) -> bool {
        let known =
            |(test, name): &(&str, &str)| self.tests.iter().any(|own| own == test) && *name == receiver;
        let found = NOT_SERVED.iter().any(known);
        if found {
            println!("np-guard: {}: {receiver}: {NOT_SERVED_REASON}", self.name);
        }
        found
    }

    /// The expected file with this ending.
    pub fn file(&self, extension: &str) -> Option<String> {
        let path = self.expected.iter().find(|path| path.extension().is_some_and(|ext| ext == extension))?;
        Some(std::fs::read_to_string(path).unwrap())
    }
}

pub fn input(folder: &Path, test: &str) -> Input {
    corpus::input(&folder.join("tests").join(test))
}

pub fn options() -> Options {
    Options {
        profile: Profile {
            ip_block_matches_pods: false,
            host_network: HostNetwork::AsPod,
            ..Profile::kubernetes()
        },
        complete: true,
        families: Families::V4,
        ..Options::default()
    }
}

/// `namespace/name[Kind]`.
pub fn name(workload: &Workload) -> String {
    let (kind, name) = workload.display_name();
    format!("{}/{name}[{kind}]", workload.meta.namespace_or("default"))
}

/// `All Connections`, `No Connections` or `TCP 80,443,8000-8010,UDP 53`.
pub fn ports(text: &str) -> PortSet {
    let text = text.trim();
    if text == "All Connections" {
        return PortSet::all();
    }
    if text == "No Connections" {
        return PortSet::none();
    }
    let mut set = PortSet::none();
    let mut protocol = Protocol::Tcp;
    for part in text.split(',') {
        let mut range = part.trim();
        if let Some((name, rest)) = range.split_once(' ') {
            protocol = Protocol::parse(name).unwrap_or_else(|| panic!("{text}"));
            range = rest;
        } else if let Some(only) = Protocol::parse(range) {
            set = set.union(&PortSet::protocol(only));
            continue;
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<u16>().unwrap_or_else(|_| panic!("{text} in {part}"));
        set = set.union(&PortSet::range(protocol, number(first), number(last)));
    }
    set
}

/// `a.b.c.d-e.f.g.h[External]`.
pub fn external(peer: &str) -> Option<IpSet> {
    let range = peer.strip_suffix("[External]")?;
    let mut set = IpSet::none();
    for part in range.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(IpAddr::V4(first)), Ok(IpAddr::V4(last))) => set = set.union(&IpSet::between_v4(first, last)),
            _ => {
                let net = part.trim().parse().unwrap_or_else(|_| panic!("{peer}"));
                set = set.union(&IpSet::network(&net));
            }
        }
    }
    Some(set)
}

/// Joins ranges that have the same ports.
pub fn join(parts: impl IntoIterator<Item = (IpSet, PortSet)>) -> BTreeMap<PortSet, IpSet> {
    let mut joined: BTreeMap<PortSet, IpSet> = BTreeMap::new();
    for (addresses, ports) in parts {
        let entry = joined.entry(ports).or_default();
        *entry = entry.union(&addresses);
    }
    joined.retain(|ports, _| !ports.is_empty());
    joined
}

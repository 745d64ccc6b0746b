//! The cases of the Kubernetes end-to-end suite: what it expects, and what the kernel does with our rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use netpol::object::{NetworkPolicy, PortRef, Protocol};
use netpol::{Input, SourceFile};
use packet_proof::compile::{Policies, compile};
use packet_proof::{Plan, Probe, Round, Scenario, Transport};
use serde_json::Value;

use crate::shared::{data, play};

/// A probe's meaning: case, step, pair, and whether it should pass.
struct Expected {
    what: String,
    allowed: bool,
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn transport(name: &str) -> Transport {
    match name {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        _ => Transport::Sctp,
    }
}

/// Applies one step to the policies (by file and document) and the labels.
fn apply(step: &Value, folder: &Path, policies: &mut BTreeMap<String, String>, scenario: &mut Scenario) {
    if let Some(names) = step["delete_policies"].as_array() {
        for name in names {
            let name = name.as_str().unwrap();
            policies.retain(|key, _| key != name && key.rsplit('/').next() != name.rsplit('/').next());
        }
    }
    if let Some(file) = step["apply"].as_str() {
        for document in read(&folder.join(file)).split("\n---") {
            let input = Input::parse([SourceFile::new(file, document)]);
            for policy in &input.policies {
                let key = format!("{}/{}", policy.meta.namespace_or("default"), policy.meta.name.value);
                policies.insert(key, document.to_owned());
            }
        }
    }
    let pairs = |labels: &Value| -> BTreeMap<String, String> {
        let labels = labels.as_object().unwrap().iter();
        labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    for (name, labels) in step["set_namespace_labels"].as_object().into_iter().flatten() {
        scenario.cluster.namespaces.entry(name.clone()).or_default().extend(pairs(labels));
    }
    for (name, labels) in step["set_pod_labels"].as_object().into_iter().flatten() {
        let index = scenario.nodes.iter().position(|node| node.name == *name).unwrap();
        scenario.cluster.pods[index].labels.extend(pairs(labels));
    }
}

/// The same policy about the other of TCP and UDP.
fn mirror(policy: &mut NetworkPolicy) {
    let rules = policy.ingress.iter_mut().chain(&mut policy.egress).flatten();
    for port in rules.flat_map(|rule| &mut rule.ports) {
        port.protocol = port.protocol.map(|protocol| match protocol {
            Protocol::Tcp => Protocol::Udp,
            Protocol::Udp => Protocol::Tcp,
            Protocol::Sctp => Protocol::Sctp,
        });
        if let Some(port) = &mut port.port
            && let PortRef::Name(name) = &mut port.value
        {
            *name = match name.strip_suffix("-tcp") {
                Some(stem) => format!("{stem}-udp"),
                None => name.replace("-udp", "-tcp"),
            };
        }
    }
}

fn mirrored(transport: Transport) -> Transport {
    match transport {
        Transport::Tcp => Transport::Udp,
        Transport::Udp => Transport::Tcp,
        Transport::Sctp => Transport::Sctp,
    }
}

/// Adds a round for one step of a case.
fn add_round(
    name: &str,
    step: &Value,
    scenario: &Scenario,
    policies: &[NetworkPolicy],
    flip: bool,
    group: &mut (Plan, Vec<Vec<Expected>>),
) {
    let rules = compile(
        &scenario.cluster,
        &Policies { policies, admin: &[], default_namespace: "default", default_deny: &[] },
    );
    assert_eq!(rules.unsupported, [], "{name}");
    let (mut probes, mut meanings) = (Vec::new(), Vec::new());
    for probe in step["probes"].as_array().unwrap() {
        for (list, allowed) in [("allow", true), ("deny", false)] {
            for pair in probe[list].as_array().unwrap() {
                let node = |end: usize| {
                    let name = pair[end].as_str().unwrap();
                    scenario.nodes.iter().position(|node| node.name == name).unwrap()
                };
                let written = transport(probe["protocol"].as_str().unwrap());
                let transport = if flip { mirrored(written) } else { written };
                let port = probe["port"].as_u64().unwrap() as u16;
                probes.push(Probe {
                    from: node(0),
                    to: scenario.nodes[node(1)].addresses[0],
                    port,
                    transport,
                    query: None,
                });
                let what = format!("{name} step {} {pair} {port}/{transport}", step["step"]);
                meanings.push(Expected { what, allowed });
            }
        }
    }
    group.0.rounds.push(Round { ruleset: rules.text, probes, ..Round::default() });
    group.1.push(meanings);
}

#[test]
fn the_kernel_does_what_the_end_to_end_suite_expects() {
    let Some(folder) = data() else { return };
    let entries = fs::read_dir(folder.join("netpol-cases/k8s-e2e")).unwrap();
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.join("expected.json").is_file());
    cases.sort();
    // Cases with the same pods share one world.
    let mut groups: BTreeMap<String, (Plan, Vec<Vec<Expected>>)> = BTreeMap::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy();
        let cluster = Input::parse([SourceFile::new("cluster", read(&case.join("cluster.yaml")))]);
        let mut scenario = Scenario::new(&cluster, true);
        for workload in &cluster.workloads {
            scenario.add_workload(workload, "default");
        }
        let empty = || (Plan { nodes: scenario.nodes.clone(), rounds: Vec::new() }, Vec::new());
        let group = groups.entry(format!("{:?}", scenario.nodes)).or_insert_with(empty);
        let steps: Value = serde_json::from_str(&read(&case.join("expected.json"))).unwrap();
        let mut policies = BTreeMap::new();
        for step in steps["steps"].as_array().unwrap() {
            apply(step, case, &mut policies, &mut scenario);
            let files = policies.iter().map(|(name, text)| SourceFile::new(name, text.clone()));
            let mut input = Input::parse(files);
            add_round(&name, step, &scenario, &input.policies, false, group);
            input.policies.iter_mut().for_each(mirror);
            add_round(&name, step, &scenario, &input.policies, true, group);
        }
    }
    let start = std::time::Instant::now();
    let mut wrong = Vec::new();
    let (mut tried, mut rounds) = (BTreeMap::new(), 0);
    for (plan, expected) in groups.values() {
        let Some(results) = play(plan) else { return };
        rounds += plan.rounds.len();
        for ((outcomes, meanings), round) in results.rounds.iter().zip(expected).zip(&plan.rounds) {
            for ((outcome, meaning), probe) in outcomes.iter().zip(meanings).zip(&round.probes) {
                *tried.entry(probe.transport.to_string()).or_insert(0) += 1;
                if outcome.passed() != Some(meaning.allowed) {
                    wrong.push(format!("{}: expected {}, got {outcome}", meaning.what, meaning.allowed));
                }
            }
        }
    }
    println!(
        "{} cases, {} worlds, {rounds} rounds, connections {tried:?}, {:?}",
        cases.len(),
        groups.len(),
        start.elapsed()
    );
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

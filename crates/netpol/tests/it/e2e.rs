//! The cases of the Kubernetes end-to-end suite for NetworkPolicies.

use std::path::Path;

use netpol::object::{Label, Labels, Protocol};
use netpol::{Input, Model, Options, Peer, Text, Verdict, WorkloadId};
use serde_json::Value;

use crate::corpus;
use crate::json::{list, number, text};

#[test]
fn every_end_to_end_case_has_its_expected_verdicts() {
    let Some(folder) = corpus::shared("netpol-cases/k8s-e2e") else { return };
    let (mut cases, mut pairs) = (0, 0);
    for case in corpus::folders(&folder) {
        cases += 1;
        pairs += run(&case);
    }
    println!("k8s-e2e: {cases} cases, {pairs} pairs compared");
    assert_eq!(cases, 30);
}

fn run(case: &Path) -> usize {
    let read = |name: &str| corpus::file(&case.join(name));
    let mut input = Input::parse([read("cluster.yaml")]);
    let expected: Value =
        serde_json::from_slice(&std::fs::read(case.join("expected.json")).unwrap()).unwrap();
    let mut pairs = 0;
    for step in list(&expected["steps"]) {
        for name in list(&step["delete_policies"]) {
            let name = name.as_str().unwrap();
            let before = input.policies.len();
            input.policies.retain(|policy| {
                format!("{}/{}", policy.meta.namespace_or("default"), policy.meta.name) != name
            });
            assert_eq!(input.policies.len() + 1, before, "{name}");
        }
        if let Some(file) = step["apply"].as_str() {
            let applied = Input::parse([read(file)]);
            assert_eq!(applied.problems, []);
            for policy in applied.policies {
                let same = |other: &netpol::object::NetworkPolicy| {
                    other.meta.name.value == policy.meta.name.value
                        && other.meta.namespace_or("default") == policy.meta.namespace_or("default")
                };
                input.policies.retain(|other| !same(other));
                input.policies.push(policy);
            }
            for namespace in applied.namespaces {
                input.namespaces.retain(|other| other.meta.name.value != namespace.meta.name.value);
                input.namespaces.push(namespace);
            }
        }
        for (name, labels) in step["set_pod_labels"].as_object().into_iter().flatten() {
            let id = find(&input, name);
            set_labels(&mut input.workloads[id].pod.labels, labels);
        }
        for (name, labels) in step["set_namespace_labels"].as_object().into_iter().flatten() {
            let namespace = input.namespaces.iter_mut().find(|one| one.meta.name.value == *name).unwrap();
            set_labels(&mut namespace.meta.labels, labels);
        }
        let model = Model::new(&input, &Options { complete: true, ..Options::default() });
        for probe in list(&step["probes"]) {
            pairs += compare(&model, probe, &format!("{} step {}", case.display(), step["step"]));
        }
    }
    pairs
}

fn compare(model: &Model<'_>, probe: &Value, place: &str) -> usize {
    let port = u16::try_from(number(&probe["port"])).unwrap();
    let protocol = Protocol::parse(text(&probe["protocol"])).unwrap();
    let mut pairs = 0;
    for (key, wanted) in [("allow", Verdict::Allowed), ("deny", Verdict::Denied)] {
        for pair in list(&probe[key]) {
            let (from, to) = (text(&pair[0]), text(&pair[1]));
            let peer = |name: &str| Peer::Workload(find(model.input(), name));
            let decision = model.decide(&peer(from), &peer(to), protocol, port);
            assert_eq!(decision.verdict, wanted, "{place}: {from} -> {to} {protocol} {port}\n{decision:#?}");
            pairs += 1;
        }
    }
    pairs
}

fn find(input: &Input, name: &str) -> WorkloadId {
    let same = |workload: &netpol::object::Workload| {
        format!("{}/{}", workload.meta.namespace_or("default"), workload.meta.name) == name
    };
    input.workloads.iter().position(same).unwrap_or_else(|| panic!("no pod {name}"))
}

fn set_labels(labels: &mut Labels, new: &Value) {
    let span = labels.span;
    for (key, value) in new.as_object().unwrap() {
        labels.pairs.retain(|pair| pair.key.value != *key);
        if let Some(value) = value.as_str() {
            let text = |value: &str| Text { value: value.to_owned(), span };
            labels.pairs.push(Label { key: text(key), value: text(value), templated: false });
        }
    }
}

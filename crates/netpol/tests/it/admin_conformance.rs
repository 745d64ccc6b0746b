//! The conformance tests of the network-policy-api project (ClusterNetworkPolicy v1alpha2).

use netpol::object::Protocol;
use netpol::{Input, Model, Options, Peer, SourceFile, Verdict};
use serde_json::Value;

use crate::corpus;
use crate::json::{list, number, text};

#[test]
fn every_poke_of_the_conformance_suite_has_its_expected_verdict() {
    let Some(folder) = corpus::shared("netpol-cases/network-policy-api") else { return };
    let base = std::fs::read_to_string(folder.join("base/manifests.yaml")).unwrap();
    let mut pokes = 0;
    let mut tests = 0;
    for file in corpus::json_files(&folder) {
        let test: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let mut files = vec![SourceFile::new("manifests.yaml", with_numbers(&base))];
        files.extend(list(&test["manifests"]).iter().map(|path| corpus::file(&folder.join(text(path)))));
        let input = Input::parse(files);
        assert_eq!(input.problems, [], "{}", file.display());
        let model = Model::new(&input, &Options { complete: true, ..Options::default() });
        for poke in list(&test["pokes"]) {
            let peer = |name: &Value| Peer::Workload(stateful_set(&input, text(name)));
            let port = u16::try_from(number(&poke["port"])).unwrap();
            let protocol = Protocol::parse(text(&poke["protocol"])).unwrap();
            let decision = model.decide(&peer(&poke["client"]), &peer(&poke["server"]), protocol, port);
            let wanted =
                if poke["allowed"] == Value::Bool(true) { Verdict::Allowed } else { Verdict::Denied };
            assert_eq!(decision.verdict, wanted, "{}: {poke}\n{decision:#?}", file.display());
            pokes += 1;
        }
        tests += 1;
    }
    println!("network-policy-api: {tests} tests, {pokes} pokes compared");
    assert!(pokes >= 68);
}

/// The suite fills the host ports of one StatefulSet in at run time.
fn with_numbers(text: &str) -> String {
    let mut text = text.to_owned();
    for index in 0..10 {
        text =
            text.replace(&format!("{{{{ index .HostNetworkPorts {index} }}}}"), &(34340 + index).to_string());
    }
    text
}

fn stateful_set(input: &Input, pod: &str) -> usize {
    let (name, _ordinal) = pod.rsplit_once('-').unwrap();
    let same = |workload: &netpol::object::Workload| {
        format!("{}/{}", workload.meta.namespace_or("default"), workload.meta.name) == name
    };
    input.workloads.iter().position(same).unwrap_or_else(|| panic!("no StatefulSet {name}"))
}

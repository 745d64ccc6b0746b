//! The RBAC manifests grant what the client does, and nothing else.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::objects::{incident, running};
use crate::run::netpol;
use crate::server::{Api, Moods, Step};

/// Verb, group, resource.
type Right = (String, String, String);

/// The rights of the roles in a manifest.
fn granted(file: &str) -> BTreeSet<Right> {
    let path = format!("{}/../../k8s/rbac/{file}", env!("CARGO_MANIFEST_DIR"));
    let roles: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    let texts = |rule: &Value, key: &str| -> Vec<String> {
        rule[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in roles.iter().flat_map(|role| role["rules"].as_array().unwrap()) {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                rights.extend(
                    texts(rule, "verbs").into_iter().map(|verb| (verb, group.clone(), resource.clone())),
                );
            }
        }
    }
    rights
}

fn used(api: &Api) -> BTreeSet<Right> {
    let right =
        |seen: &crate::server::Seen| (seen.verb.to_owned(), seen.group.clone(), seen.resource.clone());
    api.state().seen.iter().map(right).collect()
}

/// What audit and status do.
fn reading() -> BTreeSet<Right> {
    let api = Api::start(incident(), Moods::default());
    netpol(&api, &["audit", "--all-namespaces"]);
    netpol(&api, &["audit"]);
    netpol(&api, &["status"]);
    let refused = ["list namespaces"].map(str::to_owned).into();
    let narrow = Api::start(incident(), Moods { forbidden: refused, ..Moods::default() });
    netpol(&narrow, &["audit"]);
    let watching = Api::start(incident(), Moods::default());
    let mut child = crate::run::command(&watching, &["status", "--watch", "--format", "json"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !used(&watching).iter().any(|(verb, ..)| verb == "watch") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    &(&used(&api) | &used(&narrow)) | &used(&watching)
}

#[test]
fn reading_needs_exactly_what_the_manifest_grants() {
    let mut used = reading();
    // Asked for as metadata, and left out of the role on purpose: the right to the names is the right to the values.
    assert!(used.remove(&("list".to_owned(), String::new(), "secrets".to_owned())));
    assert_eq!(used, granted("netpol-read.yaml"));
    let harmless = ["get", "list", "watch"];
    assert!(used.iter().all(|(verb, ..)| harmless.contains(&verb.as_str())));
}

#[test]
fn a_trial_needs_exactly_what_the_manifests_grant() {
    // A trial that fails does everything: it also reads what the diagnosis needs.
    let script = vec![(50, Step::Pod(running()))];
    let api = Api::start(incident(), Moods { script, ..Moods::default() });
    netpol(&api, &["smoke", "binance-klines-gap-filler-m5", "--deadline", "4s"]);
    let own: BTreeSet<Right> = used(&api).difference(&reading()).cloned().collect();
    assert_eq!(own, granted("netpol-smoke.yaml"));
}

//! `netpol audit`.

use std::fs;

use serde_json::{Value, json};

use crate::objects::{incident, namespace, repaired};
use crate::run::netpol;
use crate::server::{Api, Moods};

#[test]
fn the_incident_is_found_on_the_live_objects() {
    let api = Api::start(incident(), Moods::default());
    let ran = netpol(&api, &["audit", "--show", "error"]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    insta::assert_snapshot!(ran.all());
}

#[test]
fn a_repaired_cluster_is_clean() {
    let api = Api::start(repaired(), Moods::default());
    let ran = netpol(&api, &["audit"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

#[test]
fn with_everything_read_no_verdict_is_left_open_that_the_cluster_decides() {
    let mut objects = repaired();
    objects.push(
        json!({"kind": "Deployment", "metadata": {"name": "coredns", "namespace": "kube-system", "uid": "u"},
        "spec": {"selector": {"matchLabels": {"k8s-app": "kube-dns"}}, "template": {"metadata": {"labels": {
            "k8s-app": "kube-dns"}}, "spec": {"containers": [{"name": "coredns", "ports": [
                {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}]}}}}),
    );
    // Names by a label that only the real namespace tells.
    objects[1]["metadata"]["labels"]["role"] = "dns".into();
    let to = json!([{"namespaceSelector": {"matchLabels": {"role": "dns"}}, "podSelector": {"matchLabels": {
        "k8s-app": "kube-dns"}}}]);
    let ports = json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]);
    for policy in objects.iter_mut().filter(|one| one["kind"] == "NetworkPolicy") {
        if policy["metadata"]["name"] == "allow-binance-gap-filler" {
            policy["spec"]["egress"] =
                json!([{"to": to, "ports": ports}, {"ports": [{"port": 443}, {"port": 3306}]}]);
        }
    }
    let api = Api::start(objects, Moods::default());
    assert_eq!(netpol(&api, &["audit", "-A"]).code, 0);
    api.state().objects[1]["metadata"]["labels"]["role"] = "other".into();
    let ran = netpol(&api, &["audit", "-A"]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.out.contains("error[NP101]: binance-klines-gap-filler-m5 cannot resolve"), "{}", ran.all());
}

#[test]
fn a_list_in_pages_is_read_to_its_end() {
    let api = Api::start(incident(), Moods { page: Some(1), ..Moods::default() });
    let whole = Api::start(incident(), Moods::default());
    let paged = netpol(&api, &["audit", "--format", "json"]).json();
    assert_eq!(paged["summary"], netpol(&whole, &["audit", "--format", "json"]).json()["summary"]);
    assert_eq!(paged["cluster"]["objects"], 7);
    assert!(api.state().seen.iter().any(|seen| seen.query.contains_key("continue")));
}

#[test]
fn a_list_that_expires_is_begun_again() {
    let api = Api::start(incident(), Moods { page: Some(1), expired_pages: 2, ..Moods::default() });
    let ran = netpol(&api, &["audit", "--format", "json"]);
    assert_eq!(ran.json()["cluster"]["objects"], 7, "{}", ran.all());
}

#[test]
fn a_list_that_always_expires_is_asked_for_in_one_piece() {
    let api = Api::start(incident(), Moods { page: Some(1), expired_pages: 1000, ..Moods::default() });
    let ran = netpol(&api, &["audit", "--format", "json"]);
    assert_eq!(ran.json()["cluster"]["objects"], 7, "{}", ran.all());
}

#[test]
fn what_is_refused_is_told_with_what_is_unknown_without_it() {
    let forbidden = ["list secrets", "list namespaces", "list configmaps"].map(str::to_owned).into();
    let api = Api::start(repaired(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["audit", "--show", "warning"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    insta::assert_snapshot!(ran.all());
}

#[test]
fn without_the_policies_nothing_is_called_clean() {
    let forbidden = ["list networkpolicies"].map(str::to_owned).into();
    let api = Api::start(incident(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["audit", "--show", "error"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    insta::assert_snapshot!(ran.err);
    let refused = &netpol(&api, &["audit", "--format", "json"]).json()["cluster"]["refused"];
    assert_eq!(refused[0]["resource"], "networkpolicies.networking.k8s.io");
}

#[test]
fn refused_everything_is_an_error() {
    let kinds = "namespaces networkpolicies cronjobs jobs deployments statefulsets daemonsets replicasets pods services configmaps \
                 secrets ingresses horizontalpodautoscalers poddisruptionbudgets servicemonitors adminnetworkpolicies \
                 baselineadminnetworkpolicies clusternetworkpolicies";
    let forbidden = kinds.split_whitespace().map(|kind| format!("list {kind}")).collect();
    let api = Api::start(incident(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["audit"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn values_of_secrets_are_never_requested() {
    let api = Api::start(incident(), Moods::default());
    netpol(&api, &["audit", "--all-namespaces"]);
    let state = api.state();
    let secrets: Vec<_> = state.seen.iter().filter(|seen| seen.resource == "secrets").collect();
    assert!(!secrets.is_empty());
    for seen in secrets {
        assert_eq!(seen.accept, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    }
}

#[test]
fn a_secret_that_is_spelled_wrong_is_found_by_its_name() {
    let mut objects = repaired();
    let spelled = "/spec/jobTemplate/spec/template/spec/containers/0/env/1/valueFrom/secretKeyRef/name";
    *objects[2].pointer_mut(spelled).unwrap() = "binance-extractor-secrte".into();
    let api = Api::start(objects, Moods::default());
    let ran = netpol(&api, &["audit", "--fail-on", "warning"]);
    assert!(ran.out.contains("Secret binance-extractor-secrte, which does not exist"), "{}", ran.all());
}

#[test]
fn a_running_pod_with_other_labels_is_judged_itself() {
    let mut objects = repaired();
    let job = "binance-klines-gap-filler-m5-1";
    objects.push(json!({"kind": "Job", "metadata": {"name": job, "namespace": "apps", "uid": "u", "ownerReferences": [
        {"kind": "CronJob", "name": "binance-klines-gap-filler-m5", "controller": true}]},
        "spec": {"template": {"metadata": {"labels": {"app": "binance-extractor", "component": "klines-gap-filler"}}}}}));
    objects.push(json!({"kind": "Pod", "metadata": {"name": format!("{job}-x"), "namespace": "apps", "uid": "p",
        "labels": {"app": "binance-extractor", "component": "klines-gapfiller", "job-name": job},
        "ownerReferences": [{"kind": "Job", "name": job, "controller": true}]},
        "spec": {"containers": [{"name": "klines", "env": [{"name": "BINANCE_FUTURES_API_URL", "value": "https://fapi.binance.com"}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.9"}}));
    let api = Api::start(objects, Moods::default());
    let ran = netpol(&api, &["audit", "--show", "error"]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.out.contains("cluster/apps/Pod/binance-klines-gap-filler-m5-1-x"), "{}", ran.all());
}

#[test]
fn a_namespace_that_does_not_exist_is_a_typing_error() {
    let api = Api::start(incident(), Moods::default());
    let ran = netpol(&api, &["audit", "-n", "aps"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn drift_from_the_manifests_is_found_with_both_places() {
    let mut objects = incident();
    objects.push(namespace("other"));
    let api = Api::start(objects, Moods::default());
    let manifests = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-binance-extractor-cronjobs, namespace: apps}
spec:
  podSelector:
    matchLabels: {app: binance-extractor, component: klines-gap-filler}
  policyTypes: [Egress]
  egress:
  - ports: [{port: 53}, {port: 53, protocol: UDP}, {port: 443}, {port: 3306}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-metrics, namespace: apps}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 9090}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: elsewhere, namespace: other}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
    fs::write(api.file("policies.yaml"), manifests).unwrap();
    let ran = netpol(
        &api,
        &["audit", "policies.yaml", "--show", "warning", "--severity", "NP101=off,NP102=off,NP201=off"],
    );
    insta::assert_snapshot!(ran.all());
}

/// The manifests of a folder as an API server would keep them.
fn applied(folder: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") || name == "kustomization.yaml" {
            continue;
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(&path).unwrap()).unwrap();
        objects.extend(documents.into_iter().filter(|document| !document.is_null()));
    }
    for object in &mut objects {
        object["metadata"]["uid"] = "a-uid".into();
        for rule in object["spec"]["egress"].as_array_mut().into_iter().flatten() {
            // What the API server fills in.
            for port in rule["ports"].as_array_mut().into_iter().flatten() {
                if port["protocol"].is_null() {
                    port["protocol"] = "TCP".into();
                }
            }
        }
    }
    objects
}

#[test]
fn the_deployment_as_applied_is_clean_and_has_not_drifted() {
    let folder = format!("{}/../../k8s", env!("CARGO_MANIFEST_DIR"));
    let api = Api::start(applied(&folder), Moods::default());
    let ran = netpol(&api, &["audit", "-n", "petrosa-apps", &folder, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let report = ran.json();
    let drift: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == "NP702").collect();
    assert!(drift.is_empty(), "{drift:#?}");
    assert!(report["summary"]["workloads"].as_u64().unwrap() >= 11, "{}", report["summary"]);
}

#[test]
fn every_format_of_check_is_there() {
    let api = Api::start(incident(), Moods::default());
    for (format, word) in [("sarif", "\"2.1.0\""), ("github", "::error"), ("junit", "<testsuite")] {
        let ran = netpol(&api, &["audit", "--format", format]);
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains(word), "{}", ran.all());
    }
}

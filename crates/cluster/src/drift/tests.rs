//! Drift on small pairs of manifests and clusters.

use netpol::SourceFile;

use super::*;

fn policy(name: &str, component: &str, ports: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: apps}}\nspec:\n  \
         podSelector: {{matchLabels: {{component: {component}}}}}\n  policyTypes: [Egress]\n  egress:\n  - ports: [{ports}]\n"
    )
}

fn cron_job(component: &str, schedule: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: filler, namespace: apps}}\nspec:\n  schedule: \"{schedule}\"\n  \
         jobTemplate: {{spec: {{template: {{metadata: {{labels: {{component: {component}}}}}, spec: {{}}}}}}}}\n"
    )
}

fn drift(live: &[String], manifests: &[String]) -> Vec<String> {
    let files =
        live.iter().enumerate().map(|(n, text)| SourceFile::new(format!("cluster/{n}"), text.as_str()));
    let ours =
        manifests.iter().enumerate().map(|(n, text)| SourceFile::new(format!("k8s/{n}"), text.as_str()));
    let mut input = Input::parse(files.chain(ours));
    let taken = Manifests::take(&mut input, live.len());
    let complete = BTreeSet::from(["NetworkPolicy", "CronJob"]);
    let with = Comparison {
        input: &input,
        live_files: live.len(),
        scope: Some("apps"),
        default_namespace: "apps",
        complete: &complete,
    };
    let findings = taken.compare(&with);
    let lines = findings.iter().map(|finding| {
        let notes: Vec<String> = finding.notes.iter().map(|note| note.render(&input)).collect();
        format!("{} {}: {} [{}]", finding.rule, finding.severity, finding.message, notes.join("; "))
    });
    lines.collect()
}

#[test]
fn the_order_of_ports_is_no_drift() {
    let live = [policy("a", "filler", "{port: 53, protocol: UDP}, {port: 443}")];
    let ours = [policy("a", "filler", "{port: 443, protocol: TCP}, {protocol: UDP, port: 53}")];
    assert_eq!(drift(&live, &ours), Vec::<String>::new());
}

#[test]
fn a_change_by_hand_is_told_from_both_sides() {
    let live = [policy("a", "filler", "{port: 443}")];
    let ours = [policy("a", "filler", "{port: 443}, {port: 3306}")];
    assert_eq!(
        drift(&live, &ours),
        [
            "NP702 warning: policy a is not the same in the cluster [the manifest is at k8s/0:3:18; only in the cluster: allows egress \
          to everyone on 443/TCP; only in the manifest: allows egress to everyone on 3306/TCP, 443/TCP]"
        ]
    );
}

#[test]
fn missing_and_extra_policies_are_told() {
    let live = [policy("only-live", "filler", "{port: 443}")];
    let ours = [policy("only-here", "filler", "{port: 443}")];
    assert_eq!(
        drift(&live, &ours),
        [
            "NP702 warning: policy only-here of the manifests is not in the cluster [what it allows or denies is not so]",
            "NP702 warning: policy only-live is in the cluster and in no manifest [it selects pods with component=filler]",
        ]
    );
}

#[test]
fn other_pod_labels_and_schedules_are_told() {
    let found =
        drift(&[cron_job("klines-extractor", "0 3 * * *")], &[cron_job("klines-gap-filler", "0 2 * * *")]);
    assert_eq!(
        found,
        [
            "NP702 warning: the pods of filler have other labels in the cluster [the manifest is at k8s/0:3:18; pod label component: \
          klines-extractor in the cluster, klines-gap-filler in the manifest; schedule: 0 3 * * * in the cluster, 0 2 * * * in the \
          manifest]"
        ]
    );
}

#[test]
fn labels_of_namespaces_are_compared_as_far_as_the_manifest_gives_them() {
    let namespace = |labels: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: apps, labels: {{{labels}}}}}\n")
    };
    let live = [namespace("team: data, added: by-others")];
    assert_eq!(drift(&live, &[namespace("team: data")]), Vec::<String>::new());
    assert_eq!(
        drift(&live, &[namespace("team: market")]),
        [
            "NP702 warning: namespace apps has other labels in the cluster [the manifest is at k8s/0:3:18; rules with a \
          namespaceSelector look at them; label team: data in the cluster, market in the manifest]"
        ]
    );
}

#[test]
fn nothing_is_missing_of_what_could_not_be_read() {
    let mut input = Input::parse([SourceFile::new("k8s/0", policy("a", "filler", "{port: 443}"))]);
    let taken = Manifests::take(&mut input, 0);
    let with = Comparison {
        input: &input,
        live_files: 0,
        scope: None,
        default_namespace: "apps",
        complete: &BTreeSet::new(),
    };
    assert_eq!(taken.compare(&with), Vec::new());
}

#[test]
fn the_configuration_decides_on_drift_as_on_every_rule() {
    let ours = Input::parse([SourceFile::new("k8s/0", policy("a", "filler", "{port: 443}"))]);
    let found = |meta: &Meta| {
        let mut finding = Finding::new(ObjectId::new(meta, "apps"), "policy a differs");
        finding.severity = Severity::Warning;
        vec![finding]
    };
    let meta = &ours.policies[0].meta;
    assert!(configured(found(meta), &[("NP702".to_owned(), None)], &[]).is_empty());
    let raised = configured(found(meta), &[("np702".to_owned(), Some(Severity::Error))], &[]);
    assert_eq!(raised[0].severity, Severity::Error);
    let ignore =
        Ignore { rule: "NP702".to_owned(), object: "apps/a".to_owned(), reason: "on purpose".to_owned() };
    assert!(configured(found(meta), &[], &[ignore])[0].suppressed.is_some());
}

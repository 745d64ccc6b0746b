use netpol::explain::{Explanation, FindError, explain, find_workload, human};
use netpol::needs::{NeedsFile, derive};
use netpol::{Model, Options};

use crate::shared::{cluster, incident, input};

fn ask(files: &[netpol::SourceFile], from: &str, to: &str) -> Result<Explanation, FindError> {
    let input = input(files);
    let model = Model::new(&input, &Options::default());
    let needs = derive(&input, "default", &NeedsFile::default());
    explain(&model, &needs, find_workload(&model, from)?, to)
}

#[test]
fn a_denied_host_names_dns_first_then_the_policy_and_the_label() {
    let told = ask(&cluster(), "filler", "api.example.com:443").unwrap();
    assert_eq!(told.verdict, "denied");
    let steps: Vec<_> = told.steps.iter().map(|step| (step.protocol.as_str(), step.port)).collect();
    assert_eq!(steps, [("UDP", 53), ("TCP", 53), ("TCP", 443)]);
    let text = human(&told);
    for words in [
        "apps/default-deny (policies.yaml:4:9) selects the pod: it has no rules",
        "apps/allow-loader (policies.yaml:18:5) does not select the pod: component differs: policy wants loader, pod has filler",
        "closest policy: apps/allow-loader (policies.yaml:20:18)",
        "the pod's label: jobs.yaml:13:24",
        "profile: kubernetes",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn an_allowed_host_names_the_rule_that_allows_and_why_others_do_not() {
    let told = ask(&cluster(), "apps/loader", "api.example.com:443").unwrap();
    assert_eq!(told.verdict, "allowed");
    let last = told.steps.last().unwrap().routes[0].egress.as_ref().unwrap();
    assert_eq!(last.summary, "by apps/allow-loader egress rule #2");
    let policy = last.policies.iter().find(|policy| policy.name == "apps/allow-loader").unwrap();
    assert_eq!(policy.rules[0].matches, "no");
    assert_eq!(policy.rules[0].why, ["it names TCP 53 UDP 53, asked was 443/TCP"]);
    assert_eq!(policy.rules[1].matches, "yes");
}

#[test]
fn a_service_is_judged_at_the_port_of_its_pods() {
    let told = ask(&cluster(), "loader", "db.data:3306").unwrap();
    let step = told.steps.last().unwrap();
    assert_eq!(step.routes[0].port, "13306/TCP");
    assert!(step.notes.iter().any(|note| note.contains("policies must name 13306")), "{:?}", step.notes);
}

#[test]
fn a_need_can_be_named_as_reports_name_it() {
    let told = ask(&cluster(), "filler", "mysql:3306").unwrap();
    assert_eq!(told.verdict, "denied");
    assert_eq!(told.steps.last().unwrap().what, "connect to mysql:3306");
}

#[test]
fn workloads_are_found_by_kind_and_namespace_and_ambiguity_lists_them() {
    let files = cluster();
    let input = input(&files);
    let model = Model::new(&input, &Options::default());
    for name in ["db", "data/db", "sts/db", "StatefulSet/data/db", "statefulsets/db"] {
        assert_eq!(find_workload(&model, name), find_workload(&model, "db"), "{name}");
    }
    let missing = find_workload(&model, "fillers").unwrap_err();
    assert!(missing.hint.unwrap().contains("CronJob/apps/filler"));
    let both = [
        files.clone(),
        crate::shared::files(&[(
            "more.yaml",
            &crate::shared::DATABASE.replace("namespace: data", "namespace: test"),
        )]),
    ];
    let input = crate::shared::input(&both.concat());
    let model = Model::new(&input, &Options::default());
    let several = find_workload(&model, "db").unwrap_err();
    assert_eq!(several.hint.unwrap(), "name one of: StatefulSet/data/db, StatefulSet/test/db");
}

#[test]
fn what_is_no_target_is_said_so() {
    for (to, words) in [
        ("other.example.com", "a host needs a port"),
        ("api.example.com:http", "is no port"),
        ("api.example.com:0", "is no port"),
        (":443", "names no host"),
        ("apps/nobody", "no workload is named"),
    ] {
        let error = ask(&cluster(), "filler", to).unwrap_err();
        assert!(error.message.contains(words), "{to}: {error}");
        assert!(error.hint.is_some(), "{to}");
    }
}

#[test]
fn addresses_urls_and_protocols_are_understood() {
    for (to, verdict) in [
        ("https://api.example.com/path", "allowed"),
        ("203.0.113.5:443", "allowed"),
        ("203.0.113.5:443/udp", "denied"),
        ("[2001:db8::1]:443", "denied"),
        ("dns", "allowed"),
        ("db:13306", "denied"),
    ] {
        assert_eq!(ask(&cluster(), "loader", to).unwrap().verdict, verdict, "{to}");
    }
}

#[test]
fn the_incident_is_explained() {
    let Some(files) = incident(&["before", "context"]) else { return };
    let told = ask(&files, "binance-klines-gap-filler-m5", "fapi.binance.com:443").unwrap();
    assert_eq!(told.verdict, "denied");
    assert_eq!(told.closest[0].policy, "petrosa-apps/allow-binance-extractor-cronjobs");
    assert_eq!(
        told.closest[0].difference,
        "app matches, component differs: policy wants klines-extractor, pod has klines-gap-filler"
    );
    let Some(files) = incident(&["after", "context"]) else { return };
    assert_eq!(
        ask(&files, "binance-klines-gap-filler-m5", "fapi.binance.com:443").unwrap().verdict,
        "allowed"
    );
}

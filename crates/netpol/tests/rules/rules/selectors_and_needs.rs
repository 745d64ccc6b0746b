//! NP1xx: needs and selectors.

use super::*;

#[test]
fn np101_a_need_that_is_denied() {
    let deny = policy("deny", DENY);
    let dns = "{ports: [{port: 53, protocol: UDP}, {port: 53}]}";
    let allow = policy("allow", &egress("app: a", &format!("{dns}, {{ports: [{{port: 5432}}]}}")));
    let wrong = join(&[app("a", "app: a", DB), deny.clone(), policy("dns", &egress("app: a", dns))]);
    let checked = fires(
        "NP101",
        "a cannot reach postgresql:5432\npolicy deny denies all egress of this pod, and no rule of dns allows this",
        &wrong,
        &join(&[app("a", "app: a", DB), deny, allow]),
    );
    assert_eq!(checked.of("NP102"), [] as [String; 0]);
}

#[test]
fn np101_a_guess_is_no_error() {
    let env = "env: [{name: LEGACY_MYSQL_REPORT_HOST, valueFrom: {secretKeyRef: {name: s, key: k}}}]";
    let checked = check(&join(&[app("a", "app: a", env), policy("deny", DENY)]));
    assert!(checked.ids().contains(&"NP101 warning".to_owned()), "{:?}", checked.ids());
    assert!(!checked.ids().contains(&"NP101 error".to_owned()), "{:?}", checked.ids());
}

#[test]
fn np102_the_only_one_without_a_policy() {
    let allow = |selector: &str| policy("p", &egress(selector, "{ports: [{port: 443}]}"));
    let apps = [app("a", "app: x, tier: a", DB), app("b", "app: y, tier: b", DB)].concat();
    fires(
        "NP102",
        "b is selected by no policy",
        &(apps.clone() + &allow("tier: a")),
        &(apps + &policy("p", "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 5432}]}]")),
    );
}

#[test]
fn np103_a_selector_that_misses_by_a_letter() {
    let ingress = "policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]";
    let spec = format!("podSelector: {{matchLabels: {{app: shop, component: worker}}}}, {ingress}");
    let wrong = [
        app("a", "app: shop, component: worker", "image: x"),
        app("b", "app: shop, component: wroker", "image: x"),
    ]
    .concat();
    let right = wrong.replace("wroker", "worker");
    let deny = policy("deny", "podSelector: {}, policyTypes: [Ingress]");
    fires(
        "NP103",
        "policy p misses b by one label",
        &(wrong + &policy("p", &spec) + &deny),
        &(right + &policy("p", &spec) + &deny),
    );
}

#[test]
fn np104_a_policy_that_selects_nothing() {
    let apps = app("a", "app: binance-extractor, component: x", "image: x");
    let wrong = policy("p", &egress("app: binance-data-extractor, component: x", "{}"));
    let right = policy("p", &egress("app: binance-extractor, component: x", "{}"));
    fires("NP104", "closest workload: Deployment a", &(apps.clone() + &wrong), &(apps + &right));
}

#[test]
fn np105_a_label_that_is_not_on_the_pods() {
    let job = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j, namespace: n, labels: {interval: m5}}\nspec:\n  jobTemplate:\n    \
               spec: {template: {metadata: {labels: {app: j}}, spec: {containers: [{name: c}]}}}\n---\n";
    let spec = policy("p", &egress("interval: m5", "{}"));
    let right = job.replace("{app: j}", "{app: j, interval: m5}");
    fires(
        "NP105",
        "interval: m5 is on the CronJob and not on the pod template",
        &(job.to_owned() + &spec),
        &(right + &spec),
    );
}

#[test]
fn np106_a_peer_that_matches_nothing() {
    let apps = [app("a", "app: frontend", "image: x"), app("b", "app: db", "image: x")].concat();
    let from = |label: &str| {
        policy(
            "p",
            &format!(
                "podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {label}}}}}}}]}}]"
            ),
        )
    };
    fires(
        "NP106",
        "closest workload: Deployment a",
        &(apps.clone() + &from("fronted")),
        &(apps + &from("frontend")),
    );
}

#[test]
fn np107_name_is_no_label_of_a_namespace() {
    let to = |key: &str| {
        app("a", "app: a", "image: x")
            + &policy(
                "p",
                &egress(
                    "app: a",
                    &format!("{{to: [{{namespaceSelector: {{matchLabels: {{{key}: observability}}}}}}]}}"),
                ),
            )
    };
    let checked = fires(
        "NP107",
        "write kubernetes.io/metadata.name: observability",
        &to("name"),
        &to("kubernetes.io/metadata.name"),
    );
    let set = check(&(namespace("observability", "name: observability") + &to("name")));
    assert_eq!(set.of("NP107"), [] as [String; 0]);
    drop(checked);
}

#[test]
fn np108_a_selector_that_contradicts_itself() {
    let spec = |values: &str| {
        policy(
            "p",
            &format!(
                "podSelector: {{matchLabels: {{tier: web}}, matchExpressions: [{{key: tier, operator: NotIn, values: [{values}]}}]}}"
            ),
        )
    };
    fires("NP108", "contradicts itself on tier", &spec("web"), &spec("db"));
}

#[test]
fn np109_a_policy_in_the_wrong_namespace() {
    let apps = app("a", "app: a", "image: x");
    let here = policy("p", &egress("app: a", "{}"));
    let there = here.replace("namespace: n", "namespace: m");
    fires("NP109", "set metadata.namespace to n", &(apps.clone() + &there), &(apps + &here));
}

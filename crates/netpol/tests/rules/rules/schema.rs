//! NP5xx: form and meaning of policies.

use super::*;

#[test]
fn np501_what_the_api_server_rejects() {
    let to = |peer: &str| policy("p", &egress("app: a", &format!("{{to: [{peer}]}}")));
    fires("NP501", "a peer must hold", &to("{}"), &to("{podSelector: {}}"));
    fires(
        "NP501",
        "write \"true\"",
        &policy("p", "podSelector: {matchLabels: {a: true}}"),
        &policy("p", "podSelector: {matchLabels: {a: 'true'}}"),
    );
}

#[test]
fn np502_types_and_rules_do_not_fit() {
    let spec = |types: &str| {
        policy(
            "p",
            &format!(
                "podSelector: {{}}, policyTypes: [{types}], ingress: [{{from: [{{podSelector: {{}}}}]}}]"
            ),
        )
    };
    fires("NP502", "add Ingress to policyTypes", &spec("Egress"), &spec("Ingress"));
    fires(
        "NP502",
        "so denies all ingress as well",
        &policy("p", "podSelector: {}, egress: [{}]"),
        &policy("p", "podSelector: {}, policyTypes: [Egress], egress: [{}]"),
    );
}

#[test]
fn np503_an_empty_egress_that_denies_nothing() {
    fires(
        "NP503",
        "write policyTypes: [Egress]",
        &policy("p", "podSelector: {}, egress: []"),
        &policy("p", "podSelector: {}, policyTypes: [Egress], egress: []"),
    );
}

#[test]
fn np504_one_rule_that_became_two() {
    let spec = |rules: &str| policy("p", &format!("podSelector: {{}}, ingress: [{rules}]"));
    fires(
        "NP504",
        "look like one rule split in two",
        &spec("{from: [{podSelector: {}}]}, {ports: [{port: 80}]}"),
        &spec("{from: [{podSelector: {}}], ports: [{port: 80}]}"),
    );
}

#[test]
fn np505_copies_of_rules() {
    let p = |name: &str, ports: &str| {
        policy(name, &egress(&format!("app: {name}"), &format!("{{ports: [{ports}]}}")))
    };
    let long = "{port: 53, protocol: UDP}, {port: 443}, {port: 3306}";
    let wrong = p("a", long) + &p("b", &format!("{long}, {{port: 4318}}"));
    fires("NP505", "only b allows 4318/TCP", &wrong, &(p("a", long) + &p("b", "{port: 8080}")));
}

#[test]
fn np506_the_same_name_twice() {
    let one = policy("p", "podSelector: {}");
    fires(
        "NP506",
        "policy p is defined twice",
        &(one.clone() + &one),
        &(one.clone() + &policy("q", "podSelector: {}")),
    );
    fires(
        "NP506",
        "a",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, name: a}\n",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
    );
}

#[test]
fn np507_the_network_of_the_node() {
    let apps = app("a", "app: a", "image: x");
    let host = apps.replace("spec: {containers", "spec: {hostNetwork: true, containers");
    fires(
        "NP507",
        "deny may have no effect on it",
        &(host + &policy("deny", DENY)),
        &(apps + &policy("deny", DENY)),
    );
}

#[test]
fn np508_a_plugin_that_enforces_nothing() {
    let daemon = |name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: {name}, namespace: kube-system}}\nspec: {{template: {{spec: {{containers: []}}}}}}\n---\n"
        )
    };
    let deny = policy("deny", DENY);
    fires(
        "NP508",
        "kube-flannel-ds enforces no policies",
        &(daemon("kube-flannel-ds") + &deny),
        &(daemon("kube-flannel-ds") + &daemon("calico-node") + &deny),
    );
}

#[test]
fn np509_cluster_policies_in_conflict() {
    let p = |name: &str, priority: u16, action: &str| {
        format!(
            "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {{tier: Admin, priority: {priority}, subject: {{namespaces: {{}}}}, egress: [{{action: {action}, to: [{{networks: [0.0.0.0/0]}}]}}]}}\n---\n"
        )
    };
    fires(
        "NP509",
        "their order is not defined",
        &(p("x", 10, "Deny") + &p("y", 10, "Pass")),
        &(p("x", 10, "Deny") + &p("y", 11, "Pass")),
    );
    let apps = app("a", "app: a", DB) + &policy("allow", &egress("app: a", "{ports: [{port: 5432}]}"));
    fires(
        "NP509",
        "x denies a what policy allow allows: postgresql:5432",
        &(apps.clone() + &p("x", 1, "Deny")),
        &(apps + &p("x", 1, "Pass")),
    );
}

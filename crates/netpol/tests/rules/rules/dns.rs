//! NP2xx: DNS.

use super::*;

#[test]
fn np201_egress_without_dns() {
    let to = "{to: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80}]}";
    let apps = [app("a", "app: a", "image: x"), app("b", "app: b", "image: x")].concat();
    let dns = "{ports: [{port: 53, protocol: UDP}, {port: 53}]}";
    fires(
        "NP201",
        "a may reach others, but resolve no name",
        &(apps.clone() + &policy("p", &egress("app: a", to))),
        &(apps + &policy("p", &egress("app: a", &format!("{to}, {dns}")))),
    );
}

#[test]
fn np202_dns_over_udp_alone() {
    let spec = |ports: &str| {
        app("a", "app: a", "image: x") + &policy("p", &egress("app: a", &format!("{{ports: [{ports}]}}")))
    };
    fires(
        "NP202",
        "policy p allows DNS over UDP",
        &spec("{port: 53, protocol: UDP}"),
        &spec("{port: 53, protocol: UDP}, {port: 53}"),
    );
}

#[test]
fn np203_a_dash_too_many_in_the_dns_rule() {
    let space = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}";
    let pods = "podSelector: {matchLabels: {k8s-app: kube-dns}}";
    let to = |peers: &str| {
        policy("p", &egress("app: a", &format!("{{to: [{peers}], ports: [{{port: 53, protocol: UDP}}]}}")))
    };
    fires(
        "NP203",
        "means \"or\"",
        &to(&format!("{{{space}}}, {{{pods}}}")),
        &to(&format!("{{{space}, {pods}}}")),
    );
}

#[test]
fn np204_a_dns_rule_that_misses_the_resolver() {
    let pods = "podSelector: {matchLabels: {k8s-app: kube-dns}}";
    let to = |peer: &str| {
        app("a", "app: a", "image: x")
            + &policy(
                "p",
                &egress(
                    "app: a",
                    &format!("{{to: [{{{peer}}}], ports: [{{port: 53, protocol: UDP}}, {{port: 53}}]}}"),
                ),
            )
    };
    fires(
        "NP204",
        "without a namespaceSelector it looks in n alone",
        &to(pods),
        &to(&format!("namespaceSelector: {{}}, {pods}")),
    );
}

#[test]
fn np205_dns_to_anywhere() {
    let to = |peer: &str| {
        policy("p", &egress("app: a", &format!("{{to: [{peer}], ports: [{{port: 53, protocol: UDP}}]}}")))
    };
    fires(
        "NP205",
        "policy p allows DNS to every address",
        &to("{ipBlock: {cidr: 0.0.0.0/0}}"),
        &to("{ipBlock: {cidr: 10.0.0.0/8}}"),
    );
}

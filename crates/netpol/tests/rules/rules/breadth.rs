//! NP4xx: what is too wide.

use super::*;

#[test]
fn np401_a_database_for_everyone() {
    let to =
        |peer: &str| policy("p", &egress("app: a", &format!("{{to: [{peer}], ports: [{{port: 3306}}]}}")));
    fires(
        "NP401",
        "policy p allows 3306 (mysql) to every address",
        &to("{ipBlock: {cidr: 0.0.0.0/0}}"),
        &to("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: databases}}}"),
    );
}

#[test]
fn np402_the_metadata_server() {
    let to = |except: &str| {
        policy(
            "p",
            &egress(
                "app: a",
                &format!("{{to: [{{ipBlock: {{cidr: 0.0.0.0/0{except}}}}}], ports: [{{port: 80}}]}}"),
            ),
        )
    };
    fires("NP402", "metadata server", &to(""), &to(", except: [169.254.0.0/16]"));
}

#[test]
fn np403_everything_for_everyone() {
    fires(
        "NP403",
        "policy p allows all egress",
        &policy("p", &egress("app: a", "{}")),
        &policy("p", &egress("app: a", "{ports: [{port: 443}]}")),
    );
    fires(
        "NP403",
        "means everyone and not nobody",
        &policy("p", &egress("app: a", "{to: [], ports: [{port: 443}]}")),
        &policy("allow-all", &egress("app: a", "{}")),
    );
}

#[test]
fn np404_pods_that_nothing_isolates() {
    let apps = app("a", "app: a", "image: x");
    fires(
        "NP404",
        "no policy isolates a for ingress and egress",
        &apps,
        &(apps.clone() + &policy("deny", DENY)),
    );
    fires(
        "NP404",
        "namespace n has no policy",
        &namespace("n", "a: b"),
        &(namespace("n", "a: b") + &policy("deny", DENY)),
    );
}

#[test]
fn np405_a_cluster_ip_in_an_ipblock() {
    let to = |cidr: &str| {
        policy(
            "p",
            &egress("app: a", &format!("{{to: [{{ipBlock: {{cidr: {cidr}}}}}], ports: [{{port: 53}}]}}")),
        )
    };
    fires("NP405", "the usual cluster IP of the resolver", &to("10.96.0.10/32"), &to("10.96.0.0/16"));
}

#[test]
fn np406_ipv4_alone() {
    let dual = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\nspec: {clusterIPs: [10.0.0.1, 'fd00::1'], ports: [{port: 1}]}\n---\n";
    let to = |peers: &str| {
        dual.to_owned()
            + &policy("p", &egress("app: a", &format!("{{to: [{peers}], ports: [{{port: 443}}]}}")))
    };
    fires(
        "NP406",
        "names 0.0.0.0/0 and not ::/0",
        &to("{ipBlock: {cidr: 0.0.0.0/0}}"),
        &to("{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}"),
    );
}

//! NP3xx: ports and both ends.

use super::*;

#[test]
fn np301_the_services_port_in_a_policy() {
    let apps = app("a", "app: a", "ports: [{containerPort: 8000}]")
        + &service("s", "app: a", "{port: 80, targetPort: 8000}");
    let from = |port: u16| {
        policy(
            "p",
            &format!("podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: [{{port: {port}}}]}}]"),
        )
    };
    fires(
        "NP301",
        "policy p allows 80, the port of Service s; its pods listen on 8000",
        &(apps.clone() + &from(80)),
        &(apps.clone() + &from(8000)),
    );
    let client = app("b", "app: b", "env: [{name: A_URL, value: 'http://s'}]");
    let dns = "{ports: [{port: 53, protocol: UDP}, {port: 53}]}";
    let to = |port: u16| {
        policy(
            "q",
            &egress("app: b", &format!("{dns}, {{to: [{{podSelector: {{}}}}], ports: [{{port: {port}}}]}}")),
        )
    };
    fires(
        "NP301",
        "b cannot reach s:80: its own egress policies allow 80, the pods listen on 8000",
        &(apps.clone() + &client + &to(80)),
        &(apps + &client + &to(8000)),
    );
}

#[test]
fn np302_a_named_port_that_nobody_has() {
    let apps = app("a", "app: a", "ports: [{containerPort: 80, name: web}]");
    let from = |port: &str| {
        policy(
            "p",
            &format!("podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: [{{port: {port}}}]}}]"),
        )
    };
    fires("NP302", "they name web (80/TCP)", &(apps.clone() + &from("http")), &(apps + &from("web")));
}

#[test]
fn np303_a_protocol_that_the_service_does_not_speak() {
    let to = |protocol: &str| {
        policy("p", &egress("app: a", &format!("{{ports: [{{port: 4317, protocol: {protocol}}}]}}")))
    };
    fires("NP303", "write protocol: TCP", &to("UDP"), &to("TCP"));
}

#[test]
fn np304_one_port_of_a_pair() {
    let apps = app(
        "a",
        "app: a",
        "env: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
    );
    let to = |ports: &str| apps.clone() + &policy("p", &egress("app: a", &format!("{{ports: [{ports}]}}")));
    fires(
        "NP304",
        "policy p allows 4317 and not 4318",
        &to("{port: 4317}"),
        &to("{port: 4317}, {port: 4318}"),
    );
}

#[test]
fn np305_a_grant_that_nobody_needs() {
    let apps = app("a", "app: a", "env: [{name: NATS_URL, value: 'nats://nats.example.com'}]");
    let to = |ports: &str| apps.clone() + &policy("p", &egress("app: a", &format!("{{ports: [{ports}]}}")));
    fires(
        "NP305",
        "what no selected workload needs: 5432 (postgresql)",
        &to("{port: 4222}, {port: 5432}"),
        &to("{port: 4222}, {port: 53}, {port: 443}"),
    );
    let hidden = app(
        "a",
        "app: a",
        "env: [{name: NATS_URL, value: 'nats://nats.example.com'}], envFrom: [{secretRef: {name: s}}]",
    );
    let checked = check(&(hidden + &policy("p", &egress("app: a", "{ports: [{port: 5432}]}"))));
    assert_eq!(checked.of("NP305"), [] as [String; 0], "the Secret may hold a PostgreSQL address");
}

#[test]
fn np306_a_port_that_the_service_does_not_have() {
    let apps = app("a", "app: a", "ports: [{containerPort: 8000}]")
        + &service("data-manager", "app: a", "{port: 80, targetPort: 8000}");
    let client = |port: &str| {
        app("b", "app: b", &format!("env: [{{name: DATA_URL, value: 'http://data-manager{port}'}}]"))
    };
    fires(
        "NP306",
        "b uses port 8000 of Service data-manager, which has 80/TCP",
        &(apps.clone() + &client(":8000")),
        &(apps + &client("")),
    );
}

#[test]
fn np307_the_other_end_denies() {
    let apps = app("a", "app: a", "ports: [{containerPort: 80}]")
        + &service("s", "app: a", "{port: 80}")
        + &app("b", "app: b", "env: [{name: A_URL, value: 'http://s'}]");
    let from = |label: &str| {
        policy(
            "p",
            &format!(
                "podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {label}}}}}}}], ports: [{{port: 80}}]}}]"
            ),
        )
    };
    let checked = fires(
        "NP307",
        "b cannot reach s:80: the ingress policies of a deny it",
        &(apps.clone() + &from("c")),
        &(apps.clone() + &from("b")),
    );
    assert!(
        checked.of("NP307")[0].contains("its podSelector wants app: c, the pod has b"),
        "{:?}",
        checked.of("NP307")
    );
    let nobody = check(&(apps + &policy("deny", "podSelector: {}, policyTypes: [Ingress]")));
    assert!(nobody.of("NP307").iter().any(|finding| finding.contains("nobody can reach Service s")));
}

#[test]
fn np308_the_ingress_controller_is_kept_out() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: n}\nspec: {ingressClassName: nginx, defaultBackend: {service: {name: s, port: {number: 80}}}}\n---\n";
    let apps =
        app("a", "app: a", "ports: [{containerPort: 80}]") + &service("s", "app: a", "{port: 80}") + ingress;
    let from = |peer: &str| {
        policy("p", &format!("podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{from: [{peer}]}}]"))
    };
    fires(
        "NP308",
        "does not let the controller in ingress-nginx in",
        &(apps.clone() + &from("{podSelector: {}}")),
        &(apps + &from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}")),
    );
}

#[test]
fn np309_metrics_that_nobody_may_read() {
    let apps = app("a", "app: a", "image: x").replace("metadata: {labels: {app: a}}", "metadata: {labels: {app: a}, annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '9090'}}");
    let from = |peer: &str| policy("p", &format!("podSelector: {{}}, ingress: [{{from: [{peer}]}}]"));
    fires(
        "NP309",
        "a asks to be scraped on 9090",
        &(apps.clone() + &from("{ipBlock: {cidr: 203.0.113.0/24}}")),
        &(apps + &from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}")),
    );
}

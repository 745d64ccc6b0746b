//! What a workload needs, where that was found, and how sure it is.

use netpol::needs::{Confidence, NeedsFile, Target, WorkloadNeeds, derive};
use netpol::{Input, SourceFile};

fn needs_in(text: &str, more: &str) -> (Input, WorkloadNeeds) {
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: n}}\nspec:\n  containers:\n    - name: c\n{text}---\n{more}"
    );
    let input = Input::parse([SourceFile::new("a.yaml", pod)]);
    assert_eq!(input.problems, []);
    let needs = derive(&input, "default", &NeedsFile::default()).remove(0);
    (input, needs)
}

/// The labels of all needs but DNS, with their confidence.
fn needs(text: &str, more: &str) -> Vec<String> {
    let (_, needs) = needs_in(text, more);
    let named = needs.needs.iter().filter(|need| need.target != Target::Dns);
    named.map(|need| format!("{} {}", need.label(), need.confidence.as_str())).collect()
}

fn env(pairs: &[(&str, &str)]) -> String {
    let mut text = "      env:\n".to_owned();
    for (name, value) in pairs {
        match value.strip_prefix("secret:") {
            Some(key) => text.push_str(&format!(
                "        - {{name: {name}, valueFrom: {{secretKeyRef: {{name: s, key: {key}}}}}}}\n"
            )),
            None => text.push_str(&format!("        - {{name: {name}, value: '{value}'}}\n")),
        }
    }
    text
}

#[test]
fn urls_and_host_port_values_are_needs_and_listeners_are_not() {
    let text = env(&[
        ("API_URL", "https://fapi.binance.com"),
        ("CART_SERVICE_ADDR", "cartservice:7070"),
        ("LISTEN_ADDR", "0.0.0.0:8080"),
        ("CORS_ORIGIN", "https://app.example.com"),
        ("SELF_URL", "http://localhost:9000"),
        ("LOG_LEVEL", "info"),
    ]);
    assert_eq!(needs(&text, ""), ["fapi.binance.com:443 literal", "cartservice:7070 literal"]);
}

#[test]
fn a_name_needs_the_resolver_over_both_protocols_and_an_address_does_not() {
    let (_, named) = needs_in(&env(&[("A_URL", "http://a.example.com")]), "");
    let dns: Vec<String> = named.needs.iter().map(|need| need.label()).take(2).collect();
    assert_eq!(dns, ["DNS 53/UDP", "DNS 53/TCP"]);
    let (_, address) = needs_in(&env(&[("A_URL", "http://203.0.113.5")]), "");
    assert_eq!(address.needs.len(), 1);
}

#[test]
fn well_known_names_say_what_a_secret_hides() {
    let text = env(&[
        ("MYSQL_URI", "secret:a"),
        ("NATS_URL", "secret:b"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "secret:c"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("API_TOKEN", "secret:d"),
    ]);
    assert_eq!(needs(&text, ""), ["mysql:3306 well-known", "nats:4222 well-known", "otlp:4318 well-known"]);
    let (_, found) = needs_in(&text, "");
    assert_eq!(found.unknown.len(), 3);
}

#[test]
fn the_adapter_decides_which_database_is_used() {
    let all = [("MYSQL_URI", "secret:a"), ("POSTGRESQL_URI", "secret:b"), ("MONGODB_URI", "secret:c")];
    let with = |name, value| env(&[&all[..], &[(name, value)]].concat());
    assert_eq!(needs(&with("DB_ADAPTER", "postgresql"), ""), ["postgresql:5432 well-known"]);
    assert_eq!(needs(&with("DB_ADAPTER", "sqlite"), ""), [] as [String; 0]);
    assert_eq!(needs(&with("DB_ADAPTER", "secret:d"), "").len(), 3);
    assert!(needs(&with("DB_ADAPTER", "secret:d"), "").iter().all(|need| need.ends_with("guess")));
    let flag = format!(
        "      args: ['--db-adapter=mysql']\n{}",
        env(&[&all[..], &[("DB_ADAPTER", "mongodb")]].concat())
    );
    assert_eq!(needs(&flag, ""), ["mysql:3306 well-known"]);
}

#[test]
fn what_is_switched_off_is_not_needed() {
    assert_eq!(
        needs(&env(&[("NATS_URL", "nats://a.example.com"), ("NATS_ENABLED", "false")]), ""),
        [] as [String; 0]
    );
    assert_eq!(
        needs(
            &env(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a.example.com:4317"),
                ("OTEL_SDK_DISABLED", "true")
            ]),
            ""
        ),
        [] as [String; 0]
    );
}

#[test]
fn values_are_followed_into_config_maps_and_expanded() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: n}\ndata: {HOSTNAME_DB: db.example.com, NATS_URL: 'nats://nats.nats.svc.cluster.local:4222'}\n";
    let text = "      envFrom: [{configMapRef: {name: m}}]\n      env:\n        - {name: PW, valueFrom: {secretKeyRef: {name: s, key: k}}}\n        - {name: X_URL, value: 'mysql://u:$(PW)@$(HOSTNAME_DB):3307/x'}\n      args: ['--upstream=http://$(HOSTNAME_DB):81/']\n";
    let (input, found) = needs_in(text, map);
    let labels: Vec<String> = found.needs.iter().map(|need| need.label()).collect();
    assert_eq!(labels[2..], ["nats:4222", "mysql:3307", "db.example.com:81"]);
    let nats = &found.needs[2];
    assert_eq!(nats.target, Target::ClusterName { namespace: "nats".to_owned(), name: "nats".to_owned() });
    assert_eq!(nats.evidence[0].key, "NATS_URL");
    assert_eq!(nats.evidence[0].source, "ConfigMap m, key NATS_URL");
    assert!(input.source(nats.evidence[0].value_span.unwrap()).contains("nats://"));
    assert!(!format!("{found:?}").contains("mysql://"), "no value that may hold a password is kept");
}

#[test]
fn hosts_and_ports_are_put_together() {
    assert_eq!(
        needs(&env(&[("REDIS_HOST", "cache.example.com"), ("REDIS_PORT", "6380")]), ""),
        ["cache.example.com:6380 literal"]
    );
    assert_eq!(needs(&env(&[("REDIS_HOST", "cache.example.com")]), ""), ["redis:6379 literal"]);
    let (_, found) = needs_in(&env(&[("THING_HOST", "thing.example.com")]), "");
    assert_eq!(found.needs, []);
    assert!(found.unknown[0].reason.contains("no port is named"));
}

#[test]
fn names_of_the_cluster_lead_to_its_services() {
    let services = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: n}\nspec: {ports: [{port: 80}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: data}\nspec: {ports: [{port: 80}]}\n";
    for (host, index) in [
        ("web", 0),
        ("web.n", 0),
        ("db.data", 1),
        ("db.data.svc", 1),
        ("db.data.svc.cluster.local", 1),
        ("db-0.db.data.svc.cluster.local.", 1),
    ] {
        let (_, found) = needs_in(&env(&[("A_URL", &format!("http://{host}"))]), services);
        assert_eq!(found.needs.last().unwrap().target, Target::Service(index), "{host}");
    }
    let (_, found) = needs_in(&env(&[("A_URL", "http://example.com")]), services);
    assert_eq!(found.needs.last().unwrap().target, Target::Name("example.com".to_owned()));
}

#[test]
fn the_annotation_adds_and_may_say_that_it_is_complete() {
    let pod = |entries: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: n, annotations: {{netpol.binance-extractor.dev/needs: '{entries}'}}}}\nspec: {{containers: [{{name: c, env: [{{name: A_URL, value: 'http://a.example.com'}}]}}]}}\n"
        );
        let input = Input::parse([SourceFile::new("a.yaml", text)]);
        let found = derive(&input, "default", &NeedsFile::default()).remove(0);
        assert_eq!(found.bad_entries, []);
        found
    };
    let labels =
        |found: &WorkloadNeeds| -> Vec<String> { found.needs.iter().map(|need| need.label()).collect() };
    assert_eq!(
        labels(&pod("b.example.com:81, 10.0.0.1:53/UDP")),
        ["DNS 53/UDP", "DNS 53/TCP", "a.example.com:80", "b.example.com:81", "10.0.0.1:53/UDP"]
    );
    assert_eq!(labels(&pod("only 10.0.0.1:81")), ["10.0.0.1:81"]);
    let forbidden = pod("!internet:22 !169.254.169.254").forbidden;
    assert_eq!(forbidden.len(), 2);
    assert_eq!(forbidden[0].target, Target::Internet);
    assert_eq!(forbidden[1].ports, None);
    assert!(
        pod("mysql.databases")
            .needs
            .iter()
            .any(|need| need.port == 3306 && need.confidence == Confidence::Declared)
    );
}

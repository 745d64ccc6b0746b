//! Each rule finds what it is for, and is silent about the corrected manifest.

use netpol::rules;

use crate::support::{Checked, check};

const DENY: &str = "podSelector: {}, policyTypes: [Ingress, Egress]";

/// A Deployment in namespace n; `rest` follows inside the container.
fn app(name: &str, labels: &str, rest: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: n}}\nspec:\n  template:\n    \
         metadata: {{labels: {{{labels}}}}}\n    spec: {{containers: [{{name: c, {rest}}}]}}\n---\n"
    )
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{{spec}}}\n---\n"
    )
}

fn service(name: &str, selector: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{selector: {{{selector}}}, ports: [{ports}]}}\n---\n"
    )
}

/// A CronJob; `spec` and `job` are parts of its spec and of its Job's, `env` of its container.
fn cron(name: &str, spec: &str, job: &str, env: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: {name}, namespace: n, labels: {{app: j}}}}\nspec:\n  \
         {spec}\n  jobTemplate:\n    spec:\n      {job}\n      template:\n        metadata: {{labels: {{app: j}}}}\n        \
         spec: {{restartPolicy: Never, containers: [{{name: c, image: 'x:1', env: [{env}]}}]}}\n---\n"
    )
}

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
}

fn join(parts: &[String]) -> String {
    parts.concat()
}

/// The rule fires on the first manifest with these words, and not on the second.
fn fires(rule: &str, words: &str, wrong: &str, right: &str) -> Checked {
    let checked = check(wrong);
    let found = checked.of(rule);
    assert!(found.iter().any(|finding| finding.contains(words)), "{rule}: {words:?} in\n{}", checked.human());
    let silent = check(right);
    assert_eq!(silent.of(rule), [] as [String; 0], "{rule}\n{}", silent.human());
    checked
}

const DB: &str = "env: [{name: DB_URL, value: 'postgres://db.example.com:5432/x'}]";

fn egress(selector: &str, rules: &str) -> String {
    format!("podSelector: {{matchLabels: {{{selector}}}}}, policyTypes: [Egress], egress: [{rules}]")
}

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

#[test]
fn np601_what_leads_nowhere() {
    let apps = app("a", "app: binance-extractor", "image: x");
    fires(
        "NP601",
        "closest workload: Deployment a",
        &(apps.clone() + &service("s", "app: binance-data-extractor", "{port: 80}")),
        &(apps.clone() + &service("s", "app: binance-extractor", "{port: 80}")),
    );
    let hpa = |name: &str| {
        format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h, namespace: n}}\nspec: {{scaleTargetRef: {{kind: Deployment, name: {name}}}}}\n---\n"
        )
    };
    fires(
        "NP601",
        "scales Deployment b, which does not exist",
        &(apps.clone() + &hpa("b")),
        &(apps.clone() + &hpa("a")),
    );
    let pdb = |label: &str| {
        format!(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: d, namespace: n}}\nspec: {{selector: {{matchLabels: {{app: {label}}}}}}}\n---\n"
        )
    };
    fires(
        "NP601",
        "PodDisruptionBudget d covers no workload",
        &(apps.clone() + &pdb("x")),
        &(apps + &pdb("binance-extractor")),
    );
}

#[test]
fn np602_a_key_that_is_not_there() {
    let map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: common, namespace: n}\ndata: {NATS_URL: x}\n---\n"
            .to_owned();
    let env = |name: &str, key: &str| {
        app(
            "a",
            "app: a",
            &format!("env: [{{name: N, valueFrom: {{configMapKeyRef: {{name: {name}, key: {key}}}}}}}]"),
        )
    };
    fires(
        "NP602",
        "which has no such key",
        &(map.clone() + &env("common", "NATS_URI")),
        &(map.clone() + &env("common", "NATS_URL")),
    );
    fires(
        "NP602",
        "closest: ConfigMap common",
        &(map.clone() + &env("comon", "NATS_URL")),
        &(map + &env("common", "NATS_URL")),
    );
}

#[test]
fn np603_one_of_the_family_is_different() {
    let job = |name: &str, env: &str| cron(name, "schedule: '0 * * * *'", "backoffLimit: 2", env);
    let full = "{name: NATS_URL, value: x}";
    let wrong = job("a", full) + &job("b", full) + &job("c", "");
    fires("NP603", "NATS_URL missing in c", &wrong, &(job("a", full) + &job("b", full) + &job("c", full)));
}

#[test]
fn np604_a_variable_set_twice() {
    fires(
        "NP604",
        "sets A twice",
        &app("a", "app: a", "env: [{name: A, value: x}, {name: A, value: y}]"),
        &app("a", "app: a", "env: [{name: A, value: x}, {name: B, value: y}]"),
    );
}

#[test]
fn np605_a_step_in_the_wrong_field() {
    let job = |schedule: &str| cron("a", &format!("schedule: '{schedule}'"), "backoffLimit: 2", "");
    fires("NP605", "write \"2-59/15 * * * *\"", &job("2 */15 * * *"), &job("2-59/15 * * * *"));
    fires("NP605", "*/45 stands in the minutes", &job("*/45 * * * *"), &job("0 */6 * * *"));
}

#[test]
fn np606_a_deadline_as_long_as_the_period() {
    let job = |deadline: u32| {
        cron(
            "a",
            "{schedule: '*/5 * * * *', concurrencyPolicy: Forbid}",
            &format!("activeDeadlineSeconds: {deadline}"),
            "",
        )
        .replace(
            "  {schedule: '*/5 * * * *', concurrencyPolicy: Forbid}",
            "  schedule: '*/5 * * * *'\n  concurrencyPolicy: Forbid",
        )
    };
    fires("NP606", "may run for 300 s and starts every 300 s", &job(300), &job(240));
}

#[test]
fn np607_one_try_for_a_job_under_isolation() {
    let job = |limit: u32| {
        cron(
            "a",
            "schedule: '0 * * * *'",
            &format!("backoffLimit: {limit}"),
            "{name: A_URL, value: 'https://a.example.com'}",
        ) + &policy("p", &egress("app: j", "{}"))
    };
    fires("NP607", "a has one try", &job(0), &job(1));
}

#[test]
fn np701_what_the_input_does_not_tell() {
    let apps = |env: &str| app("a", "app: a", env) + &policy("p", &egress("app: a", "{}"));
    fires(
        "NP701",
        "is not fully known: MYSQL_URI",
        &apps("env: [{name: MYSQL_URI, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
        &apps("env: [{name: MYSQL_URI, value: 'mysql://db.example.com/x'}]"),
    );
}

#[test]
fn every_rule_is_documented_and_ids_are_in_order() {
    assert_eq!(rules::ALL.len(), 49);
    for pair in rules::ALL.windows(2) {
        assert!(pair[0].id < pair[1].id);
    }
    for rule in rules::ALL {
        for text in [rule.title, rule.what, rule.why, rule.example, rule.fix] {
            assert!(text.len() > 10, "{}", rule.id);
        }
        assert!(rule.page().contains(rule.id));
        assert!(rule.page().lines().all(|line| line.chars().count() <= 120), "{}", rule.page());
        assert_eq!(rules::find(rule.id).map(|rule| rule.name), Some(rule.name));
        assert_eq!(rules::find(&rule.id.to_lowercase()).map(|rule| rule.id), Some(rule.id));
    }
    assert!(rules::find("NP999").is_none());
}

//! From names, Services and the resolver to pods.

use netpol::object::{Protocol, Tri};
use netpol::{Answer, Input, Miss, Model, Note, Options, Peer, SourceFile, Target, Verdict};

const APPS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: data, labels: {app: db}}
spec: {containers: [{name: c, ports: [{name: sql, containerPort: 13306}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {selector: {app: db}, ports: [{port: 3306, targetPort: sql}]}
---
apiVersion: v1
kind: Service
metadata: {name: db-pods, namespace: data}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 3306, targetPort: sql}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: data}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: data}
spec: {selector: {app: gone}, ports: [{port: 3306}]}
---
apiVersion: v1
kind: Service
metadata: {name: manual, namespace: data}
spec: {ports: [{port: 3306}]}
";

fn egress(rules: &str) -> Input {
    let policy = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: \
         {{podSelector: {{}}, policyTypes: [Egress], egress: [{rules}]}}\n"
    );
    let input = Input::parse([SourceFile::new("a.yaml", format!("{APPS}{policy}"))]);
    assert_eq!(input.problems, []);
    input
}

fn ask(input: &Input, host: &str, port: u16) -> Answer {
    let model = Model::new(input, &Options::default());
    let target = model.resolve_host(host, Some("shop"));
    model.verdict(&Peer::Workload(0), &target, Protocol::Tcp, port)
}

const TO_DB: &str = "to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}, podSelector: \
                     {matchLabels: {app: db}}}]";

#[test]
fn a_policy_must_name_the_port_of_the_pod_and_not_of_the_service() {
    let by_service = ask(&egress(&format!("{{{TO_DB}, ports: [{{port: 3306}}]}}")), "db.data", 3306);
    assert_eq!(by_service.verdict, Verdict::Denied);
    assert_eq!(by_service.notes, [Note::PortMapped { service_port: 3306, pod_port: 13306 }]);
    for port in ["13306", "sql"] {
        let input = egress(&format!("{{{TO_DB}, ports: [{{port: {port}}}]}}"));
        for host in ["db.data", "db.data.svc", "db.data.svc.cluster.local."] {
            assert_eq!(ask(&input, host, 3306).verdict, Verdict::Allowed, "{host} {port}");
        }
    }
}

#[test]
fn a_headless_service_maps_no_port() {
    let input = egress(&format!("{{{TO_DB}, ports: [{{port: 13306}}]}}"));
    assert_eq!(ask(&input, "db-pods.data", 13306).verdict, Verdict::Allowed);
    assert_eq!(ask(&input, "db-pods.data", 3306).verdict, Verdict::Denied);
}

#[test]
fn a_port_that_the_service_does_not_have_cannot_work() {
    let answer = ask(&egress("{}"), "db.data", 5432);
    assert_eq!(answer.verdict, Verdict::Denied);
    assert_eq!(answer.notes, [Note::NoSuchPort { offers: vec![(Protocol::Tcp, 3306)] }]);
}

#[test]
fn an_external_name_is_judged_as_the_name_it_stands_for() {
    let internet = egress("{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 3306}]}");
    let answer = ask(&internet, "outside.data", 3306);
    assert_eq!(answer.verdict, Verdict::Allowed);
    assert!(matches!(&answer.routes[0].to, Peer::Name(name) if name == "db.example.com"));
}

#[test]
fn a_service_whose_pods_are_not_in_the_input_is_judged_by_its_selector() {
    let to_gone = TO_DB.replace("app: db", "app: gone");
    let answer = ask(&egress(&format!("{{{to_gone}}}")), "nobody.data", 3306);
    assert_eq!((answer.verdict, answer.notes), (Verdict::Allowed, vec![Note::NoBackends]));
    assert_eq!(ask(&egress(&format!("{{{TO_DB}}}")), "nobody.data", 3306).verdict, Verdict::Denied);
}

#[test]
fn a_service_without_selector_is_unknown_unless_everything_is_open_or_closed() {
    assert_eq!(ask(&egress(&format!("{{{TO_DB}}}")), "manual.data", 3306).verdict, Verdict::Unknown);
    assert_eq!(ask(&egress("{}"), "manual.data", 3306).verdict, Verdict::Allowed);
    assert_eq!(ask(&egress(""), "manual.data", 3306).verdict, Verdict::Denied);
}

#[test]
fn a_name_is_allowed_only_when_every_public_address_is() {
    let all = egress("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.169.254/32]}}]}");
    assert_eq!(ask(&all, "api.example.com", 443).verdict, Verdict::Allowed);
    let halves = egress("{to: [{ipBlock: {cidr: 0.0.0.0/1}}]}, {to: [{ipBlock: {cidr: 128.0.0.0/1}}]}");
    assert_eq!(ask(&halves, "api.example.com", 443).verdict, Verdict::Allowed);
    let some = ask(&egress("{to: [{ipBlock: {cidr: 52.0.0.0/8}}]}"), "api.example.com", 443);
    assert_eq!(some.verdict, Verdict::Unknown);
    let side = some.routes[0].decision.egress.as_ref().unwrap();
    assert_eq!(side.allowed_addresses.as_ref().unwrap().to_string(), "52.0.0.0/8");
    assert_eq!(
        ask(&egress("{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}"), "api.example.com", 443).verdict,
        Verdict::Denied
    );
}

#[test]
fn selectors_never_reach_the_outside_and_say_so() {
    let answer = ask(&egress("{to: [{namespaceSelector: {}}]}"), "1.1.1.1", 443);
    let side = answer.routes[0].decision.egress.as_ref().unwrap();
    assert_eq!(side.verdict, Verdict::Denied);
    assert_eq!(side.rules[0].peers[0].misses, [Miss::SelectorForAddress]);
}

#[test]
fn the_label_that_is_off_is_named_with_its_place() {
    let input = egress(&format!("{{{}}}", TO_DB.replace("app: db", "app: database")));
    let answer = ask(&input, "db.data", 3306);
    let side = answer.routes[0].decision.egress.as_ref().unwrap();
    let [Miss::Label(unmet)] = side.rules[0].peers[0].misses.as_slice() else { panic!("{side:#?}") };
    assert_eq!((unmet.key.as_str(), unmet.actual.as_deref()), ("app", Some("db")));
    assert_eq!(input.source(unmet.span), "database");
}

#[test]
fn labels_of_a_namespace_that_no_manifest_describes_are_unknown() {
    let input = egress("{to: [{namespaceSelector: {matchLabels: {name: data}}}]}");
    let answer = ask(&input, "db.data", 3306);
    assert_eq!(answer.verdict, Verdict::Unknown);
    let side = answer.routes[0].decision.egress.as_ref().unwrap();
    assert_eq!(side.rules[0].peer, Tri::Maybe);
    let model = Model::new(&input, &Options { complete: true, ..Options::default() });
    let target = model.resolve_host("db.data", Some("shop"));
    assert_eq!(model.verdict(&Peer::Workload(0), &target, Protocol::Tcp, 3306).verdict, Verdict::Denied);
}

#[test]
fn names_are_told_apart_from_services() {
    let input = egress("{}");
    let model = Model::new(&input, &Options::default());
    let resolve = |host: &str| model.resolve_host(host, Some("data"));
    assert_eq!(resolve("localhost"), Target::Loopback);
    assert_eq!(resolve("[::1]"), Target::Loopback);
    assert_eq!(resolve("db"), Target::Service(0));
    assert!(matches!(resolve("example.com"), Target::Peer(Peer::Name(_))));
    assert!(matches!(resolve("fapi.binance.com."), Target::Peer(Peer::Name(_))));
    assert!(matches!(resolve("nats.nats"), Target::Peer(Peer::Pod(_))));
    assert!(matches!(resolve("redis"), Target::Peer(Peer::Pod(_))));
    assert!(matches!(resolve("vault.corp.internal"), Target::Peer(Peer::Addresses(_))));
    assert!(matches!(resolve("192.0.2.1"), Target::Peer(Peer::Addresses(_))));
}

#[test]
fn a_host_network_pod_is_neither_allowed_nor_denied_by_policies() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: node-agent, namespace: a, labels: {app: x}}
spec: {hostNetwork: true}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: a}
spec: {podSelector: {}, policyTypes: [Egress]}
";
    let input = Input::parse([SourceFile::new("a.yaml", text)]);
    let model = Model::new(&input, &Options::default());
    let decision = model.decide(&Peer::Workload(0), &Peer::Name("a.example".to_owned()), Protocol::Tcp, 443);
    assert_eq!(decision.verdict, Verdict::Unknown);
    assert_eq!(decision.egress.unwrap().reason, netpol::Reason::HostNetwork);
}

#[test]
fn a_policy_that_the_api_server_would_reject_may_not_exist() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: a, labels: {app: x}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: a}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{}], ports: [{port: 443}]}, {ports: [{port: 80}]}]}
";
    let input = Input::parse([SourceFile::new("a.yaml", text)]);
    assert!(input.policies[0].rejected);
    let model = Model::new(&input, &Options::default());
    let ask = |port| {
        model.decide(&Peer::Workload(0), &Peer::Name("a.example".to_owned()), Protocol::Tcp, port).verdict
    };
    // Allowed with the policy and without it; the others only without.
    assert_eq!(ask(80), Verdict::Allowed);
    assert_eq!(ask(443), Verdict::Unknown);
    assert_eq!(ask(22), Verdict::Unknown);
}

#[test]
fn a_pod_that_does_not_use_the_cluster_resolver_is_not_judged_as_if_it_did() {
    let text =
        APPS.replacen("labels: {app: client}}", "labels: {app: client}}\nspec: {dnsPolicy: Default}", 1);
    let input = Input::parse([SourceFile::new("a.yaml", text)]);
    let model = Model::new(&input, &Options::default());
    let answer = model.verdict(&Peer::Workload(0), &Target::Dns, Protocol::Udp, 53);
    assert_eq!((answer.verdict, answer.notes), (Verdict::Allowed, vec![Note::NodeResolver]));
}

#[test]
fn one_question_in_one_line() {
    assert_eq!(netpol::ask(APPS, "shop/client", "db.data:3306"), Ok(Verdict::Allowed));
    let missing = netpol::ask(APPS, "client", "db.data:3306").unwrap_err();
    assert!(missing.to_string().contains("shop/client"), "{missing}");
    assert!(netpol::ask(APPS, "shop/client", "db.data").is_err());
    assert!(netpol::ask("a: [", "shop/client", "db.data:1").is_err());
}

//! Reading: positions, leniency, hostile input.

use netpol::object::{EnvValue, PortRef, WorkloadKind};
use netpol::{Input, Limits, ProblemKind, SourceFile};

use crate::corpus;

fn read(text: &str) -> Input {
    Input::parse([SourceFile::new("a.yaml", text)])
}

fn kinds(input: &Input) -> Vec<ProblemKind> {
    input.problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn every_public_manifest_is_read_and_positions_point_at_what_they_say() {
    for set in ["realworld", "np-guard/tests", "k8s-e2e", "kube-linter", "kube-score", "kubescape"] {
        let Some(folder) = corpus::shared(&format!("netpol-cases/{set}")) else { return };
        let input = corpus::input(&folder);
        println!(
            "{set}: {} files, {} documents, {} workloads, {} policies, {} problems",
            input.files.len(),
            input.documents,
            input.workloads.len(),
            input.policies.len(),
            input.problems.len()
        );
        for problem in &input.problems {
            println!("  {}: {:?} {}", input.locate(problem.span), problem.kind, problem.message);
        }
        assert!(input.documents > 0);
        for workload in &input.workloads {
            for pair in workload.pod.labels.pairs.iter().filter(|pair| !pair.templated) {
                let written = input.source(pair.value.span).trim_matches(['"', '\'']);
                assert_eq!(written, pair.value.value, "{}", input.locate(pair.value.span));
                let line = input.files[pair.value.span.file.0 as usize].line(pair.value.span.line);
                let at = pair.value.span.column as usize - 1;
                let tail: String = line.chars().skip(at).collect();
                assert!(tail.trim_matches(['"', '\'']).starts_with(&pair.value.value), "{tail}");
            }
        }
    }
}

#[test]
fn a_cron_job_keeps_its_three_sets_of_labels_apart() {
    let input = read(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c, namespace: n, labels: {a: object}}\nspec:\n  \
         schedule: '5 2 * * *'\n  concurrencyPolicy: Forbid\n  jobTemplate:\n    metadata: {labels: {a: job}}\n    \
         spec:\n      backoffLimit: 1\n      template:\n        metadata: {labels: {a: pod}}\n        spec:\n          \
         containers: [{name: x, env: [{name: A, value: b}, {name: S, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]\n",
    );
    assert_eq!(input.problems, []);
    let job = &input.workloads[0];
    assert_eq!(job.kind, WorkloadKind::CronJob);
    assert_eq!(job.meta.labels.value("a"), Some("object"));
    assert_eq!(job.job_labels.value("a"), Some("job"));
    assert_eq!(job.pod.labels.value("a"), Some("pod"));
    assert_eq!(job.job.as_ref().unwrap().backoff_limit.as_ref().unwrap().value, 1);
    let env = &job.pod.containers[0].env;
    assert!(matches!(&env[0].value, EnvValue::Literal(text, false) if text.value == "b"));
    assert!(matches!(&env[1].value, EnvValue::SecretKey(key) if key.key.value == "k"));
}

#[test]
fn columns_count_characters_and_bytes_count_from_the_start_of_the_file() {
    let text = "\u{FEFF}kind: Namespace\r\napiVersion: v1\r\nmetadata: {name: é, labels: {ü: x}}\r\n";
    let input = read(text);
    let name = &input.namespaces[0].meta.name;
    assert_eq!((name.span.line, name.span.column), (3, 18));
    assert_eq!(&text[name.span.range()], "é");
    let label = &input.namespaces[0].meta.labels.pairs[0];
    assert_eq!(&text[label.value.span.range()], "x");
    assert_eq!(label.value.span.column, 33);
}

#[test]
fn lines_are_counted_as_yaml_counts_them() {
    let input = read("apiVersion: v1\rkind: Namespace\r\nmetadata:\n  name: a\r  labels: {x: 1}\n\n");
    let lines: Vec<&str> = input.files[0].lines().collect();
    assert_eq!(
        lines,
        ["apiVersion: v1", "kind: Namespace", "metadata:", "  name: a", "  labels: {x: 1}", "", ""]
    );
    assert_eq!(input.problems[0].span.line, 5);
    assert_eq!(input.files[0].line(5), "  labels: {x: 1}");
}

#[test]
fn json_lists_and_typed_lists_are_read() {
    let input = read(
        r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}},
           {"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"p","namespace":"a"},"spec":{}}]}]}"#,
    );
    assert_eq!(input.problems, []);
    assert_eq!(input.namespaces[0].meta.name.value, "a");
    assert_eq!(input.workloads[0].meta.name.value, "p");
}

#[test]
fn a_broken_document_does_not_stop_the_next_one() {
    let input = read(
        "kind: Namespace\nmetadata: {name: [\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n",
    );
    assert_eq!(kinds(&input), [ProblemKind::Syntax]);
    assert_eq!(input.namespaces.len(), 1);
    assert_eq!(input.namespaces[0].meta.name.value, "b");
}

#[test]
fn duplicate_keys_are_reported_and_the_last_one_counts() {
    let input = read("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  name: b\n");
    assert_eq!(kinds(&input), [ProblemKind::DuplicateKey]);
    assert_eq!(input.problems[0].span.line, 5);
    assert_eq!(input.namespaces[0].meta.name.value, "b");
}

#[test]
fn a_tab_is_named_as_the_cause() {
    let input = read("kind: Namespace\nmetadata:\n\tname: a\n");
    assert_eq!(kinds(&input), [ProblemKind::Syntax]);
    assert!(input.problems[0].message.contains("tab"), "{}", input.problems[0].message);
    assert_eq!(input.problems[0].span.line, 3);
}

#[test]
fn a_tab_inside_brackets_is_read_as_kubectl_does() {
    let input = read(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  \
         name: [\n\t x]\n",
    );
    assert_eq!(kinds(&input), [ProblemKind::WrongType, ProblemKind::Invalid]);
    assert_eq!((input.namespaces.len(), input.config_maps.len()), (1, 1));
}

#[test]
fn a_label_that_is_no_string_is_reported_with_its_quoting() {
    let input = read(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector:\n    \
         matchLabels: {component: true, tier: 1}\n",
    );
    assert_eq!(kinds(&input), [ProblemKind::WrongType, ProblemKind::WrongType]);
    assert!(input.problems[0].message.contains("write \"true\""), "{}", input.problems[0].message);
    assert_eq!(input.problems[0].object, "NetworkPolicy p");
}

#[test]
fn fields_beside_their_parent_are_reported_and_never_widen_a_rule() {
    let input = read(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  \
         ingress:\n  - from:\n    podSelector: {matchLabels: {a: b}}\n    ports: [{port: 80, endport: 90}]\n",
    );
    assert_eq!(kinds(&input), [ProblemKind::UnknownField, ProblemKind::UnknownField]);
    assert!(input.problems[1].message.contains("write endPort"), "{}", input.problems[1].message);
    let rule = &input.policies[0].ingress.as_ref().unwrap()[0];
    assert!(rule.peers[0].invalid);
}

#[test]
fn peers_and_ports_that_the_api_server_rejects_are_reported() {
    let input = read(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  \
         egress:\n  - to: [{}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8, 11.0.0.0/24]}, podSelector: {}}]\n    \
         ports: [{port: 0}, {port: 90, endPort: 80}, {port: web, endPort: 80}, {protocol: tcp}, {port: '80'}]\n",
    );
    let messages: Vec<&str> = input.problems.iter().map(|problem| problem.message.as_str()).collect();
    for part in [
        "rejects an empty one",
        "except 10.0.0.0/8",
        "except 11.0.0.0/24",
        "must stand alone",
        "between 1 and 65535",
        "endPort 80 is below port 90",
        "not the name \"web\"",
        "must be written TCP",
        "because of the quotes",
    ] {
        assert!(messages.iter().any(|message| message.contains(part)), "{part} in {messages:#?}");
    }
    let ports = &input.policies[0].egress.as_ref().unwrap()[0].ports;
    assert!(ports[..4].iter().all(|port| port.invalid));
    assert_eq!(ports[4].port.as_ref().unwrap().value, PortRef::Name("80".into()));
}

#[test]
fn templates_hide_values_and_nothing_else() {
    let input = read(
        "{{- if .Values.on }}\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-web\n  \
         labels:\n    {{- include \"x.labels\" . | nindent 4 }}\nspec:\n  replicas: {{ .Values.n }}\n  template:\n    \
         metadata:\n      labels:\n        app: web\n        tier: \"{{ .Values.tier }}\"\n    spec:\n      \
         containers: [{name: c, ports: [{containerPort: 80}]}]\n{{- end }}\n",
    );
    assert_eq!(input.problems, []);
    let workload = &input.workloads[0];
    assert_eq!(workload.meta.name.value, "{{ .Release.Name }}-web");
    assert!(workload.meta.templated);
    let labels = &workload.pod.labels;
    assert_eq!((labels.value("app"), labels.get("app").unwrap().templated), (Some("web"), false));
    assert!(labels.get("tier").unwrap().templated);
    assert_eq!(workload.replicas, None);
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let input = read(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: &l {a: b}}\nspec:\n  selector: {<<: *l, c: d}\n",
    );
    assert_eq!(input.problems, []);
    let selector = input.services[0].selector.as_ref().unwrap();
    assert_eq!((selector.value("a"), selector.value("c")), (Some("b"), Some("d")));
}

#[test]
fn an_alias_bomb_meets_its_limit() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let refs = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
    }
    let input = read(&text);
    assert_eq!(kinds(&input), [ProblemKind::Limit]);
}

#[test]
fn deep_nesting_meets_its_limit() {
    for text in ["[".repeat(200_000), "{a: ".repeat(200_000), "- ".repeat(200_000)] {
        let input = read(&text);
        assert!(!input.problems.is_empty());
    }
}

#[test]
fn a_file_over_the_size_limit_is_named_and_not_read() {
    let limits = Limits { file_bytes: 10, ..Limits::default() };
    let input = Input::parse_with([SourceFile::new("big.yaml", "kind: Namespace\n")], &limits);
    assert_eq!(kinds(&input), [ProblemKind::Limit]);
}

#[test]
fn bytes_that_are_no_text_are_reported_with_their_place() {
    let input = Input::parse([
        SourceFile::from_bytes("bin", b"ok: 1\nx\xff\xfe".to_vec()),
        SourceFile::from_bytes("utf16", vec![0xFF, 0xFE, b'k', 0]),
        SourceFile::from_bytes("nul", b"\0\0\0".to_vec()),
    ]);
    assert_eq!(input.problems[0].kind, ProblemKind::Encoding);
    assert_eq!(input.locate(input.problems[0].span).to_string(), "bin:2:2");
    assert!(input.problems[1].message.contains("UTF-16"));
}

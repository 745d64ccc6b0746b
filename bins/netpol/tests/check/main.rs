//! `netpol check` and `netpol rules` as a person runs them: exit codes, streams, formats, configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MYSQL: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: n}\nspec: \
    {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 3306}]}]}\n";

const APP: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: n, labels: {app: a}}\nspec: {containers: \
    [{name: c, env: [{name: A_URL, value: 'https://a.example.com'}]}]}\n";

fn netpol(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netpol")).args(args).current_dir(folder).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder of its own with files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn the_exit_code_says_clean_findings_or_wrong_input() {
    let folder = folder(&[
        ("k8s/p.yaml", MYSQL),
        ("bad/app.yaml", &format!("{APP}---\n{MYSQL}")),
        ("broken/x.yaml", "a: [\n"),
    ]);
    let path = folder.path();
    assert_eq!(netpol(path, &["check", "k8s"]).status.code(), Some(0));
    assert_eq!(netpol(path, &["check", "k8s", "--fail-on", "warning"]).status.code(), Some(1));
    let bad = netpol(path, &["check", "bad"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        out(&bad).starts_with(
            "error[NP101]: a cannot resolve any host name (DNS, 53/UDP and 53/TCP)\n  --> bad/app.yaml:"
        ),
        "{}",
        out(&bad)
    );
    assert_eq!(netpol(path, &["check", "bad", "--fail-on", "never"]).status.code(), Some(0));
    for args in [
        &["check", "broken"][..],
        &["check", "missing"],
        &["check"],
        &["nonsense"],
        &["check", "k8s", "--severity", "NP999=error"],
    ] {
        assert_eq!(netpol(path, args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_broken_file_is_named_with_its_place_and_the_rest_is_checked() {
    let folder = folder(&[
        ("a.yaml", &format!("{APP}---\n{MYSQL}")),
        ("broken.yaml", "kind: Pod\nmetadata:\n\tname: x\n"),
    ]);
    let output = netpol(folder.path(), &["check", "."]);
    assert_eq!(output.status.code(), Some(2));
    let text = out(&output);
    assert!(text.contains("error[input]") && text.contains("./broken.yaml:3:"), "{text}");
    assert!(text.contains("error[NP101]"), "{text}");
}

#[test]
fn manifests_come_from_folders_files_and_standard_input() {
    let folder =
        folder(&[("k8s/deep/p.yml", MYSQL), ("k8s/deep/.hidden/q.yaml", "a: ["), ("k8s/notes.txt", "a: [")]);
    let text = out(&netpol(folder.path(), &["check", "k8s"]));
    assert!(text.contains("1 file, 0 workloads, 1 policy"), "{text}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_netpol"))
        .args(["check", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MYSQL.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["findings"][0]["file"], "<stdin>");
}

#[test]
fn the_world_comes_from_context_assumptions_profile_and_needs() {
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: n}\nspec: {podSelector: {}, policyTypes: [Egress]}\n";
    let folder = folder(&[
        ("k8s/a.yaml", APP),
        ("base/deny.yaml", deny),
        ("needs.yaml", "workloads: [{match: a, needs: ['10.0.0.1:99']}]"),
    ]);
    let path = folder.path();
    assert_eq!(netpol(path, &["check", "k8s"]).status.code(), Some(0));
    let context = netpol(path, &["check", "k8s", "--context", "base"]);
    assert_eq!(context.status.code(), Some(1));
    assert!(
        out(&context).contains("= fix: netpol fix k8s --context base --write k8s/network-policy-a.yaml"),
        "{}",
        out(&context)
    );
    let assumed = netpol(
        path,
        &["check", "k8s", "--assume-default-deny", "m,n", "--profile", "cilium", "--needs", "needs.yaml"],
    );
    let text = out(&assumed);
    assert!(text.contains("profile: cilium") && text.contains("assumed: default-deny in m, n"), "{text}");
    assert!(text.contains("needs blocked as well: a.example.com:443, 10.0.0.1:99"), "{text}");
}

#[test]
fn colours_are_for_terminals_alone() {
    let folder = folder(&[("a.yaml", MYSQL)]);
    assert!(!out(&netpol(folder.path(), &["check", "a.yaml"])).contains('\u{1b}'));
    assert!(out(&netpol(folder.path(), &["check", "a.yaml", "--color", "always"])).contains('\u{1b}'));
}

#[test]
fn the_configuration_sets_severities_and_accepts_findings_with_a_reason() {
    let config = "[severity]\nNP404 = \"off\"\nNP401 = \"error\"\n";
    let accept = format!("{config}[[ignore]]\nrule = \"NP401\"\nobject = \"n/p\"\nreason = \"managed\"\n");
    let folder = folder(&[
        ("a.yaml", MYSQL),
        ("strict.toml", config),
        ("accept.toml", &accept),
        ("silent.toml", "[[ignore]]\nrule = \"NP401\"\nobject = \"p\"\nreason = \"\"\n"),
        ("odd.toml", "[rules]\n"),
    ]);
    let path = folder.path();
    let strict = netpol(path, &["check", "a.yaml", "--config", "strict.toml"]);
    assert_eq!(strict.status.code(), Some(1), "{}", out(&strict));
    let accepted = netpol(path, &["check", "a.yaml", "--config", "accept.toml"]);
    assert_eq!(accepted.status.code(), Some(0));
    assert!(out(&accepted).contains("reason: managed (config)"));
    let flag = netpol(path, &["check", "a.yaml", "--config", "strict.toml", "--severity", "NP401=info"]);
    assert_eq!(flag.status.code(), Some(0), "the command line has the last word");
    for name in ["silent.toml", "odd.toml", "none.toml"] {
        let output = netpol(path, &["check", "a.yaml", "--config", name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).starts_with("error: "), "{}", err(&output));
    }
    std::fs::copy(path.join("strict.toml"), path.join("netpol.toml")).unwrap();
    assert_eq!(
        netpol(path, &["check", "a.yaml"]).status.code(),
        Some(1),
        "netpol.toml is read when it is there"
    );
}

#[test]
fn every_format_says_the_same_in_its_own_way() {
    let folder = folder(&[("a.yaml", &format!("{APP}---\n{MYSQL}"))]);
    for (format, part) in [
        ("json", "\"rule\": \"NP101\""),
        ("sarif", "\"ruleId\": \"NP101\""),
        ("github", "::error file=a.yaml"),
        ("junit", "<testcase classname=\"NP101\""),
    ] {
        let output = netpol(folder.path(), &["check", "a.yaml", "--format", format]);
        assert_eq!(output.status.code(), Some(1));
        assert!(out(&output).contains(part), "{format}: {}", out(&output));
    }
    let shown = out(&netpol(folder.path(), &["check", "a.yaml", "--show", "error", "--evidence"]));
    assert!(!shown.contains("NP401") && shown.contains("because of A_URL"), "{shown}");
}

#[test]
fn rules_are_listed_and_explained() {
    let folder = folder(&[]);
    let list = out(&netpol(folder.path(), &["rules"]));
    assert_eq!(list.lines().count(), 49);
    assert!(list.lines().all(|line| line.starts_with("NP")));
    let page = netpol(folder.path(), &["rules", "np103"]);
    assert_eq!(page.status.code(), Some(0));
    for part in
        ["NP103 near-miss-selector (warning)", "What it finds", "Why it matters", "Example", "What to do"]
    {
        assert!(out(&page).contains(part), "{part} in {}", out(&page));
    }
    let unknown = netpol(folder.path(), &["rules", "NP999"]);
    assert_eq!((unknown.status.code(), err(&unknown).contains("there is no rule NP999")), (Some(2), true));
}

#[test]
fn the_json_report_is_what_its_schema_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let schema = std::fs::read_to_string(root.join("docs/schemas/netpol-check.v1.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let folder = folder(&[("k8s/p.yaml", MYSQL), ("k8s/a.yaml", APP), ("k8s/broken.yaml", "a: [")]);
    let deployment = root.join("k8s");
    for path in [folder.path().join("k8s"), deployment] {
        let output = netpol(folder.path(), &["check", path.to_str().unwrap(), "--format", "json"]);
        let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        assert_ne!(report["findings"].as_array().unwrap().len(), 0, "{report:#}");
        let wrong: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

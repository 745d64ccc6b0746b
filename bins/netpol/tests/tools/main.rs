//! The commands about single connections, as a person runs them: output, files, exit codes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const POLICIES: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: apps}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-loader, namespace: apps}
spec:
  podSelector:
    matchLabels:
      app: extractor
      component: loader
  policyTypes: [Egress]
  egress:
  - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}, {port: 443}]
";

/// A folder with two CronJobs under policies; the filler is forgotten.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let job = |name: &str| {
        format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: {name}, namespace: apps}}\nspec:\n  jobTemplate:\n    \
             spec:\n      template:\n        metadata:\n          labels:\n            app: extractor\n            component: \
             {name}\n        spec:\n          containers:\n          - name: c\n            env:\n            - name: \
             API_URL\n              value: https://api.example.com\n---\n"
        )
    };
    fs::create_dir(folder.path().join("k8s")).unwrap();
    fs::write(folder.path().join("k8s/jobs.yaml"), job("filler") + &job("loader")).unwrap();
    fs::write(folder.path().join("k8s/policies.yaml"), POLICIES).unwrap();
    folder
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn netpol(folder: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_netpol")).args(args).current_dir(folder).output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn explain_ends_with_the_verdict_as_its_exit_code() {
    let folder = folder();
    let ask = |from: &str, extra: &[&str]| {
        let args = ["explain", "k8s", "--from", from, "--to", "api.example.com:443"];
        netpol(folder.path(), &[&args[..], extra].concat())
    };
    assert_eq!(ask("loader", &[]).code, 0);
    let denied = ask("filler", &[]);
    assert_eq!(denied.code, 1);
    assert!(denied.out.contains("component differs: policy wants loader, pod has filler"), "{}", denied.out);
    let nobody = ask("nobody", &[]);
    assert_eq!(nobody.code, 2);
    assert!(nobody.err.contains("CronJob/apps/filler"), "{}", nobody.err);
    let json: serde_json::Value = serde_json::from_str(&ask("filler", &["--format", "json"]).out).unwrap();
    assert_eq!(json["verdict"], "denied");
    assert_eq!(json["closest"][0]["policy"], "apps/allow-loader");
}

#[test]
fn a_file_that_cannot_be_read_makes_a_good_answer_uncertain_and_leaves_a_bad_one() {
    let folder = folder();
    fs::write(folder.path().join("k8s/broken.yaml"), "a: [\n").unwrap();
    let ask = |from: &str| {
        netpol(folder.path(), &["explain", "k8s", "--from", from, "--to", "api.example.com:443"])
    };
    let allowed = ask("loader");
    assert_eq!(allowed.code, 2);
    assert!(allowed.err.contains("k8s/broken.yaml:"), "{}", allowed.err);
    assert_eq!(ask("filler").code, 1);
}

#[test]
fn reach_prints_every_format() {
    let folder = folder();
    for (format, start) in
        [("table", "FROM"), ("json", "{"), ("dot", "digraph"), ("svg", "<svg"), ("html", "<!doctype html>")]
    {
        let ran = netpol(folder.path(), &["reach", "k8s", "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
        assert!(ran.out.starts_with(start), "{format}");
        assert!(ran.out.contains("loader"), "{format}");
    }
}

#[test]
fn diff_is_0_when_equal_and_1_when_something_opens() {
    let folder = folder();
    assert_eq!(netpol(folder.path(), &["diff", "k8s", "k8s"]).code, 0);
    fs::create_dir(folder.path().join("after")).unwrap();
    fs::copy(folder.path().join("k8s/jobs.yaml"), folder.path().join("after/jobs.yaml")).unwrap();
    let wider = POLICIES.replace("      component: loader\n", "");
    fs::write(folder.path().join("after/policies.yaml"), wider).unwrap();
    let ran = netpol(folder.path(), &["diff", "k8s", "after"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("+ apps/filler -> any address outside the cluster: TCP 53,443 UDP 53"),
        "{}",
        ran.out
    );
    let back = netpol(folder.path(), &["diff", "after", "k8s", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!((back.code, &json["equal"]), (1, &false.into()));
    assert_eq!(netpol(folder.path(), &["diff", "-", "-"]).code, 2);
}

#[test]
fn fix_writes_once_and_then_has_nothing_to_do() {
    let folder = folder();
    let file = folder.path().join("k8s/new.yaml");
    let printed = netpol(folder.path(), &["fix", "k8s"]);
    assert_eq!(printed.code, 1);
    assert!(printed.out.contains("name: allow-filler") && !file.exists(), "{}", printed.out);
    let wrote = netpol(folder.path(), &["fix", "k8s", "--write", "k8s/new.yaml"]);
    assert_eq!(wrote.code, 0, "{}{}", wrote.out, wrote.err);
    let text = fs::read_to_string(&file).unwrap();
    let again = netpol(folder.path(), &["fix", "k8s", "--write", "k8s/new.yaml"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let verdict =
        netpol(folder.path(), &["explain", "k8s", "--from", "filler", "--to", "api.example.com:443"]);
    assert_eq!(verdict.code, 0, "{}", verdict.out);
}

#[test]
fn fix_looks_at_the_file_it_writes_also_when_that_is_elsewhere() {
    let folder = folder();
    let run = || netpol(folder.path(), &["fix", "k8s", "--write", "elsewhere.yaml"]);
    assert_eq!(run().code, 0);
    let text = fs::read_to_string(folder.path().join("elsewhere.yaml")).unwrap();
    assert_eq!(run().code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("elsewhere.yaml")).unwrap(), text);
}

#[test]
fn fix_can_widen_the_closest_policy_in_place() {
    let folder = folder();
    let patch = netpol(folder.path(), &["fix", "k8s", "--alternative", "widen"]);
    assert_eq!(patch.code, 1);
    assert!(patch.out.starts_with("--- a/k8s/policies.yaml\n+++ b/k8s/policies.yaml\n"), "{}", patch.out);
    let wrong = netpol(folder.path(), &["fix", "k8s", "--alternative", "widen", "--write", "k8s/jobs.yaml"]);
    assert_eq!(wrong.code, 2);
    let ran =
        netpol(folder.path(), &["fix", "k8s", "--alternative", "widen", "--write", "k8s/policies.yaml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let text = fs::read_to_string(folder.path().join("k8s/policies.yaml")).unwrap();
    assert!(text.contains("values: [loader, filler]"), "{text}");
    assert_eq!(netpol(folder.path(), &["fix", "k8s"]).code, 0);
}

#[test]
fn labels_are_checked_against_the_written_document() {
    let folder = folder();
    assert_eq!(
        netpol(folder.path(), &["labels", "k8s/", "--check", "labels.md"]).code,
        2,
        "there is none yet"
    );
    assert_eq!(netpol(folder.path(), &["labels", "k8s/", "--write", "labels.md"]).code, 0);
    assert_eq!(netpol(folder.path(), &["labels", "./k8s", "--check", "labels.md"]).code, 0);
    let jobs = folder.path().join("k8s/jobs.yaml");
    let text = fs::read_to_string(&jobs).unwrap();
    fs::write(&jobs, text.replace("component: filler", "component: gap-filler")).unwrap();
    let stale = netpol(folder.path(), &["labels", "k8s", "--check", "labels.md"]);
    assert_eq!(stale.code, 1);
    assert!(stale.out.contains("is stale") && stale.out.contains("gap-filler"), "{}", stale.out);
}

#[test]
fn prove_sends_packets_and_agrees_with_the_engine() {
    let folder = folder();
    let denied = netpol(folder.path(), &["prove", "k8s", "--from", "filler"]);
    if denied.err.contains("this machine cannot") {
        assert_eq!(denied.code, 2);
        println!("skipped: packets ({})", denied.err.trim());
        return;
    }
    assert_eq!(denied.code, 1, "{}{}", denied.out, denied.err);
    assert!(denied.out.contains("Kernel and engine agree."), "{}", denied.out);
    assert!(denied.out.contains("3 needs are blocked"), "{}", denied.out);
    let allowed = netpol(folder.path(), &["prove", "k8s", "--from", "loader", "--format", "json"]);
    assert_eq!(allowed.code, 0, "{}{}", allowed.out, allowed.err);
    let json: serde_json::Value = serde_json::from_str(&allowed.out).unwrap();
    assert_eq!((&json["mismatches"], &json["blocked"]), (&0.into(), &0.into()));
    let rows = json["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["need"] == "api.example.com:443" && row["kernel"] == "allowed"));
}

#[test]
fn prove_wants_to_know_what_to_try() {
    let folder = folder();
    assert_eq!(netpol(folder.path(), &["prove", "k8s"]).code, 2);
    assert_eq!(netpol(folder.path(), &["prove", "k8s/policies.yaml", "--all"]).code, 2);
}

#[test]
fn prove_says_plainly_what_the_machine_lacks() {
    let folder = folder();
    // A PATH without nft.
    let tools: PathBuf = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_netpol"))
        .args(["prove", "k8s", "--all"])
        .current_dir(folder.path())
        .env("PATH", &tools)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("this machine cannot send the packets") && err.contains("hint: install"), "{err}");
}

#[test]
fn report_is_one_page_with_findings_needs_and_connections() {
    let folder = folder();
    let ran = netpol(folder.path(), &["report", "k8s", "--html", "out.html"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "out.html: 1 error, 0 warnings, 1 note\n");
    let page = fs::read_to_string(folder.path().join("out.html")).unwrap();
    for words in [
        "filler cannot resolve any host name (DNS, 53/UDP and 53/TCP)",
        "component differs: policy wants loader, pod has filler",
        "<code>netpol fix k8s --write k8s/network-policy-filler.yaml</code>",
        "API_URL (a literal value) at k8s/jobs.yaml:",
        "✗ denied",
        "✓ allowed",
        "Who can reach whom",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let printed = netpol(folder.path(), &["report", "k8s", "--html", "-", "--fail-on", "never"]);
    assert_eq!((printed.code, printed.out == page), (0, true));
    let nowhere = netpol(folder.path(), &["report", "k8s", "--html", "no/such/folder.html"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("cannot write no/such/folder.html"), "{}", nowhere.err);
}

#[test]
fn every_command_has_a_manual_page_and_examples() {
    let folder = folder();
    assert_eq!(netpol(folder.path(), &["man", "--out", "man1"]).code, 0);
    let commands = [
        "check",
        "completions",
        "diff",
        "explain",
        "fix",
        "labels",
        "man",
        "prove",
        "reach",
        "report",
        "rules",
    ];
    for command in commands {
        let page = fs::read_to_string(folder.path().join(format!("man1/netpol-{command}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{command}");
        let help = netpol(folder.path(), &[command, "--help"]);
        assert!(help.out.contains("Examples:\n  netpol ") || help.out.contains("| netpol"), "{command}");
    }
    assert!(!folder.path().join("man1/netpol-packet-helper.1").exists());
    assert!(netpol(folder.path(), &["man"]).out.contains(".TH netpol"));
}

#[test]
fn completions_know_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let ran = netpol(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}");
        assert!(ran.out.contains("explain") && ran.out.contains("assume-default-deny"), "{shell}");
    }
}

//! The outputs for machines: valid, complete, and safe against what manifests may hold.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use netpol::render;

use crate::support::{Checked, check};

const TEXT: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \"p<&\\x1b[31m\", namespace: n, annotations: {netpol.binance-extractor.dev/ignore: 'NP205: known'}}\nspec:\n  podSelector: {}\n  policyTypes: [Egress]\n  egress:\n    - ports: [{port: 3306}, {port: 53, protocol: UDP}]\n---\nkind: [\n";

fn checked() -> Checked {
    check(TEXT)
}

#[test]
fn json_holds_findings_problems_profile_and_suppressions() {
    let json: Value = serde_json::from_str(&render::json(&checked().context())).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["profile"]["name"], "kubernetes");
    assert_eq!(json["summary"]["problems"], 1);
    assert_eq!(json["problems"][0]["kind"], "syntax");
    assert_eq!(json["problems"][0]["file"], "a.yaml");
    let findings = json["findings"].as_array().unwrap();
    let one = findings.iter().find(|finding| finding["rule"] == "NP401").unwrap();
    assert_eq!((one["line"].as_u64(), one["column"].as_u64()), (Some(8), Some(22)));
    assert_eq!(one["severity"], "warning");
    assert_eq!(one["objects"][0]["kind"], "NetworkPolicy");
    assert_eq!(one["fingerprint"].as_str().unwrap().len(), 16);
    let hidden = findings.iter().find(|finding| finding["rule"] == "NP205").unwrap();
    assert_eq!(hidden["suppressed"]["reason"], "known");
}

/// The published schema, where this machine has it.
fn schema() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("NETPOL_SARIF_SCHEMA") {
        return Some(path.into());
    }
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?;
    let crates = registries
        .flatten()
        .filter_map(|registry| std::fs::read_dir(registry.path()).ok())
        .flatten()
        .flatten();
    crates
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("serde-sarif-"))
        .map(|entry| entry.path().join("src/schema.json"))
        .find(|path| path.is_file())
}

#[test]
fn sarif_has_the_required_structure() {
    let sarif: Value = serde_json::from_str(&render::sarif(&checked().context())).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), netpol::rules::ALL.len());
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(result["partialFingerprints"]["netpolFinding/v1"].is_string());
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert_eq!(run["invocations"][0]["toolExecutionNotifications"][0]["level"], "error");
    let hidden =
        run["results"].as_array().unwrap().iter().find(|result| result["ruleId"] == "NP205").unwrap();
    assert_eq!(hidden["suppressions"][0]["justification"], "known");
}

#[test]
fn sarif_is_valid_under_the_published_schema() {
    let Some(schema) = schema() else {
        println!("skipped: no SARIF 2.1.0 schema on this machine (set NETPOL_SARIF_SCHEMA)");
        return;
    };
    let report = std::env::temp_dir().join(format!("netpol-{}.sarif", std::process::id()));
    std::fs::write(&report, render::sarif(&checked().context())).unwrap();
    let script = "import json,sys\ntry:\n import jsonschema\nexcept ImportError:\n sys.exit(77)\ns=json.load(open(sys.argv[1]));d=json.load(open(sys.argv[2]))\ne=[str(x.message)[:300] for x in jsonschema.Draft7Validator(s).iter_errors(d)]\nprint(e)\nsys.exit(1 if e else 0)\n";
    let outcome = Command::new("python3").arg("-c").arg(script).arg(&schema).arg(&report).output();
    std::fs::remove_file(&report).unwrap();
    match outcome {
        Ok(output) if output.status.code() == Some(77) => println!("skipped: python3 has no jsonschema"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(_) => println!("skipped: no python3"),
    }
}

#[test]
fn github_annotations_are_one_line_each() {
    let text = render::github(&checked().context());
    assert!(text.starts_with("::error file=a.yaml,line="));
    assert!(text.lines().any(|line| line.starts_with("::warning file=a.yaml,line=8,col=22,title=NP401::")));
    assert!(text.lines().all(|line| line.starts_with("::") || line.starts_with("netpol: profile")));
}

#[test]
fn junit_counts_what_it_lists() {
    let text = render::junit(&checked().context());
    let count = |part: &str| text.matches(part).count();
    assert!(text.contains(&format!("tests=\"{}\"", count("<testcase "))));
    assert!(text.contains(&format!("failures=\"{}\"", count("<failure "))));
    assert!(text.contains(&format!("errors=\"{}\"", count("<error "))));
    assert!(text.contains(&format!("skipped=\"{}\"", count("<skipped "))));
    assert!(!text.contains('\u{1b}') && text.contains("p&lt;&amp;"));
}

#[test]
fn nothing_in_a_manifest_reaches_the_terminal_as_a_command() {
    let text = checked().human();
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("\\u{1b}[31m"), "{text}");
    let colored = render::human(&checked().context(), true);
    assert!(colored.contains("\u{1b}[1;33mwarning[NP401]"));
    assert!(!colored.contains("\u{1b}[31m"));
}

//! What other programs' test data expects, and a reading of public manifests.

use std::collections::BTreeMap;

use netpol::rules::CheckOptions;
use netpol::{Options, SourceFile};

use crate::corpus;
use crate::support::{Checked, check_with};

fn plain(files: Vec<SourceFile>) -> Checked {
    check_with(files, Options::default(), CheckOptions::default(), None)
}

fn one(set: &str, file: &str) -> Option<Checked> {
    let path = corpus::shared(set)?.join(file);
    Some(plain(vec![SourceFile::from_bytes(file, std::fs::read(path).unwrap())]))
}

/// kube-linter's check, the rule here, and how many objects it must name. `liveness-port` is not here: whether a probe's port
/// is declared has nothing to do with what may talk to what.
const KUBE_LINTER: [(&str, &str, usize); 8] = [
    ("dangling-networkpolicy", "NP104", 1),
    ("dangling-networkpolicypeer-podselector", "NP106", 1),
    ("non-isolated-pod", "NP404", 2),
    ("dangling-service", "NP601", 2),
    ("dangling-ingress", "NP601", 2),
    ("dangling-servicemonitor", "NP601", 4),
    ("env-var-value-from", "NP602", 4),
    ("host-network", "NP507", 2),
];

#[test]
fn what_kube_linter_finds_is_found_and_what_it_passes_is_passed() {
    for (name, rule, count) in KUBE_LINTER {
        let Some(checked) = one("netpol-cases/kube-linter/checks", &format!("{name}.yml")) else { return };
        let mut objects = 0;
        for finding in checked.report.active().filter(|finding| finding.rule == rule) {
            // Services of the Ingress cases have no pods in the file: a note, and not what the case is about.
            let about_pods = name == "dangling-ingress" && finding.message.starts_with("Service ");
            // "Open for egress" alone is no finding of kube-linter.
            let half = name == "non-isolated-pod" && !finding.message.contains("ingress and egress");
            if !about_pods && !half {
                objects += finding.objects.len();
                for object in &finding.objects {
                    assert!(!object.name.starts_with("dont-fire"), "{name}: {}", finding.message);
                    assert!(!object.name.starts_with("should-pass"), "{name}: {}", finding.message);
                }
            }
        }
        assert_eq!(objects, count, "{name}: {}", checked.human());
    }
}

#[test]
fn kube_score_and_this_agree_on_who_is_selected() {
    let Some(folder) = corpus::shared("netpol-cases/kube-score") else { return };
    let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let mut compared = 0;
    for (file, checks) in expected.as_object().unwrap() {
        let Some(checked) = one("netpol-cases/kube-score", file) else { return };
        for (name, verdict) in checks.as_object().unwrap() {
            let open = checked.of("NP404").join("\n");
            let ours = match name.as_str() {
                "NetworkPolicy targets Pod" if checked.names("NP104").is_empty() => "AllOK",
                "NetworkPolicy targets Pod" => "Critical",
                _ if open.contains("ingress and egress") => "Critical",
                _ if open.is_empty() => "AllOK",
                _ => "Warning",
            };
            assert_eq!(verdict.as_str(), Some(ours), "{file}: {name}\n{}", checked.human());
            compared += 1;
        }
    }
    assert_eq!(compared, 13);
}

/// kubescape's rule, the rules here that say the same, and the words that make the difference.
const KUBESCAPE: [(&str, &[&str], &str); 5] = [
    ("dangling-ingress-backend", &["NP601"], "Ingress "),
    ("dangling-networkpolicy", &["NP104"], ""),
    ("ensure_network_policy_configured_in_labels", &["NP404"], "ingress and egress"),
    ("ingress-and-egress-blocked", &["NP404", "NP507"], ""),
    ("internal-networking", &["NP404"], "has no policy"),
];

#[test]
fn what_kubescape_finds_is_found_and_what_it_passes_is_passed() {
    let Some(root) = corpus::shared("netpol-cases/kubescape") else { return };
    let mut compared = 0;
    for (name, rules, words) in KUBESCAPE {
        for case in corpus::folders(&root.join(name).join("test")) {
            let expected = std::fs::read_to_string(case.join("expected.json")).unwrap();
            let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
            let wanted = !expected.as_array().unwrap().is_empty();
            let checked = plain(corpus::files(&case.join("input")));
            let found = rules.iter().flat_map(|rule| checked.of(rule)).any(|finding| finding.contains(words));
            assert_eq!(found, wanted, "{}\n{}", case.display(), checked.human());
            compared += 1;
        }
    }
    assert_eq!(compared, 21);
}

/// Errors in public repositories that were read and are true: the manifests are wrong.
const TRUE_ERRORS: [&str; 8] = [
    "kure-monitor-agent cannot reach postgresql:5432",
    "kure-monitor-security-scanner cannot reach postgresql:5432",
    "anomaly-simulator cannot reach monitoring-service:8082",
    "anomaly-simulator cannot reach ai-diagnostic:9091",
    "edge-bridge cannot reach device-simulator:9999",
    "nobody can reach Service device-simulator",
    "nobody can reach Service shoppingassistantservice",
    "args must be a list, here it is a string",
];

#[test]
fn public_manifests_are_read_without_a_panic_and_without_a_false_error() {
    let Some(root) = corpus::shared("netpol-cases/realworld") else { return };
    let mut documents = 0;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for repository in corpus::folders(&root) {
        let checked = plain(corpus::files(&repository));
        documents += checked.input.documents;
        for finding in checked.report.active() {
            *counts.entry(format!("{} {}", finding.rule, finding.severity)).or_insert(0) += 1;
            if finding.severity == netpol::findings::Severity::Error {
                let known = TRUE_ERRORS.iter().any(|known| finding.message.starts_with(known));
                assert!(known, "{}: {}", repository.display(), finding.message);
            }
        }
    }
    println!("{documents} documents; findings per 1,000 documents:");
    for (rule, count) in counts {
        println!("  {rule}: {count} ({:.1})", count as f64 * 1000.0 / documents as f64);
    }
}

#[test]
fn every_other_corpus_is_checked_without_a_panic() {
    for set in ["np-guard/tests", "k8s-e2e", "network-policy-api/base"] {
        let Some(root) = corpus::shared(&format!("netpol-cases/{set}")) else { return };
        let mut cases = 0;
        for folder in corpus::folders(&root) {
            let checked = plain(corpus::files(&folder));
            assert!(!checked.human().is_empty());
            cases += 1;
        }
        println!("{set}: {cases} folders");
    }
}

#[test]
fn the_deployment_of_this_repository_is_clean_and_hides_nothing() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s");
    let checked = plain(corpus::files(std::path::Path::new(root)));
    assert_eq!(checked.report.worst(), Some(netpol::findings::Severity::Info), "{}", checked.human());
    assert_eq!(checked.report.suppressed().count(), 0);
}

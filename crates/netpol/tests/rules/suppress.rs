//! Accepted findings, configured severities, context, contracts.

use netpol::findings::{Ignore, Severity};
use netpol::rules::CheckOptions;
use netpol::{Options, SourceFile};

use crate::support::{Checked, check, check_with};

const MYSQL: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: n}\nspec: \
    {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 3306}]}]}\n";

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile::new(name, text)
}

fn with(text: &str, check: CheckOptions) -> Checked {
    check_with(vec![file("a.yaml", text)], Options::default(), check, None)
}

#[test]
fn an_annotation_with_a_reason_hides_a_finding_and_shows_the_reason() {
    let text = MYSQL.replace("namespace: n}", "namespace: n, annotations: {netpol.binance-extractor.dev/ignore: 'NP401: managed database, ticket 7'}}");
    let checked = check(&text);
    assert_eq!(checked.of("NP401"), [] as [String; 0]);
    assert_eq!(checked.report.suppressed().count(), 1);
    let human = checked.human();
    assert!(human.contains("suppressed[NP401]") && human.contains("managed database, ticket 7"), "{human}");
}

#[test]
fn an_annotation_without_a_reason_hides_nothing_and_is_reported() {
    let text = MYSQL
        .replace("namespace: n}", "namespace: n, annotations: {netpol.binance-extractor.dev/ignore: NP401}}");
    let checked = check(&text);
    assert_eq!(checked.of("NP401").len(), 1);
    assert!(checked.report.problems[0].message.contains("without a reason"));
}

#[test]
fn a_configured_decision_covers_objects_by_pattern() {
    let ignore = |object: &str| CheckOptions {
        ignores: vec![Ignore {
            rule: "NP401".to_owned(),
            object: object.to_owned(),
            reason: "known".to_owned(),
        }],
        ..CheckOptions::default()
    };
    assert_eq!(with(MYSQL, ignore("n/*")).of("NP401"), [] as [String; 0]);
    assert_eq!(with(MYSQL, ignore("m/*")).of("NP401").len(), 1);
}

#[test]
fn severities_are_configured_and_rules_switched_off() {
    let set = |severity| CheckOptions {
        severities: vec![("np401".to_owned(), severity)],
        ..CheckOptions::default()
    };
    assert!(with(MYSQL, set(Some(Severity::Error))).ids().contains(&"NP401 error".to_owned()));
    assert_eq!(with(MYSQL, set(None)).of("NP401"), [] as [String; 0]);
}

#[test]
fn one_of_a_group_can_be_accepted_alone() {
    let pod = |name: &str, annotation: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: n, annotations: {{{annotation}}}}}\nspec: {{containers: []}}\n---\n"
        )
    };
    let text =
        pod("a", "") + &pod("b", "netpol.binance-extractor.dev/ignore: 'NP404: test pod'") + &pod("c", "");
    let checked = check(&text);
    assert_eq!(checked.names("NP404"), ["a", "c"]);
    assert_eq!(checked.report.suppressed().map(|finding| finding.objects.len()).sum::<usize>(), 1);
}

#[test]
fn context_is_known_and_not_reported_on() {
    let options = CheckOptions { checked_files: 1, ..CheckOptions::default() };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: n}\nspec: {containers: []}\n";
    let checked =
        check_with(vec![file("a.yaml", pod), file("context.yaml", MYSQL)], Options::default(), options, None);
    assert_eq!(checked.of("NP401"), [] as [String; 0]);
    assert!(checked.of("NP404")[0].contains("for ingress\n"), "{:?}", checked.of("NP404"));
}

#[test]
fn checked_files_replace_their_live_copies_and_drift_is_reported() {
    let live = MYSQL.replace("name: p,", "name: p, uid: '1',").replace("3306", "5432");
    let lone = live.replace("name: p,", "name: q,");
    let files = vec![file("a.yaml", MYSQL), file("live.yaml", &format!("{live}---\n{lone}"))];
    let options = CheckOptions { checked_files: 1, ..CheckOptions::default() };
    let checked = check_with(files, Options::default(), options, None);
    let found = checked.of("NP702").join("\n");
    assert!(found.contains("policy p is not the same in the cluster"), "{found}");
    assert!(found.contains("policy q is in the cluster and in no manifest"), "{found}");
    assert_eq!(checked.input.policies.len(), 2);
    let same =
        vec![file("a.yaml", MYSQL), file("live.yaml", &MYSQL.replace("name: p,", "name: p, uid: '1',"))];
    let options = CheckOptions { checked_files: 1, ..CheckOptions::default() };
    assert_eq!(check_with(same, Options::default(), options, None).of("NP702"), [] as [String; 0]);
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: n, labels: {app: a}}\nspec: {containers: []}\n---\n";

#[test]
fn a_contract_is_held_against_the_policies() {
    let needs = "workloads:\n  - match: n/a\n    needs: ['db.example.com:3306', '10.1.2.3:5432']\n    never: ['internet:22', '169.254.169.254']\n  - match: n/lost\n    needs: [dns]\n";
    let text = POD.to_owned() + MYSQL;
    let checked =
        check_with(vec![file("a.yaml", &text)], Options::default(), CheckOptions::default(), Some(needs));
    assert!(checked.of("NP101").join("\n").contains("a cannot resolve any host name"), "{}", checked.human());
    let broken = checked.of("NP801").join("\n");
    assert!(
        broken.contains("a can reach 169.254.169.254, which is declared forbidden\nopen: TCP 3306"),
        "{broken}"
    );
    assert!(!broken.contains("internet"), "{broken}");
    assert!(checked.of("NP608").join("\n").contains("n/lost"), "{}", checked.human());
    let silent = check_with(
        vec![file("a.yaml", &text)],
        Options::default(),
        CheckOptions::default(),
        Some("workloads: [{match: a, never: ['internet:22']}]\n"),
    );
    assert_eq!(silent.of("NP801"), [] as [String; 0]);
    assert_eq!(silent.of("NP608"), [] as [String; 0]);
}

#[test]
fn entries_that_cannot_be_read_are_reported_with_their_place() {
    let needs = "workloads:\n  - match: a\n    needs: ['db.example.com', 'x:99999', '!only']\n    nevr: []\n";
    let checked =
        check_with(vec![file("a.yaml", POD)], Options::default(), CheckOptions::default(), Some(needs));
    let messages: Vec<String> = checked
        .report
        .problems
        .iter()
        .map(|problem| format!("{} {}", checked.input.locate(problem.span), problem.message))
        .collect();
    assert!(
        messages[0].starts_with("needs.yaml:3:13") && messages[0].contains("names no port"),
        "{messages:?}"
    );
    assert!(messages[1].contains("is no port"), "{messages:?}");
    assert!(
        checked.input.problems.iter().any(|problem| problem.message.contains("\"nevr\" is not known here"))
    );
}

//! The incident and its relatives: what was wrong is found, with text, cause, near miss and fix; what was right is silent.

use netpol::findings::Severity;
use netpol::rules::CheckOptions;
use netpol::{Options, SourceFile};

use crate::corpus;
use crate::support::{Checked, check_with};

const FIVE: [&str; 5] = [
    "binance-klines-gap-filler-m5",
    "binance-klines-gap-filler-m15",
    "binance-klines-gap-filler-m30",
    "binance-klines-gap-filler-h1",
    "binance-klines-gap-filler-d1",
];

/// A folder of the incident under the name `k8s/`, with context files and assumptions.
fn load(folder: &str, context: &[&str], assume: &[&str]) -> Option<Checked> {
    let root = corpus::shared("incident")?;
    let named = |files: Vec<SourceFile>, prefix: &str| -> Vec<SourceFile> {
        files
            .into_iter()
            .map(|file| SourceFile::new(format!("{prefix}{}", file.name()), file.text()))
            .collect()
    };
    let mut files = named(corpus::files(&root.join(folder)), "k8s/");
    let checked_files = files.len();
    for name in context {
        let text = std::fs::read_to_string(root.join("context").join(name)).unwrap();
        files.push(SourceFile::new(format!("context/{name}"), text));
    }
    let options = Options {
        assume_default_deny: assume.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    };
    let check =
        CheckOptions { checked_files, fix_command: "netpol fix k8s/".to_owned(), ..CheckOptions::default() };
    Some(check_with(files, options, check, None))
}

const BOTH: [&str; 2] = ["default-deny-all.yaml", "common-configmap.yaml"];

#[test]
fn with_the_default_deny_in_the_context_the_finding_reads_as_agreed() {
    let Some(checked) = load("before", &BOTH, &[]) else { return };
    let expected = "\
error[NP101]: binance-klines-gap-filler-m5 cannot resolve any host name (DNS, 53/UDP and 53/TCP)
  --> k8s/klines-gap-filler-cronjob.yaml:31:13
   |  component: klines-gap-filler
   = policy default-deny-all denies all egress of this pod, and no other policy selects it
   = closest policy: allow-binance-extractor-cronjobs (k8s/network-policy-cronjobs.yaml:13:18): app matches,
     component differs: policy wants klines-extractor, pod has klines-gap-filler
   = the same holds for 4 more CronJobs: binance-klines-gap-filler-m15, binance-klines-gap-filler-m30, binance-klines-gap-filler-h1, binance-klines-gap-filler-d1
   = needs blocked as well: fapi.binance.com:443, mysql:3306, nats:4222, otlp:4317
   = fix: netpol fix k8s/ --write k8s/network-policy-gap-filler.yaml
";
    let human = checked.human();
    assert!(human.starts_with(expected), "{human}");
    assert_eq!(checked.report.count(Severity::Error), 1);
    assert_eq!(checked.names("NP101"), FIVE);
}

#[test]
fn an_assumed_default_deny_gives_the_same_finding() {
    let Some(checked) = load("before", &[], &["petrosa-apps"]) else { return };
    assert_eq!(checked.names("NP101"), FIVE);
    let human = checked.human();
    for part in [
        "cannot resolve any host name (DNS, 53/UDP and 53/TCP)",
        "policy default-deny-all denies all egress of this pod, and no other policy selects it (assumed",
        "component differs: policy wants klines-extractor, pod has klines-gap-filler",
        "needs blocked as well: fapi.binance.com:443, mysql:3306, nats:4222, otlp:4317",
        "--write k8s/network-policy-gap-filler.yaml",
        "assumed: default-deny in petrosa-apps",
    ] {
        assert!(human.contains(part), "{part} in {human}");
    }
}

#[test]
fn without_any_default_deny_the_missing_policy_is_an_error_all_the_same() {
    let Some(checked) = load("before", &[], &[]) else { return };
    assert_eq!(checked.of("NP101"), [] as [String; 0]);
    assert_eq!(checked.names("NP102"), FIVE);
    assert_eq!(checked.report.worst(), Some(Severity::Error));
    let human = checked.human();
    for part in [
        "binance-klines-gap-filler-m5 is selected by no policy: under a default-deny it cannot resolve any host name",
        "closest policy: allow-binance-extractor-cronjobs",
        "component differs: policy wants klines-extractor, pod has klines-gap-filler",
        "needs blocked as well: fapi.binance.com:443, mysql:3306, nats:4222, otlp:4317",
    ] {
        assert!(human.contains(part), "{part} in {human}");
    }
}

/// The latent defects of the incident's manifests, by number, each as (rule, what its finding says).
const LATENT: [(u8, &str, &str); 25] = [
    (1, "NP104", "policy allow-binance-data-extractor selects no workload"),
    (2, "NP601", "Service petrosa-binance-data-extractor-service selects no workload"),
    (2, "NP601", "Ingress petrosa-binance-data-extractor-ingress leads to Service"),
    (2, "NP601", "scales Deployment petrosa-binance-data-extractor, which does not exist"),
    (3, "NP202", "policy allow-binance-extractor-cronjobs allows DNS over UDP and not over TCP"),
    (4, "NP303", "allows 4317/UDP, but otlp speaks TCP"),
    (4, "NP304", "allows 4317 and not 4318"),
    (5, "NP401", "3306 (mysql), 27017 (mongodb), 5432 (postgresql)"),
    (5, "NP205", "allows DNS to every address"),
    (5, "NP305", "what no selected workload needs: 5432 (postgresql)"),
    (5, "NP402", "169.254.169.254"),
    (6, "NP505", "are copies of one list of egress rules"),
    (7, "NP105", "are not on its pods: interval, version"),
    (7, "NP107", "5m and m5"),
    (8, "NP605", "schedule \"2 */15 * * *\" of binance-klines-m15-production fires at 00:02 and 15:02"),
    (8, "NP605", "schedule \"5 */30 * * *\" of binance-klines-m30-production fires at 00:05"),
    (9, "NP603", "BINANCE_API_URL, BINANCE_FUTURES_API_URL missing in binance-klines-m15-mongodb-production"),
    (9, "NP603", "NATS_URL missing in binance-klines-m30-production"),
    (9, "NP603", "DEFAULT_SYMBOLS"),
    (9, "NP604", "sets DEFAULT_SYMBOLS twice"),
    (9, "NP603", "DB_ADAPTER comes from different places"),
    (10, "NP602", "ConfigMap petrosa-common-config is not in the input"),
    (10, "NP602", "key mongodb-connection-string of Secret petrosa-sensitive-credentials is spelled unlike"),
    (10, "NP701", "is not fully known"),
    (11, "NP606", "may run for 300 s and starts every 300 s"),
];

#[test]
fn every_latent_defect_is_found() {
    let Some(checked) = load("before", &["default-deny-all.yaml"], &[]) else { return };
    for (number, rule, text) in LATENT {
        let found = checked.of(rule);
        assert!(
            found.iter().any(|finding| finding.contains(text)),
            "defect {number}, {rule}: {text}\n{found:#?}"
        );
    }
    // 12: no ingress is needed, and none is reported as missing; the scrape annotations sit on the dead Service.
    assert_eq!(checked.of("NP309"), [] as [String; 0]);
    assert!(checked.of("NP601").iter().any(|finding| finding.contains("it asks to be scraped")));
    assert_eq!(checked.names("NP605").len(), 4);
    assert_eq!(checked.names("NP604").len(), 5);
}

#[test]
fn after_the_fix_no_need_is_blocked() {
    let Some(checked) = load("after", &BOTH, &[]) else { return };
    assert_eq!(checked.report.count(Severity::Error), 0);
    for rule in ["NP101", "NP102", "NP103", "NP201", "NP301", "NP306", "NP307"] {
        assert_eq!(checked.of(rule), [] as [String; 0], "{rule}");
    }
    let unused = checked.of("NP305").join("\n");
    assert!(
        unused.contains("allow-binance-gap-filler allows what no selected workload needs: 80, 27017"),
        "{unused}"
    );
    assert!(checked.of("NP402").iter().any(|finding| finding.contains("metadata server")));
}

#[test]
fn under_cilium_the_fix_reaches_nothing_inside_the_cluster() {
    let root = corpus::shared("incident");
    let Some(root) = root else { return };
    let files = corpus::files(&root.join("after"));
    let options = Options {
        profile: netpol::Profile::by_name("cilium").unwrap(),
        assume_default_deny: vec!["petrosa-apps".to_owned()],
        ..Options::default()
    };
    let checked = check_with(files, options, CheckOptions::default(), None);
    assert!(
        checked
            .of("NP508")
            .iter()
            .any(|finding| finding.contains("allow-binance-gap-filler reaches no pod on 53"))
    );
    assert!(checked.human().contains("profile: cilium"));
}

#[test]
fn the_deployment_of_august_is_found_and_its_fix_holds() {
    let context = ["default-deny-all.yaml"];
    let Some(before) = load("scenarios/2025-08-21-deployment/before", &context, &[]) else { return };
    assert_eq!(before.names("NP101"), ["petrosa-binance-data-extractor"]);
    assert!(before.of("NP101")[0].contains("cannot resolve any host name"));
    let Some(after) = load("scenarios/2025-08-21-deployment/after", &context, &[]) else { return };
    assert_eq!(after.report.count(Severity::Error), 0);
}

#[test]
fn the_closed_trading_engine_of_october_is_found_and_its_fix_holds() {
    let context = ["default-deny-all.yaml"];
    let Some(before) = load("scenarios/2025-10-15-tradeengine-ingress/before", &context, &[]) else { return };
    let nobody = before.of("NP307");
    assert!(nobody[0].contains("nobody can reach Service petrosa-tradeengine-service"), "{nobody:?}");
    assert!(nobody[0].contains("allows ingress on 8000 and 9090"), "{nobody:?}");
    assert_eq!(before.names("NP308"), ["petrosa-tradeengine-ingress"]);
    assert_eq!(before.names("NP309"), ["petrosa-tradeengine"]);
    let Some(after) = load("scenarios/2025-10-15-tradeengine-ingress/after", &context, &[]) else { return };
    for rule in ["NP101", "NP307", "NP308", "NP309"] {
        assert_eq!(after.of(rule), [] as [String; 0], "{rule}");
    }
    assert!(after.of("NP107").join("\n").contains("name: ingress-nginx"));
}

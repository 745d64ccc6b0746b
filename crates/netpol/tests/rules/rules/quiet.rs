//! What is no mistake is not reported, and what is nearly right gets the reason.

use super::check;

fn policy_for(label: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: n}}\nspec:\n  podSelector:\n    \
         matchLabels: {{{label}}}\n  policyTypes: [Ingress]\n---\n"
    )
}

fn batch(kind: &str, name: &str) -> String {
    let template = "template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: i}]}}";
    let spec = match kind {
        "Job" => format!("{{{template}}}"),
        _ => format!("{{schedule: '5 2 * * *', jobTemplate: {{spec: {{{template}}}}}}}"),
    };
    format!(
        "apiVersion: batch/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: n}}\nspec: {spec}\n---\n"
    )
}

#[test]
fn pods_of_a_job_carry_its_name() {
    for key in ["job-name", "batch.kubernetes.io/job-name"] {
        let text = batch("Job", "load") + &policy_for(&format!("{key}: load"));
        assert_eq!(check(&text).of("NP104"), [] as [String; 0]);
    }
    assert_eq!(check(&(batch("Job", "load") + &policy_for("job-name: other"))).of("NP104").len(), 1);
}

#[test]
fn pods_of_a_cron_job_carry_another_name_in_every_run() {
    let found = check(&(batch("CronJob", "backup") + &policy_for("job-name: backup"))).of("NP104");
    assert!(found[0].contains("pods of CronJob backup carry job-name: backup-NUMBER"), "{found:?}");
}

#[test]
fn kinds_without_a_name_are_no_mistake() {
    for text in [
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "apiVersion: v1\nkind: Config\nclusters: []\n",
        "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
    ] {
        let checked = check(text);
        assert_eq!(checked.ids(), [] as [String; 0], "{text}");
        assert_eq!(checked.input.problems, [], "{text}");
        assert!(checked.human().contains("nothing to check"), "{}", checked.human());
    }
    assert_eq!(check("apiVersion: v1\nkind: Service\nmetadata: {}\n").of("NP501").len(), 1);
}

#[test]
fn placeholders_that_are_filled_in_later_are_no_mistake() {
    let text = "apiVersion: apps/v1
kind: Deployment
metadata: {name: \"${NAME}\", namespace: n, labels: {app: \"${NAME}\"}}
spec:
  replicas: ${REPLICAS}
  selector: {matchLabels: {app: \"${NAME}\"}}
  template:
    metadata: {labels: {app: \"${NAME}\"}}
    spec:
      containers: [{name: c, image: i, args: \"${ARGS}\", ports: [{containerPort: \"${PORT:=80}\"}]}]
";
    assert_eq!(check(text).of("NP501"), [] as [String; 0]);
}

#[test]
fn a_patch_of_a_kustomization_is_no_workload() {
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: n}\nspec:\n  template:\n    spec:\n      \
                 containers: [{name: c, resources: {limits: {cpu: 1}}}]\n";
    let checked = check(patch);
    assert_eq!((checked.input.workloads.len(), checked.input.others.len()), (0, 1));
    let whole = patch.replace("template:\n", "template:\n    metadata: {labels: {app: d}}\n");
    assert_eq!(check(&whole).input.workloads.len(), 1);
}

#[test]
fn a_policy_written_twice_in_the_same_words_is_only_a_note() {
    let one = policy_for("app: x");
    assert!(check(&(one.clone() + &one)).ids().contains(&"NP506 info".to_owned()));
    let other = one.replace("[Ingress]", "[Egress]");
    assert!(check(&(one + &other)).ids().contains(&"NP506 warning".to_owned()));
}

#[test]
fn one_service_behind_two_ingresses_is_one_finding() {
    let ingress = |name: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: n}}\nspec: {{ingressClassName: nginx, \
             defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n---\n"
        )
    };
    let rest = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: n}\nspec: {selector: {app: x}, ports: [{port: 80}]}\n---\n\
                apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: n, labels: {app: x}}\nspec: {containers: [{name: c, image: i}]}\n---\n";
    let text = ingress("a") + &ingress("b") + rest + &policy_for("app: x");
    assert_eq!(check(&text).of("NP308").len(), 1);
}

//! NP105: the label is on the object, not on its pods.

use crate::findings::{Finding, Severity};
use crate::nearmiss::{self, DifferenceKind};
use crate::object::{Requirement, Tri, Workload, WorkloadKind};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP105",
    name: "label-not-on-pods",
    severity: Severity::Warning,
    title: "a selector wants a label that the object has and its pods do not",
    what: "A policy's selector would match the labels of a Deployment, a CronJob or its jobTemplate, but the pod template lacks \
           one of them. As a note, labels of CronJobs that their pods lack are listed even when no policy asks for them yet.",
    why: "Policies and Services look at pods alone. `kubectl get cronjob --show-labels` shows the label, and the policy still \
          selects nothing.",
    example: "
kind: NetworkPolicy
spec:
  podSelector:
    matchLabels: {interval: m5}
---
kind: CronJob
metadata:
  labels: {interval: m5}          # here
spec:
  jobTemplate:
    spec:
      template:
        metadata:
          labels: {app: extractor}  # and not here
",
    fix: "Put the label on spec.template.metadata.labels (of a CronJob: spec.jobTemplate.spec.template.metadata.labels).",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        let namespace = check.namespace(&policy.meta);
        for (id, workload) in check.input.workloads.iter().enumerate() {
            let here = check.namespace(&workload.meta) == namespace;
            if !here || policy.pod_selector.is_empty() || check.selected[index].contains(&id) {
                continue;
            }
            let elsewhere = nearmiss::elsewhere(workload);
            // Most pairs have nothing to do with each other: found out without building a comparison.
            let outside = |one: &Requirement<'_>| {
                one.matches(&workload.pod.labels) != Tri::No
                    || elsewhere.iter().any(|(_, labels)| one.matches(labels) == Tri::Yes)
            };
            if !policy.pod_selector.requirements().all(|one| outside(&one)) {
                continue;
            }
            let off = nearmiss::compare(&policy.pod_selector, &workload.pod.labels, &elsewhere).differences;
            let outside = |kind: &DifferenceKind| matches!(kind, DifferenceKind::NotOnTemplate(_));
            if off.is_empty() || !off.iter().all(|difference| outside(&difference.kind)) {
                continue;
            }
            let words: Vec<String> = off.iter().map(nearmiss::Difference::describe).collect();
            let message =
                format!("policy {} does not select the pods of {}", policy.meta.name, workload.meta.name);
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(off.first().map_or(policy.meta.name.span, |difference| difference.wanted_span))
                    .note(words.join("; "))
                    .note_at(
                        format!("the pod template of {} {} is at {{}}", workload.kind, workload.meta.name),
                        workload.pod.span,
                    )
                    .fix("put the label on the pod template"),
            );
        }
    }
    for (_, workload) in check.workloads().filter(|(_, workload)| workload.kind == WorkloadKind::CronJob) {
        hygiene(check, workload, sink);
    }
}

/// Labels of a CronJob that its pods lack, before a policy stumbles over them.
fn hygiene(check: &Check<'_>, workload: &Workload, sink: &mut Sink<'_>) {
    let pods = &workload.pod.labels;
    if pods.incomplete || pods.is_empty() {
        return;
    }
    let mut keys: Vec<&str> = Vec::new();
    let mut span = None;
    for labels in [&workload.job_labels, &workload.meta.labels] {
        for pair in &labels.pairs {
            let key = pair.key.value.as_str();
            if pods.get(key).is_none() && !keys.contains(&key) && !is_bookkeeping(key) {
                keys.push(key);
                span = span.or(Some(pair.key.span));
            }
        }
    }
    let Some(span) = span else { return };
    keys.sort_unstable();
    let keys = keys.join(", ");
    let message = format!("labels of CronJob {} are not on its pods: {keys}", workload.meta.name);
    sink.emit_as(
        Severity::Info,
        Finding::new(check.object(&workload.meta), message)
            .at(span)
            .note("a policy or Service that selects by them would select nothing")
            .fix("put them on the pod template as well, or take them off")
            .group(format!("hygiene {} {keys}", check.namespace(&workload.meta))),
    );
}

/// Labels that tools put on objects and nobody selects pods by.
fn is_bookkeeping(key: &str) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    matches!(
        prefix,
        "helm.sh" | "argocd.argoproj.io" | "kustomize.toolkit.fluxcd.io" | "addonmanager.kubernetes.io"
    ) || matches!(
        key,
        "app.kubernetes.io/managed-by"
            | "app.kubernetes.io/version"
            | "app.kubernetes.io/part-of"
            | "chart"
            | "heritage"
    )
}

//! NP102: no policy is about a workload, while its siblings have one.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Finding, Severity};
use crate::model::{Verdict, WorkloadId};
use crate::nearmiss::NearPolicy;
use crate::needs::Need;
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::shared;

pub(super) static RULE: Rule = Rule {
    id: "NP102",
    name: "sibling-without-policy",
    severity: Severity::Warning,
    title: "a workload has no allowing policy while its siblings have one",
    what: "No policy in the input selects the workload's pods for egress, while other workloads of the namespace are \
           selected by a policy that allows them something. The default-deny that makes this fatal is often not in the \
           repository. An error when one policy almost selects the workload and the workload surely needs the network.",
    why: "Either the workload is the only one that is open, or, where the namespace denies by default, the only one that \
          reaches nothing.",
    example: "
kind: NetworkPolicy
spec:
  podSelector:
    matchLabels: {app: binance-extractor, component: klines-extractor}
---
kind: CronJob     # pods are labelled component: klines-gap-filler
",
    fix: "Give the workload a policy (`netpol fix`), or correct the label that is off. Say whether the namespace denies by \
          default: --context DIR with the policy, or --assume-default-deny NAMESPACE.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let counts = siblings(check);
    for (id, workload) in check.workloads() {
        let explained = check.is_explained(id);
        if explained || workload.pod.host_network || !check.selecting(id, Direction::Egress).is_empty() {
            continue;
        }
        if workload.pod.labels.incomplete || workload.meta.templated {
            continue;
        }
        let siblings = counts.get(check.namespace(&workload.meta)).copied().unwrap_or(0);
        if siblings == 0 {
            continue;
        }
        let needs: Vec<&Need> = check.needs[id].needs.iter().collect();
        let near = shared::near(check, id, Direction::Egress);
        let strong = needs.iter().any(|need| need.confidence.is_strong());
        let sure = strong && near.as_ref().is_some_and(|near| near.namespaces.is_none() && near.selects > 0);
        let severity = if sure { Severity::Error } else { Severity::Warning };
        sink.emit_as(severity, finding(check, id, &needs, siblings, near.as_ref()));
        check.explain(&RULE, id);
    }
}

/// By namespace, how many workloads have their egress allowed in part by a policy of the input.
fn siblings<'c>(check: &Check<'c>) -> BTreeMap<&'c str, usize> {
    let mut selected: BTreeMap<&str, BTreeSet<WorkloadId>> = BTreeMap::new();
    for (index, policy) in check.input.policies.iter().enumerate() {
        if policy.applies_to(Direction::Egress) && !policy.rules(Direction::Egress).is_empty() {
            let namespace = policy.meta.namespace_or(check.default_namespace());
            selected.entry(namespace).or_default().extend(check.selected[index].iter().copied());
        }
    }
    selected.into_iter().map(|(namespace, workloads)| (namespace, workloads.len())).collect()
}

fn finding(
    check: &Check<'_>,
    id: WorkloadId,
    needs: &[&Need],
    siblings: usize,
    near: Option<&NearPolicy>,
) -> Finding {
    let workload = &check.input.workloads[id];
    let namespace = check.namespace(&workload.meta);
    let dns = shared::dns_words(needs);
    let consequence = match (&dns, needs.first()) {
        (Some(dns), _) => format!("cannot resolve any host name ({dns})"),
        (None, Some(first)) => format!("cannot reach {}", first.label()),
        (None, None) => "reaches nothing".to_owned(),
    };
    let message =
        format!("{} is selected by no policy: under a default-deny it {consequence}", workload.meta.name);
    let mut finding = Finding::new(shared::workload_object(check, id, near), message);
    finding.confidence = needs.iter().map(|need| need.confidence).max();
    let in_headline = |need: &Need| match &dns {
        Some(_) => need.target == crate::needs::Target::Dns,
        None => needs.first().is_some_and(|first| first.label() == need.label()),
    };
    finding.needs =
        needs.iter().map(|need| shared::need_ref(need, Verdict::Allowed, in_headline(need))).collect();
    finding.also = vec!["NP103"];
    let (plural, have) = if siblings == 1 { ("other workload", "has") } else { ("other workloads", "have") };
    let cause = format!(
        "no policy in the input selects this pod for egress, while {siblings} {plural} of namespace {namespace} \
         {have} one; the default-deny may be outside the input (--context, --assume-default-deny {namespace})"
    );
    finding = finding.note(cause).cause("not-selected", "no policy selects the pod for egress", None);
    finding = shared::with_near(finding, check, near);
    let difference = near.map(|near| near.comparison.describe()).unwrap_or_default();
    let group = format!("{namespace} {:?} {difference} {consequence}", near.map(|near| near.policy));
    finding.fix(shared::fix_command(check, id, near)).group(group)
}

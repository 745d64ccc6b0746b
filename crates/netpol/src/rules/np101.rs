//! NP101: a need is denied by the workload's own policies.

use crate::findings::{Finding, Severity};
use crate::model::{Verdict, WorkloadId};
use crate::needs::{Confidence, Need, Target};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::shared::{self, Block};

pub(super) static RULE: Rule = Rule {
    id: "NP101",
    name: "need-denied",
    severity: Severity::Error,
    title: "a workload cannot reach what it needs",
    what: "A need of a workload (read from its environment, arguments, ConfigMaps and annotations) is denied by the \
           policies that select its pods for egress. Whoever needs a name needs DNS as well: when that is denied it comes \
           first, because it is what the logs show. Workloads with the same cause are one finding. Names of variables \
           alone are weak evidence and give a warning.",
    why: "The pod starts, cannot resolve or reach the other end, and fails at run time: for a CronJob perhaps weeks later, \
          at night, with an error that does not mention the policy.",
    example: "
kind: NetworkPolicy
spec:
  podSelector:
    matchLabels: {app: binance-extractor, component: klines-extractor}
---
kind: CronJob     # pods are labelled component: klines-gap-filler: no policy allows them anything
",
    fix: "Let `netpol fix` propose the least policy that gives the workload what it needs. When the closest policy was \
          meant for this workload too, correct the label that is off, or widen the selector.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if workload.meta.templated && workload.pod.labels.incomplete {
            continue;
        }
        let (strong, weak): (Vec<usize>, Vec<usize>) =
            shared::blocked(check, id, |block| block == Block::Egress)
                .map(|(index, ..)| index)
                .partition(|index| check.needs[id].needs[*index].confidence.is_strong());
        if !strong.is_empty() {
            let all: Vec<usize> = strong.iter().chain(&weak).copied().collect();
            sink.emit(finding(check, id, &all));
            check.explain(&RULE, id);
        } else if !weak.is_empty() {
            sink.emit_as(Severity::Warning, finding(check, id, &weak));
        }
    }
}

fn finding(check: &Check<'_>, id: WorkloadId, blocked: &[usize]) -> Finding {
    let needs: Vec<&Need> = blocked.iter().map(|index| &check.needs[id].needs[*index]).collect();
    let near = shared::near(check, id, Direction::Egress);
    let near = near.as_ref();
    let name = &check.input.workloads[id].meta.name;
    let dns = shared::dns_words(&needs);
    let first = needs.iter().find(|need| need.target != Target::Dns);
    let what = match (&dns, first) {
        (Some(dns), _) => format!("resolve any host name ({dns})"),
        (None, Some(first)) => format!("reach {}", first.label()),
        (None, None) => "resolve host names over TCP (DNS, 53/TCP)".to_owned(),
    };
    let cause = shared::deny_note(check, id, Direction::Egress);
    let mut finding = Finding::new(shared::workload_object(check, id, near), format!("{name} cannot {what}"));
    finding.confidence = needs.iter().map(|need| need.confidence).max();
    let in_headline = |need: &Need| match &dns {
        Some(_) => need.target == Target::Dns,
        None => first.is_some_and(|first| first.label() == need.label()),
    };
    finding.needs =
        needs.iter().map(|need| shared::need_ref(need, Verdict::Denied, in_headline(need))).collect();
    finding.also = vec!["NP102", "NP103", "NP201"];
    finding = shared::with_isolation(finding.note(cause.clone()), check, id, Direction::Egress);
    if dns.is_none() {
        finding = with_closest_rule(finding, check, id, blocked);
    }
    finding = shared::with_near(finding, check, near);
    if let Some(Confidence::Guess) = finding.confidence {
        finding = finding.note(
            "the need is a guess from the names of variables; declare it with the annotation \
                                netpol.binance-extractor.dev/needs to be sure",
        );
    }
    let difference = near.map(|near| near.comparison.describe()).unwrap_or_default();
    let namespace = check.namespace(&check.input.workloads[id].meta);
    let policy = near.map(|near| near.policy);
    let group = format!("{namespace} {cause} {policy:?} {difference} {what}");
    finding.fix(shared::fix_command(check, id, near)).group(group)
}

/// Names the rule that comes closest, for a workload that has rules.
fn with_closest_rule(finding: Finding, check: &Check<'_>, id: WorkloadId, blocked: &[usize]) -> Finding {
    let first = blocked.iter().find(|index| check.needs[id].needs[**index].target != Target::Dns);
    let judged = first.and_then(|index| check.judged[id].get(*index));
    let side = judged.and_then(|judged| judged.decision()).and_then(|decision| decision.egress.as_ref());
    match side.and_then(|side| shared::closest_rule(check, side)) {
        Some((text, Some(span))) => finding.note_at(text, span),
        Some((text, None)) => finding.note(text),
        None => finding,
    }
}

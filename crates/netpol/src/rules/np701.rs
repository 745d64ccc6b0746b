//! NP701: what the input does not tell.

use std::collections::BTreeMap;

use crate::findings::{Finding, Severity};
use crate::model::{Reason, Verdict};
use crate::needs::{Judged, Need};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::shared;

pub(super) static RULE: Rule = Rule {
    id: "NP701",
    name: "unknown",
    severity: Severity::Info,
    title: "a verdict is open because the input does not tell",
    what: "For workloads that policies isolate for egress: variables whose host or port is not in the input (in a Secret, in a ConfigMap that is \
           elsewhere), and needs whose verdict is unknown because the rule depends on labels, addresses or hostNetwork behaviour that the \
           input does not show.",
    why: "Unknown is not allowed. A check that says nothing about them would say that they are fine.",
    example: "
env:
  - name: MYSQL_URI
    valueFrom: {secretKeyRef: {name: credentials, key: MYSQL_URI}}
",
    fix: "Add what is missing with --context (namespaces with their labels, ConfigMaps), or declare the host: \
          netpol.binance-extractor.dev/needs: \"mysql.databases:3306\".",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, _) in check.workloads() {
        if !check.is_isolated(id, Direction::Egress) || check.needs[id].only_declared {
            continue;
        }
        hosts(check, id, sink);
        open(check, id, sink);
    }
}

/// Needs whose verdict is open, one note per workload and reason.
fn open(check: &Check<'_>, id: usize, sink: &mut Sink<'_>) {
    let workload = &check.input.workloads[id];
    let mut reasons: BTreeMap<&'static str, Vec<&Need>> = BTreeMap::new();
    for (need, judged) in check.needs[id].needs.iter().zip(&check.judged[id]) {
        if judged.verdict == Verdict::Unknown {
            reasons.entry(reason(judged)).or_default().push(need);
        }
    }
    for (why, needs) in reasons {
        let labels: Vec<String> = needs.iter().map(|need| need.label()).collect();
        let labels = shared::and_list(&labels);
        let message = format!("whether {} can reach {labels} is open: {why}", workload.meta.name);
        let evidence = needs.first().and_then(|need| need.evidence.first());
        let mut finding = Finding::new(check.object(&workload.meta), message)
            .at(evidence.map_or(workload.meta.name.span, |evidence| evidence.span))
            .fix("add what is missing with --context, or declare the need with its host")
            .group(format!("{} {labels} {why}", check.namespace(&workload.meta)));
        finding.confidence = needs.iter().map(|need| need.confidence).max();
        finding.needs = needs.iter().map(|need| shared::need_ref(need, Verdict::Unknown, true)).collect();
        sink.emit(finding);
    }
}

fn reason(judged: &Judged) -> &'static str {
    let side = judged.decision().and_then(|decision| {
        let sides = [&decision.egress, &decision.ingress];
        sides.into_iter().flatten().min_by_key(|side| side.verdict)
    });
    match side.map(|side| side.reason) {
        Some(Reason::HostNetwork) => "what policies do for hostNetwork pods is not defined",
        Some(Reason::SomeAddresses) => "only some of the addresses that the name may have are allowed",
        Some(Reason::Open) => "labels or addresses of the other end are not in the input",
        _ => "where it leads is not in the input, and the policies allow some places and not others",
    }
}

/// Hosts that the input does not show, one note per workload and set of variables.
fn hosts(check: &Check<'_>, id: usize, sink: &mut Sink<'_>) {
    let workload = &check.input.workloads[id];
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut first = None;
    for unknown in &check.needs[id].unknown {
        let keys = reasons.entry(unknown.reason.as_str()).or_default();
        if !keys.contains(&unknown.key.as_str()) {
            keys.push(&unknown.key);
        }
        first = first.or(Some(unknown.span));
    }
    let Some(span) = first else { return };
    let mut keys: Vec<&str> = Vec::new();
    for key in reasons.values().flatten() {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let message = format!("where {} connects to is not fully known: {}", workload.meta.name, keys.join(", "));
    let mut finding = Finding::new(check.object(&workload.meta), message).at(span);
    for (reason, keys) in &reasons {
        let own = keys.iter().all(|key| reason.contains(key));
        finding =
            finding.note(if own { (*reason).to_owned() } else { format!("{}: {reason}", keys.join(", ")) });
    }
    sink.emit(
        finding
            .fix("add the ConfigMaps with --context, or declare the hosts with netpol.binance-extractor.dev/needs")
            .group(format!("{} {}", check.namespace(&workload.meta), keys.join(" "))),
    );
}

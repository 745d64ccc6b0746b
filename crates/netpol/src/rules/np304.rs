//! NP304: one port of a pair is missing.

use crate::findings::{Finding, Severity};
use crate::model::{Peer, PodShape, PolicyRef, Verdict};
use crate::needs::{Need, Target};
use crate::object::{Direction, Protocol};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP304",
    name: "port-pair-incomplete",
    severity: Severity::Warning,
    title: "one of two ports of a service is allowed, and which one is used is not known",
    what: "A service may come on two ports: OTLP on 4317 (gRPC) and 4318 (HTTP). \
           The workload's endpoint is not in the input, and its policies allow one of the two.",
    why: "When the endpoint is changed from the one to the other, or the exporter's default is the other, the connection is denied.",
    example: "
env:
  - name: OTEL_EXPORTER_OTLP_ENDPOINT     # from a ConfigMap that is not in the input
    valueFrom: {configMapKeyRef: {name: common, key: OTLP}}
---
egress:
  - ports: [{port: 4317}]
",
    fix: "Give the input the ConfigMap (--context), or declare the need, or allow both ports.",
    check,
};

/// Port, its sibling, and what the sibling is.
const PAIRS: [(u16, u16, &str); 1] = [(4317, 4318, "OTLP over HTTP")];

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if !check.is_isolated(id, Direction::Egress) {
            continue;
        }
        for (need, judged) in check.needs[id].needs.iter().zip(&check.judged[id]) {
            let pair = PAIRS.iter().find(|(port, ..)| *port == need.port);
            let Some((_, other, what)) = pair.filter(|_| need.target == Target::Hidden) else { continue };
            if judged.verdict == Verdict::Denied || verdict(check, id, need, *other) != Verdict::Denied {
                continue;
            }
            let place = check.selecting(id, Direction::Egress).iter().find_map(|(policy, _)| {
                let found = place(check, *policy, need.port)?;
                Some((check.network_policy(*policy)?, found))
            });
            let Some((policy, span)) = place else { continue };
            let message =
                format!("policy {} allows {} and not {other} ({what})", policy.meta.name, need.port);
            let key = need.evidence.first().map_or("", |evidence| evidence.key.as_str());
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(span)
                    .note(format!("which port {key} names is not in the input"))
                    .fix(format!(
                        "allow {other} as well, or add the manifest that holds {key} with --context"
                    ))
                    .group(format!("{} {} {other}", check.namespace(&policy.meta), policy.meta.name))
                    .concerns(check.object(&workload.meta)),
            );
        }
    }
}

fn verdict(check: &Check<'_>, id: usize, need: &Need, port: u16) -> Verdict {
    let to = Peer::Pod(PodShape::unknown(None));
    check.model.decide(&Peer::Workload(id), &to, need.protocol, port).verdict
}

fn place(check: &Check<'_>, policy: PolicyRef, port: u16) -> Option<Span> {
    let policy = check.network_policy(policy)?;
    let rules = policy.rules(Direction::Egress).iter().flat_map(ports::single);
    rules
        .into_iter()
        .find(|(protocol, number, _)| *protocol == Protocol::Tcp && *number == port)
        .map(|(.., span)| span)
}

//! NP303: the protocol cannot carry the service.

use crate::findings::{Finding, Severity};
use crate::needs::{by_port, only_protocol};

use super::Rule;
use super::context::{Check, Sink};
use super::ports;
use super::shared::{self, Block};

pub(super) static RULE: Rule = Rule {
    id: "NP303",
    name: "wrong-protocol",
    severity: Severity::Warning,
    title: "a rule allows a port over a protocol that its service does not speak",
    what: "A rule allows the usual port of a service over a protocol that the service does not use: 4317/UDP, 4222/UDP, 3306/UDP.",
    why: "The rule does nothing. When it is the only one for the port, the connection it was meant for is denied: a missing \
          `protocol` means TCP, and UDP never includes it.",
    example: "
egress:
  - ports: [{port: 4317, protocol: UDP}]   # OTLP is gRPC or HTTP, both over TCP
",
    fix: "Remove the entry, or write TCP.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            for (protocol, port, span) in ports::single(rule) {
                let Some(right) = only_protocol(port).filter(|right| *right != protocol) else { continue };
                let service = by_port(port).map_or("the service", |service| service.name);
                let also = policy.rules(direction).iter().any(|rule| ports::rule_holds(rule, right, port));
                let message = format!(
                    "policy {} allows {port}/{protocol}, but {service} speaks {right}",
                    policy.meta.name
                );
                let fix =
                    if also { "remove the entry: the rule for TCP is there" } else { "write protocol: TCP" };
                let mut finding = Finding::new(check.object(&policy.meta), message)
                    .at(span)
                    .note(format!("{direction} rule {number} has no effect"))
                    .fix(fix)
                    .group(format!("{} {port}/{protocol} {also}", check.namespace(&policy.meta)));
                if !also {
                    finding = finding.note(format!("the policy has no rule for {port}/{right}"));
                }
                sink.emit(finding);
            }
        }
    }
    for (id, workload) in check.workloads() {
        for (_, need, _) in shared::blocked(check, id, |block| block == Block::Protocol) {
            let message = format!(
                "{} cannot reach {}: its port is allowed, but not over {}",
                workload.meta.name,
                need.label(),
                need.protocol
            );
            let mut finding = Finding::new(check.object(&workload.meta), message)
                .at(need.evidence.first().map_or(workload.meta.name.span, |evidence| evidence.span))
                .fix(format!("allow {}/{}", need.port, need.protocol))
                .group(format!("{} {}", check.namespace(&workload.meta), need.label()));
            finding.confidence = Some(need.confidence);
            let severity = if need.confidence.is_strong() { Severity::Error } else { Severity::Warning };
            sink.emit_as(severity, finding);
        }
    }
}

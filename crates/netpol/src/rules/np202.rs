//! NP202: DNS over UDP alone.

use crate::findings::{Finding, Severity};
use crate::model::Verdict;
use crate::object::{Direction, Protocol};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP202",
    name: "dns-udp-only",
    severity: Severity::Warning,
    title: "DNS is allowed over UDP and not over TCP",
    what: "The policies that select a workload, taken together, let it ask the resolver over UDP and not over TCP. Reported at the \
           policy that allows the UDP part, with the workloads it is about.",
    why: "An answer that does not fit a UDP packet is truncated and asked for again over TCP: large record sets, the SRV and TXT \
          records of mongodb+srv, DNSSEC. It works until the day the answer grows.",
    example: "
egress:
  - ports: [{port: 53, protocol: UDP}]
",
    fix: "Add {port: 53, protocol: TCP} beside the UDP entry.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if !check.is_isolated(id, Direction::Egress) || workload.pod.host_network {
            continue;
        }
        let denied = |protocol| check.dns(id, protocol) == Verdict::Denied;
        if denied(Protocol::Udp) || !denied(Protocol::Tcp) {
            continue;
        }
        let allowing = check.selecting(id, Direction::Egress).iter().find_map(|(policy, _)| {
            let policy = check.network_policy(*policy)?;
            Some((policy, udp_place(policy.rules(Direction::Egress))?))
        });
        let (object, subject, span) = match allowing {
            Some((policy, span)) => {
                (check.object(&policy.meta), format!("policy {}", policy.meta.name), span)
            }
            None => {
                let name = &workload.meta.name;
                (check.object(&workload.meta), format!("what selects {name}"), name.span)
            }
        };
        let message = format!("{subject} allows DNS over UDP and not over TCP");
        let group = check.namespace(&workload.meta);
        let finding = Finding::new(object, message)
            .at(span)
            .note("truncated answers (large record sets, mongodb+srv) are asked for again over TCP and then fail")
            .fix("add {port: 53, protocol: TCP} beside the UDP entry")
            .group(group);
        sink.emit(finding);
    }
}

fn udp_place(rules: &[crate::object::PolicyRule]) -> Option<Span> {
    let entries = rules.iter().flat_map(|rule| &rule.ports);
    let entry = entries
        .into_iter()
        .find(|entry| ports::holds(entry, Protocol::Udp, 53) || ports::holds(entry, Protocol::Udp, 5353))?;
    Some(entry.port.as_ref().map_or(entry.span, |port| port.span))
}

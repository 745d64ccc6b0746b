//! NP305: a grant that nobody needs.

use crate::findings::{Finding, Severity};
use crate::needs::{Target, UnknownKind, by_port};
use crate::object::{Direction, NetworkPolicy, Protocol};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP305",
    name: "unused-grant",
    severity: Severity::Warning,
    title: "a rule allows a port that no selected workload needs",
    what: "An egress rule names a port, and none of the workloads that the policy selects has a need on it. Only for policies all of \
           whose workloads show their needs; 443 and 6443 are left out, because the use of the Kubernetes API leaves no trace.",
    why: "What is not needed today is what an intruder uses tomorrow; and it hides, in a list of ports, the one that is missing.",
    example: "
egress:
  - ports: [{port: 5432}]     # no workload has a PostgreSQL address
",
    fix: "Remove the port. When it is needed, declare it on the workload: \
          netpol.binance-extractor.dev/needs: \"db.example:5432\".",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (index, policy) in check.policies() {
        let selected = &check.selected[index];
        let shows = |id: &usize| !check.needs[*id].needs.is_empty() && !hides_everything(check, *id);
        if policy.pod_selector.is_empty() || selected.is_empty() || !selected.iter().all(shows) {
            continue;
        }
        let mut unused = Vec::new();
        for (direction, _, rule) in check.rules_of(policy) {
            if direction == Direction::Egress {
                unused.extend(
                    ports::single(rule)
                        .filter(|(protocol, port, _)| is_unused(check, selected, *protocol, *port)),
                );
            }
        }
        if let Some(finding) = finding(check, policy, &unused) {
            sink.emit(finding);
        }
    }
}

fn finding(check: &Check<'_>, policy: &NetworkPolicy, unused: &[(Protocol, u16, Span)]) -> Option<Finding> {
    let (.., span) = unused.first()?;
    let mut names = Vec::new();
    for (protocol, port, _) in unused {
        let service = by_port(*port).map(|service| format!(" ({})", service.name)).unwrap_or_default();
        let name = format!("{}{service}", ports::name(*protocol, *port));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let message =
        format!("policy {} allows what no selected workload needs: {}", policy.meta.name, names.join(", "));
    Some(
        Finding::new(check.object(&policy.meta), message).at(*span).fix(
            "remove the ports, or declare the need on the workload (netpol.binance-extractor.dev/needs)",
        ),
    )
}

/// Whether variables of the workload come from somewhere that the input does not show at all.
fn hides_everything(check: &Check<'_>, id: usize) -> bool {
    check.needs[id].unknown.iter().any(|unknown| unknown.kind == UnknownKind::Source)
}

fn is_unused(check: &Check<'_>, selected: &[usize], protocol: Protocol, port: u16) -> bool {
    if matches!(port, 53 | 5353 | 443 | 6443) {
        return false;
    }
    let known_service = by_port(port).is_some();
    !selected.iter().any(|id| {
        let of = &check.needs[*id];
        // A wrong protocol is NP303's business.
        let needed = of.needs.iter().any(|need| {
            (need.port..=need.last_port).contains(&port) && (need.protocol == protocol || known_service)
                || mapped_to(check, &need.target, port)
                || (known_service && need.port == 4317 && port == 4318)
                || (known_service && need.port == 4318 && port == 4317)
        });
        // A URL whose value is hidden may be on any port that no service is known for.
        let hidden = !known_service && of.unknown.iter().any(|unknown| unknown.kind == UnknownKind::Endpoint);
        needed || hidden
    })
}

/// Whether the Service behind a need sends it to this port.
fn mapped_to(check: &Check<'_>, target: &Target, port: u16) -> bool {
    let Target::Service(index) = target else { return false };
    check.input.services.get(*index).is_some_and(|service| {
        service.ports.iter().any(|listed| {
            matches!(listed.target_port.as_ref().map(|target| &target.value),
                Some(crate::object::PortRef::Number(number)) if *number == port)
                || matches!(
                    listed.target_port.as_ref().map(|target| &target.value),
                    Some(crate::object::PortRef::Name(_))
                )
        })
    })
}

//! NP801: a declared prohibition does not hold.

use crate::findings::{Finding, Severity};
use crate::model::{Bounds, Peer, PodShape, Target as EngineTarget, WorkloadId};
use crate::needs::{Forbidden, Target};
use crate::object::Protocol;
use crate::set::{IpSet, PortSet};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP801",
    name: "contract-broken",
    severity: Severity::Error,
    title: "a connection that was declared forbidden is possible",
    what: "A `!host:port` of the needs annotation, or a `never` of the needs file, that the policies let through. When it is open whether they do, \
           a warning. (A declared need that is denied is NP101.)",
    why: "The prohibition is a promise: to auditors, or to whoever wrote it after the last incident. This keeps it in CI.",
    example: "
workloads:
  - match: petrosa-apps/*
    never: [\"internet:22\", \"169.254.169.254\"]
",
    fix: "Narrow the rule that lets it through (`netpol explain` names it), or correct the contract.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        for forbidden in &check.needs[id].forbidden {
            let wanted = wanted(forbidden);
            let bounds = bounds(check, id, forbidden);
            let sure = bounds.must.intersection(&wanted);
            let perhaps = bounds.may.intersection(&wanted);
            if perhaps.is_empty() {
                continue;
            }
            let (severity, word, ports) = match sure.is_empty() {
                false => (Severity::Error, "can reach", sure),
                true => (Severity::Warning, "may be able to reach", perhaps),
            };
            let message =
                format!("{} {word} {}, which is declared forbidden", workload.meta.name, forbidden.host);
            sink.emit_as(
                severity,
                Finding::new(check.object(&workload.meta), message)
                    .at(forbidden.evidence.span)
                    .note(format!("open: {ports}"))
                    .fix("narrow the rule that lets it through (`netpol explain` names it)")
                    .group(format!("{} {} {word}", check.namespace(&workload.meta), forbidden.host)),
            );
        }
    }
}

fn wanted(forbidden: &Forbidden) -> PortSet {
    match forbidden.ports {
        Some((first, last)) => PortSet::range(forbidden.protocol, first, last),
        None => {
            Protocol::ALL.into_iter().fold(PortSet::none(), |all, one| all.union(&PortSet::protocol(one)))
        }
    }
}

/// What the policies let through to the target: of several ends, what they let through to any.
fn bounds(check: &Check<'_>, id: WorkloadId, forbidden: &Forbidden) -> Bounds {
    let from = Peer::Workload(id);
    let peers = match &forbidden.target {
        Target::Service(index) => {
            let pods = check.input.services.get(*index).map(|service| super::np307::backends(check, service));
            pods.unwrap_or_default().into_iter().map(Peer::Workload).collect()
        }
        Target::ClusterName { namespace, .. } => vec![Peer::Pod(PodShape::unknown(Some(namespace)))],
        Target::Workload(index) => vec![Peer::Workload(*index)],
        Target::Address(address) => match check.model.resolve_host(&address.to_string(), None) {
            EngineTarget::Peer(peer) => vec![peer],
            _ => vec![Peer::Addresses(IpSet::one(*address))],
        },
        Target::Network(net) => vec![Peer::Addresses(IpSet::networks(&[*net]))],
        Target::Name(name) => vec![Peer::Name(name.clone())],
        Target::Internet => vec![Peer::Addresses(check.model.public_addresses())],
        Target::Dns | Target::Hidden => Vec::new(),
    };
    let each = peers.iter().map(|peer| check.model.allowed(&from, peer));
    each.fold(Bounds::default(), |all, one| Bounds {
        must: all.must.union(&one.must),
        may: all.may.union(&one.may),
    })
}

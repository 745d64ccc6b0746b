//! NP406: IPv4 alone in a dual-stack cluster.

use crate::findings::{Finding, Severity};
use crate::model::Families;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP406",
    name: "ipv4-only-rule",
    severity: Severity::Warning,
    title: "a rule for every IPv4 address in a dual-stack cluster",
    what: "The input shows addresses of both families (cluster IPs of Services, addresses of pods), and a rule names 0.0.0.0/0 with no \
           ::/0 beside it.",
    why: "0.0.0.0/0 does not cover IPv6. A name with an AAAA record is tried over IPv6 first, and the connection hangs until the \
          client falls back, or fails.",
    example: "
to: [{ipBlock: {cidr: 0.0.0.0/0}}]
",
    fix: "Add a second item {ipBlock: {cidr: \"::/0\"}}.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let services = check.input.services.iter().flat_map(|service| &service.cluster_ips);
    let addresses = services.chain(check.input.workloads.iter().flat_map(|workload| &workload.pod_ips));
    let (mut v4, mut v6) = (false, false);
    for address in addresses {
        v4 |= address.is_ipv4();
        v6 |= address.is_ipv6();
    }
    let dual = (v4 && v6) || check.model.options().families == Families::Dual;
    if !dual {
        return;
    }
    for (_, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            let of = |v6: bool| {
                rule.peers.iter().filter(|peer| ports::is_everywhere(peer)).find(|peer| {
                    let net = peer.ip_block.as_ref().and_then(|block| block.cidr.net);
                    net.is_some_and(|net| net.addr().is_ipv6() == v6)
                })
            };
            let (Some(peer), None) = (of(false), of(true)) else { continue };
            let message =
                format!("policy {} covers IPv4 and not IPv6 in a dual-stack cluster", policy.meta.name);
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(peer.span)
                    .note(format!("{direction} rule {number} names 0.0.0.0/0 and not ::/0"))
                    .fix("add {ipBlock: {cidr: \"::/0\"}}")
                    .group(format!("{} {}", check.namespace(&policy.meta), policy.meta.name)),
            );
        }
    }
}

//! NP405: addresses of the cluster in an ipBlock.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::findings::{Finding, Severity};
use crate::object::{Meta, PolicyPeer};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP405",
    name: "cluster-address-in-ipblock",
    severity: Severity::Warning,
    title: "an ipBlock names the address of a Service or a pod",
    what: "An ipBlock for one single address that is the cluster IP of a Service of the input, the usual cluster IP of the resolver, or \
           the address of a pod.",
    why: "A Service's address is translated to a pod's before most network plugins look at the policy, so the rule never matches. A \
          pod's address changes with every restart.",
    example: "
to: [{ipBlock: {cidr: 10.96.0.10/32}}]     # the resolver's cluster IP
",
    fix: "Select the pods by namespace and label.",
    check,
};

/// Cluster IPs that installers give to the resolver.
const RESOLVERS: [&str; 4] = ["10.96.0.10", "10.43.0.10", "172.20.0.10", "10.0.0.10"];

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut known: HashMap<IpAddr, (&str, &Meta)> = HashMap::new();
    for workload in &check.input.workloads {
        known.extend(workload.pod_ips.iter().map(|address| (*address, ("pod", &workload.meta))));
    }
    for service in &check.input.services {
        known.extend(service.cluster_ips.iter().map(|address| (*address, ("Service", &service.meta))));
    }
    for (_, policy) in check.policies() {
        for (_, _, rule) in check.rules_of(policy) {
            for (peer, address) in rule.peers.iter().filter_map(|peer| Some((peer, single(peer)?))) {
                let what = match known.get(&address) {
                    Some((kind, meta)) => format!("the address of {kind} {}", meta.name),
                    None if RESOLVERS.iter().any(|one| one.parse() == Ok(address)) => {
                        "the usual cluster IP of the resolver".to_owned()
                    }
                    None => continue,
                };
                let message = format!("policy {} names {address}, {what}", policy.meta.name);
                let span = peer.ip_block.as_ref().map_or(peer.span, |block| block.cidr.text.span);
                sink.emit(
                    Finding::new(check.object(&policy.meta), message)
                        .at(span)
                        .note("most network plugins look at the packet after the Service's address was translated")
                        .fix("select the pods by namespace and label"),
                );
            }
        }
    }
}

fn single(peer: &PolicyPeer) -> Option<IpAddr> {
    let net = peer.ip_block.as_ref()?.cidr.net?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

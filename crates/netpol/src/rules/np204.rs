//! NP204: the DNS rule does not reach this profile's resolver.

use crate::findings::{Finding, Severity};
use crate::model::{Peer, Target, Verdict};
use crate::object::{Direction, NetworkPolicy, Protocol};
use crate::profile::DnsServer;
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};
use super::{ports, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP204",
    name: "dns-rule-misses-resolver",
    severity: Severity::Warning,
    title: "the DNS rule does not reach the resolver of this profile",
    what: "A policy allows port 53, but to something else than the resolver that the profile describes: with node-local-dns pods \
           ask 169.254.20.10, an address of their node that no selector matches; on OpenShift the resolver pods are in \
           openshift-dns and listen on 5353.",
    why: "The policy is right for another cluster, and here no name resolves.",
    example: "
# profile node-local-dns
egress:
  - to:
      - namespaceSelector: {}
        podSelector:
          matchLabels: {k8s-app: kube-dns}
    ports: [{port: 53, protocol: UDP}]
",
    fix: "node-local-dns: add {ipBlock: {cidr: 169.254.20.10/32}} to the rule. OpenShift: allow 5353 to namespace openshift-dns.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if workload.pod.host_network || !check.is_isolated(id, Direction::Egress) {
            continue;
        }
        if check.dns(id, Protocol::Udp) != Verdict::Denied {
            continue;
        }
        let answer = check.model.verdict(&Peer::Workload(id), &Target::Dns, Protocol::Udp, 53);
        let policies = check.selecting(id, Direction::Egress).iter();
        let meant = policies
            .filter_map(|(policy, _)| check.network_policy(*policy))
            .find_map(|policy| Some((policy, dns_place(policy)?)));
        let Some((policy, span)) = meant else { continue };
        let profile = &check.model.options().profile;
        let (place, fix) = match &profile.dns {
            DnsServer::Address { address, port } => (
                format!("{address}, port {port}, which no selector matches"),
                format!("add {{ipBlock: {{cidr: {address}/32}}}} to the rule"),
            ),
            DnsServer::Pods { namespace, labels, port, .. } => {
                let labels: Vec<String> =
                    labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                let labels = labels.join(", ");
                (
                    format!("pods {labels} in {namespace}, port {port}"),
                    format!("allow {port} over UDP and TCP to pods {labels} in namespace {namespace}"),
                )
            }
        };
        let message = format!("the DNS rule of policy {} does not reach the resolver", policy.meta.name);
        let finding = Finding::new(check.object(&policy.meta), message)
            .at(span)
            .note(format!("under profile {} the resolver is {place}", profile.name));
        let side = answer.routes.first().and_then(|route| route.decision.egress.as_ref());
        let finding = match side.and_then(|side| shared::closest_rule(check, side)) {
            Some((text, Some(span))) => finding.note_at(text, span),
            Some((text, None)) => finding.note(text),
            None => finding,
        };
        let finding =
            finding.fix(fix).group(format!("{} {}", check.namespace(&policy.meta), policy.meta.name));
        sink.emit(finding.concerns(check.object(&workload.meta)));
    }
}

/// The place of an entry for DNS.
pub(super) fn dns_place(policy: &NetworkPolicy) -> Option<Span> {
    let entries = policy.rules(Direction::Egress).iter().flat_map(ports::single);
    entries.into_iter().find(|(_, port, _)| matches!(port, 53 | 5353)).map(|(.., span)| span)
}

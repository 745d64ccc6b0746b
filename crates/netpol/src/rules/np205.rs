//! NP205: DNS to anywhere.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, Protocol};

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP205",
    name: "dns-to-anywhere",
    severity: Severity::Info,
    title: "DNS is allowed to every address",
    what: "A rule allows port 53 to every address and not to the cluster's resolver alone.",
    why: "It works, and it leaves a way out: whatever is sent as DNS queries to a server on the Internet passes (tunnelling).",
    example: "
egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    ports: [{port: 53, protocol: UDP}]
",
    fix: "Name the resolver: namespaceSelector kubernetes.io/metadata.name: kube-system with podSelector k8s-app: kube-dns in one \
          list item; with node-local-dns add ipBlock 169.254.20.10/32.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (direction, _, rule) in check.rules_of(policy) {
            if direction != Direction::Egress || !ports::reaches_everywhere(rule) {
                continue;
            }
            let entry =
                ports::single(rule).find(|(protocol, port, _)| *protocol != Protocol::Sctp && *port == 53);
            let Some((.., span)) = entry else { continue };
            let message = format!("policy {} allows DNS to every address", policy.meta.name);
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(span)
                    .fix("allow 53 to the cluster's resolver alone")
                    .group(check.namespace(&policy.meta)),
            );
        }
    }
}

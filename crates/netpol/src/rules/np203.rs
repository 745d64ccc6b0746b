//! NP203: the DNS rule's two selectors stand in two list items.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, LabelSelector, PolicyPeer, Protocol};

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP203",
    name: "dns-and-became-or",
    severity: Severity::Warning,
    title: "namespaceSelector and podSelector of a DNS rule are two list items",
    what: "A rule for port 53 has one peer with a namespaceSelector alone and another with the podSelector of the resolver alone. \
           In one list item both must match, in two items either is enough.",
    why: "The rule opens the port to every pod of kube-system, and to pods of the own namespace that carry the resolver's label, \
          which is not what it looks like.",
    example: "
to:
  - namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: kube-system}
  - podSelector:                       # the dash makes it OR
      matchLabels: {k8s-app: kube-dns}
",
    fix: "Remove the second dash, so that both selectors stand in one item.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            let dns = direction == Direction::Egress && ports::rule_holds(rule, Protocol::Udp, 53);
            let space = rule
                .peers
                .iter()
                .find(|peer| peer.pod_selector.is_none() && peer.namespace_selector.is_some());
            let pods = rule.peers.iter().find(|peer| peer.namespace_selector.is_none() && is_resolver(peer));
            let (true, Some(space), Some(pods)) = (dns, space, pods) else { continue };
            let message = format!(
                "the DNS rule of policy {} means \"or\" where it was meant to be \"and\"",
                policy.meta.name
            );
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(pods.span)
                    .note_at(
                        format!(
                            "egress rule {number}: the namespaceSelector stands in an item of its own at {{}}"
                        ),
                        space.span,
                    )
                    .note(
                        "the podSelector alone looks for the resolver's label in the policy's own namespace",
                    )
                    .fix("remove the dash before podSelector: one item, both selectors"),
            );
        }
    }
}

fn is_resolver(peer: &PolicyPeer) -> bool {
    let holds = |selector: &LabelSelector| {
        selector
            .requirements()
            .any(|one| one.values().any(|value| matches!(value, "kube-dns" | "coredns" | "node-local-dns")))
    };
    peer.pod_selector.as_ref().is_some_and(holds)
}

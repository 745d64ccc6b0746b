//! NP403: a rule for everyone and everything.

use crate::findings::{Finding, Severity};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP403",
    name: "allow-all",
    severity: Severity::Warning,
    title: "a rule allows everything, or an empty list that reads as nothing",
    what: "A rule without peers and ports (`- {}`) allows every connection in its direction; so does one whose only peer is `to: []`. \
           An empty `to` or `from` looks like \"nobody\" and means \"everybody\".",
    why: "Rules add up: one that allows everything makes all other rules of the workload's policies in this direction pointless.",
    example: "
egress:
  - {}
---
egress:
  - to: []            # everywhere, not nowhere
    ports: [{port: 443}]
",
    fix: "Name peers and ports. To allow nothing, write policyTypes with the direction and no rule. When everything is really meant, \
          ignore the rule on this policy with the reason.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (direction, number, rule) in check.rules_of(policy) {
            let field = match direction {
                Direction::Ingress => "from",
                Direction::Egress => "to",
            };
            let name = &policy.meta.name;
            // Whoever calls it so means it.
            let means_it = name.value.contains("allow-all") || name.value.contains("allow-any");
            let (message, kind) =
                match (rule.peers.is_empty(), rule.ports.is_empty(), rule.peers_written_empty) {
                    (true, true, _) if !means_it => (format!("policy {name} allows all {direction}"), "all"),
                    (true, false, true) => (
                        format!("policy {name} has an empty {field}, which means everyone and not nobody"),
                        "empty",
                    ),
                    _ => continue,
                };
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(rule.span)
                    .note(format!("{direction} rule {number}"))
                    .group(format!("{} {direction} {kind}", check.namespace(&policy.meta)))
                    .fix("name peers and ports; for \"nothing\" leave the rule out"),
            );
        }
    }
}

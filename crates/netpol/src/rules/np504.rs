//! NP504: one rule became two.

use crate::findings::{Finding, Severity};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP504",
    name: "stray-dash",
    severity: Severity::Warning,
    title: "peers and ports stand in two rules",
    what: "A rule with peers and no ports is followed by a rule with ports and no peers.",
    why: "A dash too many splits one rule into two: the first opens every port to the peers, the second opens the ports to everybody.",
    example: "
ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
  - ports: [{port: 5432}]       # the dash makes this a rule of its own
",
    fix: "Remove the second dash, so that both stand in one rule.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        let rules: Vec<_> = check.rules_of(policy).collect();
        for pair in rules.windows(2) {
            let [(direction, number, first), (next, _, second)] = pair else { continue };
            let peers_alone = !first.peers.is_empty() && first.ports.is_empty();
            let ports_alone =
                second.peers.is_empty() && !second.peers_written_empty && !second.ports.is_empty();
            // Whoever writes "- to:" on one line and "- ports:" on the next had one rule in mind.
            let adjacent = second.span.line.saturating_sub(first.span.line) <= 20;
            if direction != next || !peers_alone || !ports_alone || !adjacent {
                continue;
            }
            let message = format!(
                "{direction} rules {number} and {} of policy {} look like one rule split in two",
                number + 1,
                policy.meta.name
            );
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(second.span)
                    .note(format!("as written, rule {number} opens every port to its peers, and rule {} opens its ports to everybody", number + 1))
                    .fix("remove the dash before ports"),
            );
        }
    }
}

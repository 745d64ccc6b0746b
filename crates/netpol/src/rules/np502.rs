//! NP502: policyTypes and rules do not fit.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, NetworkPolicy};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP502",
    name: "policy-types-mismatch",
    severity: Severity::Warning,
    title: "policyTypes and the rules do not fit together",
    what: "Rules of a direction that policyTypes does not list have no effect. A policy with egress rules and without policyTypes \
           isolates for ingress as well, and allows no ingress. A policy that lists a type, has rules for the other alone, and \
           is no deny policy by its name, gives a note.",
    why: "The rules are dead, or the pods are cut off in a direction nobody thought of.",
    example: "
spec:
  policyTypes: [Egress]
  ingress:               # ignored
    - from: [{podSelector: {}}]
",
    fix: "List in policyTypes exactly the directions that the policy is about.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (direction, word) in [(Direction::Ingress, "Ingress"), (Direction::Egress, "Egress")] {
            if let Some(rule) = policy.rules(direction).first().filter(|_| !policy.applies_to(direction)) {
                let message = format!(
                    "the {direction} rules of policy {} have no effect: policyTypes lacks {word}",
                    policy.meta.name
                );
                sink.emit(
                    Finding::new(check.object(&policy.meta), message)
                        .at(rule.span)
                        .fix(format!("add {word} to policyTypes, or remove the rules")),
                );
            }
        }
        let rules = |direction| !policy.rules(direction).is_empty();
        match &policy.policy_types {
            None if rules(Direction::Egress) && policy.ingress.is_none() => {
                let message = format!(
                    "policy {} has no policyTypes and so denies all ingress as well",
                    policy.meta.name
                );
                sink.emit(
                    Finding::new(check.object(&policy.meta), message)
                        .at(policy.spec_span)
                        .note("without policyTypes a policy isolates for ingress always, and for egress when it has egress rules")
                        .fix("write policyTypes: [Egress], or [Ingress, Egress] when denying ingress is meant"),
                );
            }
            Some(types) if types.len() > 1 => one_sided(check, policy, sink),
            _ => {}
        }
    }
}

/// Two types, rules for one of them.
fn one_sided(check: &Check<'_>, policy: &NetworkPolicy, sink: &mut Sink<'_>) {
    let name = policy.meta.name.value.to_ascii_lowercase();
    let means_it =
        ["deny", "default", "isolat", "restrict", "lockdown"].iter().any(|word| name.contains(word));
    let empty = |direction| policy.applies_to(direction) && policy.rules(direction).is_empty();
    let written = |direction| match direction {
        Direction::Ingress => policy.ingress.is_some(),
        Direction::Egress => policy.egress.is_some(),
    };
    for (silent, other) in [(Direction::Ingress, Direction::Egress), (Direction::Egress, Direction::Ingress)]
    {
        // An empty list that is written out says that it is meant.
        if means_it || !empty(silent) || empty(other) || written(silent) {
            continue;
        }
        let message = format!(
            "policy {} denies all {silent}: policyTypes lists it and there is no rule",
            policy.meta.name
        );
        let span = policy
            .policy_types
            .as_ref()
            .and_then(|types| types.last())
            .map_or(policy.spec_span, |kind| kind.span);
        sink.emit_as(
            Severity::Info,
            Finding::new(check.object(&policy.meta), message)
                .at(span)
                .fix(format!("remove the type, or write {silent}: [] to show that it is meant")),
        );
    }
}

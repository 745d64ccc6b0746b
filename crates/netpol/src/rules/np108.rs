//! NP108: a selector contradicts itself.

use crate::findings::{Finding, Severity};
use crate::object::{LabelSelector, NetworkPolicy, Operator, Requirement};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP108",
    name: "selector-contradiction",
    severity: Severity::Error,
    title: "a selector contradicts itself and matches nothing",
    what: "Two requirements on one key exclude each other: In [a] with NotIn [a], Exists with DoesNotExist, or two sets of \
           values that have none in common.",
    why: "All requirements of a selector must hold, so this one never matches; the API server accepts it.",
    example: "
podSelector:
  matchLabels: {tier: web}
  matchExpressions:
    - {key: tier, operator: NotIn, values: [web]}
",
    fix: "Remove one of the two. For \"either of these\", list the values in one In, or write two list items.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        one(check, policy, &policy.pod_selector, "podSelector", sink);
        for (_, _, rule) in check.rules_of(policy) {
            for peer in &rule.peers {
                if let Some(selector) = &peer.pod_selector {
                    one(check, policy, selector, "podSelector of a peer", sink);
                }
                if let Some(selector) = &peer.namespace_selector {
                    one(check, policy, selector, "namespaceSelector of a peer", sink);
                }
            }
        }
    }
}

fn one(check: &Check<'_>, policy: &NetworkPolicy, selector: &LabelSelector, what: &str, sink: &mut Sink<'_>) {
    let Some((key, span)) = contradiction(selector) else { return };
    let message =
        format!("the {what} of policy {} contradicts itself on {key} and matches nothing", policy.meta.name);
    sink.emit(
        Finding::new(check.object(&policy.meta), message)
            .at(span)
            .fix("remove one of the two requirements on this key"),
    );
}

fn contradiction(selector: &LabelSelector) -> Option<(String, Span)> {
    let all: Vec<Requirement<'_>> = selector.requirements().collect();
    for (index, later) in all.iter().enumerate() {
        for earlier in all.iter().take(index).filter(|earlier| earlier.key() == later.key()) {
            if exclude(earlier, later) || exclude(later, earlier) {
                return Some((later.key().to_owned(), later.span()));
            }
        }
    }
    None
}

fn exclude(a: &Requirement<'_>, b: &Requirement<'_>) -> bool {
    let within = |a: &Requirement<'_>, b: &Requirement<'_>| {
        a.values().all(|value| b.values().any(|other| other == value))
    };
    let disjoint = |a: &Requirement<'_>, b: &Requirement<'_>| {
        !a.values().any(|value| b.values().any(|other| other == value))
    };
    let written = |one: &Requirement<'_>| one.values().all(|value| !value.contains("{{"));
    if !written(a) || !written(b) {
        return false;
    }
    match (a.operator(), b.operator()) {
        (Operator::In, Operator::In) => {
            a.values().next().is_some() && b.values().next().is_some() && disjoint(a, b)
        }
        (Operator::In, Operator::NotIn) => a.values().next().is_some() && within(a, b),
        (Operator::In | Operator::Exists, Operator::DoesNotExist) => true,
        _ => false,
    }
}

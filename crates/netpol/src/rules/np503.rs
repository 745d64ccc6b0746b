//! NP503: an empty egress that denies nothing.

use crate::findings::{Finding, Severity};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP503",
    name: "empty-egress-does-not-isolate",
    severity: Severity::Warning,
    title: "egress: [] without policyTypes does not deny egress",
    what: "A policy writes an empty `egress` and no `policyTypes`.",
    why: "Without policyTypes a policy is about egress only when it has at least one egress rule. The empty list looks like a deny and is \
          none: egress stays open, and ingress is denied.",
    example: "
spec:
  podSelector: {}
  egress: []
",
    fix: "Write policyTypes: [Egress].",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        let empty = policy.egress.as_ref().is_some_and(Vec::is_empty);
        if policy.policy_types.is_some() || !empty {
            continue;
        }
        let message = format!(
            "policy {} does not deny egress: it has no policyTypes and no egress rule",
            policy.meta.name
        );
        sink.emit(
            Finding::new(check.object(&policy.meta), message)
                .at(policy.spec_span)
                .fix("write policyTypes: [Egress]"),
        );
    }
}

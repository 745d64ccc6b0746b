//! NP506: two of the same name.

use std::collections::HashMap;

use crate::findings::{Finding, Severity};
use crate::object::NetworkPolicy;
use crate::source::ProblemKind;

use super::Rule;
use super::context::{Check, Sink};
use super::np501::object;

pub(super) static RULE: Rule = Rule {
    id: "NP506",
    name: "duplicate",
    severity: Severity::Warning,
    title: "a policy or a key is written twice, and the last one wins",
    what: "Two NetworkPolicies of one name in one namespace, or a key that stands twice in one mapping (also through a merged anchor).",
    why: "The second replaces the first when it is applied: what the first one says is lost without a word.",
    example: "
egress: [...]
policyTypes: [Egress]
egress: []          # this one counts
",
    fix: "Give the policies different names, or join them; remove one of the keys.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut seen: HashMap<(&str, &str), &NetworkPolicy> = HashMap::new();
    for (_, policy) in check.policies() {
        let name = policy.meta.name.value.as_str();
        if name.is_empty() || policy.meta.templated {
            continue;
        }
        let key = (check.namespace(&policy.meta), name);
        if let Some(first) = seen.insert(key, policy) {
            let message = format!("policy {} is defined twice in namespace {}", policy.meta.name, key.0);
            let finding = Finding::new(check.object(&policy.meta), message)
                .note_at("the other one is at {}", first.meta.name.span);
            // Copies do no harm: two overlays of one base, the same file in two examples.
            if check.input.source(first.meta.span).trim() == check.input.source(policy.meta.span).trim() {
                let finding = finding.note("they say the same");
                sink.emit_as(Severity::Info, finding.fix("remove one of them"));
            } else {
                sink.emit(finding.fix("give them different names, or join them"));
            }
        }
    }
    for problem in &check.input.problems {
        if problem.kind == ProblemKind::DuplicateKey {
            sink.emit(
                Finding::new(object(problem), problem.message.clone())
                    .at(problem.span)
                    .fix("remove one of the two"),
            );
        }
    }
}

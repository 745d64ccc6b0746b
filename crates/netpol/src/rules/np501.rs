//! NP501: what the API server would reject.

use crate::findings::{Finding, ObjectId, Severity};
use crate::source::{Problem, ProblemKind};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP501",
    name: "invalid",
    severity: Severity::Error,
    title: "the API server rejects this, or drops it silently",
    what: "Values and fields that are wrong in the schema: an empty peer, an ipBlock beside a selector, an except outside its cidr, an \
           endPort without a number in port, labels that are no strings or too long, unknown operators, and fields that do not \
           exist or stand at the wrong depth (matchLabels beside podSelector).",
    why: "A rejected policy is not applied: without a default-deny everything stays open, with one everything stays closed. An unknown \
          field is dropped by older servers, and the policy means something else than it says.",
    example: "
ingress:
  - from:
      - podSelector: {}
        ipBlock: {cidr: 10.0.0.0/8}   # must stand in an item of its own
",
    fix: "Correct the field as the message says; `kubectl apply --dry-run=server` agrees when it is right.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for problem in check.input.problems.iter() {
        let schema =
            matches!(problem.kind, ProblemKind::WrongType | ProblemKind::UnknownField | ProblemKind::Invalid);
        if schema && !problem.object.is_empty() && !is_local(&problem.object) {
            sink.emit(Finding::new(object(problem), problem.message.clone()).at(problem.span));
        }
    }
}

/// Files of tools that look like objects and are never sent to a cluster.
fn is_local(object: &str) -> bool {
    matches!(
        object.split(' ').next(),
        Some("Kustomization" | "Component" | "Config" | "Cluster" | "Skaffold")
    )
}

/// The object of a problem, from `Kind namespace/name`.
pub(super) fn object(problem: &Problem) -> ObjectId {
    let (kind, rest) = problem.object.split_once(' ').unwrap_or((&problem.object, ""));
    let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
    ObjectId {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        span: problem.span,
        suppressed: None,
    }
}

//! NP107: one thing written in two ways.

use std::collections::BTreeMap;

use crate::findings::{Finding, Severity};
use crate::model::NAMESPACE_NAME_LABEL;
use crate::object::{LabelSelector, NetworkPolicy, Tri};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP107",
    name: "label-drift",
    severity: Severity::Warning,
    title: "the same thing is labelled in two ways",
    what: "A namespaceSelector asks for `name: X` where the label that every namespace has is kubernetes.io/metadata.name, or \
           one policy of a namespace names a target by the one key and another policy by the other. Also, as a note, values of \
           one label key in a namespace that differ in spelling alone: `m5` and `5m`, `gap-filler` and `gap_filler`.",
    why: "`name:` is on a namespace only when somebody put it there, so the rule silently matches nothing in a new cluster. Two \
          spellings mean that every selector misses half of what it was meant for.",
    example: "
to:
  - namespaceSelector:
      matchLabels: {name: observability}
",
    fix: "Write kubernetes.io/metadata.name: the control plane sets it on every namespace and nobody can change it. For \
          values, choose one spelling.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for (_, _, rule) in check.rules_of(policy) {
            for selector in rule.peers.iter().filter_map(|peer| peer.namespace_selector.as_ref()) {
                plain_name(check, policy, selector, sink);
            }
        }
    }
    spellings(check, sink);
}

fn plain_name(check: &Check<'_>, policy: &NetworkPolicy, selector: &LabelSelector, sink: &mut Sink<'_>) {
    for pair in &selector.match_labels.pairs {
        if pair.key.value != "name" || pair.templated {
            continue;
        }
        // A namespace of the input has the label: somebody did put it there.
        let known = check
            .input
            .namespaces
            .iter()
            .any(|namespace| selector.matches(&namespace.meta.labels) == Tri::Yes);
        if known {
            continue;
        }
        let name = &pair.value.value;
        let message = format!(
            "policy {} looks for a namespace label name: {name}, which nothing sets",
            policy.meta.name
        );
        sink.emit(
            Finding::new(check.object(&policy.meta), message)
                .at(pair.key.span)
                .note(format!("every namespace has {NAMESPACE_NAME_LABEL}; name is there only when somebody put it there"))
                .fix(format!("write {NAMESPACE_NAME_LABEL}: {name}"))
                .group(format!("{} {}", check.namespace(&policy.meta), policy.meta.name)),
        );
    }
}

/// Values under one key of one namespace, with the first place of each.
type Values<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<&'a str, (usize, Span)>>;

fn spellings(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut values: Values<'_> = BTreeMap::new();
    for (index, workload) in check.workloads() {
        let namespace = check.namespace(&workload.meta);
        for labels in [&workload.pod.labels, &workload.job_labels, &workload.meta.labels] {
            for pair in labels.pairs.iter().filter(|pair| !pair.templated) {
                let of_key = values.entry((namespace, pair.key.value.as_str())).or_default();
                of_key.entry(pair.value.value.as_str()).or_insert((index, pair.value.span));
            }
        }
    }
    for ((_, key), of_key) in &values {
        let mut pairs = Vec::new();
        let mut seen: BTreeMap<String, (&str, (usize, Span))> = BTreeMap::new();
        for (value, place) in of_key {
            let spelling = flat(value);
            let earlier = seen.get(&spelling).or_else(|| seen.get(&swapped(&spelling)?));
            match earlier {
                Some((other, first)) => pairs.push((*other, *value, *first, *place)),
                None => {
                    seen.insert(spelling, (value, *place));
                }
            }
        }
        let Some((a, b, first, second)) = pairs.first().copied() else { continue };
        let (at, other) = if first.1 <= second.1 { (second, first) } else { (first, second) };
        let workload = &check.input.workloads[at.0];
        let mut finding = Finding::new(
            check.object(&workload.meta),
            format!("label {key} is spelled in two ways: {a} and {b}"),
        )
        .at(at.1)
        .note_at("the other spelling is at {}", other.1)
        .fix("choose one spelling");
        for (a, b, ..) in pairs.iter().skip(1) {
            finding = finding.note(format!("also {a} and {b}"));
        }
        sink.emit_as(Severity::Info, finding);
    }
}

/// A value without what spellings differ in: case and separators.
fn flat(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// `m5` for `5m`: number and unit changed over.
fn swapped(text: &str) -> Option<String> {
    let digit_first = text.starts_with(|c: char| c.is_ascii_digit());
    let at = text.find(|c: char| c.is_ascii_digit() != digit_first)?;
    let (head, tail) = (text.get(..at)?, text.get(at..)?);
    // More than one number and one unit is a name and not a quantity.
    let one_part = tail.chars().all(|c| c.is_ascii_digit() != digit_first);
    one_part.then(|| format!("{tail}{head}"))
}

#[cfg(test)]
mod tests {
    use super::{flat, swapped};

    #[test]
    fn number_and_unit_may_be_changed_over() {
        assert_eq!(swapped("m5").as_deref(), Some("5m"));
        assert_eq!(swapped("15m").as_deref(), Some("m15"));
        assert_eq!(swapped("web"), None);
        assert_eq!(swapped("v1beta1"), None);
    }

    #[test]
    fn case_and_separators_are_spelling() {
        assert_eq!(flat("Gap_Filler"), flat("gap-filler"));
        assert_ne!(flat("m5"), flat("m15"));
    }
}

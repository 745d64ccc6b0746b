//! NP602: variables whose source lacks them.

use std::collections::BTreeMap;

use crate::findings::{Finding, Severity};
use crate::nearmiss::similar::{self, Likeness};
use crate::object::{Container, EnvValue, KeyRef};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP602",
    name: "missing-config",
    severity: Severity::Warning,
    title: "a variable comes from a key or an object that is not there",
    what: "A configMapKeyRef or secretKeyRef whose object is in the input and lacks the key. As a note: objects that the input does not have \
           at all, with the keys that are taken from them, because what they hold is unknown; and keys of one object that break its own \
           spelling (one kebab-case key among UPPER_CASE ones).",
    why: "A pod with a missing key does not start (CreateContainerConfigError). What is in an object outside the input cannot be judged: \
          hosts, ports, adapters.",
    example: "
env:
  - name: NATS_URL
    valueFrom: {configMapKeyRef: {name: common, key: NATS_URI}}   # the key is NATS_URL
",
    fix: "Correct the key, or add it. For objects that live elsewhere: --context with a copy (of Secrets, the keys are enough), or \
          optional: true when the program does without.",
    check,
};

/// What the input does not have: by kind, namespace and name, the keys that are used and the places.
type Outside<'a> = BTreeMap<(&'static str, &'a str, &'a str), (BTreeMap<&'a str, usize>, Span, usize)>;

/// The keys that are used of each object, each with a place and a workload.
type Keys<'a> = BTreeMap<(&'static str, &'a str, &'a str), BTreeMap<&'a str, (Span, usize)>>;

/// An object that the input does not have: name, keys that are used, a place, a workload.
type Missing<'a> = (&'a str, Vec<&'a str>, Span, usize);

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut outside: Outside<'_> = BTreeMap::new();
    let mut spellings: Keys<'_> = BTreeMap::new();
    for (id, workload) in check.workloads() {
        let namespace = check.namespace(&workload.meta);
        for container in &workload.pod.containers {
            for (kind, reference) in references(container) {
                let (name, key) = (reference.name.value.as_str(), reference.key.value.as_str());
                if name.contains("{{") || key.contains("{{") || reference.optional {
                    continue;
                }
                let uses = spellings.entry((kind, namespace, name)).or_default();
                uses.entry(key).or_insert((reference.key.span, id));
                match has_key(check, kind, namespace, name, key) {
                    None => {
                        let entry = outside.entry((kind, namespace, name)).or_insert((
                            BTreeMap::new(),
                            reference.name.span,
                            id,
                        ));
                        *entry.0.entry(key).or_insert(0) += 1;
                    }
                    Some(true) => {}
                    Some(false) => {
                        let message = format!(
                            "{} takes {key} from {kind} {name}, which has no such key",
                            workload.meta.name
                        );
                        sink.emit(
                            Finding::new(check.object(&workload.meta), message)
                                .at(reference.key.span)
                                .note("the pod does not start: CreateContainerConfigError")
                                .fix("correct the key, or add it")
                                .group(format!("{kind} {namespace} {name} {key}")),
                        );
                    }
                }
            }
        }
    }
    not_in_input(check, &outside, sink);
    for ((kind, _, name), keys) in &spellings {
        odd_spelling(check, kind, name, keys, sink);
    }
}

/// One note per namespace and kind; a name that is almost one of the input's is a warning of its own.
fn not_in_input(check: &Check<'_>, outside: &Outside<'_>, sink: &mut Sink<'_>) {
    let mut groups: BTreeMap<(&str, &str), Vec<Missing<'_>>> = BTreeMap::new();
    for ((kind, namespace, name), (keys, span, id)) in outside {
        let keys: Vec<&str> = keys.keys().copied().collect();
        if let Some(close) = similar_name(check, kind, namespace, name) {
            let workload = &check.input.workloads[*id];
            let message =
                format!("{} takes variables from {kind} {name}, which does not exist", workload.meta.name);
            sink.emit(
                Finding::new(check.object(&workload.meta), message)
                    .at(*span)
                    .note(format!("closest: {kind} {close}"))
                    .fix("correct the name"),
            );
        } else {
            groups.entry((kind, namespace)).or_default().push((name, keys, *span, *id));
        }
    }
    for ((kind, _), list) in groups {
        let Some((_, _, span, id)) = list.first() else { continue };
        let names: Vec<&str> = list.iter().map(|(name, ..)| *name).collect();
        let plural = if names.len() == 1 {
            format!("{kind} {} is", names.join(""))
        } else {
            format!("{kind}s {} are", names.join(", "))
        };
        let message = format!("{plural} not in the input: what the keys hold is unknown");
        let mut finding = Finding::new(check.object(&check.input.workloads[*id].meta), message).at(*span);
        for (name, keys, ..) in &list {
            finding = finding.note(format!("taken from {name}: {}", keys.join(", ")));
        }
        sink.emit_as(Severity::Info, finding.fix("add them with --context; of a Secret the keys are enough"));
    }
}

/// An object of the input with almost this name.
fn similar_name<'c>(check: &Check<'c>, kind: &str, namespace: &str, name: &str) -> Option<&'c str> {
    let close =
        |other: &&str| similar::values(name, other).is_some_and(|likeness| likeness <= Likeness::Typo);
    if kind == "Secret" {
        let secrets = check.input.secrets.iter().filter(|secret| check.namespace(&secret.meta) == namespace);
        return secrets.map(|secret| secret.meta.name.value.as_str()).find(close);
    }
    let maps = check.input.config_maps.iter().filter(|map| check.namespace(&map.meta) == namespace);
    maps.map(|map| map.meta.name.value.as_str()).find(close)
}

fn references(container: &Container) -> impl Iterator<Item = (&'static str, &KeyRef)> {
    container.env.iter().filter_map(|entry| match &entry.value {
        EnvValue::ConfigMapKey(reference) => Some(("ConfigMap", reference)),
        EnvValue::SecretKey(reference) => Some(("Secret", reference)),
        _ => None,
    })
}

/// Whether the object has the key; `None` when the input does not have the object.
fn has_key(check: &Check<'_>, kind: &str, namespace: &str, name: &str, key: &str) -> Option<bool> {
    if kind == "Secret" {
        let secret = check.configs.secret(namespace, name)?;
        return Some(secret.meta.templated || secret.keys.iter().any(|known| known.value == key));
    }
    let map = check.configs.map(namespace, name)?;
    Some(map.meta.templated || map.data.iter().any(|pair| pair.key.value == key))
}

/// One key that is spelled otherwise than all others of the same object.
fn odd_spelling(
    check: &Check<'_>,
    kind: &str,
    name: &str,
    keys: &BTreeMap<&str, (Span, usize)>,
    sink: &mut Sink<'_>,
) {
    let upper = |key: &str| key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let odd: Vec<(&&str, &(Span, usize))> = keys.iter().filter(|(key, _)| !upper(key)).collect();
    let [(key, (span, id))] = odd.as_slice() else { return };
    if keys.len() < 4 {
        return;
    }
    let message = format!("key {key} of {kind} {name} is spelled unlike all other keys of it");
    sink.emit_as(
        Severity::Info,
        Finding::new(check.object(&check.input.workloads[*id].meta), message)
            .at(*span)
            .note("the others are UPPER_CASE")
            .fix("rename the key, where the object is kept and where it is used"),
    );
}

//! NP505: copies of a list of rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::{Finding, Severity};
use crate::object::{
    Direction, LabelSelector, NetworkPolicy, Operator, PolicyPeer, PolicyRule, Protocol, Requirement,
};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP505",
    name: "rule-copies",
    severity: Severity::Info,
    title: "rules repeat each other",
    what: "A policy that contains the same grant twice, and policies of one namespace that share most of their grants: what each has \
           and the others lack is listed.",
    why: "Copies drift. The one that was forgotten (53/TCP, 4318) is the next incident.",
    example: "
# two policies, the same eight ports, and one of them lacks 53/TCP
",
    fix: "One policy for all of them: matchExpressions {key: component, operator: In, values: [klines-extractor, klines-gap-filler]}.",
    check,
};

/// A grant: peers and one port, in words that are equal when the meaning is.
type Grants = BTreeMap<String, String>;

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let mut by_namespace: BTreeMap<(&str, Direction), Vec<(&NetworkPolicy, Grants)>> = BTreeMap::new();
    for (_, policy) in check.policies() {
        for direction in [Direction::Ingress, Direction::Egress] {
            if policy.applies_to(direction) && !policy.rules(direction).is_empty() {
                let grants = grants(check, policy, direction, sink);
                by_namespace
                    .entry((check.namespace(&policy.meta), direction))
                    .or_default()
                    .push((policy, grants));
            }
        }
    }
    for ((_, direction), policies) in &by_namespace {
        let mut told = BTreeSet::new();
        for (index, (first, grants)) in policies.iter().enumerate() {
            let copies: Vec<&(&NetworkPolicy, Grants)> =
                policies.iter().skip(index + 1).filter(|(_, other)| are_copies(grants, other)).collect();
            if copies.is_empty() || told.contains(&first.meta.name.value) {
                continue;
            }
            told.extend(copies.iter().map(|(policy, _)| policy.meta.name.value.clone()));
            sink.emit(copies_finding(check, *direction, first, grants, &copies));
        }
    }
}

fn copies_finding(
    check: &Check<'_>,
    direction: Direction,
    first: &NetworkPolicy,
    grants: &Grants,
    copies: &[&(&NetworkPolicy, Grants)],
) -> Finding {
    let mut names = vec![first.meta.name.value.clone()];
    names.extend(copies.iter().map(|(policy, _)| policy.meta.name.value.clone()));
    let message =
        format!("policies {} are copies of one list of {direction} rules", super::shared::and_list(&names));
    let mut finding = Finding::new(check.object(&first.meta), message);
    let mut same = true;
    for (other, theirs) in copies {
        let only = |a: &Grants, b: &Grants| -> Vec<String> {
            a.iter().filter(|(key, _)| !b.contains_key(*key)).map(|(_, words)| words.clone()).collect()
        };
        for (name, list) in
            [(&first.meta.name, only(grants, theirs)), (&other.meta.name, only(theirs, grants))]
        {
            if !list.is_empty() {
                same = false;
                finding = finding.note(format!("only {name} allows {}", list.join(", ")));
            }
        }
    }
    if same {
        finding = finding.note("they are the same today");
    }
    finding = finding.fix("one policy whose selector lists all of the values (operator: In)");
    for (other, _) in copies {
        finding.objects.push(check.object(&other.meta));
    }
    finding
}

/// At least three grants in common, and more in common than apart.
fn are_copies(a: &Grants, b: &Grants) -> bool {
    let shared = a.keys().filter(|key| b.contains_key(*key)).count();
    shared >= 3 && shared * 2 > a.len().max(b.len())
}

/// The grants of one direction; what stands in a policy twice is reported on the way.
fn grants(check: &Check<'_>, policy: &NetworkPolicy, direction: Direction, sink: &mut Sink<'_>) -> Grants {
    let mut grants = Grants::new();
    for (index, rule) in policy.rules(direction).iter().enumerate() {
        let peers = peers(rule);
        for (port, words) in ports(rule) {
            let to = if peers.is_empty() { "everyone" } else { &peers };
            let key = format!("{peers} {port}");
            if grants.insert(key, words.clone()).is_some() {
                let message = format!(
                    "policy {} allows {words} twice for the same peers ({direction})",
                    policy.meta.name
                );
                sink.emit(
                    Finding::new(check.object(&policy.meta), message)
                        .at(rule.span)
                        .note(format!("{direction} rule {} repeats an earlier one: {to}", index + 1))
                        .fix("remove one of the two"),
                );
            }
        }
    }
    grants
}

/// A rule in words that are equal when the meaning is.
pub(super) fn rule_words(rule: &PolicyRule) -> String {
    let mut ports: Vec<String> = ports(rule).into_iter().map(|(words, _)| words).collect();
    ports.sort();
    format!("{} on {}", peers(rule), ports.join(", "))
}

/// A selector in words that are equal when the meaning is.
pub(super) fn selector_words(selector: &LabelSelector) -> String {
    let mut parts: Vec<String> = selector.requirements().map(|one| requirement(&one)).collect();
    parts.sort();
    parts.join("&")
}

fn ports(rule: &PolicyRule) -> Vec<(String, String)> {
    if rule.ports.is_empty() {
        return vec![("*".to_owned(), "every port".to_owned())];
    }
    let words = rule.ports.iter().map(|port| {
        let protocol = port.protocol.unwrap_or(Protocol::Tcp);
        match (&port.port, &port.end_port) {
            (None, _) => format!("every {protocol} port"),
            (Some(first), Some(last)) => format!("{}-{}/{protocol}", first.value, last.value),
            (Some(first), None) => format!("{}/{protocol}", first.value),
        }
    });
    words.map(|words| (words.clone(), words)).collect()
}

fn peers(rule: &PolicyRule) -> String {
    let mut words: Vec<String> = rule.peers.iter().map(peer).collect();
    words.sort();
    words.join(" | ")
}

fn peer(peer: &PolicyPeer) -> String {
    if let Some(block) = &peer.ip_block {
        let mut except: Vec<&str> = block.except.iter().map(|cidr| cidr.text.value.as_str()).collect();
        except.sort_unstable();
        return format!("{} except {}", block.cidr.text.value, except.join(","));
    }
    let words = |selector: Option<&LabelSelector>| selector.map_or_else(|| "-".to_owned(), selector_words);
    format!("ns[{}] pod[{}]", words(peer.namespace_selector.as_ref()), words(peer.pod_selector.as_ref()))
}

fn requirement(one: &Requirement<'_>) -> String {
    let mut values: Vec<&str> = one.values().collect();
    values.sort_unstable();
    match one.operator() {
        Operator::In => format!("{} in {}", one.key(), values.join(",")),
        other => format!("{} {} {}", one.key(), other.as_str(), values.join(",")),
    }
}

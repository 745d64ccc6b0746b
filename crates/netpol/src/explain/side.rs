//! One end of a connection in words.

use super::{Closest, End, NotSelecting, PolicyText, RuleText};
use crate::model::{
    Miss, Model, NAMESPACE_NAME_LABEL, Peer, PeerOutcome, PolicyRef, Reason, Route, RuleOutcome,
    SideDecision, Unmet, Verdict, WorkloadId, unmet,
};
use crate::nearmiss;
use crate::object::{Action, Direction, Operator, Tri};

/// The end as data.
pub(super) fn end(model: &Model<'_>, side: &SideDecision, subject: &Peer, route: &Route) -> End {
    let mut policies: Vec<PolicyText> = Vec::new();
    for (policy, sure) in &side.selected_by {
        let rules = side.rules.iter().filter(|rule| rule.rule.policy == *policy);
        policies.push(PolicyText {
            name: model.policy_name(*policy),
            location: location(model, *policy),
            selects: tri(*sure),
            rules: rules.map(|rule| rule_text(model, rule, route)).collect(),
        });
    }
    let cluster_wide = side.rules.iter().filter(|rule| matches!(rule.rule.policy, PolicyRef::Admin(_)));
    for rule in cluster_wide {
        let name = model.policy_name(rule.rule.policy);
        let text = rule_text(model, rule, route);
        match policies.iter_mut().find(|policy| policy.name == name) {
            Some(policy) => policy.rules.push(text),
            None => policies.push(PolicyText {
                name,
                location: location(model, rule.rule.policy),
                selects: tri(rule.subject),
                rules: vec![text],
            }),
        }
    }
    let not_selecting = match subject {
        Peer::Workload(id) if side.verdict != Verdict::Allowed => not_selecting(model, *id, side.direction),
        _ => Vec::new(),
    };
    End {
        verdict: side.verdict.to_string(),
        reason: reason_word(side.reason),
        summary: summary(model, side),
        policies,
        not_selecting,
    }
}

/// Policies of the workload's namespace and the direction that do not select it.
pub(super) fn not_selecting(model: &Model<'_>, id: WorkloadId, direction: Direction) -> Vec<NotSelecting> {
    let input = model.input();
    let default = model.options().default_namespace.as_str();
    let workload = &input.workloads[id];
    let namespace = workload.meta.namespace_or(default);
    let mut list = Vec::new();
    for policy in &input.policies {
        if policy.meta.namespace_or(default) != namespace
            || !policy.applies_to(direction)
            || policy.pod_selector.matches(&workload.pod.labels) != Tri::No
        {
            continue;
        }
        let misses: Vec<String> = unmet(&policy.pod_selector, &workload.pod.labels)
            .iter()
            .map(|miss| unmet_text(miss, "pod"))
            .collect();
        list.push(NotSelecting {
            name: format!("{namespace}/{}", policy.meta.name),
            location: input.locate(policy.pod_selector.span).to_string(),
            why: misses.join(", "),
        });
    }
    list
}

/// Policies that almost select the workload.
pub(super) fn closest(model: &Model<'_>, id: WorkloadId) -> Vec<Closest> {
    let input = model.input();
    let default = model.options().default_namespace.as_str();
    let near = nearmiss::policies_for(model, id);
    near.iter()
        .take(3)
        .map(|near| {
            let policy = &input.policies[near.policy];
            let first = near.comparison.differences.first();
            let mut difference = near.comparison.describe();
            if let Some((theirs, own)) = &near.namespaces {
                let text = format!("the policy is in namespace {theirs}, the pod in {own}");
                difference = if difference.is_empty() { text } else { format!("{difference}, {text}") };
            }
            let span = first.map_or(policy.pod_selector.span, |first| first.wanted_span);
            Closest {
                policy: format!("{}/{}", policy.meta.namespace_or(default), policy.meta.name),
                location: input.locate(span).to_string(),
                label_location: first
                    .and_then(|first| first.found_span)
                    .map(|span| input.locate(span).to_string()),
                difference,
                selects: near.selects,
            }
        })
        .collect()
}

fn location(model: &Model<'_>, policy: PolicyRef) -> String {
    let meta = model.policy_meta(policy);
    meta.map_or_else(String::new, |meta| model.input().locate(meta.name.span).to_string())
}

fn tri(value: Tri) -> &'static str {
    match value {
        Tri::Yes => "yes",
        Tri::Maybe => "maybe",
        Tri::No => "no",
    }
}

fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::NotIsolated => "not-isolated",
        Reason::PolicyRule => "policy-rule",
        Reason::Isolated => "isolated",
        Reason::AdminRule => "admin-rule",
        Reason::BaselineRule => "baseline-rule",
        Reason::Default => "default",
        Reason::HostNetwork => "host-network",
        Reason::SomeAddresses => "some-addresses",
        Reason::Open => "open",
    }
}

fn summary(model: &Model<'_>, side: &SideDecision) -> String {
    let direction = side.direction;
    let names: Vec<String> = side.selected_by.iter().map(|(policy, _)| model.policy_name(*policy)).collect();
    let deciding = || {
        let rules = side.deciding.iter();
        let texts: Vec<String> = rules
            .map(|rule| {
                format!("{} {} rule #{}", model.policy_name(rule.policy), rule.direction, rule.index + 1)
            })
            .collect();
        texts.join(", ")
    };
    match side.reason {
        Reason::NotIsolated => format!("no policy is about the pod's {direction}: everything is allowed"),
        Reason::PolicyRule => format!("by {}", deciding()),
        Reason::Isolated => match names.as_slice() {
            [one] => format!(
                "{one} selects the pod for {direction}, no rule of it matches, and no other policy selects the pod"
            ),
            many => {
                format!("{} select the pod for {direction}, and no rule of theirs matches", many.join(", "))
            }
        },
        Reason::AdminRule | Reason::BaselineRule if side.verdict == Verdict::Allowed => {
            format!("by {}", deciding())
        }
        Reason::AdminRule | Reason::BaselineRule => format!("denied by {}", deciding()),
        Reason::Default => {
            "no rule of a cluster-wide policy decides, and no NetworkPolicy selects the pod: allowed"
                .to_owned()
        }
        Reason::HostNetwork => {
            "the pod uses the network of its node: what policies do then is not defined".to_owned()
        }
        Reason::SomeAddresses => {
            let allowed = side.allowed_addresses.as_ref().map_or_else(String::new, ToString::to_string);
            format!("only some of the addresses are allowed: {}", shorten(&allowed))
        }
        Reason::Open => "the files do not tell: a label, an address or a port is not known".to_owned(),
    }
}

fn rule_text(model: &Model<'_>, outcome: &RuleOutcome, route: &Route) -> RuleText {
    let mut why = Vec::new();
    if outcome.port != Tri::Yes {
        let ports = if outcome.unresolved.is_empty() {
            format!("it names {}", outcome.ports.may)
        } else {
            format!("the receiver has no port named {}", outcome.unresolved.join(", "))
        };
        why.push(format!("{ports}, asked was {}/{}", route.port, route.protocol));
    }
    if outcome.peer != Tri::Yes {
        why.extend(peer_texts(&outcome.peers));
    }
    let span = model.rule_span(outcome.rule);
    RuleText {
        number: outcome.rule.index + 1,
        location: span.map_or_else(String::new, |span| model.input().locate(span).to_string()),
        action: match outcome.action {
            Action::Accept => "allow",
            Action::Deny => "deny",
            Action::Pass => "pass",
            Action::Unknown => "unknown",
        },
        matches: tri(outcome.hit()),
        why,
    }
}

/// Why each peer does not match; ranges that miss the same addresses are told in one breath.
fn peer_texts(peers: &[PeerOutcome]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut outside: Vec<(String, Vec<&str>)> = Vec::new();
    for peer in peers {
        let [Miss::Outside { cidr, addresses }] = peer.misses.as_slice() else {
            texts.extend(peer_text(peer));
            continue;
        };
        let addresses = shorten(&addresses.to_string());
        match outside.iter_mut().find(|(known, _)| *known == addresses) {
            Some((_, ranges)) => ranges.push(cidr),
            None => outside.push((addresses, vec![cidr])),
        }
    }
    texts.extend(outside.into_iter().map(|(addresses, ranges)| match ranges.as_slice() {
        [one] => format!("{addresses} is not all in {one}"),
        many => format!("{addresses} is not all in any of {}", many.join(", ")),
    }));
    texts
}

fn peer_text(peer: &PeerOutcome) -> Option<String> {
    let misses: Vec<String> = peer.misses.iter().map(miss_text).collect();
    (!misses.is_empty()).then(|| misses.join(", "))
}

fn miss_text(miss: &Miss) -> String {
    match miss {
        Miss::Label(unmet) => unmet_text(unmet, "pod"),
        Miss::NamespaceLabel(unmet) => unmet_text(unmet, "namespace"),
        Miss::OtherNamespace { policy, pod: Some(pod) } => {
            format!("it looks in namespace {policy} alone, and the pod is in {pod}")
        }
        Miss::OtherNamespace { policy, pod: None } => {
            format!("it looks in namespace {policy} alone, and the pod's is not known")
        }
        Miss::Outside { cidr, addresses } => {
            format!("{} is not all in {cidr}", shorten(&addresses.to_string()))
        }
        Miss::RangeForPod => "an ipBlock never matches a pod under this profile".to_owned(),
        Miss::SelectorForAddress => "selectors match pods, never an address outside the cluster".to_owned(),
        Miss::Nodes => "it is about nodes, which the files do not describe".to_owned(),
        Miss::Name(names) => format!("it is about {}", names.join(", ")),
        Miss::HostNetwork => {
            "the pod uses the network of its node: selectors match it on some clusters only".to_owned()
        }
        Miss::Invalid => "the API server would reject this peer".to_owned(),
    }
}

fn unmet_text(unmet: &Unmet, whose: &str) -> String {
    let values = unmet.values.join(", ");
    let wanted = match unmet.operator {
        Operator::In if unmet.values.len() == 1 => values,
        Operator::In => format!("one of {values}"),
        Operator::NotIn => format!("anything but {values}"),
        Operator::Exists => "any value".to_owned(),
        Operator::DoesNotExist => "no such label".to_owned(),
        Operator::Unknown => "something unknown".to_owned(),
    };
    let key = &unmet.key;
    match &unmet.actual {
        Some(actual) if !unmet.open && key == NAMESPACE_NAME_LABEL => {
            format!("namespace is {actual}, policy wants {wanted}")
        }
        Some(actual) if !unmet.open => format!("{key} differs: policy wants {wanted}, {whose} has {actual}"),
        None if !unmet.open => format!("{key} is missing on the {whose}: policy wants {wanted}"),
        _ => format!("{key} of the {whose} is not known: policy wants {wanted}"),
    }
}

/// Long lists of ranges tell nobody anything.
fn shorten(text: &str) -> String {
    let parts: Vec<&str> = text.split(", ").collect();
    match parts.len() {
        0..=4 => text.to_owned(),
        more => format!("{} and {} more ranges", parts[..3].join(", "), more - 3),
    }
}

//! Policies in words that are equal when the meaning is.

use std::collections::BTreeSet;

use netpol::object::{
    Direction, LabelSelector, NetworkPolicy, Operator, PolicyPeer, PolicyPort, PolicyRule, Protocol,
};

/// Everything that a policy says, one line each. What YAML leaves open (order, defaults, forms of a selector) is gone.
pub(super) fn policy_words(policy: &NetworkPolicy) -> BTreeSet<String> {
    let mut words = BTreeSet::from([format!("selects pods with {}", selector_words(&policy.pod_selector))]);
    for direction in [Direction::Ingress, Direction::Egress] {
        if !policy.applies_to(direction) {
            continue;
        }
        words.insert(format!("isolates {direction}"));
        for rule in policy.rules(direction) {
            let preposition = if direction == Direction::Egress { "to" } else { "from" };
            let (peers, ports) = (peers(rule), ports(rule));
            words.insert(format!("allows {direction} {preposition} {peers} on {ports}"));
        }
    }
    words
}

/// A selector in words.
pub(super) fn selector_words(selector: &LabelSelector) -> String {
    let pairs = selector.match_labels.pairs.iter();
    let mut parts: BTreeSet<String> =
        pairs.map(|pair| format!("{}={}", pair.key.value, pair.value.value)).collect();
    for expression in &selector.match_expressions {
        let values: BTreeSet<&str> = expression.values.iter().map(|value| value.value.as_str()).collect();
        let values: Vec<&str> = values.into_iter().collect();
        let key = &expression.key.value;
        parts.insert(match (expression.operator, values.as_slice()) {
            (Operator::In, [one]) => format!("{key}={one}"),
            (operator, []) => format!("{key} {}", operator.as_str()),
            (operator, values) => format!("{key} {} ({})", operator.as_str(), values.join(", ")),
        });
    }
    match parts.is_empty() {
        true => "any labels".to_owned(),
        false => parts.into_iter().collect::<Vec<_>>().join(", "),
    }
}

fn peers(rule: &PolicyRule) -> String {
    if rule.peers.is_empty() {
        return "everyone".to_owned();
    }
    let words: BTreeSet<String> = rule.peers.iter().map(peer).collect();
    words.into_iter().collect::<Vec<_>>().join(" or ")
}

fn peer(peer: &PolicyPeer) -> String {
    if let Some(block) = &peer.ip_block {
        let except: BTreeSet<&str> = block.except.iter().map(|cidr| cidr.text.value.as_str()).collect();
        let except: Vec<&str> = except.into_iter().collect();
        let without =
            if except.is_empty() { String::new() } else { format!(" without {}", except.join(", ")) };
        return format!("{}{without}", block.cidr.text.value);
    }
    let pods = peer.pod_selector.as_ref().map(|pods| format!("pods with {}", selector_words(pods)));
    let spaces =
        peer.namespace_selector.as_ref().map(|spaces| format!("namespaces with {}", selector_words(spaces)));
    match (pods, spaces) {
        (Some(pods), Some(spaces)) => format!("{pods} in {spaces}"),
        (Some(pods), None) => pods,
        (None, Some(spaces)) => format!("all pods in {spaces}"),
        (None, None) => "nobody".to_owned(),
    }
}

fn ports(rule: &PolicyRule) -> String {
    if rule.ports.is_empty() {
        return "every port".to_owned();
    }
    let words: BTreeSet<String> = rule.ports.iter().map(port).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn port(port: &PolicyPort) -> String {
    let protocol = port.protocol.unwrap_or(Protocol::Tcp);
    match (&port.port, &port.end_port) {
        (None, _) => format!("every {protocol} port"),
        (Some(first), Some(last)) => format!("{}-{}/{protocol}", first.value, last.value),
        (Some(first), None) => format!("{}/{protocol}", first.value),
    }
}

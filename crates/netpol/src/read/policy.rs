//! NetworkPolicy v1.

use ipnet::IpNet;

use super::field::Reader;
use super::meta::holds_template;
use crate::object::{
    Cidr, Direction, IpBlock, Meta, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule, PortRef,
};
use crate::source::{ProblemKind, Text};
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn network_policy(&mut self, node: &Node<'_>, meta: Meta) -> NetworkPolicy {
        self.known_fields(node, "a NetworkPolicy", &["apiVersion", "kind", "metadata", "spec", "status"]);
        let spec = node.get("spec");
        let spec_span = spec.map_or(node.span, |spec| spec.span);
        self.entries(spec, "spec");
        if let Some(spec) = spec {
            self.known_fields(spec, "spec", &["podSelector", "policyTypes", "ingress", "egress"]);
        }
        let at = |key: &str| spec.and_then(|spec| spec.get(key));
        let policy_types = self.texts(at("policyTypes"), "spec.policyTypes");
        self.check_policy_types(&policy_types);
        let mut policy = NetworkPolicy {
            pod_selector: self.selector(at("podSelector"), spec_span, "spec.podSelector"),
            has_pod_selector: spec.is_some_and(|spec| spec.entry("podSelector").is_some()),
            policy_types: (!policy_types.is_empty()).then_some(policy_types),
            ingress: at("ingress").map(|list| self.rules(list, Direction::Ingress)),
            egress: at("egress").map(|list| self.rules(list, Direction::Egress)),
            spec_span,
            meta,
            rejected: false,
        };
        policy.rejected = self.rejected;
        policy
    }

    fn check_policy_types(&mut self, types: &[Text]) {
        for kind in types {
            if !matches!(kind.value.as_str(), "Ingress" | "Egress") && !kind.value.contains("{{") {
                let message = format!("policyTypes knows Ingress and Egress, not {:?}", kind.value);
                self.report(ProblemKind::Invalid, kind.span, message);
            }
        }
        if let Some(third) = types.get(2) {
            self.report(ProblemKind::Invalid, third.span, "policyTypes has at most two entries");
        }
    }

    fn rules(&mut self, list: &Node<'_>, direction: Direction) -> Vec<PolicyRule> {
        let what = format!("spec.{direction}");
        self.list(Some(list), &what).iter().map(|item| self.rule(item, direction)).collect()
    }

    fn rule(&mut self, node: &Node<'_>, direction: Direction) -> PolicyRule {
        let field = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        if !node.is_null() {
            self.entries(Some(node), &format!("a rule of spec.{direction}"));
        }
        self.known_fields(node, &format!("a rule of spec.{direction}"), &[field, "ports"]);
        let peers = node.get(field);
        let written = self.list(peers, field);
        let mut read: Vec<PolicyPeer> = written.iter().map(|item| self.peer(item)).collect();
        // Not a list at all: something was meant, and "every peer" would be a guess.
        if peers.is_some_and(|peers| !matches!(peers.value, Value::Seq(_))) || misplaced_peer(node) {
            read.push(PolicyPeer {
                pod_selector: None,
                namespace_selector: None,
                ip_block: None,
                invalid: true,
                span: peers.map_or(node.span, |peers| peers.span),
            });
        }
        let ports = self.list(node.get("ports"), "ports");
        PolicyRule {
            peers_written_empty: peers.is_some() && read.is_empty(),
            peers: read,
            ports: ports.iter().map(|item| self.policy_port(item)).collect(),
            span: node.span,
        }
    }

    fn peer(&mut self, node: &Node<'_>) -> PolicyPeer {
        self.known_fields(node, "a peer", &["podSelector", "namespaceSelector", "ipBlock"]);
        let selector = |reader: &mut Self, key: &str| {
            node.get(key).map(|value| reader.selector(Some(value), node.span, key))
        };
        let pod_selector = selector(self, "podSelector");
        let namespace_selector = selector(self, "namespaceSelector");
        let ip_block = node.get("ipBlock").map(|block| self.ip_block(block));
        let selects = pod_selector.is_some() || namespace_selector.is_some();
        let mut invalid = false;
        if !selects && ip_block.is_none() {
            invalid = true;
            if !node.is_templated() {
                let message = "a peer must hold podSelector, namespaceSelector or ipBlock; the API server \
                               rejects an empty one (for all pods write podSelector: {} or \
                               namespaceSelector: {})";
                self.report(ProblemKind::Invalid, node.span, message);
            }
        } else if selects && ip_block.is_some() {
            invalid = true;
            let message = "ipBlock must stand alone in a peer: put it into a list item of its own";
            self.report(ProblemKind::Invalid, node.span, message);
        }
        PolicyPeer { pod_selector, namespace_selector, ip_block, invalid, span: node.span }
    }

    fn ip_block(&mut self, node: &Node<'_>) -> IpBlock {
        self.known_fields(node, "ipBlock", &["cidr", "except"]);
        let cidr = match node.get("cidr") {
            Some(cidr) => self.cidr(cidr, "cidr"),
            None => {
                self.report(ProblemKind::Invalid, node.span, "ipBlock needs a cidr");
                None
            }
        };
        let cidr = cidr.unwrap_or_else(|| Cidr { text: Text::new(String::new(), node.span), net: None });
        let except = self.list(node.get("except"), "except");
        let except: Vec<Cidr> = except.iter().filter_map(|item| self.cidr(item, "except")).collect();
        for inner in &except {
            if let (Some(outer), Some(net)) = (cidr.net, inner.net)
                && !is_strict_subnet(&outer, &net)
            {
                let message = format!("except {net} must be a smaller range inside {outer}");
                self.report(ProblemKind::Invalid, inner.text.span, message);
            }
        }
        IpBlock { cidr, except, span: node.span }
    }

    fn policy_port(&mut self, node: &Node<'_>) -> PolicyPort {
        if !node.is_null() {
            self.entries(Some(node), "an item of ports");
        }
        self.known_fields(node, "an item of ports", &["protocol", "port", "endPort"]);
        let protocol = self.protocol(node.get("protocol"));
        let port = self.port_ref(node.get("port"), "port");
        let end_port = self.port(node.get("endPort"), "endPort");
        let unreadable = |key: &str, read: bool| node.get(key).is_some() && !read;
        let mut invalid = protocol.is_none()
            || unreadable("port", port.is_some())
            || unreadable("endPort", end_port.is_some())
            || (!node.is_null() && !matches!(node.value, Value::Map(_)))
            || holds_template(node);
        if let Some(end) = &end_port {
            let message = match port.as_ref().map(|port| &port.value) {
                None => Some("endPort needs a port to start from".to_owned()),
                Some(PortRef::Name(name)) => {
                    Some(format!("endPort needs a number in port, not the name {name:?}"))
                }
                Some(PortRef::Number(first)) if *first > end.value => {
                    Some(format!("endPort {} is below port {first}", end.value))
                }
                Some(PortRef::Number(_)) => None,
            };
            if let Some(message) = message {
                invalid = true;
                self.report(ProblemKind::Invalid, end.span, message);
            }
        }
        PolicyPort { protocol, port, end_port, invalid, span: node.span }
    }
}

fn is_strict_subnet(outer: &IpNet, inner: &IpNet) -> bool {
    outer.contains(inner) && outer.prefix_len() < inner.prefix_len()
}

/// A peer's field directly in the rule, one level too high.
fn misplaced_peer(rule: &Node<'_>) -> bool {
    ["podSelector", "namespaceSelector", "ipBlock"].iter().any(|key| rule.get(key).is_some())
}

//! AdminNetworkPolicy, BaselineAdminNetworkPolicy, ClusterNetworkPolicy.

use super::field::Reader;
use crate::object::{
    Action, AdminPeer, AdminPeerKind, AdminPolicy, AdminPort, AdminPortKind, AdminRule, AdminSubject,
    Direction, LabelSelector, Meta, Protocol, Tier,
};
use crate::source::{ProblemKind, Spanned};
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn admin_policy(&mut self, node: &Node<'_>, meta: Meta) -> AdminPolicy {
        let spec = node.get("spec");
        let at = |key: &str| spec.and_then(|spec| spec.get(key));
        if let Some(spec) = spec {
            self.known_fields(spec, "spec", &["tier", "priority", "subject", "ingress", "egress"]);
        }
        let baseline_kind = meta.kind.value == "BaselineAdminNetworkPolicy";
        let tier = match (meta.kind.value.as_str(), at("tier")) {
            ("ClusterNetworkPolicy", tier) => self.tier(tier, node),
            _ if baseline_kind => Tier::Baseline,
            _ => Tier::Admin,
        };
        let priority = if baseline_kind {
            Some(Spanned::new(0, meta.span))
        } else {
            self.priority(at("priority"), node)
        };
        if baseline_kind && meta.name.value != "default" {
            let message = "a BaselineAdminNetworkPolicy must be named \"default\"";
            self.report(ProblemKind::Invalid, meta.name.span, message);
        }
        AdminPolicy {
            subject: self.subject(at("subject"), node),
            ingress: self.admin_rules(at("ingress"), Direction::Ingress),
            egress: self.admin_rules(at("egress"), Direction::Egress),
            tier,
            priority,
            meta,
        }
    }

    fn tier(&mut self, node: Option<&Node<'_>>, parent: &Node<'_>) -> Tier {
        match node.and_then(Node::as_str) {
            Some("Admin") => Tier::Admin,
            Some("Baseline") => Tier::Baseline,
            other => {
                let message = format!("spec.tier must be Admin or Baseline, not {:?}", other.unwrap_or(""));
                let span = node.map_or(parent.span, |node| node.span);
                self.report(ProblemKind::Invalid, span, message);
                Tier::Admin
            }
        }
    }

    fn priority(&mut self, node: Option<&Node<'_>>, parent: &Node<'_>) -> Option<Spanned<i64>> {
        if node.is_none() {
            self.report(ProblemKind::Invalid, parent.span, "spec.priority is missing");
        }
        let priority = self.int(node, "spec.priority")?;
        if !(0..=1000).contains(&priority.value) {
            let message = format!("spec.priority must be between 0 and 1000, here it is {}", priority.value);
            self.report(ProblemKind::Invalid, priority.span, message);
        }
        Some(priority)
    }

    fn subject(&mut self, node: Option<&Node<'_>>, parent: &Node<'_>) -> AdminSubject {
        let span = node.map_or(parent.span, |node| node.span);
        let Some(subject) = node else {
            self.report(ProblemKind::Invalid, span, "spec.subject is missing");
            return AdminSubject { namespaces: LabelSelector::default(), pods: None, invalid: true, span };
        };
        self.known_fields(subject, "spec.subject", &["namespaces", "pods"]);
        match (subject.entry("namespaces"), subject.get("pods")) {
            (Some(namespaces), None) => AdminSubject {
                namespaces: self.selector(Some(&namespaces.value), span, "subject.namespaces"),
                pods: None,
                invalid: false,
                span,
            },
            (None, Some(pods)) => {
                let (namespaces, pods) = self.pod_selectors(pods, "subject.pods");
                AdminSubject { namespaces, pods: Some(pods), invalid: false, span }
            }
            _ => {
                let message = "spec.subject must hold exactly one of namespaces and pods";
                self.report(ProblemKind::Invalid, span, message);
                AdminSubject { namespaces: LabelSelector::default(), pods: None, invalid: true, span }
            }
        }
    }

    fn pod_selectors(&mut self, node: &Node<'_>, what: &str) -> (LabelSelector, LabelSelector) {
        self.known_fields(node, what, &["namespaceSelector", "podSelector"]);
        let namespaces = self.selector(node.get("namespaceSelector"), node.span, "namespaceSelector");
        let pods = self.selector(node.get("podSelector"), node.span, "podSelector");
        (namespaces, pods)
    }

    fn admin_rules(&mut self, node: Option<&Node<'_>>, direction: Direction) -> Vec<AdminRule> {
        let what = format!("spec.{direction}");
        self.list(node, &what).iter().map(|item| self.admin_rule(item, direction)).collect()
    }

    fn admin_rule(&mut self, node: &Node<'_>, direction: Direction) -> AdminRule {
        let field = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        self.known_fields(node, "a rule", &["name", "action", field, "ports", "protocols"]);
        let action = match node.get("action").and_then(Node::as_str) {
            Some("Accept" | "Allow") => Action::Accept,
            Some("Deny") => Action::Deny,
            Some("Pass") => Action::Pass,
            other => {
                let message =
                    format!("action must be Accept (Allow), Deny or Pass, not {:?}", other.unwrap_or(""));
                let span = node.get("action").map_or(node.span, |action| action.span);
                self.report(ProblemKind::Invalid, span, message);
                Action::Unknown
            }
        };
        let peers = self.list(node.get(field), field);
        let peers: Vec<AdminPeer> = peers.iter().map(|item| self.admin_peer(item)).collect();
        if peers.is_empty() {
            let message = format!("a rule of a cluster-wide policy needs at least one peer in {field}");
            self.report(ProblemKind::Invalid, node.span, message);
        }
        let ports = self.list(node.get("ports").or(node.get("protocols")), "ports");
        AdminRule {
            name: self.text_at(node, "name"),
            action,
            peers,
            ports: ports.iter().map(|item| self.admin_port(item)).collect(),
            span: node.span,
        }
    }

    fn admin_peer(&mut self, node: &Node<'_>) -> AdminPeer {
        let entries = self.entries(Some(node), "a peer");
        let kind = match entries {
            [entry] => match entry.key.as_ref() {
                "namespaces" => {
                    AdminPeerKind::Namespaces(self.selector(Some(&entry.value), node.span, "namespaces"))
                }
                "pods" => {
                    let (namespaces, pods) = self.pod_selectors(&entry.value, "pods");
                    AdminPeerKind::Pods { namespaces, pods }
                }
                "networks" => {
                    let items = self.list(Some(&entry.value), "networks");
                    AdminPeerKind::Networks(
                        items.iter().filter_map(|item| self.cidr(item, "networks")).collect(),
                    )
                }
                "nodes" => AdminPeerKind::Nodes(self.selector(Some(&entry.value), node.span, "nodes")),
                "domainNames" => AdminPeerKind::DomainNames(self.texts(Some(&entry.value), "domainNames")),
                other => AdminPeerKind::Unknown(other.to_owned()),
            },
            _ => AdminPeerKind::Unknown(String::new()),
        };
        if let AdminPeerKind::Unknown(field) = &kind {
            let message = format!(
                "a peer must hold exactly one of namespaces, pods, networks, nodes, domainNames; {field:?} is \
                 none of them, and an implementation must then fail closed"
            );
            self.report(ProblemKind::Invalid, node.span, message);
        }
        AdminPeer { kind, span: node.span }
    }

    fn admin_port(&mut self, node: &Node<'_>) -> AdminPort {
        let kind = self.admin_port_kind(node).unwrap_or_else(|| {
            let message = "this entry of ports or protocols is not understood";
            self.report(ProblemKind::Invalid, node.span, message);
            AdminPortKind::Unknown
        });
        AdminPort { kind, span: node.span }
    }

    fn admin_port_kind(&mut self, node: &Node<'_>) -> Option<AdminPortKind> {
        let Value::Map(entries) = &node.value else { return None };
        let [entry] = entries.as_slice() else { return None };
        let value = &entry.value;
        match entry.key.as_ref() {
            "portNumber" => {
                let protocol = self.protocol(value.get("protocol"))?;
                let port = self.port(value.get("port"), "port")?.value;
                Some(AdminPortKind::Range { protocol, first: port, last: port })
            }
            "portRange" => {
                let protocol = self.protocol(value.get("protocol"))?;
                self.port_range(value, protocol)
            }
            "namedPort" | "destinationNamedPort" => {
                value.as_str().map(|name| AdminPortKind::Named(name.to_owned()))
            }
            "tcp" => self.destination(value, Protocol::Tcp),
            "udp" => self.destination(value, Protocol::Udp),
            "sctp" => self.destination(value, Protocol::Sctp),
            _ => None,
        }
    }

    /// `{destinationPort: {number | range}}`; without it, every port of the protocol.
    fn destination(&mut self, node: &Node<'_>, protocol: Protocol) -> Option<AdminPortKind> {
        let Some(port) = node.get("destinationPort") else {
            return Some(AdminPortKind::Range { protocol, first: 1, last: u16::MAX });
        };
        if let Some(range) = port.get("range") {
            return self.port_range(range, protocol);
        }
        let number = self.port(port.get("number"), "destinationPort.number")?.value;
        Some(AdminPortKind::Range { protocol, first: number, last: number })
    }

    fn port_range(&mut self, node: &Node<'_>, protocol: Protocol) -> Option<AdminPortKind> {
        let first = self.port(node.get("start"), "start")?;
        let last = self.port(node.get("end"), "end")?;
        if first.value >= last.value {
            let message = format!("the range must end after it starts, here it is {first}-{last}");
            self.report(ProblemKind::Invalid, node.span, message);
            return (first.value == last.value).then_some(AdminPortKind::Range {
                protocol,
                first: first.value,
                last: last.value,
            });
        }
        Some(AdminPortKind::Range { protocol, first: first.value, last: last.value })
    }
}

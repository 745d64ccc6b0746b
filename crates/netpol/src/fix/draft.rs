//! A policy that does not exist yet.

use ipnet::IpNet;

use crate::model::{Model, NAMESPACE_NAME_LABEL, WorkloadId};
use crate::needs::{Need, Target};
use crate::object::{Direction, Labels, PortRef, Protocol, Service};
use crate::profile::DnsServer;

/// Ranges that no public address is in: other people's machines in the same network, and the cloud's metadata service.
const PRIVATE_V4: [&str; 5] =
    ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const PRIVATE_V6: [&str; 2] = ["fc00::/7", "fe80::/10"];
/// Of these, the ones in which a database beside the cluster may be.
const NEARBY: [&str; 4] = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"];

/// Longest line of a comment.
const WIDTH: usize = 110;

/// A NetworkPolicy to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) selector: Vec<(String, String)>,
    pub(super) direction: Direction,
    pub(super) rules: Vec<RuleDraft>,
    /// Workloads it is for.
    pub(super) workloads: Vec<WorkloadId>,
}

/// A rule to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleDraft {
    pub(super) comments: Vec<String>,
    pub(super) peers: Vec<PeerDraft>,
    /// Protocol, first and last port.
    pub(super) ports: Vec<(Protocol, u16, u16)>,
}

/// A peer to be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerDraft {
    /// Pods of a namespace (`None`: the policy's own) with these labels (none: all of them).
    Pods { namespace: Option<String>, labels: Vec<(String, String)> },
    /// Pods of every namespace.
    AnyPod,
    /// Addresses.
    Block { cidr: String, except: Vec<String> },
}

/// The egress rules for needs of workloads in a namespace. Needs with the same peers share a rule.
pub(super) fn egress_rules(model: &Model<'_>, namespace: &str, needs: &[&Need]) -> Vec<RuleDraft> {
    let mut rules: Vec<RuleDraft> = Vec::new();
    for need in needs {
        for (peers, port, comment) in ends(model, namespace, need) {
            let last = port.saturating_add(need.last_port - need.port);
            let wanted = (need.protocol, port, last);
            match rules.iter_mut().find(|rule| rule.peers == peers) {
                Some(rule) => {
                    if !rule.ports.contains(&wanted) {
                        rule.ports.push(wanted);
                    }
                    if !rule.comments.contains(&comment) {
                        rule.comments.push(comment);
                    }
                }
                None => rules.push(RuleDraft { comments: vec![comment], peers, ports: vec![wanted] }),
            }
        }
    }
    rules
}

/// Where a need ends: peers, the port that policies see there, and why.
fn ends(model: &Model<'_>, namespace: &str, need: &Need) -> Vec<(Vec<PeerDraft>, u16, String)> {
    let default = model.options().default_namespace.as_str();
    match &need.target {
        Target::Dns => vec![dns(model)],
        Target::Service(index) => match model.input().services.get(*index) {
            Some(service) => service_ends(model, namespace, service, need),
            None => Vec::new(),
        },
        Target::Workload(index) => {
            let workload = &model.input().workloads[*index];
            let peer = pods(namespace, workload.meta.namespace_or(default), &workload.pod.labels);
            vec![(vec![peer], need.port, evidence(need))]
        }
        Target::ClusterName { namespace: other, name } => {
            let peer = pods(namespace, other, &Labels::default());
            let comment = format!(
                "{}: Service {other}/{name} is not in the files; its pods are taken to listen on {} themselves",
                evidence(need),
                need.port
            );
            vec![(vec![peer], need.port, comment)]
        }
        Target::Address(address) => vec![(vec![block(IpNet::from(*address))], need.port, evidence(need))],
        Target::Network(net) => vec![(vec![block(*net)], need.port, evidence(need))],
        Target::Name(_) | Target::Internet => vec![(public(model), need.port, evidence(need))],
        Target::Hidden => vec![hidden(model, namespace, need)],
    }
}

/// The pods behind a Service, and their port.
fn service_ends(
    model: &Model<'_>,
    namespace: &str,
    service: &Service,
    need: &Need,
) -> Vec<(Vec<PeerDraft>, u16, String)> {
    let default = model.options().default_namespace.as_str();
    let home = service.meta.namespace_or(default);
    if let Some(name) = &service.external_name {
        let comment = format!("{}, an alias for {name}", evidence(need));
        return vec![(public(model), need.port, comment)];
    }
    let Some(selector) = &service.selector else {
        let comment = format!("{}: Service {home}/{} has no selector", evidence(need), service.meta.name);
        return vec![(vec![pods(namespace, home, &Labels::default())], need.port, comment)];
    };
    let peer = pods(namespace, home, selector);
    let listed = service.ports.iter().find(|port| {
        port.protocol == need.protocol && port.port.as_ref().is_some_and(|number| number.value == need.port)
    });
    let target = listed.filter(|_| !service.headless).and_then(|port| port.target_port.as_ref());
    let ports: Vec<u16> = match target.map(|target| &target.value) {
        None => vec![need.port],
        Some(PortRef::Number(number)) => vec![*number],
        Some(PortRef::Name(name)) => {
            let mut numbers: Vec<u16> = model
                .backends(home, selector)
                .into_iter()
                .flat_map(|id| model.pod(id).named_ports.iter().flatten())
                .filter(|port| port.name == *name && port.protocol == need.protocol)
                .map(|port| port.port)
                .collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        }
    };
    let comment = |port: u16| match port == need.port {
        true => evidence(need),
        false => format!("{}; Service port {} is port {port} of the pods", evidence(need), need.port),
    };
    ports.into_iter().map(|port| (vec![peer.clone()], port, comment(port))).collect()
}

/// A host that the files do not show: the namespaces of Services on that port where there are any, else whatever is in
/// the cluster or on a private network beside it. Never the internet.
fn hidden(model: &Model<'_>, namespace: &str, need: &Need) -> (Vec<PeerDraft>, u16, String) {
    let default = model.options().default_namespace.as_str();
    let mut homes: Vec<&str> = model
        .input()
        .services
        .iter()
        .filter(|service| {
            service
                .ports
                .iter()
                .any(|port| port.port.as_ref().is_some_and(|number| number.value == need.port))
        })
        .map(|service| service.meta.namespace_or(default))
        .collect();
    homes.sort_unstable();
    homes.dedup();
    if !homes.is_empty() {
        let peers = homes.iter().map(|home| pods(namespace, home, &Labels::default())).collect();
        let comment = format!(
            "{}: the host is not in the files; Services on {} are in {}",
            evidence(need),
            need.port,
            homes.join(", ")
        );
        return (peers, need.port, comment);
    }
    let mut peers = vec![PeerDraft::AnyPod];
    peers.extend(NEARBY.map(|cidr| PeerDraft::Block { cidr: cidr.to_owned(), except: Vec::new() }));
    let comment = format!(
        "{}: the host is not in the files; in the cluster or on a private network, never the internet",
        evidence(need)
    );
    (peers, need.port, comment)
}

fn dns(model: &Model<'_>) -> (Vec<PeerDraft>, u16, String) {
    match &model.options().profile.dns {
        DnsServer::Pods { namespace, labels, port, .. } => {
            let peer = PeerDraft::Pods { namespace: Some(namespace.clone()), labels: labels.clone() };
            (
                vec![peer],
                *port,
                "DNS: the cluster's resolver, over UDP, and over TCP for long answers".to_owned(),
            )
        }
        DnsServer::Address { address, port } => {
            let comment = "DNS: the node's cache, over UDP, and over TCP for long answers".to_owned();
            (vec![block(IpNet::from(*address))], *port, comment)
        }
    }
}

/// Public addresses: everything but private networks and the metadata service.
fn public(model: &Model<'_>) -> Vec<PeerDraft> {
    let families = model.options().families.addresses();
    let mut peers = Vec::new();
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    if !families.v4().is_empty() {
        peers.push(PeerDraft::Block { cidr: "0.0.0.0/0".to_owned(), except: texts(&PRIVATE_V4) });
    }
    if !families.v6().is_empty() {
        peers.push(PeerDraft::Block { cidr: "::/0".to_owned(), except: texts(&PRIVATE_V6) });
    }
    peers
}

/// Pods of a namespace, seen from a policy in `own`.
pub(super) fn pods(own: &str, namespace: &str, labels: &Labels) -> PeerDraft {
    let labels = labels.pairs.iter().map(|pair| (pair.key.value.clone(), pair.value.value.clone()));
    PeerDraft::Pods { namespace: (own != namespace).then(|| namespace.to_owned()), labels: labels.collect() }
}

fn block(net: IpNet) -> PeerDraft {
    PeerDraft::Block { cidr: net.to_string(), except: Vec::new() }
}

/// A need and where it was found: `mysql:3306 (MYSQL_URI, Secret petrosa-sensitive-credentials)`.
pub(super) fn evidence(need: &Need) -> String {
    match need.evidence.first() {
        Some(found) if found.source.is_empty() => format!("{} ({})", need.label(), found.key),
        Some(found) => format!("{} ({}, {})", need.label(), found.key, found.source),
        None => need.label(),
    }
}

/// The policy as YAML, one document without a separator.
pub(super) fn yaml(draft: &Draft, head: &[String]) -> String {
    let mut out = Yaml::default();
    for line in head {
        out.comment(0, line);
    }
    out.line(0, "apiVersion: networking.k8s.io/v1");
    out.line(0, "kind: NetworkPolicy");
    out.line(0, "metadata:");
    out.line(2, &format!("name: {}", scalar(&draft.name)));
    out.line(2, &format!("namespace: {}", scalar(&draft.namespace)));
    out.line(0, "spec:");
    out.line(2, "podSelector:");
    out.line(4, "matchLabels:");
    for (key, value) in &draft.selector {
        out.line(6, &format!("{}: {}", scalar(key), scalar(value)));
    }
    out.line(2, "policyTypes:");
    let (kind, list) = match draft.direction {
        Direction::Egress => ("Egress", "egress:"),
        Direction::Ingress => ("Ingress", "ingress:"),
    };
    out.line(4, &format!("- {kind}"));
    out.line(2, list);
    out.text.push_str(&rules_yaml(&draft.rules, draft.direction, 4));
    out.text
}

/// Rules as items of a list.
pub(super) fn rules_yaml(rules: &[RuleDraft], direction: Direction, indent: usize) -> String {
    let mut out = Yaml::default();
    let list = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    for rule in rules {
        for comment in &rule.comments {
            out.comment(indent, comment);
        }
        out.line(indent, &format!("- {list}:"));
        for peer in &rule.peers {
            out.peer(indent + 4, peer);
        }
        out.line(indent + 2, "ports:");
        for (protocol, first, last) in &rule.ports {
            out.line(indent + 4, &format!("- protocol: {protocol}"));
            out.line(indent + 6, &format!("port: {first}"));
            if last > first {
                out.line(indent + 6, &format!("endPort: {last}"));
            }
        }
    }
    out.text
}

#[derive(Default)]
struct Yaml {
    text: String,
}

impl Yaml {
    fn line(&mut self, indent: usize, line: &str) {
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment(&mut self, indent: usize, words: &str) {
        // What comes from the files must not end the comment.
        let flat: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut line = "#".to_owned();
        for word in flat.split_whitespace() {
            if line.len() > 1 && indent + line.len() + word.len() >= WIDTH {
                self.line(indent, &line);
                line = "#".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(indent, &line);
    }

    fn labels(&mut self, indent: usize, labels: &[(String, String)]) {
        self.line(indent, "matchLabels:");
        for (key, value) in labels {
            self.line(indent + 2, &format!("{}: {}", scalar(key), scalar(value)));
        }
    }

    fn peer(&mut self, indent: usize, peer: &PeerDraft) {
        match peer {
            PeerDraft::AnyPod => self.line(indent, "- namespaceSelector: {}"),
            PeerDraft::Block { cidr, except } => {
                self.line(indent, "- ipBlock:");
                self.line(indent + 4, &format!("cidr: {}", scalar(cidr)));
                if !except.is_empty() {
                    self.line(indent + 4, "except:");
                    for inner in except {
                        self.line(indent + 6, &format!("- {}", scalar(inner)));
                    }
                }
            }
            PeerDraft::Pods { namespace, labels } => {
                let mut dash = "- ";
                if let Some(namespace) = namespace {
                    self.line(indent, "- namespaceSelector:");
                    self.labels(indent + 4, &[(NAMESPACE_NAME_LABEL.to_owned(), namespace.clone())]);
                    dash = "  ";
                }
                match (labels.is_empty(), namespace) {
                    (true, Some(_)) => {}
                    (true, None) => self.line(indent, &format!("{dash}podSelector: {{}}")),
                    (false, _) => {
                        self.line(indent, &format!("{dash}podSelector:"));
                        self.labels(indent + 4, labels);
                    }
                }
            }
        }
    }
}

/// A string as a YAML scalar: plain where every reader takes it for a string, else in quotes.
pub(super) fn scalar(text: &str) -> String {
    let plain_start = |c: char| c.is_ascii_alphabetic();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_range = text.parse::<IpNet>().is_ok() && text.parse::<f64>().is_err();
    let safe = text.starts_with(plain_start)
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if safe || is_range {
        return text.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c) & 0xFF)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Adds rules to rules; those with the same peers become one.
pub(super) fn join_rules(rules: &mut Vec<RuleDraft>, more: &[RuleDraft]) {
    for rule in more {
        let Some(known) = rules.iter_mut().find(|known| known.peers == rule.peers) else {
            rules.push(rule.clone());
            continue;
        };
        known.ports.extend(
            rule.ports.iter().filter(|port| !known.ports.contains(port)).copied().collect::<Vec<_>>(),
        );
        let new = rule.comments.iter().filter(|comment| !known.comments.contains(comment));
        known.comments.extend(new.cloned().collect::<Vec<_>>());
    }
    sort_rules(rules);
}

/// A stable order of rules, whatever workload came first.
pub(super) fn sort_rules(rules: &mut [RuleDraft]) {
    let rank = |rule: &RuleDraft| {
        let first = rule.ports.iter().map(|(_, first, _)| *first).min().unwrap_or(0);
        // DNS first: nothing works without it.
        (!matches!(first, 53 | 5353), first)
    };
    rules.sort_by_key(rank);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_take_for_something_else_is_quoted() {
        for text in ["true", "1", "1.0", "No", "", "a: b", "#x", "-x", "2024-01-01", "0x1f", "~"] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        for text in ["klines-gap-filler", "10.0.0.0/8", "kubernetes.io/metadata.name", "::/0"] {
            assert_eq!(scalar(text), text);
        }
    }
}

//! The specification, one sentence after the other.

use std::net::IpAddr;

use super::{
    Admin, AdminPeer, AdminPort, AdminRule, Cluster, Number, Pairs, Peer, Pod, Policy, Port, Rule, Selector,
};

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Pod(usize),
    Ip(IpAddr),
}

/// Whether a connection is allowed: the sender's egress and the receiver's ingress must both allow it.
pub fn allowed(cluster: &Cluster, from: End, to: End, protocol: &str, port: u16) -> bool {
    let out = match from {
        End::Pod(pod) => side(cluster, pod, "Egress", to, to, protocol, port),
        End::Ip(_) => true,
    };
    let into = match to {
        End::Pod(pod) => side(cluster, pod, "Ingress", from, to, protocol, port),
        End::Ip(_) => true,
    };
    out && into
}

fn side(
    cluster: &Cluster,
    subject: usize,
    direction: &str,
    peer: End,
    to: End,
    protocol: &str,
    port: u16,
) -> bool {
    match tier(cluster, false, subject, direction, peer, to, protocol, port) {
        Some("Accept") => return true,
        Some("Deny") => return false,
        _ => {}
    }
    let pod = &cluster.pods[subject];
    let mut isolated = false;
    for policy in &cluster.policies {
        if policy.namespace != pod.namespace || !matches(&policy.selector, &pod.labels) {
            continue;
        }
        if !applies(policy, direction) {
            continue;
        }
        isolated = true;
        let rules = if direction == "Ingress" { &policy.ingress } else { &policy.egress };
        for rule in rules.iter().flatten() {
            if rule_allows(cluster, policy, rule, peer, to, protocol, port) {
                return true;
            }
        }
    }
    if isolated {
        return false;
    }
    tier(cluster, true, subject, direction, peer, to, protocol, port) != Some("Deny")
}

/// Without policyTypes: Ingress always, Egress when there is an egress rule.
fn applies(policy: &Policy, direction: &str) -> bool {
    match &policy.types {
        Some(types) if !types.is_empty() => types.contains(&direction),
        _ => direction == "Ingress" || policy.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
    }
}

fn rule_allows(
    cluster: &Cluster,
    policy: &Policy,
    rule: &Rule,
    peer: End,
    to: End,
    protocol: &str,
    port: u16,
) -> bool {
    let peer_ok = match &rule.peers {
        None => true,
        Some(peers) if peers.is_empty() => true,
        Some(peers) => peers.iter().any(|one| peer_matches(cluster, policy, one, peer)),
    };
    let port_ok = match &rule.ports {
        None => true,
        Some(ports) if ports.is_empty() => true,
        Some(ports) => ports.iter().any(|one| port_matches(cluster, one, to, protocol, port)),
    };
    peer_ok && port_ok
}

fn peer_matches(cluster: &Cluster, policy: &Policy, peer: &Peer, end: End) -> bool {
    match peer {
        Peer::Pods { namespaces, pods } => {
            let End::Pod(index) = end else { return false };
            let pod = &cluster.pods[index];
            let namespace_ok = match namespaces {
                None => pod.namespace == policy.namespace,
                Some(selector) => matches(selector, &namespace_labels(cluster, pod.namespace)),
            };
            namespace_ok && pods.as_ref().is_none_or(|selector| matches(selector, &pod.labels))
        }
        Peer::Block { cidr, except } => {
            let ip = address(cluster, end);
            inside(cidr, ip) && !except.iter().any(|cidr| inside(cidr, ip))
        }
    }
}

fn port_matches(cluster: &Cluster, wanted: &Port, to: End, protocol: &str, port: u16) -> bool {
    if wanted.protocol.unwrap_or("TCP") != protocol {
        return false;
    }
    match (&wanted.port, wanted.end) {
        (None, _) => true,
        (Some(Number::Number(first)), Some(last)) => *first <= port && port <= last,
        (Some(Number::Number(number)), None) => *number == port,
        (Some(Number::Name(name)), _) => match to {
            End::Pod(index) => has_port(&cluster.pods[index], name, Some(protocol), protocol, port),
            End::Ip(_) => false,
        },
    }
}

fn has_port(pod: &Pod, name: &str, named_protocol: Option<&str>, protocol: &str, port: u16) -> bool {
    pod.ports.iter().any(|own| {
        own.name == name
            && own.port == port
            && own.protocol == protocol
            && named_protocol.is_none_or(|named| named == own.protocol)
    })
}

/// The action of the first rule that matches, of the policies of a tier by priority; `Pass` leaves the tier.
#[allow(clippy::too_many_arguments)]
fn tier(
    cluster: &Cluster,
    baseline: bool,
    subject: usize,
    direction: &str,
    peer: End,
    to: End,
    protocol: &str,
    port: u16,
) -> Option<&'static str> {
    let mut policies: Vec<&Admin> =
        cluster.admin.iter().filter(|policy| policy.baseline == baseline).collect();
    policies.sort_by_key(|policy| policy.priority);
    for policy in policies {
        let pod = &cluster.pods[subject];
        let about = matches(&policy.namespaces, &namespace_labels(cluster, pod.namespace))
            && policy.pods.as_ref().is_none_or(|selector| matches(selector, &pod.labels));
        if !about {
            continue;
        }
        let rules = if direction == "Ingress" { &policy.ingress } else { &policy.egress };
        for rule in rules {
            if admin_matches(cluster, rule, peer, to, protocol, port) {
                return Some(rule.action);
            }
        }
    }
    None
}

fn admin_matches(cluster: &Cluster, rule: &AdminRule, peer: End, to: End, protocol: &str, port: u16) -> bool {
    let peer_ok = rule.peers.iter().any(|one| match (one, peer) {
        (AdminPeer::Namespaces(selector), End::Pod(index)) => {
            matches(selector, &namespace_labels(cluster, cluster.pods[index].namespace))
        }
        (AdminPeer::Pods(namespaces, pods), End::Pod(index)) => {
            let pod = &cluster.pods[index];
            matches(namespaces, &namespace_labels(cluster, pod.namespace)) && matches(pods, &pod.labels)
        }
        (AdminPeer::Networks(cidrs), end) => cidrs.iter().any(|cidr| inside(cidr, address(cluster, end))),
        (_, End::Ip(_)) => false,
    });
    let port_ok = rule.ports.as_ref().is_none_or(|ports| {
        ports.iter().any(|one| match one {
            AdminPort::Range(named, first, last) => *named == protocol && *first <= port && port <= *last,
            AdminPort::Name(name) => match to {
                End::Pod(index) => has_port(&cluster.pods[index], name, None, protocol, port),
                End::Ip(_) => false,
            },
        })
    });
    peer_ok && port_ok
}

fn matches(selector: &Selector, labels: &Pairs) -> bool {
    let value = |key: &str| labels.iter().find(|(own, _)| own == key).map(|(_, value)| value);
    selector.labels.iter().all(|(key, wanted)| value(key) == Some(wanted))
        && selector.expressions.iter().all(|(key, operator, values)| match *operator {
            "In" => value(key).is_some_and(|own| values.contains(own)),
            "NotIn" => value(key).is_none_or(|own| !values.contains(own)),
            "Exists" => value(key).is_some(),
            "DoesNotExist" => value(key).is_none(),
            other => panic!("{other}"),
        })
}

fn namespace_labels(cluster: &Cluster, index: usize) -> Pairs {
    let namespace = &cluster.namespaces[index];
    let mut labels = namespace.labels.clone();
    labels.push(("kubernetes.io/metadata.name".to_owned(), namespace.name.clone()));
    labels
}

fn address(cluster: &Cluster, end: End) -> IpAddr {
    match end {
        End::Pod(index) => cluster.pods[index].ip,
        End::Ip(ip) => ip,
    }
}

/// Compares the first bits, one by one.
fn inside(cidr: &str, ip: IpAddr) -> bool {
    let (network, length) = cidr.split_once('/').unwrap();
    let (network, length): (IpAddr, usize) = (network.parse().unwrap(), length.parse().unwrap());
    let bits = |ip: IpAddr| -> Vec<bool> {
        let bytes = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
    };
    let (network, ip) = (bits(network), bits(ip));
    network.len() == ip.len() && network[..length] == ip[..length]
}

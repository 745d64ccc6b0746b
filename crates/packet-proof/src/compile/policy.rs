//! NetworkPolicy v1.

use netpol::object::{Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule, PortRef, Protocol};

use super::matches::{Addresses, Match, Ports};
use super::select::selects;
use super::{Pod, Policies, Scope};

impl Scope<'_> {
    /// Whether any policy isolates the pod in this direction, and what those that do allow.
    pub(super) fn policy_rules(&mut self, policies: &Policies<'_>) -> (bool, Vec<Match>) {
        let mut isolated = policies.default_deny.contains(&self.pod.namespace);
        let mut rules = Vec::new();
        for policy in policies.policies {
            let namespace = match &policy.meta.namespace {
                Some(name) if !name.value.is_empty() => name.value.as_str(),
                _ => policies.default_namespace,
            };
            if namespace != self.pod.namespace || !isolates(policy, self.direction) {
                continue;
            }
            match selects(&policy.pod_selector, &self.pod.labels) {
                Ok(false) => continue,
                Ok(true) => isolated = true,
                Err(why) => {
                    self.unsupported(&policy.meta.to_string(), format!("{why}: it was left out"));
                    continue;
                }
            }
            for rule in policy.rules(self.direction) {
                let pairs = self.rule_pairs(policy, namespace, rule);
                rules.push(Match { direction: self.direction, pairs });
            }
        }
        (isolated, rules)
    }

    fn rule_pairs(
        &mut self,
        policy: &NetworkPolicy,
        namespace: &str,
        rule: &PolicyRule,
    ) -> Vec<(Addresses, Ports)> {
        let name = policy.meta.to_string();
        let mut peers = Vec::new();
        for peer in &rule.peers {
            peers.extend(self.peer(&name, namespace, peer));
        }
        if rule.peers.is_empty() {
            peers.push(Peer::Anyone);
        }
        let mut pairs = Vec::new();
        for peer in &peers {
            if rule.ports.is_empty() {
                pairs.extend(self.addresses(peer).into_iter().map(|addresses| (addresses, Ports::Any)));
            }
            for port in &rule.ports {
                self.port_pairs(&name, peer, port, &mut pairs);
            }
        }
        pairs
    }

    fn peer(&mut self, policy: &str, namespace: &str, peer: &PolicyPeer) -> Option<Peer> {
        if peer.invalid {
            self.unsupported(policy, "a peer that the API server rejects: it was left out");
            return None;
        }
        if let Some(block) = &peer.ip_block {
            let Some(net) = block.cidr.net else {
                self.unsupported(policy, format!("the range {:?}: it was left out", block.cidr.text.value));
                return None;
            };
            let except: Vec<_> = block.except.iter().filter_map(|cidr| cidr.net).collect();
            if except.len() < block.except.len() {
                self.unsupported(policy, "an except that is no range: its ipBlock was left out");
                return None;
            }
            let pods_too = self.cluster.ip_block_matches_pods;
            return Some(Peer::Block(Addresses::Range { net, except, pods_too }));
        }
        let mut chosen = Vec::new();
        for (index, pod) in self.cluster.pods.iter().enumerate() {
            let by_namespace = match &peer.namespace_selector {
                None => Ok(pod.namespace == namespace),
                Some(selector) => selects(selector, &self.cluster.namespace_labels(&pod.namespace)),
            };
            let by_labels = match &peer.pod_selector {
                None => Ok(true),
                Some(selector) => selects(selector, &pod.labels),
            };
            match (by_namespace, by_labels) {
                (Ok(true), Ok(true)) => chosen.push(index),
                (Err(why), _) | (_, Err(why)) => {
                    self.unsupported(policy, format!("{why}: the peer was left out"));
                    return None;
                }
                _ => {}
            }
        }
        Some(Peer::Pods(chosen))
    }

    fn addresses(&self, peer: &Peer) -> Option<Addresses> {
        match peer {
            Peer::Anyone => Some(Addresses::Any),
            Peer::Block(block) => Some(block.clone()),
            Peer::Pods(pods) => {
                let chosen = pods.iter().filter_map(|index| self.cluster.pods.get(*index));
                let list: Vec<_> = chosen.flat_map(|pod| pod.addresses.clone()).collect();
                (!list.is_empty()).then_some(Addresses::Listed(list))
            }
        }
    }

    fn port_pairs(
        &mut self,
        policy: &str,
        peer: &Peer,
        port: &PolicyPort,
        pairs: &mut Vec<(Addresses, Ports)>,
    ) {
        let Some(protocol) = port.protocol.filter(|_| !port.invalid) else {
            self.unsupported(policy, "a port that the API server rejects: it was left out");
            return;
        };
        let transport = protocol.into();
        let ports = match port.port.as_ref().map(|port| &port.value) {
            None => Ports::All(transport),
            Some(PortRef::Number(first)) => {
                let last = port.end_port.as_ref().map_or(*first, |end| end.value);
                Ports::Range(transport, *first, last)
            }
            Some(PortRef::Name(name)) => return self.named_port(peer, protocol, name, pairs),
        };
        pairs.extend(self.addresses(peer).into_iter().map(|addresses| (addresses, ports.clone())));
    }

    /// A named port is looked up on the pod that receives: this one for ingress, each peer for egress.
    fn named_port(&self, peer: &Peer, protocol: Protocol, name: &str, pairs: &mut Vec<(Addresses, Ports)>) {
        if self.direction == Direction::Ingress {
            for ports in numbers(self.pod, protocol, name) {
                pairs.extend(self.addresses(peer).into_iter().map(|addresses| (addresses, ports.clone())));
            }
            return;
        }
        let receivers: Vec<&Pod> = match peer {
            Peer::Pods(pods) => pods.iter().filter_map(|index| self.cluster.pods.get(*index)).collect(),
            Peer::Anyone => self.cluster.pods.iter().collect(),
            // An address has no ports with names.
            Peer::Block(_) => Vec::new(),
        };
        for pod in receivers {
            let list = Addresses::Listed(pod.addresses.clone());
            pairs.extend(numbers(pod, protocol, name).into_iter().map(|ports| (list.clone(), ports)));
        }
    }
}

/// What a peer of a rule comes to in this cluster.
enum Peer {
    Anyone,
    /// Indices into the cluster's pods.
    Pods(Vec<usize>),
    Block(Addresses),
}

fn numbers(pod: &Pod, protocol: Protocol, name: &str) -> Vec<Ports> {
    let same =
        pod.ports.iter().filter(|(other, transport, _)| other == name && *transport == protocol.into());
    same.map(|(_, transport, number)| Ports::Range(*transport, *number, *number)).collect()
}

/// The API server's defaulting, written out once more: without `policyTypes`, ingress always, egress only when
/// there is at least one egress rule.
fn isolates(policy: &NetworkPolicy, direction: Direction) -> bool {
    match (&policy.policy_types, direction) {
        (None, Direction::Ingress) => true,
        (None, Direction::Egress) => policy.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        (Some(types), Direction::Ingress) => types.iter().any(|kind| kind.value == "Ingress"),
        (Some(types), Direction::Egress) => types.iter().any(|kind| kind.value == "Egress"),
    }
}

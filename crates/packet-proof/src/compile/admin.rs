//! The cluster-wide policies.

use netpol::object::{
    Action, AdminPeerKind, AdminPolicy, AdminPortKind, AdminRule, Direction, LabelSelector, Tier,
};

use super::matches::{Addresses, Match, Ports};
use super::select::selects;
use super::{Effect, Pod, Scope};

impl Scope<'_> {
    /// The rules of a tier that are about this pod, in the order in which they are tried.
    pub(super) fn admin_rules(&mut self, policies: &[AdminPolicy], tier: Tier) -> Vec<(Effect, Match)> {
        let mut order: Vec<&AdminPolicy> = policies.iter().filter(|policy| policy.tier == tier).collect();
        order.sort_by_key(|policy| {
            (
                policy.priority.as_ref().map_or(i64::MAX, |priority| priority.value),
                policy.meta.name.value.clone(),
            )
        });
        let mut rules = Vec::new();
        for policy in order {
            let name = policy.meta.to_string();
            if policy.subject.invalid {
                self.unsupported(&name, "its subject cannot be read: it was left out");
                continue;
            }
            let subject = &policy.subject;
            match self.is_chosen(self.pod, &subject.namespaces, subject.pods.as_ref()) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(why) => {
                    self.unsupported(&name, format!("{why}: it was left out"));
                    continue;
                }
            }
            for rule in policy.rules(self.direction) {
                rules.extend(self.admin_rule(&name, rule));
            }
        }
        rules
    }

    fn is_chosen(
        &self,
        pod: &Pod,
        namespaces: &LabelSelector,
        pods: Option<&LabelSelector>,
    ) -> Result<bool, &'static str> {
        let namespace = selects(namespaces, &self.cluster.namespace_labels(&pod.namespace))?;
        Ok(namespace && pods.map_or(Ok(true), |pods| selects(pods, &pod.labels))?)
    }

    fn admin_rule(&mut self, policy: &str, rule: &AdminRule) -> Option<(Effect, Match)> {
        let effect = match rule.action {
            Action::Accept => Effect::Accept,
            Action::Deny => Effect::Deny,
            Action::Pass => Effect::Pass,
            Action::Unknown => {
                self.unsupported(policy, "a rule with an unknown action: it was left out");
                return None;
            }
        };
        let mut pairs = Vec::new();
        for peer in &rule.peers {
            match &peer.kind {
                AdminPeerKind::Namespaces(namespaces) => {
                    self.pod_pairs(policy, rule, (namespaces, None), &mut pairs);
                }
                AdminPeerKind::Pods { namespaces, pods } => {
                    self.pod_pairs(policy, rule, (namespaces, Some(pods)), &mut pairs);
                }
                AdminPeerKind::Networks(cidrs) => {
                    for net in cidrs.iter().filter_map(|cidr| cidr.net) {
                        let pods_too = self.cluster.ip_block_matches_pods;
                        let addresses = Addresses::Range { net, except: Vec::new(), pods_too };
                        self.port_alternatives(policy, rule, None, &addresses, &mut pairs);
                    }
                }
                AdminPeerKind::Nodes(_) | AdminPeerKind::DomainNames(_) => {
                    self.unsupported(policy, "a peer of nodes or domain names: it matches nothing here");
                }
                // Fail closed, as implementations must: an Accept matches nothing, anything else denies all.
                AdminPeerKind::Unknown(_) if rule.action != Action::Accept => {
                    let pairs = vec![(Addresses::Any, Ports::Any)];
                    return Some((Effect::Deny, Match { direction: self.direction, pairs }));
                }
                AdminPeerKind::Unknown(_) => {}
            }
        }
        Some((effect, Match { direction: self.direction, pairs }))
    }

    fn pod_pairs(
        &mut self,
        policy: &str,
        rule: &AdminRule,
        (namespaces, pods): (&LabelSelector, Option<&LabelSelector>),
        pairs: &mut Vec<(Addresses, Ports)>,
    ) {
        let cluster = self.cluster;
        for pod in &cluster.pods {
            match self.is_chosen(pod, namespaces, pods) {
                Ok(true) => {
                    let addresses = Addresses::Listed(pod.addresses.clone());
                    self.port_alternatives(policy, rule, Some(pod), &addresses, pairs);
                }
                Ok(false) => {}
                Err(why) => self.unsupported(policy, format!("{why}: a peer was left out")),
            }
        }
    }

    fn port_alternatives(
        &mut self,
        policy: &str,
        rule: &AdminRule,
        peer: Option<&Pod>,
        addresses: &Addresses,
        pairs: &mut Vec<(Addresses, Ports)>,
    ) {
        if rule.ports.is_empty() {
            pairs.push((addresses.clone(), Ports::Any));
        }
        for port in &rule.ports {
            match &port.kind {
                AdminPortKind::Range { protocol, first, last } => {
                    pairs.push((addresses.clone(), Ports::Range((*protocol).into(), *first, *last)));
                }
                AdminPortKind::Named(name) => {
                    let receiver = match self.direction {
                        Direction::Ingress => Some(self.pod),
                        Direction::Egress => peer,
                    };
                    let ports = receiver.map(|pod| pod.ports.as_slice()).unwrap_or_default();
                    for (_, transport, number) in ports.iter().filter(|(other, ..)| other == name) {
                        pairs.push((addresses.clone(), Ports::Range(*transport, *number, *number)));
                    }
                }
                AdminPortKind::Unknown => {
                    self.unsupported(policy, "a port that cannot be read: it was left out");
                }
            }
        }
    }
}

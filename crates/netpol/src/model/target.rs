//! From what a client names (a host, a Service, "the resolver") to the peers that packets reach.

use std::net::IpAddr;

use super::decision::{Decision, Peer, Verdict};
use super::pod::PodShape;
use super::{Model, NamedPort, PodNamespace};
use crate::object::{LabelSelector, Labels, PortRef, Protocol, Service, ServicePort, Tri};
use crate::profile::DnsServer;
use crate::set::IpSet;

/// What a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A peer itself.
    Peer(Peer),
    /// A Service, by index into [`crate::Input::services`].
    Service(usize),
    /// The pods' resolver, as the profile describes it.
    Dns,
    /// The pod itself: no policy is ever about that.
    Loopback,
}

/// The verdict on a connection to a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Allowed or denied when it is so on every route, else unknown.
    pub verdict: Verdict,
    /// Where packets may end.
    pub routes: Vec<Route>,
    /// What else there is to say.
    pub notes: Vec<Note>,
}

/// One end that packets for a target may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The receiver.
    pub to: Peer,
    /// Protocol at the receiver.
    pub protocol: Protocol,
    /// Port at the receiver: what policies see.
    pub port: u16,
    /// The verdict and its causes.
    pub decision: Decision,
}

/// A remark on how a target was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The Service sends this port to another one at the pods; policies must name the latter.
    PortMapped {
        /// The Service's port.
        service_port: u16,
        /// The pods' port.
        pod_port: u16,
    },
    /// The Service does not have this port: no policy can make the connection work.
    NoSuchPort {
        /// What it has.
        offers: Vec<(Protocol, u16)>,
    },
    /// The `targetPort` is a name that the pod does not have.
    NoSuchPortName {
        /// The name.
        name: String,
    },
    /// No workload of the input matches the Service's selector; a pod with just these labels was judged.
    NoBackends,
    /// The Service has no selector: its endpoints are not in the manifests.
    NoSelector,
    /// The Service is an alias for an external name.
    ExternalName(String),
    /// The pod does not use the cluster's resolver; which one it uses is not in the manifests.
    NodeResolver,
    /// The verdict differs between the pods behind the target.
    SomeBackends {
        /// Number of routes that are allowed.
        allowed: usize,
        /// Number of routes in all.
        of: usize,
    },
}

impl Model<'_> {
    /// The verdict on a connection from a peer to a target, over every route that packets may take. For
    /// [`Target::Dns`] the port is the resolver's own, whatever is given.
    #[must_use]
    pub fn verdict(&self, from: &Peer, to: &Target, protocol: Protocol, port: u16) -> Answer {
        match to {
            Target::Loopback => Answer { verdict: Verdict::Allowed, routes: Vec::new(), notes: Vec::new() },
            Target::Peer(peer) => self.answer(from, vec![(peer.clone(), port)], protocol, Vec::new()),
            Target::Dns => {
                let mut notes = Vec::new();
                let routes = self.dns_routes(from, &mut notes);
                self.answer(from, routes, protocol, notes)
            }
            Target::Service(index) => match self.input.services.get(*index) {
                Some(service) => self.service_verdict(from, service, protocol, port),
                None => Answer { verdict: Verdict::Unknown, routes: Vec::new(), notes: Vec::new() },
            },
        }
    }

    fn answer(
        &self,
        from: &Peer,
        ends: Vec<(Peer, u16)>,
        protocol: Protocol,
        mut notes: Vec<Note>,
    ) -> Answer {
        let routes: Vec<Route> = ends
            .into_iter()
            .map(|(to, port)| {
                let decision = self.decide(from, &to, protocol, port);
                Route { to, protocol, port, decision }
            })
            .collect();
        let allowed = routes.iter().filter(|route| route.decision.verdict == Verdict::Allowed).count();
        let denied = routes.iter().filter(|route| route.decision.verdict == Verdict::Denied).count();
        let verdict = match routes.len() {
            0 => Verdict::Unknown,
            all if allowed == all => Verdict::Allowed,
            all if denied == all => Verdict::Denied,
            _ => Verdict::Unknown,
        };
        if allowed > 0 && denied > 0 {
            notes.push(Note::SomeBackends { allowed, of: routes.len() });
        }
        Answer { verdict, routes, notes }
    }

    /// The pods behind the resolver and their port.
    fn dns_routes(&self, from: &Peer, notes: &mut Vec<Note>) -> Vec<(Peer, u16)> {
        if let Peer::Workload(id) = from
            && let Some(workload) = self.input.workloads.get(*id)
        {
            let policy =
                workload.pod.dns_policy.as_ref().map_or("ClusterFirst", |policy| policy.value.as_str());
            let host = workload.pod.host_network && policy == "ClusterFirst";
            if host || matches!(policy, "Default" | "None") {
                notes.push(Note::NodeResolver);
                return vec![(Peer::Addresses(self.options.families.addresses()), 53)];
            }
        }
        match &self.options.profile.dns {
            DnsServer::Address { address, port } => {
                vec![(Peer::Addresses(IpSet::one(*address)), *port)]
            }
            DnsServer::Pods { namespace, labels, port, port_names } => {
                let pairs = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                let labels = Labels::from_pairs(pairs);
                let found = self.backends(namespace, &labels);
                if !found.is_empty() {
                    return found.into_iter().map(|id| (Peer::Workload(id), *port)).collect();
                }
                let named = port_names.iter().map(|(name, protocol)| NamedPort {
                    name: name.clone(),
                    protocol: *protocol,
                    port: *port,
                });
                let shape = PodShape {
                    namespace: PodNamespace::Named(namespace.clone()),
                    labels,
                    named_ports: Some(named.collect()),
                    addresses: Vec::new(),
                    host_network: false,
                };
                vec![(Peer::Pod(shape), *port)]
            }
        }
    }

    /// Workloads of a namespace whose pods have these labels.
    #[must_use]
    pub fn backends(&self, namespace: &str, labels: &Labels) -> Vec<super::WorkloadId> {
        let selector = LabelSelector { match_labels: labels.clone(), ..LabelSelector::default() };
        let own = self.by_namespace.get(namespace).map_or(&[][..], Vec::as_slice);
        let matches = |id: &super::WorkloadId| selector.matches(&self.pods[*id].labels) != Tri::No;
        own.iter().copied().filter(matches).collect()
    }

    fn service_verdict(&self, from: &Peer, service: &Service, protocol: Protocol, port: u16) -> Answer {
        let mut notes = Vec::new();
        let namespace = service.meta.namespace_or(&self.options.default_namespace);
        if let Some(name) = &service.external_name {
            notes.push(Note::ExternalName(name.value.clone()));
            // One step only: an alias of an alias is as good as an external name.
            let peer = match self.resolve_host(name, Some(namespace)) {
                Target::Peer(peer) => peer,
                _ => Peer::Name(name.value.clone()),
            };
            return self.answer(from, vec![(peer, port)], protocol, notes);
        }
        let Some(selector) = &service.selector else {
            notes.push(Note::NoSelector);
            let ends = vec![
                (Peer::Pod(PodShape::unknown(None)), port),
                (Peer::Addresses(self.options.families.addresses()), port),
            ];
            return self.answer(from, ends, protocol, notes);
        };
        let listed = service.ports.iter().find(|listed| {
            listed.protocol == protocol && listed.port.as_ref().is_some_and(|number| number.value == port)
        });
        if listed.is_none() && !service.headless {
            let offers = service.ports.iter();
            let offers = offers.filter_map(|listed| Some((listed.protocol, listed.port.as_ref()?.value)));
            notes.push(Note::NoSuchPort { offers: offers.collect() });
            return Answer { verdict: Verdict::Denied, routes: Vec::new(), notes };
        }
        let listed = listed.filter(|_| !service.headless);
        let mut ends = Vec::new();
        for id in self.backends(namespace, selector) {
            match target_port(listed, port, self.pod(id).named_ports.as_deref()) {
                Ok(pod_port) => ends.push((Peer::Workload(id), pod_port)),
                Err(name) => notes.push(Note::NoSuchPortName { name }),
            }
        }
        if ends.is_empty() && notes.is_empty() {
            notes.push(Note::NoBackends);
            let mut labels = selector.clone();
            labels.incomplete = true;
            let namespace = PodNamespace::Named(namespace.to_owned());
            let shape =
                PodShape { namespace, labels, named_ports: None, addresses: Vec::new(), host_network: false };
            let pod_port = target_port(listed, port, None).unwrap_or(port);
            ends.push((Peer::Pod(shape), pod_port));
        }
        if let Some((_, pod_port)) = ends.iter().find(|(_, pod_port)| *pod_port != port) {
            notes.push(Note::PortMapped { service_port: port, pod_port: *pod_port });
        }
        let mut answer = self.answer(from, ends, protocol, notes);
        if answer.routes.is_empty() {
            answer.verdict = Verdict::Denied;
        }
        answer
    }

    /// What a host name or address in a configuration means to a pod of this namespace.
    #[must_use]
    pub fn resolve_host(&self, host: &str, namespace: Option<&str>) -> Target {
        let host = host.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.resolve_address(address);
        }
        let host = host.to_ascii_lowercase();
        if host == "localhost" || host.ends_with(".localhost") {
            return Target::Loopback;
        }
        let parts: Vec<&str> = host.split('.').collect();
        if let Some(at) = parts.iter().rposition(|part| *part == "svc")
            && at >= 2
            && (at + 1 == parts.len() || parts[at + 1..].join(".") == "cluster.local")
        {
            return self.cluster_name(parts[at - 2], parts[at - 1]);
        }
        let any = || Target::Peer(Peer::Pod(PodShape::unknown(namespace)));
        match parts.as_slice() {
            [name] => namespace.map_or_else(any, |namespace| self.cluster_name(name, namespace)),
            [name, space] if self.is_cluster_namespace(name, space) => self.cluster_name(name, space),
            [.., last] if matches!(*last, "internal" | "local" | "lan" | "corp" | "intranet" | "arpa") => {
                Target::Peer(Peer::Addresses(self.options.families.addresses()))
            }
            _ => Target::Peer(Peer::Name(host.clone())),
        }
    }

    fn resolve_address(&self, address: IpAddr) -> Target {
        if address.is_loopback() {
            return Target::Loopback;
        }
        if let Some(id) = self.pods.iter().position(|pod| pod.addresses.contains(&address)) {
            return Target::Peer(Peer::Workload(id));
        }
        match self.input.services.iter().position(|service| service.cluster_ips.contains(&address)) {
            Some(index) => Target::Service(index),
            None => Target::Peer(Peer::Addresses(IpSet::one(address))),
        }
    }

    fn cluster_name(&self, name: &str, namespace: &str) -> Target {
        match self.service(name, namespace) {
            Some(index) => Target::Service(index),
            None => Target::Peer(Peer::Pod(PodShape::unknown(Some(namespace)))),
        }
    }

    /// The Service of this name.
    #[must_use]
    pub fn service(&self, name: &str, namespace: &str) -> Option<usize> {
        let default = self.options.default_namespace.as_str();
        self.input.services.iter().position(|service| {
            service.meta.name.value == name && service.meta.namespace_or(default) == namespace
        })
    }

    /// Whether `name.space` is more likely a Service than a public name.
    fn is_cluster_namespace(&self, name: &str, space: &str) -> bool {
        if self.by_namespace.contains_key(space)
            || self.knows_namespace(space)
            || self.service(name, space).is_some()
        {
            return true;
        }
        // Public suffixes of two letters are countries; the others here carry most of the public names.
        let public = [
            "com", "net", "org", "info", "biz", "app", "dev", "cloud", "xyz", "online", "site", "tech",
            "gov", "edu", "mil", "int", "exchange", "finance", "vision", "trade",
        ];
        space.len() != 2 && !public.contains(&space)
    }
}

/// The port at the pod; `Err` holds a name that the pod does not have.
pub(super) fn target_port(
    listed: Option<&ServicePort>,
    port: u16,
    named: Option<&[NamedPort]>,
) -> Result<u16, String> {
    let Some(listed) = listed else { return Ok(port) };
    match listed.target_port.as_ref().map(|target| &target.value) {
        None => Ok(port),
        Some(PortRef::Number(number)) => Ok(*number),
        Some(PortRef::Name(name)) => {
            let found = named.and_then(|named| {
                named.iter().find(|port| port.name == *name && port.protocol == listed.protocol)
            });
            found.map(|port| port.port).ok_or_else(|| name.clone())
        }
    }
}

//! What differs between clusters: where DNS answers, and what a CNI does where the specification is open.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::object::Protocol;

/// Where the pods' resolver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsServer {
    /// Pods behind a Service.
    Pods {
        /// Their namespace.
        namespace: String,
        /// Their labels.
        labels: Vec<(String, String)>,
        /// The port they listen on (not the Service's 53), UDP and TCP.
        port: u16,
        /// Names of that port.
        port_names: Vec<(String, Protocol)>,
    },
    /// An address held by the node itself: selectors do not match it.
    Address {
        /// The address.
        address: IpAddr,
        /// The port, UDP and TCP.
        port: u16,
    },
}

/// How pods in the network namespace of their node are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostNetwork {
    /// The specification leaves it open and most CNIs ignore policies for them: verdicts become unknown.
    Unknown,
    /// As if they were ordinary pods.
    AsPod,
}

/// Behaviour of a cluster's DNS and CNI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for reports.
    pub name: String,
    /// Where DNS answers.
    pub dns: DnsServer,
    /// Whether an `ipBlock` (and `networks`) matches the addresses of pods. The specification says yes;
    /// Cilium says no.
    pub ip_block_matches_pods: bool,
    /// How hostNetwork pods are treated.
    pub host_network: HostNetwork,
    /// Ranges that pods may get addresses from, where the input does not say which one they have.
    pub pod_ranges: Vec<IpNet>,
}

impl Profile {
    /// Names that [`Self::by_name`] knows.
    pub const NAMES: [&'static str; 5] = ["kubernetes", "calico", "cilium", "openshift", "node-local-dns"];

    /// A built-in profile.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "kubernetes" => Self::kubernetes(),
            "calico" => Self { name: name.to_owned(), ..Self::kubernetes() },
            "cilium" => Self { name: name.to_owned(), ip_block_matches_pods: false, ..Self::kubernetes() },
            "openshift" => Self { name: name.to_owned(), dns: openshift_dns(), ..Self::kubernetes() },
            "node-local-dns" => {
                let address = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));
                Self {
                    name: name.to_owned(),
                    dns: DnsServer::Address { address, port: 53 },
                    ..Self::kubernetes()
                }
            }
            _ => return None,
        })
    }

    /// The specification as written, with CoreDNS in kube-system.
    #[must_use]
    pub fn kubernetes() -> Self {
        Self {
            name: "kubernetes".to_owned(),
            dns: DnsServer::Pods {
                namespace: "kube-system".to_owned(),
                labels: vec![("k8s-app".to_owned(), "kube-dns".to_owned())],
                port: 53,
                port_names: vec![("dns".to_owned(), Protocol::Udp), ("dns-tcp".to_owned(), Protocol::Tcp)],
            },
            ip_block_matches_pods: true,
            host_network: HostNetwork::Unknown,
            pod_ranges: private_ranges(),
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::kubernetes()
    }
}

/// The resolver pods listen on 5353; their Service maps 53 to it, and policies see the pod's port.
fn openshift_dns() -> DnsServer {
    DnsServer::Pods {
        namespace: "openshift-dns".to_owned(),
        labels: vec![("dns.operator.openshift.io/daemonset-dns".to_owned(), "default".to_owned())],
        port: 5353,
        port_names: vec![("dns".to_owned(), Protocol::Udp), ("dns-tcp".to_owned(), Protocol::Tcp)],
    }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Ranges that clusters take pod addresses from.
fn private_ranges() -> Vec<IpNet> {
    nets(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"])
}

/// Ranges that no public DNS name points into.
pub(crate) fn special_ranges() -> Vec<IpNet> {
    let mut ranges = private_ranges();
    ranges.extend(nets(&[
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001:db8::/32",
    ]));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_profile_exists_under_its_name() {
        for name in Profile::NAMES {
            assert_eq!(Profile::by_name(name).unwrap().name, name);
        }
        assert_eq!(Profile::by_name("flannel"), None);
    }

    #[test]
    fn special_ranges_are_all_read() {
        assert_eq!(special_ranges().len(), 18);
    }
}

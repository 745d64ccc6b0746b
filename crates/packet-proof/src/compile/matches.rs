//! One rule as alternatives of matches on addresses and ports.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Cluster, Direction};
use crate::plan::Transport;

/// The addresses of all pods, for ranges that must not match pods.
pub(super) struct PodSets {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl PodSets {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let all: BTreeSet<IpAddr> = cluster.pods.iter().flat_map(|pod| pod.addresses.clone()).collect();
        let (v4, v6) = all.into_iter().partition(IpAddr::is_ipv4);
        Self { v4, v6 }
    }

    pub(super) fn declarations(&self) -> String {
        let mut text = String::new();
        for (name, kind, addresses) in [("pods4", "ipv4_addr", &self.v4), ("pods6", "ipv6_addr", &self.v6)] {
            let elements = if addresses.is_empty() {
                String::new()
            } else {
                format!(" elements = {{ {} }};", join(addresses))
            };
            let _ = writeln!(text, "  set {name} {{ type {kind};{elements} }}");
        }
        text
    }
}

/// Which addresses the other end may have.
#[derive(Clone, Debug)]
pub(super) enum Addresses {
    Any,
    /// Exactly these: those of pods.
    Listed(Vec<IpAddr>),
    Range {
        net: IpNet,
        except: Vec<IpNet>,
        pods_too: bool,
    },
}

/// Which ports of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    Any,
    All(Transport),
    Range(Transport, u16, u16),
}

/// A rule: any of the pairs.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) direction: Direction,
    pub(super) pairs: Vec<(Addresses, Ports)>,
}

impl Match {
    /// The left-hand sides of nftables rules, one for each pair and address family.
    pub(super) fn lines(&self) -> Vec<String> {
        let side = match self.direction {
            Direction::Ingress => "saddr",
            Direction::Egress => "daddr",
        };
        let mut lines = Vec::new();
        for (addresses, ports) in &self.pairs {
            for address in address_matches(addresses, side) {
                lines.push(format!("{address}{}", port_match(ports)));
            }
        }
        lines
    }
}

fn address_matches(addresses: &Addresses, side: &str) -> Vec<String> {
    match addresses {
        Addresses::Any => vec![String::new()],
        Addresses::Listed(list) => {
            let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = list.iter().partition(|address| address.is_ipv4());
            let family = |word: &str, list: &[IpAddr]| {
                (!list.is_empty()).then(|| format!("{word} {side} {{ {} }} ", join(list)))
            };
            [family("ip", &v4), family("ip6", &v6)].into_iter().flatten().collect()
        }
        Addresses::Range { net, except, pods_too } => {
            let (word, pods) = if net.addr().is_ipv4() { ("ip", "@pods4") } else { ("ip6", "@pods6") };
            // A range over everything still has to name its family: 0.0.0.0/0 is not IPv6.
            let mut text = format!("{word} {side} {net} ");
            for inner in except {
                let _ = write!(text, "{word} {side} != {inner} ");
            }
            if !pods_too {
                let _ = write!(text, "{word} {side} != {pods} ");
            }
            vec![text]
        }
    }
}

fn port_match(ports: &Ports) -> String {
    match ports {
        Ports::Any => String::new(),
        Ports::All(transport) => format!("meta l4proto {} ", transport.nft()),
        Ports::Range(transport, first, last) if first == last => {
            format!("{} dport {first} ", transport.nft())
        }
        Ports::Range(transport, first, last) => format!("{} dport {first}-{last} ", transport.nft()),
    }
}

fn join(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(", ")
}

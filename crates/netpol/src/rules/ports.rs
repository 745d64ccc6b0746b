//! What rules open, in the terms that several checks share.

use ipnet::IpNet;

use crate::object::{PolicyPeer, PolicyPort, PolicyRule, PortRef, Protocol};
use crate::source::Span;

/// Whether a port entry holds this port.
pub(super) fn holds(port: &PolicyPort, protocol: Protocol, number: u16) -> bool {
    if port.invalid || port.protocol != Some(protocol) {
        return false;
    }
    match (&port.port, &port.end_port) {
        (None, _) => true,
        (Some(first), last) => match &first.value {
            PortRef::Number(first) => {
                (*first..=last.as_ref().map_or(*first, |last| last.value)).contains(&number)
            }
            PortRef::Name(_) => false,
        },
    }
}

/// Whether a rule holds this port.
pub(super) fn rule_holds(rule: &PolicyRule, protocol: Protocol, number: u16) -> bool {
    rule.ports.is_empty() || rule.ports.iter().any(|port| holds(port, protocol, number))
}

/// Single ports by number, with the place of each.
pub(super) fn single(rule: &PolicyRule) -> impl Iterator<Item = (Protocol, u16, Span)> + '_ {
    rule.ports.iter().filter_map(|port| {
        let range = port.end_port.is_some() || port.invalid;
        match (port.protocol, port.port.as_ref()) {
            (Some(protocol), Some(number)) if !range => match number.value {
                PortRef::Number(value) => Some((protocol, value, number.span)),
                PortRef::Name(_) => None,
            },
            _ => None,
        }
    })
}

/// Whether a peer is an `ipBlock` of all addresses of a family.
pub(super) fn is_everywhere(peer: &PolicyPeer) -> bool {
    let net = peer.ip_block.as_ref().and_then(|block| block.cidr.net);
    net.is_some_and(|net| net.prefix_len() == 0)
}

/// Whether the rule reaches every address: no peers at all, or 0.0.0.0/0 or ::/0.
pub(super) fn reaches_everywhere(rule: &PolicyRule) -> bool {
    rule.peers.is_empty() || rule.peers.iter().any(is_everywhere)
}

/// Whether every range for all addresses excepts this one.
pub(super) fn excepts(rule: &PolicyRule, net: IpNet) -> bool {
    let blocks =
        rule.peers.iter().filter(|peer| is_everywhere(peer)).filter_map(|peer| peer.ip_block.as_ref());
    let same_family = |block: &&crate::object::IpBlock| {
        block.cidr.net.is_some_and(|cidr| cidr.contains(&net) || cidr == net)
    };
    let mut blocks = blocks.filter(same_family).peekable();
    blocks.peek().is_some()
        && blocks.all(|block| {
            block.except.iter().any(|except| except.net.is_some_and(|except| except.contains(&net)))
        })
}

/// `53/UDP`, and `8080` for TCP.
pub(super) fn name(protocol: Protocol, port: u16) -> String {
    match protocol {
        Protocol::Tcp => port.to_string(),
        other => format!("{port}/{other}"),
    }
}

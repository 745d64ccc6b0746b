//! Sets of (protocol, port).

use std::fmt;

use super::Intervals;
use crate::object::Protocol;

/// A set of ports, per protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortSet {
    tcp: Intervals<u16>,
    udp: Intervals<u16>,
    sctp: Intervals<u16>,
}

impl PortSet {
    /// No port.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every port of every protocol.
    #[must_use]
    pub fn all() -> Self {
        Self { tcp: Intervals::all(), udp: Intervals::all(), sctp: Intervals::all() }
    }

    /// Every port of one protocol.
    #[must_use]
    pub fn protocol(protocol: Protocol) -> Self {
        Self::range(protocol, 1, u16::MAX)
    }

    /// One port.
    #[must_use]
    pub fn one(protocol: Protocol, port: u16) -> Self {
        Self::range(protocol, port, port)
    }

    /// From `first` to `last`, both included.
    #[must_use]
    pub fn range(protocol: Protocol, first: u16, last: u16) -> Self {
        let mut set = Self::none();
        *set.of_mut(protocol) = Intervals::range(first, last);
        set
    }

    /// The ports of one protocol.
    #[must_use]
    pub fn of(&self, protocol: Protocol) -> &Intervals<u16> {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
            Protocol::Sctp => &self.sctp,
        }
    }

    fn of_mut(&mut self, protocol: Protocol) -> &mut Intervals<u16> {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
            Protocol::Sctp => &mut self.sctp,
        }
    }

    /// Whether it holds no port.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty() && self.sctp.is_empty()
    }

    /// Whether it holds every port of every protocol.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.tcp.is_all() && self.udp.is_all() && self.sctp.is_all()
    }

    /// Whether it holds this port.
    #[must_use]
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        self.of(protocol).contains(port)
    }

    /// Whether it holds every port of the other.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        Protocol::ALL.into_iter().all(|protocol| self.of(protocol).is_superset(other.of(protocol)))
    }

    /// Ports in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, Intervals::union)
    }

    /// Ports in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, Intervals::intersection)
    }

    /// Ports in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, Intervals::difference)
    }

    /// Ports that are not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { tcp: self.tcp.complement(), udp: self.udp.complement(), sctp: self.sctp.complement() }
    }

    fn zip(&self, other: &Self, apply: fn(&Intervals<u16>, &Intervals<u16>) -> Intervals<u16>) -> Self {
        Self {
            tcp: apply(&self.tcp, &other.tcp),
            udp: apply(&self.udp, &other.udp),
            sctp: apply(&self.sctp, &other.sctp),
        }
    }
}

/// `all`, `none`, or `TCP 80,443,8000-8010 UDP 53`.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        for protocol in Protocol::ALL {
            let ports = self.of(protocol);
            if ports.is_empty() {
                continue;
            }
            write!(f, "{separator}{protocol}")?;
            separator = " ";
            if ports.is_all() {
                f.write_str(" all")?;
                continue;
            }
            let mut comma = " ";
            for (first, last) in ports.spans() {
                if first == last {
                    write!(f, "{comma}{first}")?;
                } else {
                    write!(f, "{comma}{first}-{last}")?;
                }
                comma = ",";
            }
        }
        Ok(())
    }
}

//! Sets of addresses of both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Intervals;

/// A set of addresses. An IPv4-mapped IPv6 address counts as the IPv4 address it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpSet {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
}

impl IpSet {
    /// No address.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every address of both families.
    #[must_use]
    pub fn all() -> Self {
        Self { v4: Intervals::all(), v6: Intervals::all() }
    }

    /// Every IPv4 address.
    #[must_use]
    pub fn all_v4() -> Self {
        Self { v4: Intervals::all(), v6: Intervals::none() }
    }

    /// Every IPv6 address.
    #[must_use]
    pub fn all_v6() -> Self {
        Self { v4: Intervals::none(), v6: Intervals::all() }
    }

    /// One address.
    #[must_use]
    pub fn one(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::between_v4(address, address),
            IpAddr::V6(address) => Self::between_v6(address, address),
        }
    }

    /// From one IPv4 address to another, both included.
    #[must_use]
    pub fn between_v4(first: Ipv4Addr, last: Ipv4Addr) -> Self {
        Self { v4: Intervals::range(first.to_bits(), last.to_bits()), v6: Intervals::none() }
    }

    /// From one IPv6 address to another, both included.
    #[must_use]
    pub fn between_v6(first: Ipv6Addr, last: Ipv6Addr) -> Self {
        Self { v4: Intervals::none(), v6: Intervals::range(first.to_bits(), last.to_bits()) }
    }

    /// The addresses of a network.
    #[must_use]
    pub fn network(net: &IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self::between_v4(net.network(), net.broadcast()),
            IpNet::V6(net) => Self::between_v6(net.network(), net.broadcast()),
        }
    }

    /// The addresses of several networks.
    #[must_use]
    pub fn networks<'n>(nets: impl IntoIterator<Item = &'n IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: Intervals::collect(v4), v6: Intervals::collect(v6) }
    }

    /// The IPv4 part.
    #[must_use]
    pub fn v4(&self) -> &Intervals<u32> {
        &self.v4
    }

    /// The IPv6 part.
    #[must_use]
    pub fn v6(&self) -> &Intervals<u128> {
        &self.v6
    }

    /// Whether it holds no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether it holds this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether it holds every address of the other.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        self.v4.is_superset(&other.v4) && self.v6.is_superset(&other.v6)
    }

    /// Whether both share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.v4.overlaps(&other.v4) || self.v6.overlaps(&other.v6)
    }

    /// Addresses in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// Addresses in any of several sets.
    #[must_use]
    pub fn union_all<'s>(sets: impl IntoIterator<Item = &'s Self>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend_from_slice(set.v4.spans());
            v6.extend_from_slice(set.v6.spans());
        }
        Self { v4: Intervals::collect(v4), v6: Intervals::collect(v6) }
    }

    /// Addresses in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersection(&other.v4), v6: self.v6.intersection(&other.v6) }
    }

    /// Addresses in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self { v4: self.v4.difference(&other.v4), v6: self.v6.difference(&other.v6) }
    }

    /// The first address, IPv4 before IPv6.
    #[must_use]
    pub fn first(&self) -> Option<IpAddr> {
        match (self.v4.spans().first(), self.v6.spans().first()) {
            (Some((first, _)), _) => Some(IpAddr::V4(Ipv4Addr::from_bits(*first))),
            (None, Some((first, _))) => Some(IpAddr::V6(Ipv6Addr::from_bits(*first))),
            (None, None) => None,
        }
    }

    /// The ranges, IPv4 before IPv6, both ends included.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        let v4 = |bits: u32| IpAddr::V4(Ipv4Addr::from_bits(bits));
        let v6 = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
        let four = self.v4.spans().iter().map(move |(first, last)| (v4(*first), v4(*last)));
        four.chain(self.v6.spans().iter().map(move |(first, last)| (v6(*first), v6(*last))))
    }

    /// Cuts the set at the borders of the others: in each part, every address is in the same ones of them.
    #[must_use]
    pub fn parts<'s>(&self, others: impl IntoIterator<Item = &'s Self>) -> Vec<Self> {
        let (mut cuts4, mut cuts6) = (Vec::new(), Vec::new());
        for other in others {
            cut(&other.v4, &mut cuts4);
            cut(&other.v6, &mut cuts6);
        }
        let mut parts = Vec::new();
        for (first, last) in split(&self.v4, cuts4) {
            parts.push(Self { v4: Intervals::range(first, last), v6: Intervals::none() });
        }
        for (first, last) in split(&self.v6, cuts6) {
            parts.push(Self { v4: Intervals::none(), v6: Intervals::range(first, last) });
        }
        parts
    }
}

/// Adds the first numbers behind each border.
fn cut<T: super::Bound>(set: &Intervals<T>, cuts: &mut Vec<T>) {
    for (first, last) in set.spans() {
        cuts.push(*first);
        if *last < T::GREATEST {
            cuts.push(last.next());
        }
    }
}

fn split<T: super::Bound>(set: &Intervals<T>, mut cuts: Vec<T>) -> Vec<(T, T)> {
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts = Vec::new();
    for (first, last) in set.spans() {
        let mut from = *first;
        let inside = cuts.partition_point(|cut| *cut <= *first);
        for at in cuts.iter().skip(inside).take_while(|cut| **cut <= *last) {
            parts.push((from, at.previous()));
            from = *at;
        }
        parts.push((from, *last));
    }
    parts
}

/// `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, several joined by `, `.
impl fmt::Display for IpSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut comma = "";
        for (first, last) in self.ranges() {
            f.write_str(comma)?;
            comma = ", ";
            match as_network(first, last) {
                _ if first == last => write!(f, "{first}")?,
                Some(net) => write!(f, "{net}")?,
                None => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

fn as_network(first: IpAddr, last: IpAddr) -> Option<IpNet> {
    let (bits, width) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (u128::from(first.to_bits() ^ last.to_bits()), 32),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits() ^ last.to_bits(), 128),
        _ => return None,
    };
    let host = 128 - bits.leading_zeros();
    let net = IpNet::new(first, u8::try_from(width - host).ok()?).ok()?;
    (net.network() == first && net.broadcast() == last).then_some(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nets: &[&str]) -> IpSet {
        IpSet::networks(&nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>())
    }

    #[test]
    fn networks_are_written_as_networks_and_the_rest_as_ranges() {
        assert_eq!(set(&["10.0.0.0/8"]).to_string(), "10.0.0.0/8");
        assert_eq!(set(&["0.0.0.0/0", "::/0"]).to_string(), "0.0.0.0/0, ::/0");
        let rest = IpSet::all_v4().difference(&set(&["10.0.0.0/8"]));
        assert_eq!(rest.to_string(), "0.0.0.0-9.255.255.255, 11.0.0.0-255.255.255.255");
        assert_eq!(set(&["1.2.3.4/32"]).to_string(), "1.2.3.4");
    }

    #[test]
    fn parts_cover_the_set_and_never_straddle_a_border() {
        let blocks = [set(&["10.0.0.0/8"]), set(&["10.1.0.0/16", "::/0"])];
        let parts = IpSet::all().parts(&blocks);
        let mut joined = IpSet::none();
        for part in &parts {
            for block in &blocks {
                assert!(block.is_superset(part) || block.intersection(part).is_empty());
            }
            joined = joined.union(part);
        }
        assert_eq!(joined, IpSet::all());
        assert_eq!(parts.len(), 6);
    }

    #[test]
    fn mapped_addresses_are_the_v4_ones() {
        assert!(set(&["10.0.0.0/8"]).contains("::ffff:10.1.2.3".parse().unwrap()));
    }
}

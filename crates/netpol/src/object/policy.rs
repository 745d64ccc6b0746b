//! NetworkPolicy v1 as written.

use ipnet::IpNet;

use super::{LabelSelector, Meta};
use crate::source::{Span, Spanned, Text};

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// `TCP`, `UDP` or `SCTP`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }

    /// Reads the exact upper-case name that Kubernetes wants.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text)
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortRef {
    /// 1 to 65535.
    Number(u16),
    /// Name of a container port.
    Name(String),
}

impl std::fmt::Display for PortRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Direction of traffic, seen from the pod that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Into the pod.
    Ingress,
    /// Out of the pod.
    Egress,
}

impl Direction {
    /// `ingress` or `egress`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Name, namespace, labels.
    pub meta: Meta,
    /// `spec.podSelector`; empty where it is missing.
    pub pod_selector: LabelSelector,
    /// Whether `spec.podSelector` was written.
    pub has_pod_selector: bool,
    /// `spec.policyTypes` as written; `None` when missing or empty.
    pub policy_types: Option<Vec<Text>>,
    /// `spec.ingress`; `None` when missing or null.
    pub ingress: Option<Vec<PolicyRule>>,
    /// `spec.egress`; `None` when missing or null.
    pub egress: Option<Vec<PolicyRule>>,
    /// `spec`, or the document where it is missing.
    pub spec_span: Span,
    /// The API server would reject it as it is written (a problem says why), so it may not exist in a cluster.
    pub rejected: bool,
}

impl NetworkPolicy {
    /// Whether the policy isolates the pods it selects in this direction, with the API server's defaulting:
    /// without `policyTypes`, ingress always and egress only when there is an egress rule.
    #[must_use]
    pub fn applies_to(&self, direction: Direction) -> bool {
        match &self.policy_types {
            Some(types) => {
                let wanted = match direction {
                    Direction::Ingress => "Ingress",
                    Direction::Egress => "Egress",
                };
                types.iter().any(|kind| kind.value == wanted)
            }
            None => match direction {
                Direction::Ingress => true,
                Direction::Egress => self.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
            },
        }
    }

    /// The rules of a direction, dead ones included (see [`Self::applies_to`]).
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[PolicyRule] {
        let rules = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        rules.as_deref().unwrap_or_default()
    }
}

/// One item of `ingress` or `egress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// `from` or `to`; empty means every peer.
    pub peers: Vec<PolicyPeer>,
    /// `from` or `to` was written, but as an empty list.
    pub peers_written_empty: bool,
    /// `ports`; empty means every port.
    pub ports: Vec<PolicyPort>,
    /// The item.
    pub span: Span,
}

/// One item of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPeer {
    /// `podSelector`.
    pub pod_selector: Option<LabelSelector>,
    /// `namespaceSelector`.
    pub namespace_selector: Option<LabelSelector>,
    /// `ipBlock`.
    pub ip_block: Option<IpBlock>,
    /// The API server rejects this peer (nothing in it, or an `ipBlock` beside a selector): what it would
    /// match is not guessed.
    pub invalid: bool,
    /// The item.
    pub span: Span,
}

/// An `ipBlock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpBlock {
    /// `cidr`.
    pub cidr: Cidr,
    /// `except`.
    pub except: Vec<Cidr>,
    /// The mapping.
    pub span: Span,
}

/// An address range as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The text.
    pub text: Text,
    /// The network (host bits dropped); `None` when the text is none, or comes from a template.
    pub net: Option<IpNet>,
}

/// One item of `ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPort {
    /// `protocol`, TCP when missing; `None` for one that does not exist.
    pub protocol: Option<Protocol>,
    /// `port`; `None` means every port of the protocol.
    pub port: Option<Spanned<PortRef>>,
    /// `endPort`.
    pub end_port: Option<Spanned<u16>>,
    /// The API server rejects this entry, or a template hides it: what it would match is not guessed.
    pub invalid: bool,
    /// The item.
    pub span: Span,
}

//! The cluster-wide policies: AdminNetworkPolicy and BaselineAdminNetworkPolicy (v1alpha1), and the
//! ClusterNetworkPolicy (v1alpha2) that replaces both.

use super::{Cidr, Direction, LabelSelector, Meta, Protocol};
use crate::source::{Span, Spanned, Text};

/// Where in the order a cluster-wide policy stands: before or after NetworkPolicies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Before NetworkPolicies.
    Admin,
    /// After them, for pods that no NetworkPolicy selects.
    Baseline,
}

impl Tier {
    /// `Admin` or `Baseline`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Baseline => "Baseline",
        }
    }
}

/// What a rule does with the traffic it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `Accept`, in v1alpha1 `Allow`.
    Accept,
    /// `Deny`.
    Deny,
    /// `Pass`: leave this tier.
    Pass,
    /// Not an action that Kubernetes knows, or hidden by a template.
    Unknown,
}

/// A cluster-wide policy of any of the three kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPolicy {
    /// Kind, name, labels.
    pub meta: Meta,
    /// The tier.
    pub tier: Tier,
    /// `spec.priority`, lower first; 0 for a BaselineAdminNetworkPolicy. `None` when it cannot be read.
    pub priority: Option<Spanned<i64>>,
    /// `spec.subject`.
    pub subject: AdminSubject,
    /// `spec.ingress`.
    pub ingress: Vec<AdminRule>,
    /// `spec.egress`.
    pub egress: Vec<AdminRule>,
}

impl AdminPolicy {
    /// The rules of a direction.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[AdminRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// Which pods a cluster-wide policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSubject {
    /// `namespaces`, or `pods.namespaceSelector`.
    pub namespaces: LabelSelector,
    /// `pods.podSelector`.
    pub pods: Option<LabelSelector>,
    /// Neither `namespaces` nor `pods` could be read: the subject is not known.
    pub invalid: bool,
    /// The mapping.
    pub span: Span,
}

/// A rule of a cluster-wide policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRule {
    /// `name`.
    pub name: Option<Text>,
    /// `action`.
    pub action: Action,
    /// `from` or `to`.
    pub peers: Vec<AdminPeer>,
    /// `ports` (v1alpha1) or `protocols` (v1alpha2); empty means all.
    pub ports: Vec<AdminPort>,
    /// The item.
    pub span: Span,
}

/// A peer of a cluster-wide policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPeer {
    /// What it matches.
    pub kind: AdminPeerKind,
    /// The item.
    pub span: Span,
}

/// What a peer of a cluster-wide policy matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminPeerKind {
    /// All pods of the namespaces.
    Namespaces(LabelSelector),
    /// Pods by both selectors.
    Pods {
        /// `namespaceSelector`.
        namespaces: LabelSelector,
        /// `podSelector`.
        pods: LabelSelector,
    },
    /// Address ranges (egress only).
    Networks(Vec<Cidr>),
    /// Nodes by label (egress only).
    Nodes(LabelSelector),
    /// DNS names (egress, `Accept` only).
    DomainNames(Vec<Text>),
    /// A field that is not known here. Implementations must fail closed on it.
    Unknown(String),
}

/// An entry of `ports` or `protocols`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPort {
    /// What it matches.
    pub kind: AdminPortKind,
    /// The item.
    pub span: Span,
}

/// What an entry of `ports` or `protocols` matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminPortKind {
    /// Ports of a protocol, both ends included.
    Range {
        /// The protocol.
        protocol: Protocol,
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
    /// A named port of the destination pod, whatever its protocol.
    Named(String),
    /// Not readable, or a field that is not known here.
    Unknown,
}

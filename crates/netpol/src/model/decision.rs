//! Verdicts and their causes.

use super::WorkloadId;
use super::compile::{PolicyRef, RuleRef};
use super::pod::PodShape;
use super::side::Bounds;
use crate::object::{Action, Direction, Operator, Protocol, Tri};
use crate::set::IpSet;
use crate::source::Span;

/// The answer to "may this connection be made?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Certainly not.
    Denied,
    /// The input does not tell.
    Unknown,
    /// Certainly.
    Allowed,
}

impl Verdict {
    /// `allowed`, `denied` or `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Unknown => "unknown",
            Self::Allowed => "allowed",
        }
    }

    /// The verdict on one port.
    #[must_use]
    pub fn of(bounds: &Bounds, protocol: Protocol, port: u16) -> Self {
        match (bounds.must.contains(protocol, port), bounds.may.contains(protocol, port)) {
            (true, _) => Self::Allowed,
            (false, true) => Self::Unknown,
            (false, false) => Self::Denied,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Pods of a workload.
    Workload(WorkloadId),
    /// A pod that no manifest describes.
    Pod(PodShape),
    /// Any of these addresses outside the cluster.
    Addresses(IpSet),
    /// Whatever public addresses a DNS name resolves to, now or later.
    Name(String),
}

/// The verdict on a connection between two peers, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict: both ends must allow.
    pub verdict: Verdict,
    /// The sending end; `None` when the sender is no pod.
    pub egress: Option<SideDecision>,
    /// The receiving end; `None` when the receiver is no pod.
    pub ingress: Option<SideDecision>,
}

/// The verdict of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideDecision {
    /// Which end.
    pub direction: Direction,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The rules behind the reason: those that allow, the one that denies, or those that are open.
    pub deciding: Vec<RuleRef>,
    /// NetworkPolicies that select the pod for this direction, and how sure that is.
    pub selected_by: Vec<(PolicyRef, Tri)>,
    /// Every rule that was looked at, in order of evaluation.
    pub rules: Vec<RuleOutcome>,
    /// All ports that this end lets through between the two peers.
    pub ports: Bounds,
    /// Of several addresses, those for which the connection is certainly allowed; `None` when the other end
    /// is a pod.
    pub allowed_addresses: Option<IpSet>,
}

/// Why one end allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No policy is about the pod in this direction: everything is allowed.
    NotIsolated,
    /// A rule of a NetworkPolicy allows it.
    PolicyRule,
    /// NetworkPolicies select the pod and none of their rules allows it.
    Isolated,
    /// A rule of a policy of the Admin tier accepts or denies it.
    AdminRule,
    /// A rule of a policy of the Baseline tier accepts or denies it.
    BaselineRule,
    /// Cluster-wide policies are about the pod, none of their rules decides, and no NetworkPolicy selects it.
    Default,
    /// The pod uses the network of its node: what policies do then is not defined.
    HostNetwork,
    /// Only some of the addresses are allowed.
    SomeAddresses,
    /// A selector, an address or a port is not known from the input.
    Open,
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The rule.
    pub rule: RuleRef,
    /// Its action; `Accept` for NetworkPolicies.
    pub action: Action,
    /// Whether the policy is about the pod at all.
    pub subject: Tri,
    /// Whether its peers hold the other end.
    pub peer: Tri,
    /// Whether its ports hold the port in question.
    pub port: Tri,
    /// All ports it names, with names resolved at the receiving pod.
    pub ports: Bounds,
    /// Named ports that the receiver does not have.
    pub unresolved: Vec<String>,
    /// Each of its peers; empty for a rule for everyone.
    pub peers: Vec<PeerOutcome>,
}

/// What became of one peer of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerOutcome {
    /// Whether it holds the other end.
    pub matched: Tri,
    /// Why not, or why that is open.
    pub misses: Vec<Miss>,
    /// Where the peer is written.
    pub span: Span,
}

/// Why a peer of a rule does not, or may not, hold the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A requirement of the pod selector is not met.
    Label(Unmet),
    /// A requirement of the namespace selector is not met.
    NamespaceLabel(Unmet),
    /// A pod selector without a namespace selector looks in the policy's own namespace alone.
    OtherNamespace {
        /// Where it looks.
        policy: String,
        /// Where the pod is, when known.
        pod: Option<String>,
    },
    /// The addresses are not all in the range.
    Outside {
        /// The range as written.
        cidr: String,
        /// The address, or addresses, in question.
        addresses: IpSet,
    },
    /// Under this profile a range never matches a pod.
    RangeForPod,
    /// A selector never matches an address outside the cluster.
    SelectorForAddress,
    /// Nodes are not described in the input.
    Nodes,
    /// The name is none of these.
    Name(Vec<String>),
    /// The pod uses the network of its node: selectors match it on some CNIs only.
    HostNetwork,
    /// The API server would reject this peer, or a template hides it.
    Invalid,
}

/// A requirement of a selector that is not met, or may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The label key.
    pub key: String,
    /// The operator; `In` with one value for a pair of `matchLabels`.
    pub operator: Operator,
    /// The values wanted.
    pub values: Vec<String>,
    /// The value found; `None` when the key is absent.
    pub actual: Option<String>,
    /// Not known rather than not met.
    pub open: bool,
    /// Where the requirement is written.
    pub span: Span,
}

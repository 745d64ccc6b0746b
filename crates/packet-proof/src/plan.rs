//! What is to be built and tried, and what came of it.
//!
//! Everything here is plain data: the process that asks, the one that builds the namespaces and the ones inside
//! them exchange it as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Transport {
    /// The word nftables uses.
    #[must_use]
    pub fn nft(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

impl From<netpol::object::Protocol> for Transport {
    fn from(protocol: netpol::object::Protocol) -> Self {
        match protocol {
            netpol::object::Protocol::Tcp => Self::Tcp,
            netpol::object::Protocol::Udp => Self::Udp,
            netpol::object::Protocol::Sctp => Self::Sctp,
        }
    }
}

/// A whole run: the machines, and what is tried between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The machines; each gets a network namespace. The index is how probes and rules refer to them.
    pub nodes: Vec<Node>,
    /// Rounds, one after the other in the same namespaces, each with its own rules.
    pub rounds: Vec<Round>,
}

/// One machine: a pod, a resolver, or a piece of the internet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// What its servers answer, and what messages call it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Ports on which a server answers.
    pub listen: Vec<Listen>,
    /// Programs that run on it from the start to the end of the run.
    #[serde(default)]
    pub services: Vec<Task>,
    /// The resolver that its programs ask.
    #[serde(default)]
    pub resolver: Option<IpAddr>,
    /// Names that its servers resolve; `None` for servers that say who they are instead.
    pub names: Option<BTreeMap<String, Vec<IpAddr>>>,
}

/// A server's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listen {
    /// Protocol.
    pub transport: Transport,
    /// Port number.
    pub port: u16,
}

/// One set of rules and the connections tried under it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// The rules, as a file for `nft -f`; interface `nI` leads to node `I`.
    pub ruleset: String,
    /// What is tried, all at once.
    pub probes: Vec<Probe>,
    /// Programs that run to their end, one after the other, after the probes.
    #[serde(default)]
    pub tasks: Vec<Task>,
}

/// A program on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Index of its node; of a service, the node it belongs to counts instead.
    #[serde(default)]
    pub node: usize,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Environment variables besides those of the caller.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// How a [`Task`] ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
    /// How long it ran, in milliseconds.
    pub millis: u64,
}

/// One connection attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Index of the node that tries.
    pub from: usize,
    /// Address tried.
    pub to: IpAddr,
    /// Port tried.
    pub port: u16,
    /// Protocol.
    pub transport: Transport,
    /// A host name to ask for, instead of exchanging a token.
    pub query: Option<String>,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The server answered.
    Arrived {
        /// Name of the node that answered.
        by: String,
    },
    /// The rules refused it: the router answered "administratively prohibited".
    Refused,
    /// Nothing came back within the time for it.
    Silent,
    /// It got through and nobody listened there.
    Closed,
    /// It could not be tried.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Whether packets got through; `None` when it could not be tried.
    #[must_use]
    pub fn passed(&self) -> Option<bool> {
        match self {
            Self::Arrived { .. } | Self::Closed => Some(true),
            Self::Refused | Self::Silent => Some(false),
            Self::Failed { .. } => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived { by } => write!(f, "answered by {by}"),
            Self::Refused => f.write_str("refused by the rules"),
            Self::Silent => f.write_str("no answer"),
            Self::Closed => f.write_str("arrived, nobody listens"),
            Self::Failed { reason } => write!(f, "not tried: {reason}"),
        }
    }
}

/// The outcomes of a run, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Per round, per probe.
    pub rounds: Vec<Vec<Outcome>>,
    /// Per round, per task.
    #[serde(default)]
    pub tasks: Vec<Vec<Ended>>,
}

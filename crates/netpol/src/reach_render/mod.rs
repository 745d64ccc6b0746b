//! All allowed connections as a report: data for programs, and a table, a graph and a page for people.
//!
//! Workloads that no policy can tell apart are one node, so that the report stays small whatever the number of
//! pods. [`ReachReport::new`] collects; [`table`], [`dot`], [`svg`] and [`html`] lay out; the report itself is the JSON.

mod connections;
mod dot;
mod html;
mod nodes;
mod svg;
mod table;

pub use dot::dot;
pub use html::html;
pub(crate) use svg::draw;
pub use svg::svg;
pub use table::table;

pub(crate) use connections::with_names as potential_ports;
pub(crate) use html::{escape, plural, write_list, write_matrix};
pub(crate) use nodes::{address_name, any_pod_name, group_name, potential_name, selector_text};

use std::fmt;

use serde::Serialize;

use crate::model::Model;

/// Who can reach whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReachReport {
    /// How DNS and the network plugin were taken to behave.
    pub profile: String,
    /// Namespaces in which a default-deny was assumed.
    pub assumed_default_deny: Vec<String>,
    /// The ends of connections; a connection names them by index.
    pub nodes: Vec<Node>,
    /// Everything that is, or may be, allowed.
    pub connections: Vec<Connection>,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// Workloads of the files that no policy can tell apart.
    Workloads,
    /// Pods that no file describes.
    OtherPods,
    /// Addresses outside the cluster.
    Addresses,
}

/// One end of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// A name, unique in the report.
    pub name: String,
    /// What it stands for.
    pub kind: NodeKind,
    /// Namespace of the workloads.
    pub namespace: Option<String>,
    /// The workloads (`Kind namespace/name`), or the address ranges.
    pub members: Vec<String>,
    /// Policies that isolate its pods against incoming connections; `null` for what is no workload.
    pub isolated_ingress: Option<Vec<String>>,
    /// Policies that isolate its pods against outgoing connections.
    pub isolated_egress: Option<Vec<String>>,
}

/// What one node may send to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Index of the sender.
    pub from: usize,
    /// Index of the receiver; the same as the sender for workloads of one node among each other.
    pub to: usize,
    /// What is certainly allowed: `all`, `none`, or `TCP 80,443,8000-8010 UDP 53`.
    pub ports: String,
    /// What may be allowed beside that, because the files do not tell; `none` when they do.
    pub unknown: String,
    /// The rules that allow it at the sender; empty when no policy isolates it.
    pub egress_rules: Vec<RuleNames>,
    /// The rules that allow it at the receiver; empty when no policy isolates it, or it is no pod.
    pub ingress_rules: Vec<RuleNames>,
}

/// Rules of one policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RuleNames {
    /// `namespace/name` of the policy.
    pub policy: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// Numbers of the rules in their list, from 1, ascending.
    pub rules: Vec<usize>,
}

/// `namespace/name egress #1 #3`.
impl fmt::Display for RuleNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.policy, self.direction)?;
        self.rules.iter().try_for_each(|rule| write!(f, " #{rule}"))
    }
}

impl Connection {
    /// Whether every port of every protocol is certainly allowed.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.ports == "all"
    }

    /// Whether nothing of it is certain.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.ports == "none"
    }

    /// The ports in words, with a question mark where nothing is certain.
    #[must_use]
    pub fn label(&self) -> String {
        let plain = |ports: &str| if ports == "all" { "all ports".to_owned() } else { ports.to_owned() };
        match (self.ports.as_str(), self.unknown.as_str()) {
            ("none", unknown) => format!("perhaps {}", plain(unknown)),
            (ports, "none") => plain(ports),
            (ports, unknown) => format!("{}, perhaps {}", plain(ports), plain(unknown)),
        }
    }
}

impl ReachReport {
    /// Collects everything that is allowed.
    #[must_use]
    pub fn new(model: &Model<'_>) -> Self {
        let options = model.options();
        let (nodes, connections) = connections::collect(model);
        Self {
            profile: options.profile.name.clone(),
            assumed_default_deny: options.assume_default_deny.clone(),
            nodes,
            connections,
        }
    }

    /// The node of this index by name.
    fn name(&self, index: usize) -> &str {
        self.nodes.get(index).map_or("?", |node| node.name.as_str())
    }

    /// Workload nodes that no policy isolates in either direction.
    #[must_use]
    pub fn unprotected(&self) -> Vec<&Node> {
        let open = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
        self.nodes.iter().filter(|node| open(&node.isolated_ingress) && open(&node.isolated_egress)).collect()
    }
}

//! What a workload needs from the network, derived from the workload itself.
//!
//! Every need says where it was found and how sure it is. What the input cannot tell (a host in a Secret, a
//! ConfigMap that is not there) is listed as unknown and never taken for "nothing".

mod declared;
mod derive;
mod endpoint;
pub(crate) mod env;
mod judge;
pub(crate) mod names;
mod role;
mod scan;
mod service;
mod switches;

pub use declared::{ANNOTATION, NeedsFile};
pub use judge::Judged;
pub use service::{Family, Service, by_port, only_protocol};

use std::net::IpAddr;

use ipnet::IpNet;

use crate::object::{Protocol, Workload};
use crate::parallel;
use crate::read::Input;
use crate::source::Span;
use env::Configs;
use names::Names;

/// The other end of a need.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The cluster's resolver; where that is, the profile says.
    Dns,
    /// A Service of the input, by its index; the port is the Service's.
    Service(usize),
    /// A name inside the cluster that no manifest of the input defines.
    ClusterName {
        /// Its namespace.
        namespace: String,
        /// Name of the Service.
        name: String,
    },
    /// A workload of the input, by its index; the port is the pod's.
    Workload(usize),
    /// An address.
    Address(IpAddr),
    /// Every address of a range.
    Network(IpNet),
    /// A name outside the cluster.
    Name(String),
    /// A host that the input does not show.
    Hidden,
    /// Every address outside the cluster (prohibitions only).
    Internet,
}

/// How sure a need is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// The name of a variable makes it likely.
    Guess,
    /// A well-known variable says so, its value is hidden.
    WellKnown,
    /// Host and port are written in the manifests.
    Literal,
    /// Somebody declared it.
    Declared,
}

impl Confidence {
    /// The word used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guess => "guess",
            Self::WellKnown => "well-known",
            Self::Literal => "literal",
            Self::Declared => "declared",
        }
    }

    /// Whether an error may rest on it.
    #[must_use]
    pub fn is_strong(self) -> bool {
        self >= Self::WellKnown
    }
}

/// Where a need was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The variable, the flag, or the annotation.
    pub key: String,
    /// Where the value comes from, in words.
    pub source: String,
    /// Where the workload says so.
    pub span: Span,
    /// Where the value itself stands, when that is another place.
    pub value_span: Option<Span>,
}

/// One need: a connection that the workload will open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The other end.
    pub target: Target,
    /// The host as written; empty when it is hidden.
    pub host: String,
    /// Transport protocol.
    pub protocol: Protocol,
    /// First port, as the client names it (of a Service: the Service's).
    pub port: u16,
    /// Last port; the same as the first except for a declared range.
    pub last_port: u16,
    /// The kind of service, where that is known: `mysql`, `nats`, `otlp`.
    pub service: Option<&'static str>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Where it was found; never empty.
    pub evidence: Vec<Evidence>,
}

impl Need {
    /// How reports name it: `mysql:3306` for a known service, else `host:port`; `DNS 53/UDP` for the resolver.
    #[must_use]
    pub fn label(&self) -> String {
        if self.target == Target::Dns {
            return format!("DNS {}/{}", self.port, self.protocol);
        }
        let host = match self.service {
            Some(service) => service,
            None if self.host.is_empty() => "?",
            None => &self.host,
        };
        let ports = if self.last_port > self.port {
            format!("{}-{}", self.port, self.last_port)
        } else {
            self.port.to_string()
        };
        match self.protocol {
            Protocol::Tcp => format!("{host}:{ports}"),
            other => format!("{host}:{ports}/{other}"),
        }
    }

    /// Whether a name has to be resolved first.
    #[must_use]
    pub fn wants_dns(&self) -> bool {
        matches!(
            self.target,
            Target::Service(_) | Target::ClusterName { .. } | Target::Name(_) | Target::Hidden
        )
    }
}

/// Something that may be a need, and why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownNeed {
    /// The variable or the source.
    pub key: String,
    /// What is not known.
    pub kind: UnknownKind,
    /// Why it cannot be told.
    pub reason: String,
    /// Where the workload says so.
    pub span: Span,
}

/// What is not known of a possible need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKind {
    /// The host; the port is clear from the kind of service.
    Host,
    /// The port, and perhaps the host.
    Endpoint,
    /// Which of several services is used.
    Choice,
    /// A whole ConfigMap or Secret of variables: there may be needs of any kind.
    Source,
}

/// A declared prohibition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The other end.
    pub target: Target,
    /// The host as written.
    pub host: String,
    /// Transport protocol.
    pub protocol: Protocol,
    /// First and last port; `None` for every port.
    pub ports: Option<(u16, u16)>,
    /// Where it is declared.
    pub evidence: Evidence,
}

/// An entry of an annotation or needs file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEntry {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// All that is known of one workload's needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadNeeds {
    /// The needs, in the order of the manifest, the resolver first.
    pub needs: Vec<Need>,
    /// What cannot be told.
    pub unknown: Vec<UnknownNeed>,
    /// What must not be reachable.
    pub forbidden: Vec<Forbidden>,
    /// Declared entries that cannot be read.
    pub bad_entries: Vec<BadEntry>,
    /// The declared list is complete.
    pub only_declared: bool,
}

/// Derives the needs of all workloads, by their index in the input.
#[must_use]
pub fn derive(input: &Input, default_namespace: &str, file: &NeedsFile) -> Vec<WorkloadNeeds> {
    let configs = Configs::new(input, default_namespace);
    let names = Names::new(input, default_namespace);
    let world = World { configs: &configs, names: &names, default_namespace, file };
    let parts = parallel::ranges(input.workloads.len(), 64, |range| {
        let part = input.workloads.get(range).unwrap_or_default();
        part.iter().map(|workload| derive::workload(workload, &world)).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

/// What the derivation looks things up in.
struct World<'a> {
    configs: &'a Configs<'a>,
    names: &'a Names<'a>,
    default_namespace: &'a str,
    file: &'a NeedsFile,
}

impl World<'_> {
    fn namespace<'w>(&'w self, workload: &'w Workload) -> &'w str {
        workload.meta.namespace_or(self.default_namespace)
    }
}

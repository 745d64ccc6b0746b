//! Name resolution that can say why it failed.
//!
//! The system's resolver reports any failure as one sentence. This one asks the same servers (from
//! `/etc/resolv.conf`) itself and keeps apart: no answer, refused, no such name, server failure. Inside Kubernetes that
//! difference points at the cause.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ServerOrderingStrategy};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::net::UdpSocket;

/// Why a name could not be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsKind {
    /// No server answered.
    NoAnswer,
    /// Nothing listens there, or the network refuses to carry the question.
    Unreachable,
    /// The server refuses to answer us (REFUSED).
    Refused,
    /// The server tried and failed (SERVFAIL).
    ServerFailure,
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// The name exists and has no address.
    NoAddress,
    /// There is no usable list of servers.
    NoServers,
    /// Anything else.
    Other,
}

/// A name that could not be resolved: what was asked, of whom, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsFailure {
    /// The name.
    pub name: String,
    /// The servers asked.
    pub servers: Vec<SocketAddr>,
    /// What happened.
    pub kind: DnsKind,
    /// What the resolver said.
    pub detail: String,
    /// Whether this process seems to run in a Kubernetes pod.
    pub in_kubernetes: bool,
}

impl DnsFailure {
    /// Whether a server said so for certain, so that asking again is of little use.
    pub fn is_definite(&self) -> bool {
        matches!(self.kind, DnsKind::NoSuchName | DnsKind::NoAddress | DnsKind::NoServers)
    }

    /// Whether the question or its answer was probably lost on the way.
    fn looks_blocked(&self) -> bool {
        matches!(self.kind, DnsKind::NoAnswer | DnsKind::Unreachable)
    }

    /// The likeliest cause and what to do.
    pub fn hint(&self) -> Option<String> {
        let name = &self.name;
        Some(match self.kind {
            _ if self.looks_blocked() && self.in_kubernetes => format!(
                "check which network policies select this pod, label by label: `kubectl get pod $HOSTNAME --show-labels`, then \
                 `netpol explain k8s/ --from WORKLOAD --to {name}:443`. A policy must allow egress to port 53 over UDP and TCP"
            ),
            _ if self.looks_blocked() => {
                "is the network up, and are the servers in /etc/resolv.conf right? A firewall must let port 53 pass, UDP and TCP"
                    .to_owned()
            }
            DnsKind::NoSuchName | DnsKind::NoAddress => format!("is `{name}` spelled right in the configuration, and does this name server know outside names?"),
            DnsKind::NoServers => "/etc/resolv.conf is missing or names no server".to_owned(),
            _ => "the name server itself has trouble; inside Kubernetes look at the logs of CoreDNS".to_owned(),
        })
    }
}

impl fmt::Display for DnsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        let of = match servers.is_empty() {
            true => "no server".to_owned(),
            false => servers.join(", "),
        };
        write!(f, "failed to resolve '{}': ", self.name)?;
        match self.kind {
            // The words of the system's resolver, which operators search their logs for.
            DnsKind::NoAnswer => write!(f, "Temporary failure in name resolution: no answer from {of}")?,
            DnsKind::Unreachable => {
                write!(f, "Temporary failure in name resolution: {of} cannot be reached ({})", self.detail)?;
            }
            DnsKind::Refused => write!(f, "{of} refuses to answer (REFUSED)")?,
            DnsKind::ServerFailure => write!(f, "{of} failed to find out (SERVFAIL)")?,
            DnsKind::NoSuchName => write!(f, "there is no such name (NXDOMAIN from {of})")?,
            DnsKind::NoAddress => write!(f, "the name has no address (answer from {of})")?,
            DnsKind::NoServers | DnsKind::Other => write!(f, "{} (asked {of})", self.detail)?,
        }
        if self.in_kubernetes && self.looks_blocked() {
            f.write_str(
                ". Inside Kubernetes the likeliest cause is a network policy without egress to port 53 (UDP and TCP) for this pod",
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for DnsFailure {}

/// Whether this process seems to run in a Kubernetes pod.
pub fn in_kubernetes() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        || Path::new("/var/run/secrets/kubernetes.io").exists()
}

/// Resolves names with reasons. Servers are read when the first name is looked up.
#[derive(Debug)]
pub struct Resolver {
    name_servers: Vec<SocketAddr>,
    patience: Duration,
    hosts: OnceLock<Hosts>,
    inner: OnceLock<Result<(TokioResolver, Vec<SocketAddr>), String>>,
}

impl Resolver {
    /// Asks `name_servers`, or those of `/etc/resolv.conf` when there are none, for at most `patience` per name.
    pub fn new(name_servers: Vec<SocketAddr>, patience: Duration) -> Self {
        Self { name_servers, patience, hosts: OnceLock::new(), inner: OnceLock::new() }
    }

    /// Every address of a name. Address literals, `localhost` and `/etc/hosts` are honoured.
    ///
    /// # Errors
    /// [`DnsFailure`]
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            // By RFC 6761 this never leaves the machine, whatever the hosts file lacks.
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let fixed = from_hosts(self.hosts.get_or_init(|| Hosts::from_system().unwrap_or_default()), name);
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        let failure = |servers: &[SocketAddr], kind, detail| DnsFailure {
            name: name.to_owned(),
            servers: servers.to_vec(),
            kind,
            detail,
            in_kubernetes: in_kubernetes(),
        };
        let (resolver, servers) = match self.inner.get_or_init(|| self.build()) {
            Ok((resolver, servers)) => (resolver, servers.as_slice()),
            Err(why) => return Err(failure(&self.name_servers, DnsKind::NoServers, why.clone())),
        };
        let (kind, detail) = match tokio::time::timeout(self.patience, look_up(resolver, name)).await {
            Ok(Ok(addresses)) => return Ok(addresses),
            Ok(Err(error)) => (kind_of(&error), error.to_string()),
            Err(_) => (DnsKind::NoAnswer, format!("no answer within {:?}", self.patience)),
        };
        if kind == DnsKind::NoAnswer
            && let Some(server) = servers.first()
            && let Some(error) = rejection(*server).await
        {
            return Err(failure(servers, DnsKind::Unreachable, error.to_string()));
        }
        Err(failure(servers, kind, detail))
    }

    fn build(&self) -> Result<(TokioResolver, Vec<SocketAddr>), String> {
        let mut builder = if self.name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| format!("/etc/resolv.conf cannot be used: {e}"))?
        } else {
            let servers = self.name_servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                config.connections.iter_mut().for_each(|c| c.port = server.port());
                config
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        // Room within the patience for a second question, should one be lost.
        options.timeout = options.timeout.min(self.patience * 2 / 5);
        options.attempts = 1;
        let resolver = builder.build().map_err(|e| e.to_string())?;
        let servers = match self.name_servers.as_slice() {
            [] => system_servers(),
            given => given.to_vec(),
        };
        Ok((resolver, servers))
    }
}

/// The servers in `/etc/resolv.conf`, for messages.
fn system_servers() -> Vec<SocketAddr> {
    match hickory_resolver::system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().iter().map(|s| SocketAddr::new(s.ip, 53)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Longest wait for the network to say that it carries nothing to a name server.
const REJECTION_WAIT: Duration = Duration::from_millis(200);

/// How the network rejects packets to a server, if it says so: a closed port, no route, a policy that rejects instead of
/// dropping. The resolver's own sockets are not connected, and the system reports such a rejection to connected ones only.
async fn rejection(server: SocketAddr) -> Option<io::Error> {
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A question for the name servers of the root; any would do.
    let question = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let talk = async {
        let socket = UdpSocket::bind((local, 0)).await?;
        socket.connect(server).await?;
        socket.send(&question).await?;
        socket.recv(&mut [0; 64]).await
    };
    tokio::time::timeout(REJECTION_WAIT, talk).await.ok()?.err()
}

/// Addresses of a name in the hosts file. Looked up here and not left to the resolver, which would still ask a server for the
/// kind of address the file lacks, and wait for it.
fn from_hosts(hosts: &Hosts, name: &str) -> Vec<IpAddr> {
    let Ok(name) = Name::from_utf8(name) else { return Vec::new() };
    let of_type = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [of_type(RecordType::A), of_type(RecordType::AAAA)];
    found.iter().flatten().flat_map(|l| l.answers()).filter_map(|record| record.data.ip_addr()).collect()
}

/// Asks for the name as it stands first. With the usual Kubernetes `ndots:5`, a name like `fapi.binance.com` would
/// otherwise be tried under every search domain before, twice each. Names without a dot, and names that do not exist as
/// they stand, go through the search list.
async fn look_up(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, NetError> {
    let absolute = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
    if name.contains('.') {
        match resolver.lookup_ip(absolute).await {
            Ok(found) => return Ok(found.iter().collect()),
            Err(error) if kind_of(&error) != DnsKind::NoSuchName || name.ends_with('.') => return Err(error),
            Err(_) => {}
        }
    }
    Ok(resolver.lookup_ip(name).await?.iter().collect())
}

fn kind_of(error: &NetError) -> DnsKind {
    match error {
        NetError::Timeout => DnsKind::NoAnswer,
        NetError::NoConnections | NetError::Io(_) => DnsKind::Unreachable,
        NetError::Dns(DnsError::ResponseCode(code)) => kind_of_code(*code),
        NetError::Dns(DnsError::NoRecordsFound(none)) => kind_of_code(none.response_code),
        _ => DnsKind::Other,
    }
}

fn kind_of_code(code: ResponseCode) -> DnsKind {
    match code {
        ResponseCode::NoError => DnsKind::NoAddress,
        ResponseCode::NXDomain => DnsKind::NoSuchName,
        ResponseCode::Refused => DnsKind::Refused,
        ResponseCode::ServFail => DnsKind::ServerFailure,
        _ => DnsKind::Other,
    }
}

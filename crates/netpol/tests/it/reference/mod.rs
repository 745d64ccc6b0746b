//! A second evaluator, written straight from the specification: it loops over everything, looks at one pair of
//! ends and one port at a time, and shares no code with the engine. It has its own types; the engine gets the
//! same cluster as YAML.

pub mod evaluate;
pub mod generate;
pub mod yaml;

use std::net::IpAddr;

pub type Pairs = Vec<(String, String)>;

#[derive(Clone, Debug)]
pub struct Cluster {
    pub namespaces: Vec<Namespace>,
    pub pods: Vec<Pod>,
    pub policies: Vec<Policy>,
    pub admin: Vec<Admin>,
}

#[derive(Clone, Debug)]
pub struct Namespace {
    pub name: String,
    pub labels: Pairs,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: usize,
    pub name: String,
    pub labels: Pairs,
    pub ports: Vec<PodPort>,
    pub ip: IpAddr,
}

#[derive(Clone, Debug)]
pub struct PodPort {
    pub name: String,
    pub protocol: &'static str,
    pub port: u16,
}

#[derive(Clone, Debug)]
pub struct Selector {
    pub labels: Pairs,
    /// Key, operator, values.
    pub expressions: Vec<(String, &'static str, Vec<String>)>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub namespace: usize,
    pub selector: Selector,
    pub types: Option<Vec<&'static str>>,
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub peers: Option<Vec<Peer>>,
    pub ports: Option<Vec<Port>>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Pods { namespaces: Option<Selector>, pods: Option<Selector> },
    Block { cidr: String, except: Vec<String> },
}

#[derive(Clone, Debug)]
pub struct Port {
    pub protocol: Option<&'static str>,
    pub port: Option<Number>,
    pub end: Option<u16>,
}

#[derive(Clone, Debug)]
pub enum Number {
    Number(u16),
    Name(String),
}

/// A ClusterNetworkPolicy.
#[derive(Clone, Debug)]
pub struct Admin {
    pub baseline: bool,
    pub priority: u16,
    pub namespaces: Selector,
    pub pods: Option<Selector>,
    pub ingress: Vec<AdminRule>,
    pub egress: Vec<AdminRule>,
}

#[derive(Clone, Debug)]
pub struct AdminRule {
    pub action: &'static str,
    pub peers: Vec<AdminPeer>,
    pub ports: Option<Vec<AdminPort>>,
}

#[derive(Clone, Debug)]
pub enum AdminPeer {
    Namespaces(Selector),
    Pods(Selector, Selector),
    Networks(Vec<String>),
}

#[derive(Clone, Debug)]
pub enum AdminPort {
    Range(&'static str, u16, u16),
    Name(String),
}

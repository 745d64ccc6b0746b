//! Needs and prohibitions that people write down: the annotation and the needs file.
//!
//! An entry is `host:port`, `host:port/UDP`, `host:first-last`, or `dns`. A host is a DNS name, an address, a
//! range of addresses, a Service of the cluster (`mysql`, `mysql.databases`), or a workload
//! (`namespace/name`). For a known service (`mysql`, `nats`, `otlp`) the port may be left out. A leading `!` turns the
//! need into a prohibition; there the port may be left out too, and `internet` stands for every address outside the
//! cluster. The word `only` says that the list is complete: what the manifest seems to need besides is ignored.
//!
//! The annotation holds entries separated by commas or white space:
//!
//! ```yaml
//! netpol.binance-extractor.dev/needs: "fapi.binance.com:443, mysql.databases:3306, !169.254.169.254"
//! ```
//!
//! The file holds a list; `match` is a workload as `name`, `namespace/name` or `Kind/namespace/name`, with `*` for
//! any text:
//!
//! ```yaml
//! workloads:
//!   - match: petrosa-apps/binance-klines-gap-filler*
//!     needs: ["fapi.binance.com:443", "mysql.databases:3306"]
//!     never: ["internet:22", "169.254.169.254"]
//!     only: true
//! ```

use ipnet::IpNet;

use crate::findings::pattern;
use crate::object::Protocol;
use crate::read::Input;
use crate::source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span, Text};
use crate::yaml::{self, Node, Value};

use super::endpoint::is_host;
use super::names::Names;
use super::{Target, service};

/// The annotation, on the object or on its pod template.
pub const ANNOTATION: &str = "netpol.binance-extractor.dev/needs";

/// A needs file.
#[derive(Clone, Debug, Default)]
pub struct NeedsFile {
    pub(super) entries: Vec<FileEntry>,
}

#[derive(Clone, Debug)]
pub(super) struct FileEntry {
    pub(super) workload: Text,
    pub(super) needs: Vec<Text>,
    pub(super) never: Vec<Text>,
    pub(super) only: bool,
}

impl NeedsFile {
    /// Reads a needs file. The text joins the files of the input, so that its places can be shown, and what is wrong
    /// in it joins the problems.
    pub fn read(source: SourceFile, input: &mut Input) -> Self {
        let id = FileId(u32::try_from(input.files.len()).unwrap_or(u32::MAX));
        let mut file = Self::default();
        let mut problems = Vec::new();
        yaml::parse(&source, id, &Limits::default(), &mut problems, |root, problems| {
            file.read_document(root, problems);
        });
        input.files.push(source);
        input.problems.append(&mut problems);
        file
    }

    fn read_document(&mut self, root: &Node<'_>, problems: &mut Vec<Problem>) {
        let Some(Value::Seq(items)) = root.get("workloads").map(|node| &node.value) else {
            report(problems, root.span, "a needs file holds a list \"workloads\"");
            return;
        };
        for item in items {
            if let Value::Map(fields) = &item.value {
                for field in fields {
                    if !["match", "needs", "never", "only"].contains(&field.key.as_ref()) {
                        let message = format!("{:?} is not known here: match, needs, never, only", field.key);
                        report(problems, field.key_span, &message);
                    }
                }
            }
            let Some(node) = item.get("match") else {
                report(
                    problems,
                    item.span,
                    "an entry of a needs file wants \"match\": the workload it is about",
                );
                continue;
            };
            let Some(workload) = node.as_str() else {
                report(problems, node.span, "match must be a string");
                continue;
            };
            self.entries.push(FileEntry {
                workload: Text::new(workload.to_owned(), node.span),
                needs: texts(item.get("needs"), problems),
                never: texts(item.get("never"), problems),
                only: item.get("only").and_then(Node::as_str) == Some("true"),
            });
        }
    }

    /// The workloads it is about, as patterns with their places.
    pub fn patterns(&self) -> impl Iterator<Item = &Text> {
        self.entries.iter().map(|entry| &entry.workload)
    }

    /// The entries about a workload.
    pub(super) fn about<'a>(
        &'a self,
        kind: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a FileEntry> {
        self.entries
            .iter()
            .filter(move |entry| pattern::matches_object(&entry.workload.value, kind, namespace, name))
    }
}

fn texts(node: Option<&Node<'_>>, problems: &mut Vec<Problem>) -> Vec<Text> {
    match node.map(|node| (&node.value, node.span)) {
        None => Vec::new(),
        Some((Value::Seq(items), _)) => {
            items.iter().filter_map(|item| Some(Text::new(item.as_str()?.to_owned(), item.span))).collect()
        }
        Some((_, span)) => {
            report(problems, span, "this must be a list of host:port");
            Vec::new()
        }
    }
}

fn report(problems: &mut Vec<Problem>, span: Span, message: &str) {
    let (kind, object) = (ProblemKind::Invalid, String::new());
    problems.push(Problem { kind, span, message: message.to_owned(), object });
}

/// An entry, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Only,
    Dns,
    Endpoint {
        never: bool,
        target: Target,
        service: Option<&'static str>,
        protocol: Protocol,
        ports: Option<(u16, u16)>,
    },
}

/// Reads an entry; the error says what is wrong with it.
pub(super) fn entry(text: &str, names: &Names<'_>, namespace: &str) -> Result<Entry, String> {
    let (never, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match text {
        "only" if !never => return Ok(Entry::Only),
        "dns" if !never => return Ok(Entry::Dns),
        _ => {}
    }
    let (text, protocol) = match text.rsplit_once('/').map(|(head, tail)| (head, Protocol::parse(tail))) {
        Some((head, Some(protocol))) => (head, protocol),
        _ => (text, Protocol::Tcp),
    };
    let (host, ports) = split_ports(text)?;
    let (target, service) = target(host, names, namespace, never)?;
    let ports = match ports {
        Some(ports) => Some(ports),
        None if never => None,
        None => match service::by_adapter(host.split('.').next().unwrap_or("")) {
            Some(service) => Some((service.port, service.port)),
            None => return Err(format!("{text:?} names no port: write host:port")),
        },
    };
    Ok(Entry::Endpoint { never, target, service, protocol, ports })
}

/// A host and, perhaps, first and last port.
type HostAndPorts<'t> = (&'t str, Option<(u16, u16)>);

fn split_ports(text: &str) -> Result<HostAndPorts<'_>, String> {
    let bare_v6 = text.parse::<IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    if bare_v6 {
        return Ok((text, None));
    }
    let Some((host, ports)) = text.rsplit_once(':') else { return Ok((text, None)) };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((host, Some((first, last)))),
        _ => Err(format!("{ports:?} is no port: 1 to 65535, or a range such as 8000-8010")),
    }
}

fn target(
    host: &str,
    names: &Names<'_>,
    namespace: &str,
    never: bool,
) -> Result<(Target, Option<&'static str>), String> {
    if never && matches!(host, "internet" | "*") {
        return Ok((Target::Internet, None));
    }
    if let Ok(net) = host.parse::<IpNet>() {
        return Ok((Target::Network(net), None));
    }
    if let Some((owner, name)) = host.split_once('/') {
        return match names.workload(owner, name) {
            Some(index) => Ok((Target::Workload(index), None)),
            None => Err(format!("there is no workload {host} in the input")),
        };
    }
    if !is_host(host) && host.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("{host:?} is no host name, address, range or workload"));
    }
    let service = service::by_adapter(host.split('.').next().unwrap_or("")).map(|service| service.name);
    names
        .resolve(host, namespace)
        .map(|target| (target, service))
        .ok_or_else(|| format!("{host:?} is the pod itself: no policy is about that"))
}

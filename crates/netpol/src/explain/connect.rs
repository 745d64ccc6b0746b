//! What has to work for a connection: the name first, then the port.

use super::find::{FindError, full_name, matching};
use super::{RouteText, Step, side};
use crate::model::{Answer, Model, Note, Peer, PodNamespace, PodShape, Target, Verdict, WorkloadId};
use crate::needs::{self, Need};
use crate::object::Protocol;

/// The verdict over the steps that must work.
pub(super) fn overall(steps: &[Step]) -> String {
    let required = || steps.iter().filter(|step| step.required);
    let word = if required().any(|step| step.verdict == "denied") {
        "denied"
    } else if required().all(|step| step.verdict == "allowed") {
        "allowed"
    } else {
        "unknown"
    };
    word.to_owned()
}

/// Reads `to` and judges every step towards it.
pub(super) fn steps(
    model: &Model<'_>,
    from: WorkloadId,
    namespace: &str,
    own: &[Need],
    to: &str,
) -> Result<Vec<Step>, FindError> {
    let asked = Asked::read(to)?;
    if asked.host.eq_ignore_ascii_case("dns") {
        return Ok(dns(model, from, "resolve host names"));
    }
    let sender = Peer::Workload(from);
    if let Some(id) = workload(model, namespace, &asked)? {
        return to_workload(model, &sender, id, &asked);
    }
    if let Some(need) = own.iter().find(|need| is_need(need, &asked)) {
        let mut steps = if need.wants_dns() { dns(model, from, &resolving(need)) } else { Vec::new() };
        let judged = need.judge(model, from);
        let what = format!("connect to {}", need.label());
        let answer = Answer { verdict: judged.verdict, routes: judged.routes, notes: judged.notes };
        let mut step = step(model, &sender, &what, need.protocol, need.port, &answer);
        if need.target == needs::Target::Hidden {
            step.notes.push(format!(
                "the host is not in the files ({}): every place it may be was judged",
                need.evidence.first().map_or("", |evidence| evidence.source.as_str())
            ));
        }
        steps.push(step);
        return Ok(steps);
    }
    let Some(port) = asked.port else {
        return Err(FindError {
            message: format!("{to:?} names no workload of the files, and a host needs a port"),
            hint: Some(format!("write {}:443, or the name of a workload", asked.host)),
        });
    };
    let protocol = asked.protocol.unwrap_or(Protocol::Tcp);
    let target = model.resolve_host(&asked.host, Some(namespace));
    let literal = asked.host.parse::<std::net::IpAddr>().is_ok() || asked.host.starts_with('[');
    let mut steps = Vec::new();
    if !literal && target != Target::Loopback {
        steps = dns(model, from, &format!("resolve {}", asked.host));
    }
    let answer = model.verdict(&sender, &target, protocol, port);
    let mut last =
        step(model, &sender, &format!("connect to {}:{port}", asked.host), protocol, port, &answer);
    if let Target::Peer(Peer::Pod(_)) = target {
        last.notes.push(format!(
            "the files define no Service {:?}: any pod it may stand for was judged",
            asked.host
        ));
    }
    if let Target::Peer(Peer::Name(_)) = target {
        last.notes.push("a name may resolve to any public address, now or later: all were judged".to_owned());
    }
    steps.push(last);
    Ok(steps)
}

fn resolving(need: &Need) -> String {
    match need.host.as_str() {
        "" => format!("resolve the host of {}", need.label()),
        host => format!("resolve {host}"),
    }
}

/// `--to` taken apart.
struct Asked {
    host: String,
    port: Option<u16>,
    protocol: Option<Protocol>,
}

impl Asked {
    fn read(text: &str) -> Result<Self, FindError> {
        let wrong = |message: String, hint: &str| FindError { message, hint: Some(hint.to_owned()) };
        let mut rest = text.trim();
        let mut port = None;
        if let Some((scheme, host)) = rest.split_once("://") {
            port = match scheme {
                "http" | "ws" => Some(80),
                "https" | "wss" => Some(443),
                _ => None,
            };
            rest = host.split(['/', '?', '#']).next().unwrap_or(host);
            // Credentials of a URL are nobody's business here.
            rest = rest.rsplit('@').next().unwrap_or(rest);
        }
        let mut protocol = None;
        if let Some((before, last)) = rest.rsplit_once('/')
            && let Some(known) = Protocol::parse(&last.to_ascii_uppercase())
        {
            protocol = Some(known);
            rest = before;
        }
        let bare_v6 = rest.parse::<std::net::Ipv6Addr>().is_ok();
        if !bare_v6
            && let Some((before, last)) = rest.rsplit_once(':')
            && !last.ends_with(']')
        {
            let number = last.parse::<u16>().ok().filter(|number| *number > 0);
            port = Some(number.ok_or_else(|| {
                wrong(
                    format!("{last:?} is no port"),
                    "ports are numbers from 1 to 65535, as in fapi.binance.com:443",
                )
            })?);
            rest = before;
        }
        if rest.is_empty() {
            return Err(wrong(format!("{text:?} names no host"), "write HOST:PORT or WORKLOAD[:PORT]"));
        }
        Ok(Self { host: rest.to_owned(), port, protocol })
    }
}

/// The workload that is asked for; `None` when it is a host or a Service. A Service of the sender's namespace wins over
/// a workload of the same name: that is what the name resolves to.
fn workload(model: &Model<'_>, namespace: &str, asked: &Asked) -> Result<Option<WorkloadId>, FindError> {
    let found = matching(model, &asked.host);
    let explicit = asked.host.contains('/');
    if !explicit && asked.port.is_some() && model.service(&asked.host, namespace).is_some() {
        return Ok(None);
    }
    match found.as_slice() {
        [one] => Ok(Some(*one)),
        [] if explicit => super::find_workload(model, &asked.host).map(Some),
        [] => Ok(None),
        several => {
            let names: Vec<String> = several.iter().map(|id| full_name(model, *id)).collect();
            Err(FindError {
                message: format!("{:?} names {} workloads", asked.host, several.len()),
                hint: Some(format!("name one of: {}", names.join(", "))),
            })
        }
    }
}

/// Whether this is the need that reports name so.
fn is_need(need: &Need, asked: &Asked) -> bool {
    let named = need.service == Some(asked.host.as_str()) || need.host == asked.host;
    let port = asked.port.is_none_or(|port| (need.port..=need.last_port).contains(&port));
    let protocol = asked.protocol.is_none_or(|protocol| protocol == need.protocol);
    named && port && protocol && need.target != needs::Target::Dns
}

fn to_workload(
    model: &Model<'_>,
    sender: &Peer,
    id: WorkloadId,
    asked: &Asked,
) -> Result<Vec<Step>, FindError> {
    let receiver = Peer::Workload(id);
    let name = full_name(model, id);
    let mut ports: Vec<(Protocol, u16)> = match asked.port {
        Some(port) => vec![(asked.protocol.unwrap_or(Protocol::Tcp), port)],
        None => {
            let declared = model.input().workloads[id].pod.reachable_ports();
            declared.map(|port| (port.protocol, port.port.value)).collect()
        }
    };
    ports.sort_unstable();
    ports.dedup();
    if ports.is_empty() {
        let allowed = model.allowed(sender, &receiver);
        return Err(FindError {
            message: format!("{name} declares no ports, and no port was asked for"),
            hint: Some(format!("name one, as in {}:443 (allowed to it: {})", asked.host, allowed.must)),
        });
    }
    let target = Target::Peer(receiver);
    let judge = |(protocol, port)| {
        let answer = model.verdict(sender, &target, protocol, port);
        step(model, sender, &format!("connect to {name} port {port}"), protocol, port, &answer)
    };
    Ok(ports.into_iter().map(judge).collect())
}

/// The two ways to ask the resolver; only UDP is indispensable.
fn dns(model: &Model<'_>, from: WorkloadId, what: &str) -> Vec<Step> {
    let sender = Peer::Workload(from);
    let ask = |protocol, purpose: &str| {
        let answer = model.verdict(&sender, &Target::Dns, protocol, 53);
        let port = answer.routes.first().map_or(53, |route| route.port);
        let mut step = step(model, &sender, &format!("{what} (DNS{purpose})"), protocol, 53, &answer);
        step.required = protocol == Protocol::Udp;
        if port != 53 {
            step.notes.push(format!("the resolver's pods listen on {port}: policies must name that port"));
        }
        step
    };
    vec![ask(Protocol::Udp, ""), ask(Protocol::Tcp, ", long answers")]
}

fn step(
    model: &Model<'_>,
    sender: &Peer,
    what: &str,
    protocol: Protocol,
    port: u16,
    answer: &Answer,
) -> Step {
    let routes = answer.routes.iter().map(|route| {
        let decision = &route.decision;
        RouteText {
            to: peer_name(model, &route.to),
            port: format!("{}/{}", route.port, route.protocol),
            verdict: decision.verdict.to_string(),
            egress: decision.egress.as_ref().map(|end| side::end(model, end, sender, route)),
            ingress: decision.ingress.as_ref().map(|end| side::end(model, end, &route.to, route)),
        }
    });
    Step {
        what: what.to_owned(),
        protocol: protocol.to_string(),
        port,
        verdict: answer.verdict.to_string(),
        required: true,
        routes: routes.collect(),
        notes: answer.notes.iter().map(|note| note_text(note, answer.verdict)).collect(),
    }
}

fn note_text(note: &Note, verdict: Verdict) -> String {
    match note {
        Note::PortMapped { service_port, pod_port } => format!(
            "the Service sends port {service_port} to port {pod_port} of its pods: policies must name {pod_port}"
        ),
        Note::NoSuchPort { offers } => {
            let offers: Vec<String> =
                offers.iter().map(|(protocol, port)| format!("{port}/{protocol}")).collect();
            let offers = if offers.is_empty() { "none".to_owned() } else { offers.join(", ") };
            format!("the Service does not have this port (it has {offers}): no policy can help")
        }
        Note::NoSuchPortName { name } => {
            format!("the Service's targetPort {name:?} is no port of its pods: no policy can help")
        }
        Note::NoBackends => {
            "no workload of the files is behind this Service: a pod with its labels was judged".to_owned()
        }
        Note::NoSelector => "the Service has no selector: where it leads is not in the files".to_owned(),
        Note::ExternalName(name) => format!("the Service is an alias for {name}"),
        Note::NodeResolver => {
            "the pod uses the resolver of its node (dnsPolicy or hostNetwork), which is not in the files"
                .to_owned()
        }
        Note::SomeBackends { allowed, of } => {
            format!("{allowed} of {of} receivers behind it are allowed: {verdict} as a whole")
        }
    }
}

/// A peer in words.
pub(super) fn peer_name(model: &Model<'_>, peer: &Peer) -> String {
    match peer {
        Peer::Workload(id) => full_name(model, *id),
        Peer::Pod(pod) => pod_name(pod),
        Peer::Addresses(addresses) if *addresses == model.options().families.addresses() => {
            "any address".to_owned()
        }
        Peer::Addresses(addresses) => addresses.to_string(),
        Peer::Name(name) if name.is_empty() => "any public address".to_owned(),
        Peer::Name(name) => format!("whatever public address {name} has"),
    }
}

fn pod_name(pod: &PodShape) -> String {
    let labels: Vec<String> =
        pod.labels.pairs.iter().map(|pair| format!("{}={}", pair.key.value, pair.value.value)).collect();
    let what =
        if labels.is_empty() { "any pod".to_owned() } else { format!("a pod with {}", labels.join(",")) };
    match &pod.namespace {
        PodNamespace::Named(name) => format!("{what} in namespace {name}"),
        PodNamespace::Other(_) => format!("{what} in another namespace"),
        PodNamespace::Unknown => format!("{what} in any namespace"),
    }
}

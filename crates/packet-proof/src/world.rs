//! The process that owns all namespaces: builds them, starts an agent in each, plays the rounds.
//!
//! It is the first process of its own PID namespace. When it ends, for whatever reason, the kernel ends all others
//! in there, and with the last process go the network namespaces, the interfaces and the rules: there is nothing
//! to clean up by hand, and nothing that a kill could leave behind.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::agent::Order;
use crate::plan::{Node, Outcome, Plan, Results, Transport};
use crate::run::Launcher;
use crate::task;

/// Address of the router on each IPv4 link; only ever used for the next hop.
const GATEWAY: &str = "169.254.1.1";
/// The same over IPv6.
const GATEWAY_V6: &str = "fe80::1";
/// Local ports are handed out from here up, one for each attempt of the run.
const FIRST_LOCAL_PORT: u16 = 10_000;

/// Something inside the world did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    #[error("cannot {what}: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("{command} failed: {message}")]
    Command { command: String, message: String },
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> WorldError {
    let what = what.into();
    |source| WorldError::Io { what, source }
}

/// Builds everything, plays all rounds, returns what came of them.
pub(crate) fn play(plan: &Plan, launcher: &Launcher) -> Result<Results, WorldError> {
    prepare_router()?;
    let nodes = usable(&plan.nodes);
    build_links(&nodes)?;
    let mut agents = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        agents.push(Agent::start(index, node, launcher)?);
    }
    for agent in &mut agents {
        agent.await_ready()?;
    }
    let _services = task::start_services(&nodes)?;
    let mut ports = LocalPorts::new(&nodes);
    let mut results = Results::default();
    for round in &plan.rounds {
        load_rules(&round.ruleset)?;
        let mut orders: Vec<Vec<Order>> = vec![Vec::new(); agents.len()];
        let mut places = Vec::with_capacity(round.probes.len());
        for probe in &round.probes {
            let own = orders.get_mut(probe.from).ok_or_else(|| WorldError::Command {
                command: "the plan".to_owned(),
                message: format!("a probe starts at node {}, and there is no such node", probe.from),
            })?;
            places.push((probe.from, own.len()));
            own.push(Order { probe: probe.clone(), local_port: ports.next() });
        }
        for (agent, orders) in agents.iter_mut().zip(&orders) {
            agent.send(orders)?;
        }
        let mut outcomes = Vec::with_capacity(agents.len());
        for (agent, orders) in agents.iter_mut().zip(&orders) {
            outcomes.push(if orders.is_empty() { Vec::new() } else { agent.receive()? });
        }
        let lost = || Outcome::Failed { reason: "the agent did not answer".to_owned() };
        let outcome = |(node, at): (usize, usize)| {
            outcomes.get(node).and_then(|list: &Vec<Outcome>| list.get(at)).cloned().unwrap_or_else(lost)
        };
        results.rounds.push(places.into_iter().map(outcome).collect());
        let ended = round.tasks.iter().map(|task| task::run(&nodes, task)).collect::<Result<_, _>>()?;
        results.tasks.push(ended);
    }
    Ok(results)
}

/// The nodes without the addresses that this machine has no protocol for.
fn usable(nodes: &[Node]) -> Vec<Node> {
    let v6 = Path::new("/proc/sys/net/ipv6").exists();
    let mut nodes = nodes.to_vec();
    for node in &mut nodes {
        node.addresses.retain(|address| v6 || address.is_ipv4());
    }
    nodes
}

fn prepare_router() -> Result<(), WorldError> {
    // Names of namespaces are bind mounts below /run/netns: on a file system of our own, nobody else sees them.
    let resolver = fs::canonicalize("/etc/resolv.conf").ok();
    command("mount", &["-t", "tmpfs", "netns", "/run"], None)?;
    if let Some(file) = resolver.filter(|file| file.starts_with("/run")) {
        // Often a link into /run; programs with a resolver of their own get a file mounted there.
        fs::create_dir_all(file.parent().unwrap_or(&file)).map_err(io_error("prepare /etc/resolv.conf"))?;
        fs::write(&file, "").map_err(io_error("prepare /etc/resolv.conf"))?;
    }
    fs::create_dir_all("/run/netns").map_err(io_error("create /run/netns"))?;
    command("ip", &["link", "set", "lo", "up"], None)?;
    set("/proc/sys/net/ipv4/ip_forward", "1")?;
    // Refusals must not be rationed: a missing one costs seconds of waiting.
    set("/proc/sys/net/ipv4/icmp_ratemask", "0")?;
    if Path::new("/proc/sys/net/ipv6").exists() {
        set("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
        set("/proc/sys/net/ipv6/icmp/ratemask", "")?;
    }
    Ok(())
}

fn set(path: &str, value: &str) -> Result<(), WorldError> {
    fs::write(path, format!("{value}\n")).map_err(io_error(format!("set {path}")))
}

/// One veth pair per node: `nI` at the router, `eth0` inside. Routed and not bridged, as many clusters do it: every
/// packet between two nodes passes the router's forward hook, where the rules are.
fn build_links(nodes: &[Node]) -> Result<(), WorldError> {
    let mut router = String::new();
    for (index, node) in nodes.iter().enumerate() {
        let _ = writeln!(router, "netns add n{index}");
        let _ = writeln!(router, "link add n{index} type veth peer name eth0 netns n{index}");
        let _ = writeln!(router, "addr add {GATEWAY}/32 dev n{index}");
        if node.addresses.iter().any(IpAddr::is_ipv6) {
            let _ = writeln!(router, "addr add {GATEWAY_V6}/64 dev n{index} nodad");
        }
        let _ = writeln!(router, "link set n{index} up");
        for address in &node.addresses {
            let _ = writeln!(router, "route add {address}/{} dev n{index}", prefix(*address));
        }
    }
    command("ip", &["-batch", "-"], Some(&router))?;
    for (index, node) in nodes.iter().enumerate() {
        let mut inside = "link set lo up\n".to_owned();
        for address in &node.addresses {
            let nodad = if address.is_ipv6() { " nodad" } else { "" };
            let _ = writeln!(inside, "addr add {address}/{} dev eth0{nodad}", prefix(*address));
        }
        let _ = writeln!(inside, "link set eth0 up");
        let _ = writeln!(inside, "route add {GATEWAY} dev eth0");
        let _ = writeln!(inside, "route add default via {GATEWAY} dev eth0");
        if node.addresses.iter().any(IpAddr::is_ipv6) {
            let _ = writeln!(inside, "route add ::/0 via {GATEWAY_V6} dev eth0");
        }
        command("ip", &["-n", &format!("n{index}"), "-batch", "-"], Some(&inside))?;
    }
    Ok(())
}

fn prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn load_rules(ruleset: &str) -> Result<(), WorldError> {
    // One transaction: at no instant are there no rules.
    command("nft", &["-f", "-"], Some(&format!("flush ruleset\n{ruleset}")))
}

/// Runs a command to its end; its own words are the error.
fn command(program: &str, args: &[&str], input: Option<&str>) -> Result<(), WorldError> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io_error(format!("start {program}")))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that stops reading says why on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(io_error(format!("run {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.lines().take(4).collect::<Vec<_>>().join("; ");
    Err(WorldError::Command { command: format!("{program} {}", args.join(" ")), message })
}

/// A process inside a namespace.
struct Agent {
    name: String,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _process: Child,
}

impl Agent {
    fn start(index: usize, node: &Node, launcher: &Launcher) -> Result<Self, WorldError> {
        let what = || format!("start the agent of {}", node.name);
        let mut process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/n{index}"))
            .arg("--")
            .arg(&launcher.program)
            .args(&launcher.args)
            .arg("agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io_error(what()))?;
        let missing = || io_error(what())(io::ErrorKind::BrokenPipe.into());
        let input = process.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(process.stdout.take().ok_or_else(missing)?);
        let mut agent = Self { name: node.name.clone(), input, output, _process: process };
        agent.write(node)?;
        Ok(agent)
    }

    fn await_ready(&mut self) -> Result<(), WorldError> {
        let line = self.read()?;
        if line.trim() == "ready" {
            return Ok(());
        }
        // What it said on stderr is passed on already.
        let message = "it ended before it was ready".to_owned();
        Err(WorldError::Command { command: format!("the agent of {}", self.name), message })
    }

    fn send(&mut self, orders: &[Order]) -> Result<(), WorldError> {
        if orders.is_empty() { Ok(()) } else { self.write(&orders) }
    }

    fn receive(&mut self) -> Result<Vec<Outcome>, WorldError> {
        let line = self.read()?;
        serde_json::from_str(&line)
            .map_err(io::Error::from)
            .map_err(io_error(format!("understand the agent of {}", self.name)))
    }

    fn write(&mut self, value: &impl serde::Serialize) -> Result<(), WorldError> {
        let written = serde_json::to_writer(&mut self.input, value)
            .map_err(io::Error::from)
            .and_then(|()| self.input.write_all(b"\n"))
            .and_then(|()| self.input.flush());
        written.map_err(io_error(format!("talk to the agent of {}", self.name)))
    }

    fn read(&mut self) -> Result<String, WorldError> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(io_error(format!("listen to the agent of {}", self.name)))?;
        Ok(line)
    }
}

/// Local ports that no server of the run uses, each handed out once until all were used.
struct LocalPorts {
    taken: Vec<u16>,
    next: u16,
}

impl LocalPorts {
    fn new(nodes: &[Node]) -> Self {
        let listens = nodes.iter().flat_map(|node| &node.listen);
        let listens = listens.filter(|listen| listen.transport != Transport::Sctp);
        let mut taken: Vec<u16> = listens.map(|listen| listen.port).collect();
        taken.sort_unstable();
        taken.dedup();
        Self { taken, next: FIRST_LOCAL_PORT }
    }

    fn next(&mut self) -> u16 {
        loop {
            let port = self.next;
            self.next = if port == u16::MAX { FIRST_LOCAL_PORT } else { port + 1 };
            if self.taken.binary_search(&port).is_err() {
                return port;
            }
        }
    }
}

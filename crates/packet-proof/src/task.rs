//! Real programs inside the namespaces.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::plan::{Ended, Node, Task};
use crate::world::{WorldError, io_error};

/// Mounts the resolver's file, then becomes the program.
const WITH_RESOLVER: &str = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";

/// Starts the services of all nodes. They end with the world.
pub(crate) fn start_services(nodes: &[Node]) -> Result<Vec<Child>, WorldError> {
    let mut children = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for service in &node.services {
            let what = format!("start {} on {}", name(service), node.name);
            let mut command = command(nodes, index, service)?;
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            children.push(command.spawn().map_err(io_error(what))?);
        }
    }
    Ok(children)
}

/// Runs a task to its end.
pub(crate) fn run(nodes: &[Node], task: &Task) -> Result<Ended, WorldError> {
    let start = Instant::now();
    let mut command = command(nodes, task.node, task)?;
    let output = command.stdin(Stdio::null()).output().map_err(io_error(format!("run {}", name(task))))?;
    Ok(Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn name(task: &Task) -> &str {
    task.argv.first().map_or("nothing", String::as_str)
}

fn command(nodes: &[Node], node: usize, task: &Task) -> Result<Command, WorldError> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/n{node}")).arg("--");
    if let Some(resolver) = nodes.get(node).and_then(|node| node.resolver) {
        let file = format!("/run/resolv.n{node}");
        // One try of one second: a resolver that does not answer is not waited for as long as on a real machine.
        fs::write(&file, format!("nameserver {resolver}\noptions timeout:1 attempts:1\n"))
            .map_err(io_error(format!("write {file}")))?;
        command.args(["unshare", "--mount", "--", "sh", "-c", WITH_RESOLVER, "sh", &file]);
    }
    command.args(&task.argv).envs(&task.env);
    Ok(command)
}

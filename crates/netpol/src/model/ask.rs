//! One question in one line.

use super::{Model, Options, Peer, Verdict, WorkloadId};
use crate::object::Protocol;
use crate::read::Input;
use crate::source::SourceFile;

/// Why [`ask`] has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The manifests could not be read completely, so a verdict might rest on half of them.
    #[error("{place}: {message}")]
    Unreadable {
        /// `line:column` in the text.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// No workload has this name.
    #[error("no workload {name:?}; the manifests have: {known}")]
    NoWorkload {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The target is no `host:port` or `host:port/protocol`.
    #[error("{0:?} is no target: write host:port or host:port/udp")]
    BadTarget(String),
}

/// The verdict on one connection, straight from manifests: may the pods of the workload `from`
/// (`namespace/name`, or `name` in namespace `default`) connect to `to` (`host:port`, or `host:port/udp`)?
/// Hosts are what the pod would write: a Service, a name outside the cluster, an address. For the causes, and
/// for more than one question, use [`Model`].
///
/// # Errors
/// When the manifests cannot be read, no such workload is in them, or the target is not understood.
pub fn ask(manifests: &str, from: &str, to: &str) -> Result<Verdict, AskError> {
    let input = Input::parse([SourceFile::new("manifests", manifests)]);
    if let Some(problem) = input.problems.first() {
        let place = format!("{}:{}", problem.span.line, problem.span.column);
        return Err(AskError::Unreadable { place, message: problem.message.clone() });
    }
    let model = Model::new(&input, &Options::default());
    let sender = find(&model, from)?;
    let bad = || AskError::BadTarget(to.to_owned());
    let (target, protocol) = to.split_once('/').unwrap_or((to, "tcp"));
    let protocol = Protocol::parse(&protocol.to_ascii_uppercase()).ok_or_else(bad)?;
    let (host, port) = target.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0 && !host.is_empty()).ok_or_else(bad)?;
    let target = model.resolve_host(host, model.pod(sender).namespace_name());
    Ok(model.verdict(&Peer::Workload(sender), &target, protocol, port).verdict)
}

fn find(model: &Model<'_>, name: &str) -> Result<WorkloadId, AskError> {
    let default = model.options().default_namespace.as_str();
    let wanted = if name.contains('/') { name.to_owned() } else { format!("{default}/{name}") };
    let names = model
        .input()
        .workloads
        .iter()
        .map(|workload| format!("{}/{}", workload.meta.namespace_or(default), workload.display_name().1));
    names.clone().position(|own| own == wanted).ok_or_else(|| AskError::NoWorkload {
        name: name.to_owned(),
        known: names.take(10).collect::<Vec<String>>().join(", "),
    })
}

//! NP507: policies on hostNetwork pods.

use crate::findings::{Finding, Severity};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::shared;

pub(super) static RULE: Rule = Rule {
    id: "NP507",
    name: "host-network",
    severity: Severity::Warning,
    title: "a policy selects pods that use the network of their node",
    what: "A workload with hostNetwork: true. When policies select it, the finding is a warning; without, a note.",
    why: "What policies do for such pods is not defined, and most network plugins ignore them: the pod is open. Rules that select it as a \
          peer do not match either, because its packets carry the node's address.",
    example: "
spec:
  template:
    spec:
      hostNetwork: true
",
    fix: "Do without hostNetwork, or protect the node (host firewall, the plugin's host policies). As a peer, name the nodes by ipBlock.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if !workload.pod.host_network {
            continue;
        }
        let mut policies: Vec<String> = [Direction::Ingress, Direction::Egress]
            .iter()
            .flat_map(|direction| check.selecting(id, *direction))
            .map(|(policy, _)| shared::short_name(check, *policy))
            .collect();
        policies.sort();
        policies.dedup();
        let span = workload.pod.host_network_span.unwrap_or(workload.pod.span);
        let name = &workload.meta.name;
        let namespace = check.namespace(&workload.meta);
        let finding = |message: String| {
            Finding::new(check.object(&workload.meta), message)
                .at(span)
                .fix("do without hostNetwork, or protect the node itself")
        };
        if policies.is_empty() {
            let message = format!("{name} uses the network of its node: no policy can protect it");
            sink.emit_as(Severity::Info, finding(message).group(format!("open {namespace}")));
        } else {
            let message = format!(
                "{name} uses the network of its node: {} may have no effect on it",
                shared::and_list(&policies)
            );
            sink.emit(finding(message).group(format!("{namespace} {policies:?}")));
        }
    }
}

//! NP201: isolated for egress, without DNS.

use crate::findings::{Finding, Severity};
use crate::model::Verdict;
use crate::object::{Direction, PolicyRule, Protocol};

use super::context::{Check, Sink};
use super::{Rule, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP201",
    name: "no-dns",
    severity: Severity::Error,
    title: "a workload may reach others, but not the resolver",
    what: "All policies that select the workload are taken together: they allow it some egress to pods or to the Internet, and \
           not DNS over UDP. When the workload's needs show that it resolves names, NP101 says so; this rule is for those whose \
           needs are not in the manifests, and then it is a warning unless something hints at a name.",
    why: "Connections to Services go by name. The first thing that fails is the name: `Temporary failure in name resolution`.",
    example: "
egress:
  - to:
      - podSelector:
          matchLabels: {app: db}
    ports: [{port: 5432}]
",
    fix: "Allow 53 over UDP and TCP to the cluster's resolver: namespaceSelector kubernetes.io/metadata.name: kube-system and, in \
          the same list item, podSelector k8s-app: kube-dns.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        let explained = check.is_explained(id);
        if explained || workload.pod.host_network || !check.is_isolated(id, Direction::Egress) {
            continue;
        }
        let selecting = check.selecting(id, Direction::Egress);
        let mut rules = selecting
            .iter()
            .filter_map(|(policy, _)| check.network_policy(*policy))
            .flat_map(|policy| policy.rules(Direction::Egress));
        if !rules.any(goes_somewhere) {
            continue;
        }
        if check.dns(id, Protocol::Udp) != Verdict::Denied {
            continue;
        }
        let needs = &check.needs[id];
        if needs.needs.iter().any(|need| need.target == crate::needs::Target::Dns) && !needs.only_declared {
            // NP101 has the evidence.
            continue;
        }
        let policies = selecting.iter().filter_map(|(policy, _)| check.network_policy(*policy));
        if policies.into_iter().any(|policy| super::np204::dns_place(policy).is_some()) {
            // NP204 says why that rule does not reach the resolver.
            continue;
        }
        let cause = shared::deny_note(check, id, Direction::Egress);
        let message = format!("{} may reach others, but resolve no name (DNS, 53/UDP)", workload.meta.name);
        let finding = Finding::new(shared::workload_object(check, id, None), message).note(cause.clone());
        let finding = shared::with_isolation(finding, check, id, Direction::Egress)
            .fix(shared::fix_command(check, id, None))
            .group(format!("{} {cause}", check.namespace(&workload.meta)));
        let hinted = !needs.unknown.is_empty();
        sink.emit_as(if hinted { Severity::Error } else { Severity::Warning }, finding);
    }
}

/// Whether a rule leads to something that has a name: pods, or the Internet. A single address has none.
fn goes_somewhere(rule: &PolicyRule) -> bool {
    rule.peers.is_empty()
        || rule.peers.iter().any(|peer| {
            let block = peer.ip_block.as_ref().and_then(|block| block.cidr.net);
            peer.pod_selector.is_some()
                || peer.namespace_selector.is_some()
                || block.is_some_and(|net| net.prefix_len() == 0)
        })
}

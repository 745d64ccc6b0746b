//! NP509: cluster-wide policies in conflict.

use crate::findings::{Finding, Severity};
use crate::model::{PolicyRef, Reason, Verdict};
use crate::object::{AdminPolicy, Tri};

use super::Rule;
use super::context::{Check, Sink};
use super::shared;

pub(super) static RULE: Rule = Rule {
    id: "NP509",
    name: "tier-conflict",
    severity: Severity::Warning,
    title: "cluster-wide policies conflict, or void a NetworkPolicy",
    what: "Two cluster-wide policies of the same tier with the same priority, and needs that a NetworkPolicy allows and a policy of the Admin \
           tier denies.",
    why: "With equal priorities the order is not defined: which rule comes first may differ between nodes. A Deny of the Admin tier \
          cannot be overruled by a NetworkPolicy, however clearly that one allows.",
    example: "
kind: ClusterNetworkPolicy
spec: {tier: Admin, priority: 10}
---
kind: ClusterNetworkPolicy
spec: {tier: Admin, priority: 10}
",
    fix: "Give each policy of a tier its own priority. Put an Accept or Pass for the traffic before the Deny, or take the NetworkPolicy's \
          rule out.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    let admin: Vec<&AdminPolicy> = check.input.admin_policies.iter().collect();
    for (index, policy) in admin.iter().enumerate() {
        let twin = admin.iter().take(index).find(|other| {
            let same = |a: &AdminPolicy, b: &AdminPolicy| {
                a.priority.as_ref().map(|one| one.value) == b.priority.as_ref().map(|one| one.value)
            };
            other.tier == policy.tier && other.priority.is_some() && same(other, policy)
        });
        let (Some(twin), Some(priority)) = (twin, &policy.priority) else { continue };
        let tier = policy.tier.as_str();
        let message = format!(
            "{} and {} have priority {} in tier {tier}: their order is not defined",
            twin.meta.name, policy.meta.name, priority.value
        );
        sink.emit(
            Finding::new(check.object(&policy.meta), message)
                .at(priority.span)
                .note_at("the other one is at {}", twin.meta.name.span)
                .fix("give each its own priority"),
        );
    }
    for (id, workload) in check.workloads() {
        for (need, judged) in check.needs[id].needs.iter().zip(&check.judged[id]) {
            let sides =
                judged.decision().into_iter().flat_map(|decision| [&decision.egress, &decision.ingress]);
            for side in sides.flatten() {
                let void = side.rules.iter().find(|rule| {
                    matches!(rule.rule.policy, PolicyRef::Network(_))
                        && rule.peer.and(rule.port).and(rule.subject) == Tri::Yes
                });
                let (Verdict::Denied, Reason::AdminRule, Some(rule)) = (side.verdict, side.reason, void)
                else {
                    continue;
                };
                let Some(deny) = side.deciding.first() else { continue };
                let name = shared::short_name(check, rule.rule.policy);
                let admin = check.model.policy_name(deny.policy);
                let message = format!(
                    "{admin} denies {} what policy {name} allows: {}",
                    workload.meta.name,
                    need.label()
                );
                let span = check.model.rule_span(rule.rule).unwrap_or(workload.meta.name.span);
                let mut finding = Finding::new(check.object(&workload.meta), message).at(span);
                if let Some(place) = check.model.rule_span(*deny) {
                    finding =
                        finding.note_at(format!("rule {} of {admin} is at {{}}", deny.index + 1), place);
                }
                sink.emit(
                    finding
                        .fix("put an Accept or Pass before the Deny, or take the rule out")
                        .group(format!("{admin} {name} {}", need.label())),
                );
            }
        }
    }
}

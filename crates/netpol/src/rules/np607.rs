//! NP607: a short job races with its own policies.

use crate::findings::{Finding, Severity};
use crate::object::{Direction, WorkloadKind};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP607",
    name: "start-up-race",
    severity: Severity::Info,
    title: "a Job under isolation has no retry for the first seconds",
    what: "A Job or CronJob that policies isolate for egress, with backoffLimit: 0, restartPolicy: Never and no init container.",
    why: "A new pod is isolated from its first instant, and what allows it something is programmed a moment later. A short job may try, fail \
          and be gone before that.",
    example: "
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never}}
",
    fix: "Set backoffLimit to 1 or more, or let an init container wait until the network answers (`klines doctor --wait`).",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        let is_job = matches!(workload.kind, WorkloadKind::Job | WorkloadKind::CronJob);
        let no_retry =
            workload.job.as_ref().and_then(|job| job.backoff_limit.as_ref()).filter(|limit| limit.value == 0);
        let never = workload.pod.restart_policy.as_ref().is_some_and(|policy| policy.value == "Never");
        let waits = workload.pod.containers.iter().any(|container| container.init);
        let (true, Some(limit), true, false) = (is_job, no_retry, never, waits) else { continue };
        if !check.is_isolated(id, Direction::Egress) || check.needs[id].needs.is_empty() {
            continue;
        }
        let message =
            format!("{} has one try, and may start before its policies are in place", workload.meta.name);
        sink.emit(
            Finding::new(check.object(&workload.meta), message)
                .at(limit.span)
                .fix("set backoffLimit to 1 or more, or wait for the network in an init container")
                .group(check.namespace(&workload.meta)),
        );
    }
}

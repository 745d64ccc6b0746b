//! NP309: the metrics are not reachable.

use crate::findings::{Finding, Severity};
use crate::model::{Peer, PodShape, Verdict, WorkloadId};
use crate::object::{Direction, Labels, Protocol};
use crate::source::Span;

use super::context::{Check, Sink};
use super::np307::backends;
use super::{Rule, shared};

pub(super) static RULE: Rule = Rule {
    id: "NP309",
    name: "scrape-denied",
    severity: Severity::Warning,
    title: "pods ask to be scraped and let nobody in who would",
    what: "A pod template or Service carries prometheus.io/scrape: \"true\", its pods are isolated for ingress, and no rule lets a \
           monitoring namespace (monitoring, observability, prometheus) in on the port of the annotation.",
    why: "The target shows as down, and alerts that need its metrics stay silent.",
    example: "
metadata:
  annotations: {prometheus.io/scrape: \"true\", prometheus.io/port: \"9090\"}
",
    fix: "Allow ingress on the metrics port from the monitoring namespace.",
    check,
};

const MONITORING: [&str; 4] = ["monitoring", "observability", "prometheus", "openshift-monitoring"];

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        if let Some((port, span)) = scrape(&workload.pod.annotations) {
            one(check, id, port, span, sink);
        }
    }
    for service in check.input.services.iter().filter(|service| check.is_checked(service.meta.span)) {
        let Some((port, span)) = scrape(&service.meta.annotations) else { continue };
        for id in backends(check, service) {
            if scrape(&check.input.workloads[id].pod.annotations).is_none() {
                one(check, id, port, span, sink);
            }
        }
    }
}

/// The port of the annotations, and where they are.
fn scrape(annotations: &Labels) -> Option<(u16, Span)> {
    let wanted = annotations.value("prometheus.io/scrape").is_some_and(|value| value == "true");
    let port = annotations.get("prometheus.io/port").filter(|_| wanted)?;
    Some((port.value.value.parse().ok()?, port.key.span))
}

fn one(check: &Check<'_>, id: WorkloadId, port: u16, span: Span, sink: &mut Sink<'_>) {
    if !check.is_isolated(id, Direction::Ingress) {
        return;
    }
    let to = Peer::Workload(id);
    let denied = |from: &Peer| {
        let decision = check.model.decide(from, &to, Protocol::Tcp, port);
        decision.ingress.is_some_and(|side| side.verdict == Verdict::Denied)
    };
    let known = check.known_namespaces();
    let mut scrapers = MONITORING.to_vec();
    scrapers
        .extend(known.iter().copied().filter(|name| name.contains("monitor") || name.contains("prometheus")));
    let own = Peer::Pod(PodShape::unknown(Some(check.namespace(&check.input.workloads[id].meta))));
    let all_denied =
        scrapers.iter().all(|space| denied(&Peer::Pod(PodShape::unknown(Some(space))))) && denied(&own);
    if !all_denied {
        return;
    }
    let workload = &check.input.workloads[id];
    let message =
        format!("{} asks to be scraped on {port} and lets no monitoring namespace in", workload.meta.name);
    let finding = Finding::new(check.object(&workload.meta), message)
        .at(span)
        .note(shared::deny_note(check, id, Direction::Ingress))
        .fix(format!("allow ingress on {port} from the monitoring namespace"))
        .group(format!(
            "{} {}",
            check.namespace(&workload.meta),
            shared::deny_note(check, id, Direction::Ingress)
        ));
    sink.emit(finding);
}

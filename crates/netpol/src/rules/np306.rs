//! NP306: the Service does not have the port.

use crate::findings::{Finding, Severity};
use crate::needs::Target;

use super::Rule;
use super::context::{Check, Sink};
use super::shared::{self, Block};

pub(super) static RULE: Rule = Rule {
    id: "NP306",
    name: "port-not-exposed",
    severity: Severity::Error,
    title: "a workload uses a port that the Service does not have",
    what: "A URL or host:port in a workload's configuration names a Service of the input, with a port that the Service does not \
           list.",
    why: "The connection fails whatever the policies say: a Service forwards the ports it lists and no others.",
    example: "
env: [{name: DATA_URL, value: \"http://data-manager:8000\"}]
---
kind: Service
metadata: {name: data-manager}
spec:
  ports: [{port: 80, targetPort: 8000}]
",
    fix: "Use the Service's port in the URL (here 80), or add the port to the Service.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (id, workload) in check.workloads() {
        for (_, need, _) in shared::blocked(check, id, |block| block == Block::NotExposed) {
            let Target::Service(index) = need.target else { continue };
            let Some(service) = check.input.services.get(index) else { continue };
            let offers: Vec<String> = service
                .ports
                .iter()
                .filter_map(|port| Some(format!("{}/{}", port.port.as_ref()?.value, port.protocol)))
                .collect();
            let offers = if offers.is_empty() { "no port".to_owned() } else { offers.join(", ") };
            let evidence = need.evidence.first();
            let key = evidence.map_or("its configuration", |evidence| evidence.key.as_str());
            let name = &service.meta.name;
            let message = format!(
                "{} uses port {} of Service {name}, which has {offers}",
                workload.meta.name, need.port
            );
            let mut finding = Finding::new(check.object(&workload.meta), message)
                .at(evidence.map_or(workload.meta.name.span, |evidence| evidence.span))
                .note_at(
                    format!("{key} names {}:{}; Service {name} is at {{}}", need.host, need.port),
                    name.span,
                )
                .fix("use the Service's port, or add the port to the Service")
                .group(format!("{index} {} {}", need.port, need.protocol));
            finding.confidence = Some(need.confidence);
            let severity = if need.confidence.is_strong() { Severity::Error } else { Severity::Warning };
            sink.emit_as(severity, finding);
        }
    }
}

//! NP401: databases and brokers for the whole Internet.

use crate::findings::{Finding, Severity};
use crate::needs::{Family, by_port};
use crate::object::Direction;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP401",
    name: "database-to-everywhere",
    severity: Severity::Warning,
    title: "a database or broker port is open to every address",
    what: "A rule allows the port of a database, a broker or a collector to or from every address: 0.0.0.0/0, ::/0, or no peer at all. \
           (DNS is NP205.)",
    why: "These services live at a known place. Open to everywhere, the rule lets data out to any server that listens on the same \
          port; as an ingress rule it lets anybody in.",
    example: "
egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    ports: [{port: 3306}]
",
    fix: "Name the place: a namespaceSelector with kubernetes.io/metadata.name (and a podSelector in the same item), or the address \
          range of the managed service.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        for direction in [Direction::Egress, Direction::Ingress] {
            let mut open: Vec<String> = Vec::new();
            let mut first = None;
            for (of, _, rule) in check.rules_of(policy) {
                if of != direction || !ports::reaches_everywhere(rule) {
                    continue;
                }
                for (protocol, port, span) in ports::single(rule) {
                    let Some(service) = by_port(port).filter(|service| service.family != Family::Other)
                    else {
                        continue;
                    };
                    let name = format!("{} ({})", ports::name(protocol, port), service.name);
                    if !open.contains(&name) {
                        open.push(name);
                    }
                    first = first.or(Some(span));
                }
            }
            let Some(span) = first else { continue };
            let (verb, place) = match direction {
                Direction::Egress => ("allows", "to every address"),
                Direction::Ingress => ("accepts", "from every address"),
            };
            let message = format!("policy {} {verb} {} {place}", policy.meta.name, open.join(", "));
            sink.emit(
                Finding::new(check.object(&policy.meta), message)
                    .at(span)
                    .group(format!("{} {} {verb}", check.namespace(&policy.meta), open.join(", ")))
                    .fix("name the namespace (and pods) or the address range of each service"),
            );
        }
    }
}

//! NP604: a variable set twice.

use std::collections::BTreeMap;

use crate::findings::{Finding, Severity};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP604",
    name: "duplicate-env",
    severity: Severity::Warning,
    title: "a container sets a variable twice",
    what: "One name stands twice in the env list of a container.",
    why: "The last one counts, and a strategic merge (kubectl apply) may drop either. What is read in the file is not what the program gets.",
    example: "
env:
  - {name: DEFAULT_SYMBOLS, value: BTCUSDT}
  - {name: DEFAULT_SYMBOLS, value: ETHUSDT}
",
    fix: "Remove one of the two.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, workload) in check.workloads() {
        for container in &workload.pod.containers {
            let mut seen = BTreeMap::new();
            for entry in &container.env {
                let name = entry.name.value.as_str();
                let Some(first) = seen.insert(name, entry.name.span) else { continue };
                let message =
                    format!("container {} of {} sets {name} twice", container.name, workload.meta.name);
                sink.emit(
                    Finding::new(check.object(&workload.meta), message)
                        .at(entry.name.span)
                        .note_at("the other one is at {}", first)
                        .fix("remove one of the two")
                        .group(format!("{} {} {name}", check.namespace(&workload.meta), container.name)),
                );
            }
        }
    }
}

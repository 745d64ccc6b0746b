//! NP608: a list names a workload that is not there.

use crate::findings::pattern;
use crate::findings::{Finding, ObjectId, Severity};

use super::Rule;
use super::context::{Check, Sink};

pub(super) static RULE: Rule = Rule {
    id: "NP608",
    name: "expected-but-missing",
    severity: Severity::Warning,
    title: "the needs file names a workload that no manifest defines",
    what: "An entry of the needs file (--needs) whose `match` fits no workload of the input.",
    why: "Either the manifest was lost (and somebody believes that the job runs), or the list is out of date and protects nothing.",
    example: "
workloads:
  - match: petrosa-apps/binance-klines-gap-filler   # only -m5, -m15, ... exist
    needs: [\"fapi.binance.com:443\"]
",
    fix: "Add the manifest, or correct the entry.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for entry in check.needs_file.patterns() {
        let fits = check.input.workloads.iter().any(|workload| {
            let namespace = check.namespace(&workload.meta);
            pattern::matches_object(
                &entry.value,
                workload.kind.as_str(),
                namespace,
                &workload.meta.name.value,
            )
        });
        if fits {
            continue;
        }
        let object = ObjectId {
            kind: "NeedsFile".to_owned(),
            namespace: String::new(),
            name: entry.value.clone(),
            span: entry.span,
            suppressed: None,
        };
        let message = format!("no manifest defines {}, which the needs file expects", entry.value);
        sink.emit_always(Finding::new(object, message).fix("add the manifest, or correct the entry"));
    }
}

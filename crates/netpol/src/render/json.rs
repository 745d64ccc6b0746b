//! For machines. Fields may be added, none is renamed.

use serde_json::{Value, json};

use crate::findings::{Finding, ObjectId, Severity};
use crate::needs::Need;
use crate::rules;
use crate::source::{ProblemKind, Span};

use super::Context;

/// The report as JSON:
///
/// ```json
/// {"version": 1,
///  "profile": {"name": "kubernetes", "description": "..."},
///  "assumed_default_deny": ["ns"],
///  "summary": {"errors": 0, "warnings": 0, "infos": 0, "suppressed": 0, "problems": 0,
///              "files": 0, "documents": 0, "workloads": 0, "policies": 0},
///  "problems": [{"kind": "syntax", "message": "...", "object": "", "file": "...", "line": 1, "column": 1}],
///  "findings": [{"rule": "NP101", "name": "need-denied", "severity": "error", "confidence": "literal",
///    "message": "...", "file": "...", "line": 1, "column": 1, "label": "...",
///    "objects": [{"kind": "...", "namespace": "...", "name": "...", "file": "...", "line": 1, "column": 1}],
///    "notes": [{"text": "...", "file": "...", "line": 1, "column": 1}],
///    "cause": [{"kind": "...", "policy": "ns/name", "rule": 1, "text": "...", "file": "...", "line": 1, "column": 1}],
///    "needs": [{"label": "...", "host": "...", "port": 1, "last_port": 1, "protocol": "TCP", "service": "mysql",
///      "verdict": "denied", "confidence": "...",
///      "evidence": [{"key": "...", "source": "...", "file": "...", "line": 1, "column": 1}]}],
///    "fix": "...", "also": ["NP102"], "fingerprint": "...", "suppressed": {"reason": "...", "by": "annotation"}}]}
/// ```
///
/// What is not known is `null`; `kind` of a problem is one of `encoding`, `syntax`, `limit`, `invalid`.
#[must_use]
pub fn json(context: &Context<'_>) -> String {
    let report = context.report;
    let input = context.input;
    let problems: Vec<Value> = context
        .problems()
        .map(|problem| {
            let kind = match problem.kind {
                ProblemKind::Encoding => "encoding",
                ProblemKind::Syntax => "syntax",
                ProblemKind::Limit => "limit",
                _ => "invalid",
            };
            let rest = json!({"kind": kind, "message": problem.message, "object": problem.object});
            with_place(context, rest, Some(problem.span))
        })
        .collect();
    let findings: Vec<Value> =
        report.findings.iter().map(|finding| self::finding(context, finding)).collect();
    let value = json!({
        "version": 1,
        "profile": {"name": context.options.profile.name, "description": context.profile()},
        "assumed_default_deny": context.options.assume_default_deny,
        "summary": {
            "errors": report.count(Severity::Error),
            "warnings": report.count(Severity::Warning),
            "infos": report.count(Severity::Info),
            "suppressed": report.suppressed().count(),
            "problems": problems.len(),
            "files": context.checked_files.min(input.files.len()),
            "documents": input.documents,
            "workloads": input.workloads.len(),
            "policies": input.policies.len() + input.admin_policies.len(),
        },
        "problems": problems,
        "findings": findings,
    });
    format!("{value:#}\n")
}

fn finding(context: &Context<'_>, finding: &Finding) -> Value {
    let notes: Vec<Value> = finding
        .notes
        .iter()
        .map(|note| with_place(context, json!({"text": note.render(context.input)}), note.span))
        .collect();
    let causes: Vec<Value> = finding
        .causes
        .iter()
        .map(|cause| {
            let rest =
                json!({"kind": cause.kind, "policy": cause.policy, "rule": cause.rule, "text": cause.text});
            with_place(context, rest, cause.span)
        })
        .collect();
    let needs: Vec<Value> = finding
        .needs
        .iter()
        .map(|need| {
            let mut value = self::need(context, &need.need);
            value["verdict"] = json!(need.verdict.as_str());
            value
        })
        .collect();
    let suppressed = finding.suppressed.as_ref().map(|why| json!({"reason": why.reason, "by": why.by}));
    let value = json!({
        "rule": finding.rule,
        "name": rules::find(finding.rule).map(|rule| rule.name),
        "severity": finding.severity.as_str(),
        "confidence": finding.confidence.map(crate::needs::Confidence::as_str),
        "message": finding.message,
        "label": context.source_line(finding),
        "objects": finding.objects.iter().map(|object| self::object(context, object)).collect::<Vec<_>>(),
        "notes": notes,
        "cause": causes,
        "needs": needs,
        "fix": finding.fix,
        "also": finding.also,
        "fingerprint": finding.fingerprint(),
        "suppressed": suppressed,
    });
    with_place(context, value, Some(finding.span))
}

fn object(context: &Context<'_>, object: &ObjectId) -> Value {
    let value = json!({"kind": object.kind, "namespace": object.namespace, "name": object.name});
    with_place(context, value, Some(object.span))
}

/// A need; `netpol explain` and `fix` show the same.
fn need(context: &Context<'_>, need: &Need) -> Value {
    let evidence: Vec<Value> = need
        .evidence
        .iter()
        .map(|evidence| {
            let rest = json!({"key": evidence.key, "source": evidence.source});
            with_place(context, rest, Some(evidence.span))
        })
        .collect();
    let host = (!need.host.is_empty()).then_some(&need.host);
    json!({
        "label": need.label(),
        "host": host,
        "port": need.port,
        "last_port": need.last_port,
        "protocol": need.protocol.as_str(),
        "service": need.service,
        "confidence": need.confidence.as_str(),
        "evidence": evidence,
    })
}

fn with_place(context: &Context<'_>, mut value: Value, span: Option<Span>) -> Value {
    let place = span.map(|span| context.input.locate(span));
    value["file"] = json!(place.map(|place| place.file));
    value["line"] = json!(place.map(|place| place.line));
    value["column"] = json!(place.map(|place| place.column));
    value
}

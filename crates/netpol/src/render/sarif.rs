//! SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use crate::findings::{Finding, Severity};
use crate::rules::{self, Rule};
use crate::source::Span;

use super::Context;

/// The report as SARIF 2.1.0: one result per finding, every rule described, suppressed results marked.
#[must_use]
pub fn sarif(context: &Context<'_>) -> String {
    let rules: Vec<Value> = rules::ALL.iter().map(|rule| self::rule(rule)).collect();
    let results: Vec<Value> =
        context.report.findings.iter().map(|finding| result(context, finding)).collect();
    let notifications: Vec<Value> = context
        .problems()
        .map(|problem| {
            json!({
                "level": "error",
                "message": {"text": problem.message},
                "locations": [location(context, problem.span)],
            })
        })
        .collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "netpol",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "properties": {
                "profile": context.profile(),
                "assumedDefaultDeny": context.options.assume_default_deny,
            },
            "results": results,
        }],
    });
    format!("{value:#}\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.what},
        "help": {
            "text": rule.page(),
            "markdown": format!(
                "{}\n\n**Why it matters.** {}\n\n```yaml\n{}\n```\n\n**What to do.** {}",
                rule.what, rule.why, rule.example.trim_matches('\n'), rule.fix
            ),
        },
        "defaultConfiguration": {"level": level(rule.severity)},
    })
}

fn result(context: &Context<'_>, finding: &Finding) -> Value {
    let mut text = vec![finding.message.clone()];
    text.extend(finding.notes.iter().map(|note| note.render(context.input)));
    if let Some(fix) = &finding.fix {
        text.push(format!("Fix: {fix}"));
    }
    let mut locations = vec![location(context, finding.span)];
    let logical: Vec<Value> = finding
        .objects
        .iter()
        .map(|object| {
            json!({"name": object.name, "fullyQualifiedName": object.to_string(), "kind": "resource"})
        })
        .collect();
    if let Some(first) = locations.first_mut() {
        first["logicalLocations"] = json!(logical);
    }
    let others = finding.objects.iter().skip(1).map(|object| location(context, object.span));
    let related: Vec<Value> = finding
        .notes
        .iter()
        .filter_map(|note| {
            let mut place = location(context, note.span?);
            place["message"] = json!({"text": note.render(context.input)});
            Some(place)
        })
        .chain(others)
        .enumerate()
        .map(|(id, mut place)| {
            place["id"] = json!(id);
            place
        })
        .collect();
    let index = rules::ALL.iter().position(|rule| rule.id == finding.rule);
    let mut value = json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": {"text": text.join("\n")},
        "locations": locations,
        "relatedLocations": related,
        "partialFingerprints": {"netpolFinding/v1": finding.fingerprint()},
    });
    if let Some(why) = &finding.suppressed {
        let kind = if why.by == "annotation" { "inSource" } else { "external" };
        value["suppressions"] = json!([{"kind": kind, "justification": why.reason}]);
    }
    value
}

fn location(context: &Context<'_>, span: Span) -> Value {
    let place = context.input.locate(span);
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(place.file)},
        "region": {"startLine": place.line.max(1), "startColumn": place.column.max(1)},
    }})
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("./k8s/a b.yaml"), "k8s/a%20b.yaml");
        assert_eq!(uri("<stdin>"), "%3Cstdin%3E");
        assert_eq!(uri("é"), "%C3%A9");
    }
}

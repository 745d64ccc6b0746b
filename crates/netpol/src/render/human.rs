//! For people at a terminal.

use std::fmt::Write as _;

use crate::findings::{Finding, Severity, names};
use crate::needs::Need;

use super::Context;

/// Colours, or none.
struct Paint {
    on: bool,
}

impl Paint {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn severity(&self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Info => "1;36",
        };
        self.paint(code, text)
    }

    fn bar(&self, text: &str) -> String {
        self.paint("34", text)
    }
}

/// The report for people; colours only when asked for.
#[must_use]
pub fn human(context: &Context<'_>, color: bool) -> String {
    let paint = Paint { on: color };
    let mut out = String::new();
    for problem in context.problems() {
        let head = paint.severity(Severity::Error, "error[input]");
        line(&mut out, &format!("{head}: {}", printable(&problem.message)));
        let object = if problem.object.is_empty() { String::new() } else { format!(" ({})", problem.object) };
        let place = context.input.locate(problem.span);
        line(&mut out, &format!("{}{place}{object}\n", paint.bar("  --> ")));
    }
    for finding in context.report.active().filter(|finding| finding.severity >= context.least) {
        self::finding(&mut out, context, finding, &paint);
    }
    for finding in context.report.suppressed().filter(|finding| finding.severity >= context.least) {
        suppressed(&mut out, context, finding, &paint);
    }
    footer(&mut out, context, &paint);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn finding(out: &mut String, context: &Context<'_>, finding: &Finding, paint: &Paint) {
    let head = paint.severity(finding.severity, &format!("{}[{}]", finding.severity, finding.rule));
    line(out, &format!("{head}: {}", paint.paint("1", &printable(&finding.message))));
    line(out, &format!("{}{}", paint.bar("  --> "), context.input.locate(finding.span)));
    let source = context.source_line(finding);
    if !source.is_empty() {
        line(out, &format!("{}  {}", paint.bar("   |"), printable(&shortened(source))));
    }
    for note in &finding.notes {
        remark(out, paint, &note.render_lines(context.input));
    }
    if let Some(text) = same_for(finding) {
        remark(out, paint, &text);
    }
    let more: Vec<&Need> =
        finding.needs.iter().filter(|need| !need.in_headline).map(|need| &need.need).collect();
    if !more.is_empty() {
        let labels: Vec<String> = more.iter().map(|need| need.label()).collect();
        let title = if more.len() == finding.needs.len() { "needs" } else { finding.needs_title };
        remark(out, paint, &format!("{title}: {}", labels.join(", ")));
    }
    if context.evidence {
        for need in &finding.needs {
            evidence(out, context, &need.need, paint);
        }
    }
    if let Some(fix) = &finding.fix {
        remark(out, paint, &format!("fix: {fix}"));
    }
    out.push('\n');
}

fn remark(out: &mut String, paint: &Paint, text: &str) {
    line(out, &format!("{} {}", paint.bar("   ="), printable(text).replace('\n', "\n     ")));
}

fn evidence(out: &mut String, context: &Context<'_>, need: &Need, paint: &Paint) {
    let mut places: Vec<String> = need
        .evidence
        .iter()
        .map(|evidence| {
            format!("{} ({}) at {}", evidence.key, evidence.source, context.input.locate(evidence.span))
        })
        .collect();
    let more = places.len().saturating_sub(2);
    places.truncate(2);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    remark(
        out,
        paint,
        &format!("{} because of {} [{}]", need.label(), places.join("; "), need.confidence.as_str()),
    );
}

/// The other objects of a finding.
pub(super) fn same_for(finding: &Finding) -> Option<String> {
    let others = finding.objects.get(1..).filter(|others| !others.is_empty())?;
    let first = others.first()?;
    let same_kind = others.iter().all(|object| object.kind == first.kind);
    let kind = match (same_kind, others.len()) {
        (false, 1) => "object".to_owned(),
        (false, _) => "objects".to_owned(),
        (true, 1) => first.kind.clone(),
        (true, _) if first.kind.ends_with('y') => format!("{}ies", first.kind.trim_end_matches('y')),
        (true, _) if first.kind.ends_with('s') => format!("{}es", first.kind),
        (true, _) => format!("{}s", first.kind),
    };
    Some(if finding.concerns_others {
        format!("concerns {} {kind}: {}", others.len(), names(others))
    } else {
        format!("the same holds for {} more {kind}: {}", others.len(), names(others))
    })
}

fn suppressed(out: &mut String, context: &Context<'_>, finding: &Finding, paint: &Paint) {
    let Some(why) = &finding.suppressed else { return };
    let place = context.input.locate(finding.span);
    let head = paint.paint("2", &format!("suppressed[{}]", finding.rule));
    line(out, &format!("{head}: {}", printable(&finding.message)));
    line(out, &format!("{}{place}", paint.bar("  --> ")));
    if let Some(text) = same_for(finding) {
        remark(out, paint, &text);
    }
    remark(out, paint, &format!("reason: {} ({})\n", why.reason, why.by));
}

fn footer(out: &mut String, context: &Context<'_>, paint: &Paint) {
    let report = context.report;
    let count = |severity: Severity, one: &str, many: &str| {
        let number = report.count(severity);
        let text = counted(number, one, many);
        if number == 0 { text } else { paint.severity(severity, &text) }
    };
    let mut counts = vec![
        count(Severity::Error, "error", "errors"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Info, "note", "notes"),
    ];
    let hidden = report.suppressed().count();
    if hidden > 0 {
        counts.push(format!("{hidden} suppressed"));
    }
    let problems = context.problems().count();
    if problems > 0 {
        counts.push(paint.severity(Severity::Error, &counted(problems, "input problem", "input problems")));
    }
    let input = context.input;
    let (workloads, policies) = (input.workloads.len(), input.policies.len() + input.admin_policies.len());
    let _ = writeln!(
        out,
        "{}: {}, {}, {}",
        counts.join(", "),
        counted(context.checked_files.min(input.files.len()), "file", "files"),
        counted(workloads, "workload", "workloads"),
        counted(policies, "policy", "policies"),
    );
    if workloads + policies + problems == 0 {
        let templates = input.files.iter().any(|file| file.text().contains("{{"));
        let next = if templates {
            "render the templates first, as in: helm template . | netpol check -"
        } else {
            "name the files or folders that hold the manifests"
        };
        let _ = writeln!(out, "nothing to check: no workload and no network policy was found; {next}");
    }
    let _ = writeln!(out, "profile: {}", context.profile());
    if !context.options.assume_default_deny.is_empty() {
        let _ = writeln!(out, "assumed: default-deny in {}", context.options.assume_default_deny.join(", "));
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 100 {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(97).collect();
    short.push_str("...");
    short
}

/// Manifests may hold anything, terminals obey anything: control characters are shown, not sent.
fn printable(text: &str) -> String {
    let odd = |c: char| c.is_control() && c != '\n';
    if !text.contains(odd) {
        return text.to_owned();
    }
    text.chars().map(|c| if odd(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

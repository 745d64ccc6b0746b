//! The findings of the page, the worst first, one for each cause.

use std::fmt::Write as _;

use crate::findings::{Finding, Severity, names};
use crate::needs::Need;
use crate::reach_render::{escape, plural};
use crate::render::Context;
use crate::render::human::same_for;
use crate::rules;

pub(super) fn write(text: &mut String, context: &Context<'_>) {
    text.push_str("<section id=\"findings\" aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Findings</h2>\n");
    problems(text, context);
    if context.report.active().next().is_none() {
        text.push_str("<p class=\"hint\">Nothing was found.</p>\n");
    }
    for (severity, title) in
        [(Severity::Error, "Errors"), (Severity::Warning, "Warnings"), (Severity::Info, "Notes")]
    {
        let of: Vec<&Finding> =
            context.report.active().filter(|finding| finding.severity == severity).collect();
        if of.is_empty() {
            continue;
        }
        let _ = writeln!(text, "<h3>{title} <small>{}</small></h3>", of.len());
        for finding in of {
            article(text, context, finding);
        }
    }
    suppressed(text, context);
    text.push_str("</section>\n");
}

/// What could not be read.
fn problems(text: &mut String, context: &Context<'_>) {
    if context.problems().next().is_none() {
        return;
    }
    text.push_str("<h3>Not read</h3>\n<ul class=\"problems\">\n");
    for problem in context.problems() {
        let place = context.input.locate(problem.span).to_string();
        let _ = writeln!(text, "<li>{} <code>{}</code></li>", escape(&problem.message), escape(&place));
    }
    text.push_str("</ul>\n");
}

fn article(text: &mut String, context: &Context<'_>, finding: &Finding) {
    let severity = finding.severity.as_str();
    let title = rules::find(finding.rule).map_or("", |rule| rule.title);
    let word = if finding.severity == Severity::Info { "note" } else { severity };
    let _ = writeln!(
        text,
        "<article class=\"finding {severity}\">\n<h4><span class=\"tag\" title=\"{}\">{word} {}</span> {}</h4>",
        escape(title),
        finding.rule,
        escape(&finding.message)
    );
    let _ = writeln!(
        text,
        "<p class=\"place\"><code>{}</code></p>",
        escape(&context.input.locate(finding.span).to_string())
    );
    let source = context.source_line(finding);
    if !source.is_empty() {
        let _ = writeln!(text, "<pre>{}</pre>", escape(source));
    }
    text.push_str("<ul>\n");
    for note in &finding.notes {
        item(text, &note.render(context.input));
    }
    if let Some(others) = same_for(finding) {
        item(text, &others);
    }
    let more: Vec<String> =
        finding.needs.iter().filter(|need| !need.in_headline).map(|need| need.need.label()).collect();
    if !more.is_empty() {
        let title = if more.len() == finding.needs.len() { "needs" } else { finding.needs_title };
        item(text, &format!("{title}: {}", more.join(", ")));
    }
    text.push_str("</ul>\n");
    evidence(text, context, finding);
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "<p class=\"fix\"><b>Fix:</b> {}</p>", fix_words(fix));
    }
    text.push_str("</article>\n");
}

/// A command to copy stands out from words.
fn fix_words(fix: &str) -> String {
    if fix.starts_with("netpol ") { format!("<code>{}</code>", escape(fix)) } else { escape(fix) }
}

fn item(text: &mut String, words: &str) {
    let _ = writeln!(text, "<li>{}</li>", escape(words));
}

/// Where the needs of a finding were found.
fn evidence(text: &mut String, context: &Context<'_>, finding: &Finding) {
    if finding.needs.is_empty() {
        return;
    }
    text.push_str("<details><summary>Evidence</summary>\n<ul>\n");
    for need in &finding.needs {
        let places = places(context, &need.need);
        item(text, &format!("{} because of {places} ({})", need.need.label(), need.need.confidence.as_str()));
    }
    text.push_str("</ul>\n</details>\n");
}

/// Where a need was found, in words; the first two places.
pub(super) fn places(context: &Context<'_>, need: &Need) -> String {
    let shown = need.evidence.iter().take(2).map(|evidence| {
        format!("{} ({}) at {}", evidence.key, evidence.source, context.input.locate(evidence.span))
    });
    let mut places: Vec<String> = shown.collect();
    if let Some(more) = need.evidence.len().checked_sub(3) {
        places.push(format!("{} more", more + 1));
    }
    places.join("; ")
}

fn suppressed(text: &mut String, context: &Context<'_>) {
    let count = context.report.suppressed().count();
    if count == 0 {
        return;
    }
    let _ = writeln!(
        text,
        "<details class=\"block\"><summary>{}</summary>\n<ul class=\"problems\">",
        plural(count, "suppressed finding")
    );
    for finding in context.report.suppressed() {
        let reason = finding.suppressed.as_ref().map_or("", |why| why.reason.as_str());
        let _ = writeln!(
            text,
            "<li>{} {} ({}) – reason: {}</li>",
            finding.rule,
            escape(&finding.message),
            escape(&names(&finding.objects)),
            escape(reason)
        );
    }
    text.push_str("</ul>\n</details>\n");
}

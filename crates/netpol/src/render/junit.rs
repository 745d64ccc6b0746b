//! JUnit XML, for CI servers that show test results.

use std::fmt::Write as _;

use crate::findings::{Finding, Severity};
use crate::rules;

use super::Context;

/// One test suite; one test case per rule that found nothing, and one per finding. Errors and warnings are failures, notes
/// and suppressed findings are skipped tests with their text, input problems are errors.
#[must_use]
pub fn junit(context: &Context<'_>) -> String {
    let report = context.report;
    let mut cases = String::new();
    let mut tests = 0;
    let problems = context.problems().count();
    for problem in context.problems() {
        tests += 1;
        let place = context.input.locate(problem.span).to_string();
        let _ = writeln!(
            cases,
            "    <testcase classname=\"input\" name=\"{}\"><error message=\"{}\"/></testcase>",
            escape(&place),
            escape(&problem.message)
        );
    }
    for rule in rules::ALL {
        let found: Vec<&Finding> = report.findings.iter().filter(|finding| finding.rule == rule.id).collect();
        tests += found.len().max(1);
        if found.is_empty() {
            let _ =
                writeln!(cases, "    <testcase classname=\"{}\" name=\"{}\"/>", rule.id, escape(rule.title));
        }
        for finding in found {
            case(&mut cases, context, finding);
        }
    }
    let failures = report.count(Severity::Error) + report.count(Severity::Warning);
    let skipped = report.count(Severity::Info) + report.suppressed().count();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"netpol\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{problems}\">\n  \
         <testsuite name=\"netpol check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{problems}\" skipped=\"{skipped}\">\n    \
         <properties><property name=\"profile\" value=\"{}\"/></properties>\n{cases}  </testsuite>\n</testsuites>\n",
        escape(&context.profile())
    )
}

fn case(out: &mut String, context: &Context<'_>, finding: &Finding) {
    let place = context.input.locate(finding.span);
    let mut text = vec![place.to_string()];
    text.extend(finding.notes.iter().map(|note| note.render(context.input)));
    text.extend(finding.objects.iter().skip(1).map(|object| format!("the same holds for {object}")));
    text.extend(finding.fix.iter().map(|fix| format!("fix: {fix}")));
    let text = escape(&text.join("\n"));
    let message = escape(&finding.message);
    let name = finding.objects.first().map(ToString::to_string).unwrap_or_default();
    let body = match (&finding.suppressed, finding.severity) {
        (Some(why), _) => format!("<skipped message=\"suppressed: {}\"/>", escape(&why.reason)),
        (None, Severity::Info) => format!("<skipped message=\"{message}\"/>"),
        (None, severity) => format!("<failure type=\"{severity}\" message=\"{message}\">{text}</failure>"),
    };
    let _ = writeln!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\">{body}</testcase>",
        finding.rule,
        escape(&format!("{name}: {}", finding.message)),
        escape(place.file),
        place.line
    );
}

/// Text for XML 1.0; characters that it cannot hold are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() && c != '\t' => out.push('\u{FFFD}'),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn xml_cannot_be_broken_by_names() {
        assert_eq!(escape("a<b>&\"c\"\u{1b}"), "a&lt;b&gt;&amp;&quot;c&quot;\u{FFFD}");
    }
}

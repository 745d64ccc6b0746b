//! Workflow commands of GitHub Actions: annotations on the lines of a change.

use crate::findings::{Severity, names};

use super::Context;

/// One `::error`, `::warning` or `::notice` line per finding and per input problem, and the profile at the end.
#[must_use]
pub fn github(context: &Context<'_>) -> String {
    let mut out = String::new();
    for problem in context.problems() {
        let place = context.input.locate(problem.span);
        out.push_str(&command("error", place, "input", &problem.message));
    }
    for finding in context.report.active() {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        let mut text = vec![finding.message.clone()];
        text.extend(finding.notes.iter().map(|note| note.render(context.input)));
        if let Some(others) = finding.objects.get(1..).filter(|others| !others.is_empty()) {
            text.push(format!("the same holds for {}", names(others)));
        }
        let more: Vec<String> =
            finding.needs.iter().filter(|need| !need.in_headline).map(|need| need.need.label()).collect();
        if !more.is_empty() {
            text.push(format!("{}: {}", finding.needs_title, more.join(", ")));
        }
        if let Some(fix) = &finding.fix {
            text.push(format!("fix: {fix}"));
        }
        out.push_str(&command(word, context.input.locate(finding.span), finding.rule, &text.join("\n")));
    }
    let hidden = context.report.suppressed().count();
    out.push_str(&format!("netpol: profile {}; {hidden} findings suppressed\n", context.profile()));
    out
}

fn command(word: &str, place: crate::Location<'_>, title: &str, text: &str) -> String {
    format!(
        "::{word} file={},line={},col={},title={}::{}\n",
        property(place.file),
        place.line,
        place.column,
        property(title),
        data(text)
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{data, property};

    #[test]
    fn texts_cannot_break_out_of_the_command() {
        assert_eq!(data("a\n::error::b%"), "a%0A::error::b%25");
        assert_eq!(property("a,b:c"), "a%2Cb%3Ac");
    }
}

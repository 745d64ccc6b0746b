//! The rules: one per file, each with its documentation.

mod context;
mod shared;

mod np101;
mod np102;
mod np104;

pub use context::{CheckOptions, Report, check};

use crate::findings::Severity;
use context::{Check, Sink};

/// A rule and its documentation.
pub struct Rule {
    /// `NP101`.
    pub id: &'static str,
    /// A short name: `need-denied`.
    pub name: &'static str,
    /// How bad its findings are unless the rule or the configuration says otherwise.
    pub severity: Severity,
    /// One line.
    pub title: &'static str,
    /// What it finds.
    pub what: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// An example, as YAML.
    pub example: &'static str,
    /// What to do.
    pub fix: &'static str,
    check: fn(&Check<'_>, &mut Sink<'_>),
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// All rules, by id.
pub static ALL: &[&Rule] = &[&np101::RULE, &np102::RULE, &np104::RULE];

/// The rule with this id, in any case.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id.eq_ignore_ascii_case(id) || rule.name.eq_ignore_ascii_case(id))
}

impl Rule {
    /// The documentation as text.
    #[must_use]
    pub fn page(&self) -> String {
        let example: Vec<String> =
            self.example.trim_matches('\n').lines().map(|line| format!("    {line}")).collect();
        format!(
            "{id} {name} ({severity})\n{title}\n\nWhat it finds\n{what}\n\nWhy it matters\n{why}\n\nExample\n{example}\n\n\
             What to do\n{fix}\n\nChange its severity with --severity {id}=info|warning|error|off. Accept one finding with the \
             annotation\n    {annotation}: \"{id}: reason\"\n",
            id = self.id,
            name = self.name,
            severity = self.severity,
            title = self.title,
            what = wrap(self.what),
            why = wrap(self.why),
            example = example.join("\n"),
            fix = wrap(self.fix),
            annotation = crate::findings::ANNOTATION,
        )
    }
}

/// Breaks a paragraph into lines of at most 98 characters, indented by two.
fn wrap(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n") {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = String::from(" ");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > 98 {
                lines.push(std::mem::replace(&mut line, String::from(" ")));
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

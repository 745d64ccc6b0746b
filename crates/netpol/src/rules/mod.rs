//! The rules: one per file, each with its documentation.

mod context;
mod overlay;
mod report;
mod shared;

mod ports;
mod schedule;

mod np101;
mod np102;
mod np103;
mod np104;
mod np105;
mod np106;
mod np107;
mod np108;
mod np109;
mod np201;
mod np202;
mod np203;
mod np204;
mod np205;
mod np301;
mod np302;
mod np303;
mod np304;
mod np305;
mod np306;
mod np307;
mod np308;
mod np309;
mod np401;
mod np402;
mod np403;
mod np404;
mod np405;
mod np406;
mod np501;
mod np502;
mod np503;
mod np504;
mod np505;
mod np506;
mod np507;
mod np508;
mod np509;
mod np601;
mod np602;
mod np603;
mod np604;
mod np605;
mod np606;
mod np607;
mod np608;
mod np701;
mod np702;
mod np801;

pub use context::{CheckOptions, check};
pub use overlay::{Replaced, overlay};
pub use report::Report;

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
pub static ALL: &[&Rule] = &[
    &np101::RULE,
    &np102::RULE,
    &np103::RULE,
    &np104::RULE,
    &np105::RULE,
    &np106::RULE,
    &np107::RULE,
    &np108::RULE,
    &np109::RULE,
    &np201::RULE,
    &np202::RULE,
    &np203::RULE,
    &np204::RULE,
    &np205::RULE,
    &np301::RULE,
    &np302::RULE,
    &np303::RULE,
    &np304::RULE,
    &np305::RULE,
    &np306::RULE,
    &np307::RULE,
    &np308::RULE,
    &np309::RULE,
    &np401::RULE,
    &np402::RULE,
    &np403::RULE,
    &np404::RULE,
    &np405::RULE,
    &np406::RULE,
    &np501::RULE,
    &np502::RULE,
    &np503::RULE,
    &np504::RULE,
    &np505::RULE,
    &np506::RULE,
    &np507::RULE,
    &np508::RULE,
    &np509::RULE,
    &np601::RULE,
    &np602::RULE,
    &np603::RULE,
    &np604::RULE,
    &np605::RULE,
    &np606::RULE,
    &np607::RULE,
    &np608::RULE,
    &np701::RULE,
    &np702::RULE,
    &np801::RULE,
];

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

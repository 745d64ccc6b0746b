//! From a text to a report.

use netpol::needs::NeedsFile;
use netpol::rules::{self, CheckOptions, Report};
use netpol::{Input, Model, Options, SourceFile};

/// An input with its report.
pub struct Checked {
    pub input: Input,
    pub report: Report,
    pub options: Options,
}

/// Checks one text.
pub fn check(text: &str) -> Checked {
    check_with(vec![SourceFile::new("a.yaml", text)], Options::default(), CheckOptions::default(), None)
}

/// Checks files with options and, perhaps, a needs file.
pub fn check_with(
    files: Vec<SourceFile>,
    options: Options,
    check: CheckOptions,
    needs: Option<&str>,
) -> Checked {
    let mut input = Input::parse(files);
    let mut check = check;
    let needs = match needs {
        Some(text) => NeedsFile::read(SourceFile::new("needs.yaml", text), &mut input),
        None => NeedsFile::default(),
    };
    if check.checked_files != usize::MAX {
        let replaced = rules::overlay(&mut input, check.checked_files, &options.default_namespace);
        check.replaced = Some(replaced);
    }
    let report = {
        let model = Model::new(&input, &options);
        rules::check(&model, &needs, &check)
    };
    Checked { input, report, options }
}

impl Checked {
    /// Messages of a rule's findings that count, each with its notes and fix.
    pub fn of(&self, rule: &str) -> Vec<String> {
        let own = self.report.active().filter(|finding| finding.rule == rule);
        own.map(|finding| {
            let notes = finding.notes.iter().map(|note| note.render(&self.input));
            let lines = std::iter::once(finding.message.clone()).chain(notes).chain(finding.fix.clone());
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect()
    }

    /// The ids of all findings that count, with severity, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.report.active().map(|finding| format!("{} {}", finding.rule, finding.severity)).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The names of all objects of a rule's findings.
    pub fn names(&self, rule: &str) -> Vec<String> {
        let own = self.report.active().filter(|finding| finding.rule == rule);
        own.flat_map(|finding| finding.objects.iter().map(|object| object.name.clone())).collect()
    }

    /// The human report.
    pub fn human(&self) -> String {
        netpol::render::human(&self.context(), false)
    }

    /// What the renderers want.
    pub fn context(&self) -> netpol::render::Context<'_> {
        netpol::render::Context {
            input: &self.input,
            options: &self.options,
            report: &self.report,
            checked_files: usize::MAX,
            evidence: false,
            least: netpol::findings::Severity::Info,
        }
    }
}

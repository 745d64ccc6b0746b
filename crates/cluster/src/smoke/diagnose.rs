//! Why a pod cannot reach what it needs, from the live policies.

use netpol::needs::NeedsFile;
use netpol::rules::{self, CheckOptions, Report};
use netpol::{Input, Model, Options, render};
use serde::Serialize;

use crate::snapshot::Snapshot;

/// What the policies say about one CronJob's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// One sentence.
    pub summary: String,
    /// Whether a need is surely blocked.
    pub blocked: bool,
    /// Findings about this CronJob that can keep it from working.
    pub findings: Vec<DiagnosisFinding>,
    /// The same for people.
    #[serde(skip)]
    pub text: String,
    /// What could not be read, so that the diagnosis may be incomplete.
    pub unknown: Vec<String>,
}

/// A finding of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosisFinding {
    /// Id of the rule.
    pub rule: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The headline.
    pub message: String,
    /// Needs that are blocked or at stake.
    pub needs: Vec<String>,
    /// Which policies deny, which one is closest and what differs.
    pub notes: Vec<String>,
    /// What to do.
    pub fix: Option<String>,
}

/// Runs the rules over the snapshot and keeps what concerns the network of one CronJob.
#[must_use]
pub fn diagnose(snapshot: &Snapshot, namespace: &str, cron_job: &str, options: &Options) -> Diagnosis {
    let input = Input::parse(snapshot.files.iter().cloned());
    let model = Model::new(&input, options);
    let check = CheckOptions { fix_command: crate::fix_command(Some(namespace)), ..CheckOptions::default() };
    let mut report = rules::check(&model, &NeedsFile::default(), &check);
    report.findings.retain(|finding| {
        let about = finding.objects.iter().any(|object| {
            object.kind == "CronJob" && object.namespace == namespace && object.name == cron_job
        });
        // NP1xx: needs that are denied. NP2xx: selectors that miss. NP602: the pod does not start.
        let network = ["NP1", "NP2", "NP602"].iter().any(|start| finding.rule.starts_with(start));
        about
            && network
            && finding.suppressed.is_none()
            && finding.severity > netpol::findings::Severity::Info
    });
    crate::write_here(&mut report.findings);
    let blocked = report.active().any(|finding| finding.severity == netpol::findings::Severity::Error);
    let mut unknown: Vec<String> =
        snapshot.gaps.iter().filter(|gap| gap.essential).map(ToString::to_string).collect();
    if input.workloads.iter().all(|one| one.meta.name.value != cron_job) {
        unknown.push(format!("CronJob {namespace}/{cron_job} could not be read"));
    }
    let summary = if let Some(first) = report.findings.first() {
        first.message.clone()
    } else if unknown.is_empty() {
        "the policies allow everything that is known of its needs: the cause is elsewhere".to_owned()
    } else {
        "no policy is known to be in the way, but not everything could be read".to_owned()
    };
    Diagnosis {
        summary,
        blocked,
        findings: report.findings.iter().map(|finding| shown(finding, &input)).collect(),
        text: text(&input, options, &report),
        unknown,
    }
}

fn shown(finding: &netpol::findings::Finding, input: &Input) -> DiagnosisFinding {
    DiagnosisFinding {
        rule: finding.rule,
        severity: finding.severity.as_str(),
        message: finding.message.clone(),
        needs: finding.needs.iter().map(|need| need.need.label()).collect(),
        notes: finding.notes.iter().map(|note| note.render(input)).collect(),
        fix: finding.fix.clone(),
    }
}

/// The findings as `netpol check` shows them, without its summary.
fn text(input: &Input, options: &Options, report: &Report) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    let context = render::Context {
        input,
        options,
        report,
        checked_files: input.files.len(),
        evidence: false,
        least: netpol::findings::Severity::Warning,
    };
    let whole = render::human(&context, false);
    // Blocks are apart by empty lines; the last one is the summary of a whole check.
    let blocks: Vec<&str> = whole.trim_end().split("\n\n").collect();
    let findings: Vec<&str> = blocks
        .into_iter()
        .filter(|block| block.starts_with("error[") || block.starts_with("warning["))
        .collect();
    findings.join("\n\n")
}

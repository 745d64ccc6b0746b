//! Reports as text: for people, for machines, for code hosts and CI servers.
//!
//! All of them show the same findings; suppressed ones are marked and counted, never left out.

mod github;
mod human;
mod json;
mod junit;
mod page;
mod sarif;

pub use github::github;
pub use human::human;
pub use json::json;
pub use junit::junit;
pub use page::page;
pub use sarif::sarif;

use crate::findings::{Finding, Severity};
use crate::model::Options;
use crate::profile::DnsServer;
use crate::read::Input;
use crate::rules::Report;
use crate::source::{Problem, ProblemKind};

/// Everything a report is made from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The input, for places and source lines.
    pub input: &'a Input,
    /// The profile and the assumptions.
    pub options: &'a Options,
    /// The findings.
    pub report: &'a Report,
    /// Number of files under check.
    pub checked_files: usize,
    /// Show where each need was found (human output).
    pub evidence: bool,
    /// Findings below this severity are counted, not shown (human output).
    pub least: Severity,
}

impl<'a> Context<'a> {
    /// What could not be read at all: problems that no rule reports.
    pub fn problems(&self) -> impl Iterator<Item = &'a Problem> + use<'a> {
        self.input.problems.iter().filter(|problem| is_fatal(problem)).chain(&self.report.problems)
    }

    /// The profile in words: `kubernetes (DNS: pods k8s-app=kube-dns in kube-system, port 53; ipBlock matches pods)`.
    #[must_use]
    pub fn profile(&self) -> String {
        let profile = &self.options.profile;
        let dns = match &profile.dns {
            DnsServer::Pods { namespace, labels, port, .. } => {
                let labels: Vec<String> =
                    labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("DNS is pods {} in {namespace}, port {port}", labels.join(","))
            }
            DnsServer::Address { address, port } => format!("DNS is {address}, port {port}"),
        };
        let block = if profile.ip_block_matches_pods { "matches" } else { "does not match" };
        format!("{} ({dns}; ipBlock {block} pods)", profile.name)
    }

    /// The line of the file that a finding points at, without its indentation.
    pub(crate) fn source_line(&self, finding: &Finding) -> &'a str {
        let file = self.input.files.get(finding.span.file.0 as usize);
        file.map_or("", |file| file.line(finding.span.line)).trim()
    }
}

/// Whether a problem kept a part of the input from being read. What was read and is wrong is a finding of the rules.
#[must_use]
pub fn is_fatal(problem: &Problem) -> bool {
    matches!(problem.kind, ProblemKind::Encoding | ProblemKind::Syntax | ProblemKind::Limit)
}

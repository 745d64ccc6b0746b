//! What a check found.

use crate::findings::{Finding, Severity};
use crate::source::Problem;

/// The outcome of a check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings, worst first, then by rule and place; suppressed ones included.
    pub findings: Vec<Finding>,
    /// Annotations and needs that could not be understood.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Number of findings of a severity that count.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.active().filter(|finding| finding.severity == severity).count()
    }

    /// The findings that are not suppressed.
    pub fn active(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.suppressed.is_none())
    }

    /// The findings that are suppressed.
    pub fn suppressed(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.suppressed.is_some())
    }

    /// The worst severity that counts.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.active().map(|finding| finding.severity).max()
    }
}

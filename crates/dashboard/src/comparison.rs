//! What a comparison with the exchange came to, short enough to be told to every reader.

use pipeline::VerifyReport;
use pipeline::verify::{Finding, VerifyTotals};
use serde::Serialize;

/// Findings that are told of one job. Every reader of live state is sent them; `klines verify` lists more.
const TOLD: usize = 20;

/// The numbers of a comparison, and what it found first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// `rest` or `archive`.
    against: &'static str,
    #[serde(flatten)]
    totals: VerifyTotals,
    /// Klines that are not the same in store and source: drift, missing and unexpected together.
    differ: u64,
    findings: Vec<Told>,
    findings_left_out: u64,
}

/// A finding, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Told {
    series: String,
    #[serde(flatten)]
    finding: Finding,
}

impl Comparison {
    pub fn of(report: &VerifyReport) -> Self {
        let totals = report.totals;
        let all: u64 = report.series.iter().map(|s| s.findings.len() as u64 + s.findings_left_out).sum();
        let told = report
            .series
            .iter()
            .flat_map(|s| s.findings.iter().map(|f| Told { series: s.name(), finding: f.clone() }));
        let findings: Vec<Told> = told.take(TOLD).collect();
        Self {
            against: report.against,
            totals,
            differ: totals.drift + totals.missing + totals.unexpected,
            findings_left_out: all - findings.len() as u64,
            findings,
        }
    }
}

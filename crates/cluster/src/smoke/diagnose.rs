//! Why a pod cannot reach what it needs, from the live policies.

use netpol::findings::Severity;
use netpol::needs::NeedsFile;
use netpol::rules::{self, CheckOptions, Report};
use netpol::{Input, Model, Options, SourceFile, render};
use serde::Serialize;
use serde_json::Value;

use super::{SignKind, Trial, job_from};
use crate::api::{PODS, Select};
use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::snapshot::{self, Snapshot, documents};
use crate::value::{labels, name};

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

/// Finds out why a trial failed, while its pods are still there, and writes it into the trial.
pub async fn explain(cluster: &Cluster, cron_job: &Value, trial: &mut Trial, options: &Options) {
    match look(cluster, cron_job, trial).await {
        Ok(snapshot) => trial.diagnosis = Some(diagnose(&snapshot, trial, options)),
        Err(error) => trial.notes.push(format!("no diagnosis: {error}")),
    }
}

async fn look(cluster: &Cluster, cron_job: &Value, trial: &Trial) -> Result<Snapshot, ClusterError> {
    let mut snapshot = snapshot::take(cluster, Some(&trial.namespace)).await?;
    let selector = format!("job-name={}", trial.job);
    let select = Select { namespace: Some(&trial.namespace), labels: &selector };
    // Refused, it is one of the snapshot's gaps already.
    if let Ok(pods) = cluster.list(&PODS, select).await {
        let mut changed = changed_pods(cron_job, trial, pods.items);
        // One that still runs is in the snapshot.
        changed.retain(|pod| snapshot.files.iter().all(|known| known.name() != pod.name()));
        snapshot.files.append(&mut changed);
    }
    Ok(snapshot)
}

/// The last pod of the trial, when its labels are not those of the template: it has ended, but its labels are what the policies
/// looked at.
fn changed_pods(cron_job: &Value, trial: &Trial, pods: Vec<Value>) -> Vec<SourceFile> {
    let last = pods.into_iter().find(|pod| Some(name(pod)) == trial.pod.as_deref());
    let Some(mut pod) = last.filter(|pod| labels(pod).next().is_some()) else { return Vec::new() };
    if let Some(fields) = pod.as_object_mut() {
        fields.remove("status");
    }
    let mut job = job_from(cron_job, "");
    if let Some(metadata) = job.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".to_owned(), trial.job.clone().into());
    }
    let start = format!("cluster/{}/Pod/", trial.namespace);
    let all = documents(vec![cron_job.clone(), job, pod]);
    all.into_iter().filter(|file| file.name().starts_with(&start)).collect()
}

/// Runs the rules over the snapshot and keeps what concerns the network of the trial's CronJob and pod.
#[must_use]
pub fn diagnose(snapshot: &Snapshot, trial: &Trial, options: &Options) -> Diagnosis {
    let (namespace, cron_job) = (trial.namespace.as_str(), trial.cron_job.as_str());
    let input = Input::parse(snapshot.files.iter().cloned());
    let model = Model::new(&input, options);
    let check = CheckOptions { fix_command: crate::fix_command(Some(namespace)), ..CheckOptions::default() };
    let mut report = rules::check(&model, &NeedsFile::default(), &check);
    report.findings.retain(|finding| {
        let about = finding.objects.iter().any(|object| {
            let ours = match object.kind.as_str() {
                "CronJob" => object.name == cron_job,
                "Pod" => Some(object.name.as_str()) == trial.pod.as_deref(),
                _ => false,
            };
            ours && object.namespace == namespace
        });
        // NP1xx: needs that are denied. NP2xx: selectors that miss. NP602: the pod does not start.
        let network = ["NP1", "NP2", "NP602"].iter().any(|start| finding.rule.starts_with(start));
        about && network && finding.suppressed.is_none() && finding.severity > Severity::Info
    });
    crate::write_here(&mut report.findings);
    let mut unknown: Vec<String> =
        snapshot.gaps.iter().filter(|gap| gap.essential).map(ToString::to_string).collect();
    if input.workloads.iter().all(|one| one.meta.name.value != cron_job) {
        unknown.push(format!("CronJob {namespace}/{cron_job} could not be read"));
    }
    Diagnosis {
        summary: summary(&report, trial, unknown.is_empty()),
        blocked: report.active().any(|finding| finding.severity == Severity::Error),
        findings: report.findings.iter().map(|finding| shown(finding, &input)).collect(),
        text: text(&input, options, &report),
        unknown,
    }
}

fn summary(report: &Report, trial: &Trial, all_read: bool) -> String {
    let no_names = trial.signs.iter().any(|sign| sign.kind == SignKind::Dns);
    match report.findings.first() {
        Some(first) => first.message.clone(),
        None if !all_read => {
            "no policy is known to be in the way, but not everything could be read".to_owned()
        }
        None if no_names => "the policies allow DNS: look at the resolver (kubectl get pods -n kube-system -l k8s-app=kube-dns) and at \
                             the time that policies take to reach a new pod"
            .to_owned(),
        None => "the policies allow everything that is known of its needs: the cause is elsewhere".to_owned(),
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
        least: Severity::Warning,
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

//! How CronJobs are doing, from what the cluster still knows of their Jobs.

mod judge;

use std::collections::BTreeMap;

use jiff_kube::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::api::{CRON_JOBS, JOBS, PODS, Select};
use crate::connect::Cluster;
use crate::error::{ClusterError, ErrorKind};
use crate::value::{controller, name, namespace, pod_trouble};

pub use judge::judge;

/// How one CronJob is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CronJobStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `spec.schedule`.
    pub schedule: String,
    /// `spec.timeZone`; without one, UTC is taken.
    pub time_zone: Option<String>,
    /// `spec.suspend`.
    pub suspended: bool,
    /// Jobs that run now.
    pub active: usize,
    /// Scheduled runs that succeeded, of the Jobs kept.
    pub succeeded: usize,
    /// Scheduled runs that failed, of the Jobs kept.
    pub failed: usize,
    /// Runs that somebody started by hand; not counted above.
    pub manual: usize,
    /// Successes among the finished ones, in percent, rounded down; `null` without any.
    pub success_percent: Option<u8>,
    /// The last scheduled run.
    pub last_run: Option<Run>,
    /// When a run last succeeded.
    pub last_success: Option<String>,
    /// Starts that should have been and were not.
    pub missed: Missed,
    /// The next start; `null` when suspended.
    pub next_run: Option<String>,
    /// Whether somebody should look.
    pub failing: bool,
    /// Why, or what else is worth knowing.
    pub remarks: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Name of the Job.
    pub job: String,
    /// When it was due.
    pub scheduled: Option<String>,
    /// When it started.
    pub started: Option<String>,
    /// When it ended.
    pub finished: Option<String>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<i64>,
    /// `succeeded`, `failed` or `running`.
    pub outcome: &'static str,
    /// Why it failed; empty when it did not.
    pub reason: String,
}

/// Starts that should have been.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// How many.
    pub count: usize,
    /// There are more: only so many are counted.
    pub more: bool,
    /// The last ones, at most ten.
    pub last: Vec<String>,
}

/// Everything asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// One entry per CronJob, by namespace and name.
    pub cron_jobs: Vec<CronJobStatus>,
    /// What could not be found out.
    pub unknown: Vec<String>,
    /// Where a watch of the Jobs can go on.
    #[serde(skip)]
    pub version: String,
}

impl Status {
    /// Whether somebody should look.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.cron_jobs.iter().any(|one| one.failing)
    }
}

/// Asks for the CronJobs of a namespace (or of all) and says how they are doing. Names limit the answer; a name that does not
/// exist is an error.
///
/// # Errors
/// When CronJobs or Jobs cannot be read, or a name is unknown.
pub async fn read(
    cluster: &Cluster,
    scope: Option<&str>,
    names: &[String],
    now: Timestamp,
) -> Result<Status, ClusterError> {
    let select = Select { namespace: scope, labels: "" };
    let cron_jobs = pick(cluster.list(&CRON_JOBS, select).await?.items, names, scope)?;
    let jobs = cluster.list(&JOBS, select).await?;
    let mut owned: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for job in jobs.items {
        let Some(("CronJob", owner)) = controller(&job) else { continue };
        owned.entry((namespace(&job).to_owned(), owner.to_owned())).or_default().push(job);
    }
    let mut status = Status { cron_jobs: Vec::new(), unknown: Vec::new(), version: jobs.version };
    for cron_job in &cron_jobs {
        let key = (namespace(cron_job).to_owned(), name(cron_job).to_owned());
        let own = owned.get(&key).map(Vec::as_slice).unwrap_or_default();
        let mut one = judge(cron_job, own, now);
        add_reason(cluster, &mut one, &mut status.unknown).await?;
        status.cron_jobs.push(one);
    }
    Ok(status)
}

/// The Job says that it failed; its pods say why.
async fn add_reason(
    cluster: &Cluster,
    one: &mut CronJobStatus,
    unknown: &mut Vec<String>,
) -> Result<(), ClusterError> {
    let Some(run) = one.last_run.as_mut().filter(|run| run.outcome == "failed") else { return Ok(()) };
    let labels = format!("job-name={}", run.job);
    let select = Select { namespace: Some(&one.namespace), labels: &labels };
    match cluster.list(&PODS, select).await {
        Ok(pods) => {
            if let Some(trouble) = pods.items.iter().rev().find_map(pod_trouble) {
                run.reason = format!("{}; {}", trouble.words(), run.reason);
            }
            Ok(())
        }
        Err(error) if error.kind == ErrorKind::Refused => {
            let words =
                format!("not allowed to list pods in namespace {}: exit codes are unknown", one.namespace);
            if !unknown.contains(&words) {
                unknown.push(words);
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The CronJobs that the names mean, `name` or `namespace/name`, in order; all of them without names.
///
/// # Errors
/// When a name means none.
pub fn pick(
    mut cron_jobs: Vec<Value>,
    names: &[String],
    scope: Option<&str>,
) -> Result<Vec<Value>, ClusterError> {
    cron_jobs.sort_by(|a, b| (namespace(a), name(a)).cmp(&(namespace(b), name(b))));
    if names.is_empty() {
        return Ok(cron_jobs);
    }
    let means = |wanted: &str, one: &Value| match wanted.split_once('/') {
        Some((space, wanted)) => space == namespace(one) && wanted == name(one),
        None => wanted == name(one),
    };
    for wanted in names {
        if !cron_jobs.iter().any(|one| means(wanted, one)) {
            let place = scope.map_or("the cluster".to_owned(), |scope| format!("namespace {scope}"));
            let known: Vec<&str> = cron_jobs.iter().map(name).collect();
            let hint = if known.is_empty() {
                format!(
                    "{place} has no CronJobs: choose another with --namespace, or all with --all-namespaces"
                )
            } else {
                format!("there are: {}", known.join(", "))
            };
            let message = format!("{place} has no CronJob {wanted:?}");
            return Err(ClusterError::new(ErrorKind::NotFound, message).with_hint(hint));
        }
    }
    cron_jobs.retain(|one| names.iter().any(|wanted| means(wanted, one)));
    Ok(cron_jobs)
}

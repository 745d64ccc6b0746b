//! A trial run: a Job from a CronJob, followed to its end, and removed.
//!
//! The Job is the one that `kubectl create job --from=cronjob/NAME` would create: the template as it is, marked as started by
//! hand, owned by the CronJob. What happened is read from the server again and again; a watch only says when it is worth
//! looking, so an expired watch, a broken connection or a vanished pod cannot lose anything.

mod diagnose;
mod follow;
mod job;
mod signs;

use std::time::Duration;

use jiff_kube::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::api::JOBS;
use crate::connect::Cluster;
use crate::error::{ClusterError, ErrorKind};
use crate::value::{name, namespace};

pub use diagnose::{Diagnosis, DiagnosisFinding, diagnose, explain};
pub use job::{job_from, unique_suffix};
pub use signs::{Sign, SignKind, signs};

/// How to try.
#[derive(Clone, Debug)]
pub struct SmokeOptions {
    /// Longest wait for the end of the Job.
    pub deadline: Duration,
    /// Leave the Job and its pods.
    pub keep: bool,
    /// Lines of the log that are kept for the report.
    pub tail: usize,
}

/// What happens, as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The Job exists.
    Created {
        /// Its name.
        job: String,
    },
    /// A pod is in another phase.
    Pod {
        /// Its name.
        pod: String,
        /// The phase, and why, when that is known.
        state: String,
    },
    /// A line of a log.
    Log {
        /// The container.
        container: String,
        /// The line.
        line: String,
    },
    /// Something went wrong that does not end the trial.
    Note {
        /// What.
        text: String,
    },
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The Job succeeded.
    Passed,
    /// The Job failed, or cannot start.
    Failed,
    /// The deadline was over first.
    TimedOut,
    /// Somebody removed the Job.
    Vanished,
    /// This program was told to stop.
    Interrupted,
    /// The cluster refused or could not be asked.
    Error,
}

/// The report of one trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Namespace of the CronJob.
    pub namespace: String,
    /// Its name.
    pub cron_job: String,
    /// The Job that was created; empty when it was not.
    pub job: String,
    /// The last pod that was seen.
    pub pod: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why; empty when it passed.
    pub reason: String,
    /// What to do next, where that is known.
    pub hint: Option<String>,
    /// Exit code of the container that decided.
    pub exit_code: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The last lines of the log, as `container: line`.
    pub log: Vec<String>,
    /// What the log says about the network.
    pub signs: Vec<Sign>,
    /// What the policies say about this pod; `null` when it passed.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the Job was removed. `null` when there was none, or it was to be kept.
    pub cleaned: Option<bool>,
    /// What else is worth knowing: a log that could not be read, a Job that could not be removed.
    pub notes: Vec<String>,
}

/// How following a Job ended.
#[derive(Clone, Debug)]
struct End {
    outcome: Outcome,
    reason: String,
    hint: Option<String>,
    exit_code: Option<i64>,
    pod: Option<String>,
}

impl End {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), hint: None, exit_code: None, pod: None }
    }

    fn error(error: &ClusterError) -> Self {
        Self { hint: error.hint.clone(), ..Self::new(Outcome::Error, error.message.clone()) }
    }
}

/// Tries one CronJob. Never fails: what goes wrong is the outcome. `stop` becomes true when the program is told to stop; the Job
/// is removed then as well.
pub async fn run(
    cluster: &Cluster,
    cron_job: &Value,
    options: &SmokeOptions,
    events: &mpsc::UnboundedSender<Event>,
    stop: &watch::Receiver<bool>,
) -> Trial {
    let began = std::time::Instant::now();
    let job = job_from(cron_job, &unique_suffix(Timestamp::now()));
    let space = namespace(cron_job);
    let mut trial = Trial {
        namespace: space.to_owned(),
        cron_job: name(cron_job).to_owned(),
        job: String::new(),
        pod: None,
        outcome: Outcome::Error,
        reason: String::new(),
        hint: None,
        exit_code: None,
        duration_ms: 0,
        log: Vec::new(),
        signs: Vec::new(),
        diagnosis: None,
        cleaned: None,
        notes: Vec::new(),
    };
    if *stop.borrow() {
        trial.outcome = Outcome::Interrupted;
        "stopped before it began".clone_into(&mut trial.reason);
        return trial;
    }
    let end = match cluster.create(&JOBS, space, &job).await {
        Ok(_) => {
            name(&job).clone_into(&mut trial.job);
            let _ = events.send(Event::Created { job: trial.job.clone() });
            follow::follow(cluster, &mut trial, options, events, stop).await
        }
        Err(error) => {
            // Whether the server created it before the connection broke is not known.
            let unsure = [ErrorKind::TimedOut, ErrorKind::Unreachable, ErrorKind::Answer, ErrorKind::Server];
            if unsure.contains(&error.kind) {
                name(&job).clone_into(&mut trial.job);
            }
            End::error(&error)
        }
    };
    trial.outcome = end.outcome;
    trial.reason = end.reason;
    trial.hint = end.hint;
    trial.exit_code = end.exit_code;
    trial.pod = end.pod;
    trial.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    trial.signs = signs(&trial.log);
    trial
}

/// Removes the Job of a trial, with its pods. What was not created, or is to be kept, is left alone.
pub async fn clean_up(cluster: &Cluster, trial: &mut Trial, keep: bool) {
    if trial.job.is_empty() || keep {
        return;
    }
    match cluster.delete(&JOBS, &trial.namespace, &trial.job).await {
        Ok(()) => trial.cleaned = Some(true),
        Err(error) => {
            trial.cleaned = Some(false);
            trial.notes.push(format!(
                "the Job is still there: {}; remove it with kubectl delete job {} -n {}",
                error.message, trial.job, trial.namespace
            ));
        }
    }
}

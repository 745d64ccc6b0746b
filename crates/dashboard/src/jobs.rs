//! Jobs that are started from the dashboard.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kline::{Millis, Series};
use pipeline::Report;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::snapshot::wall_clock;

/// Jobs that are remembered.
const KEPT: usize = 20;

/// What is to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRequest {
    /// The series.
    pub series: Vec<Series>,
    /// Where to begin; without it, where the settings say.
    pub since: Option<Millis>,
}

/// Why a job could not be done.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The end of a job.
pub type Done = Result<Report, Failure>;

/// What the program does when it is asked to.
pub trait Actions: Send + Sync {
    /// Finds and fills gaps; stops after the chunk in hand when told to.
    fn fill(
        &self,
        request: FillRequest,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Done> + Send>>;
}

/// A job as it is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Job {
    id: u64,
    job: &'static str,
    series: Vec<String>,
    started: String,
    ended: Option<String>,
    /// `running`, or as a run's outcome.
    outcome: &'static str,
    written: u64,
    missing_after: u64,
    error: Option<String>,
    hint: Option<String>,
}

/// All jobs of this process, the newest last.
#[derive(Default)]
pub(crate) struct Jobs {
    jobs: Mutex<(u64, Vec<Job>)>,
    tasks: TaskTracker,
}

/// A job is running already.
#[derive(Debug)]
pub(crate) struct Busy;

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Job>)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn list(&self) -> Vec<Job> {
        self.lock().1.clone()
    }

    /// Starts a fill, unless one is running. `after` is called when it has ended.
    pub fn fill(
        self: &Arc<Self>,
        actions: &Arc<dyn Actions>,
        request: FillRequest,
        stop: CancellationToken,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<Job, Busy> {
        let job = self.begin(&request)?;
        let (this, id) = (Arc::clone(self), job.id);
        let work = actions.fill(request, stop);
        self.tasks.spawn(async move {
            this.end(id, work.await);
            after();
        });
        Ok(job)
    }

    fn begin(&self, request: &FillRequest) -> Result<Job, Busy> {
        let mut jobs = self.lock();
        if jobs.1.iter().any(|job| job.ended.is_none()) {
            return Err(Busy);
        }
        jobs.0 += 1;
        let job = Job {
            id: jobs.0,
            job: "fill-gaps",
            series: request.series.iter().map(Series::to_string).collect(),
            started: wall_clock().to_string(),
            ended: None,
            outcome: "running",
            written: 0,
            missing_after: 0,
            error: None,
            hint: None,
        };
        if jobs.1.len() == KEPT {
            jobs.1.remove(0);
        }
        jobs.1.push(job.clone());
        Ok(job)
    }

    fn end(&self, id: u64, done: Done) {
        let mut jobs = self.lock();
        let Some(job) = jobs.1.iter_mut().find(|job| job.id == id) else { return };
        job.ended = Some(wall_clock().to_string());
        match done {
            Ok(report) => {
                job.outcome = report.outcome;
                (job.written, job.missing_after) = (report.totals.written, report.totals.missing_after);
                let failed = report.series.iter().find(|s| s.error.is_some());
                job.error = failed.and_then(|s| Some(format!("{}: {}", s.name(), s.error.as_deref()?)));
                job.hint = failed.and_then(|s| s.hint.clone());
            }
            Err(failure) => {
                (job.outcome, job.error, job.hint) = ("failed", Some(failure.message), failure.hint);
            }
        }
    }

    /// Waits for jobs that were told to stop.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

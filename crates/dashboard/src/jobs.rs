//! Jobs that are started from the dashboard.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kline::{Millis, Series};
use pipeline::{Report, VerifyReport};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::comparison::Comparison;
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

/// What is to be compared with the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The series.
    pub series: Vec<Series>,
    /// Where to begin; without it, where the settings say.
    pub since: Option<Millis>,
    /// Where to end, exclusive; without it, after the last stored kline.
    pub until: Option<Millis>,
}

/// Why a job could not be done.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A job at work, and what it ends with.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// What the program does when it is asked to.
pub trait Actions: Send + Sync {
    /// Finds and fills gaps; stops after the chunk in hand when told to.
    fn fill(&self, request: FillRequest, stop: CancellationToken) -> Work<Report>;

    /// Compares every stored kline with the exchange's, and changes nothing; stops when told to.
    fn verify(&self, request: VerifyRequest, stop: CancellationToken) -> Work<VerifyReport>;
}

/// A job as it is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Job {
    id: u64,
    job: &'static str,
    series: Vec<String>,
    started: String,
    ended: Option<String>,
    /// `running`, or as a run's outcome; of a comparison, `clean`, `found` or `failed`.
    outcome: &'static str,
    written: u64,
    missing_after: u64,
    /// What a comparison came to.
    comparison: Option<Comparison>,
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

    /// Starts to fill, unless a job is running. `after` is called when it has ended.
    pub fn fill(
        self: &Arc<Self>,
        actions: &Arc<dyn Actions>,
        request: FillRequest,
        stop: CancellationToken,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<Job, Busy> {
        let job = self.begin("fill-gaps", &request.series)?;
        self.work(job.id, actions.fill(request, stop), Job::filled, after);
        Ok(job)
    }

    /// Starts to compare, unless a job is running. `after` is called when it has ended.
    pub fn verify(
        self: &Arc<Self>,
        actions: &Arc<dyn Actions>,
        request: VerifyRequest,
        stop: CancellationToken,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<Job, Busy> {
        let job = self.begin("verify", &request.series)?;
        self.work(job.id, actions.verify(request, stop), Job::compared, after);
        Ok(job)
    }

    fn begin(&self, job: &'static str, series: &[Series]) -> Result<Job, Busy> {
        let mut jobs = self.lock();
        if jobs.1.iter().any(|job| job.ended.is_none()) {
            return Err(Busy);
        }
        jobs.0 += 1;
        let job = Job {
            id: jobs.0,
            job,
            series: series.iter().map(Series::to_string).collect(),
            started: wall_clock().to_string(),
            ended: None,
            outcome: "running",
            written: 0,
            missing_after: 0,
            comparison: None,
            error: None,
            hint: None,
        };
        if jobs.1.len() == KEPT {
            jobs.1.remove(0);
        }
        jobs.1.push(job.clone());
        Ok(job)
    }

    /// Does a job to its end, and enters with `told` what it came to.
    fn work<T: 'static>(
        self: &Arc<Self>,
        id: u64,
        work: Work<T>,
        told: fn(&mut Job, &T),
        after: impl FnOnce() + Send + 'static,
    ) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let done = work.await;
            this.end(id, |job| match &done {
                Ok(report) => told(job, report),
                Err(failure) => job.failed(failure),
            });
            after();
        });
    }

    fn end(&self, id: u64, told: impl FnOnce(&mut Job)) {
        let mut jobs = self.lock();
        let Some(job) = jobs.1.iter_mut().find(|job| job.id == id) else { return };
        job.ended = Some(wall_clock().to_string());
        told(job);
    }

    /// Waits for jobs that were told to stop.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Job {
    fn filled(&mut self, report: &Report) {
        (self.written, self.missing_after) = (report.totals.written, report.totals.missing_after);
        let failed = report.series.iter().find_map(|s| Some((s.name(), s.error.clone()?, s.hint.clone())));
        self.conclude(report.outcome, failed);
    }

    fn compared(&mut self, report: &VerifyReport) {
        self.comparison = Some(Comparison::of(report));
        let failed = report.series.iter().find_map(|s| Some((s.name(), s.error.clone()?, s.hint.clone())));
        self.conclude(report.outcome, failed);
    }

    /// The outcome, and of the first series that failed: its name, why, and what to do.
    fn conclude(&mut self, outcome: &'static str, failed: Option<(String, String, Option<String>)>) {
        self.outcome = outcome;
        if let Some((series, error, hint)) = failed {
            (self.error, self.hint) = (Some(format!("{series}: {error}")), hint);
        }
    }

    fn failed(&mut self, failure: &Failure) {
        self.outcome = "failed";
        (self.error, self.hint) = (Some(failure.message.clone()), failure.hint.clone());
    }
}

//! Following a Job to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{AsyncBufReadExt, StreamExt};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{End, Event, Outcome, SmokeOptions, Trial};
use crate::api::{JOBS, PODS, Select};
use crate::connect::Cluster;
use crate::error::{ClusterError, ErrorKind};
use crate::value::{instant, items, job_end, name, pod_trouble, stuck, text};

/// Longest wait before looking again.
const LOOK: Duration = Duration::from_secs(5);
/// The same where watching is not allowed.
const POLL: Duration = Duration::from_secs(1);
/// How long logs may still arrive after the end of the Job.
const DRAIN: Duration = Duration::from_secs(5);
/// The same when the Job has not ended: its log goes on, and what is wanted is the end of this program.
const SHORT_DRAIN: Duration = Duration::from_millis(300);
/// Failures in a row that are waited out, a second each: a restart of an API server takes less.
const PATIENCE: u32 = 60;
/// Longest line of a log that is kept.
const LINE: usize = 2000;

/// A line of a log, or why there is none.
enum Line {
    Text { container: String, line: String },
    Trouble(String),
}

struct Follower<'a> {
    cluster: &'a Cluster,
    space: String,
    job: String,
    labels: String,
    events: &'a mpsc::UnboundedSender<Event>,
    phases: BTreeMap<String, String>,
    streams: BTreeSet<(String, String, i64)>,
    logs: JoinSet<()>,
    lines: mpsc::UnboundedSender<Line>,
    may_watch: bool,
    version: String,
    last_pod: Option<String>,
}

/// Follows the Job of the trial until it ends, the deadline is over, or `stop` says so.
pub(super) async fn follow(
    cluster: &Cluster,
    trial: &mut Trial,
    options: &SmokeOptions,
    events: &mpsc::UnboundedSender<Event>,
    stop: &watch::Receiver<bool>,
) -> End {
    let (lines, mut incoming) = mpsc::unbounded_channel();
    let mut follower = Follower {
        cluster,
        space: trial.namespace.clone(),
        job: trial.job.clone(),
        labels: format!("job-name={}", trial.job),
        events,
        phases: BTreeMap::new(),
        streams: BTreeSet::new(),
        logs: JoinSet::new(),
        lines,
        may_watch: true,
        version: String::new(),
        last_pod: None,
    };
    let mut stopped = stop.clone();
    let deadline = Instant::now() + options.deadline;
    let mut failures = 0;
    let end = loop {
        if *stopped.borrow() {
            break End::new(Outcome::Interrupted, "stopped before it ended");
        }
        let looked = follower.look().await;
        if let Some(end) = ended(looked, &mut failures) {
            break end;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break follower.too_late(options.deadline);
        }
        let pause = async {
            tokio::select! {
                () = follower.pause(left, failures > 0) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        };
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                Some(line) = incoming.recv() => take(trial, options, events, line),
            }
        }
    };
    let is_over = matches!(end.outcome, Outcome::Passed | Outcome::Failed);
    let longest = if is_over { DRAIN } else { SHORT_DRAIN };
    follower.drain(trial, options, &mut incoming, longest).await;
    End { pod: follower.last_pod.take(), ..end }
}

/// Whether what was seen is the end; failures in a row are counted and waited out for a while.
fn ended(looked: Result<Option<End>, ClusterError>, failures: &mut u32) -> Option<End> {
    let error = match looked {
        Ok(end) => {
            *failures = 0;
            return end;
        }
        Err(error) => error,
    };
    if error.kind == ErrorKind::NotFound {
        let reason = "the Job is gone: somebody or something removed it while it ran";
        return Some(End::new(Outcome::Vanished, reason));
    }
    *failures += 1;
    let hopeless = matches!(error.kind, ErrorKind::Refused | ErrorKind::Credentials);
    (hopeless || *failures >= PATIENCE).then(|| End::error(&error))
}

fn take(trial: &mut Trial, options: &SmokeOptions, events: &mpsc::UnboundedSender<Event>, line: Line) {
    match line {
        Line::Text { container, line } => {
            if trial.log.len() >= options.tail.max(1) {
                trial.log.remove(0);
            }
            trial.log.push(format!("{container}: {line}"));
            let _ = events.send(Event::Log { container, line });
        }
        Line::Trouble(text) => {
            if !trial.notes.contains(&text) {
                trial.notes.push(text.clone());
                let _ = events.send(Event::Note { text });
            }
        }
    }
}

impl Follower<'_> {
    /// Looks at the Job and its pods once.
    async fn look(&mut self) -> Result<Option<End>, ClusterError> {
        let job = self.cluster.get(&JOBS, &self.space, &self.job).await?;
        let select = Select { namespace: Some(&self.space), labels: &self.labels };
        let pods = self.cluster.list(&PODS, select).await?;
        self.version.clone_from(&pods.version);
        self.report_pods(&pods.items);
        let mut sorted: Vec<&Value> = pods.items.iter().collect();
        sorted.sort_by_key(|pod| instant(pod, "/metadata/creationTimestamp"));
        if let Some(end) = job_end(&job) {
            let trouble = sorted.iter().rev().find_map(|pod| pod_trouble(pod));
            let code = trouble.as_ref().and_then(|trouble| trouble.exit_code);
            if end.succeeded {
                return Ok(Some(End { exit_code: Some(0), ..End::new(Outcome::Passed, "") }));
            }
            let said =
                if end.message.is_empty() { end.reason } else { format!("{}: {}", end.reason, end.message) };
            let reason = match trouble {
                Some(trouble) => format!("{}; {said}", trouble.words()),
                None if sorted.is_empty() && self.last_pod.is_some() => format!("its pod is gone; {said}"),
                None => said,
            };
            return Ok(Some(End { exit_code: code, ..End::new(Outcome::Failed, reason) }));
        }
        Ok(sorted
            .iter()
            .rev()
            .find_map(|pod| stuck(pod))
            .map(|stuck| End::new(Outcome::Failed, stuck.words())))
    }

    fn report_pods(&mut self, pods: &[Value]) {
        for pod in pods {
            let state = state_of(pod);
            if self.phases.get(name(pod)) != Some(&state) {
                let _ = self.events.send(Event::Pod { pod: name(pod).to_owned(), state: state.clone() });
                self.phases.insert(name(pod).to_owned(), state);
            }
            self.last_pod = Some(name(pod).to_owned());
            self.start_logs(pod);
        }
        let gone: Vec<String> =
            self.phases.keys().filter(|known| !pods.iter().any(|pod| name(pod) == *known)).cloned().collect();
        for pod in gone {
            self.phases.remove(&pod);
            let text = format!("pod {pod} is gone: evicted, removed by hand, or its node was lost");
            let _ = self.lines.send(Line::Trouble(text));
        }
    }

    /// Follows the log of every container that runs or ran, each start of it once.
    fn start_logs(&mut self, pod: &Value) {
        for status in ["/status/initContainerStatuses", "/status/containerStatuses"]
            .iter()
            .flat_map(|list| items(pod, list))
        {
            let began =
                status.pointer("/state/running").or_else(|| status.pointer("/state/terminated")).is_some();
            let restarts = status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
            let container = text(status, "/name").to_owned();
            if !began || !self.streams.insert((name(pod).to_owned(), container.clone(), restarts)) {
                continue;
            }
            let cluster = self.cluster.clone();
            let (space, pod, lines) = (self.space.clone(), name(pod).to_owned(), self.lines.clone());
            self.logs.spawn(async move { stream_log(&cluster, &space, &pod, &container, &lines).await });
        }
    }

    /// Waits until it is worth looking again.
    async fn pause(&mut self, left: Duration, troubled: bool) {
        if troubled || !self.may_watch {
            return sleep(POLL.min(left)).await;
        }
        let select = Select { namespace: Some(&self.space), labels: &self.labels };
        let began = Instant::now();
        match self.cluster.wait_for_change(&PODS, select, &self.version, LOOK.min(left)).await {
            // A watch that ends at once (expired, refused by a proxy) must not become a flood of requests.
            Ok(()) => {
                if began.elapsed() < Duration::from_millis(200) {
                    sleep(Duration::from_millis(200).min(left)).await;
                }
            }
            Err(_) => self.may_watch = false,
        }
    }

    fn too_late(&self, deadline: Duration) -> End {
        let state: Vec<String> =
            self.phases.iter().map(|(pod, state)| format!("pod {pod} is {state}")).collect();
        let state = if state.is_empty() { "no pod was created".to_owned() } else { state.join(", ") };
        let end = End::new(
            Outcome::TimedOut,
            format!("not done after {} s: {state}", deadline.as_secs_f64().round()),
        );
        End { hint: Some("give it longer with --deadline".to_owned()), ..end }
    }

    /// Takes in what the logs still hold.
    async fn drain(
        &mut self,
        trial: &mut Trial,
        options: &SmokeOptions,
        incoming: &mut mpsc::UnboundedReceiver<Line>,
        longest: Duration,
    ) {
        let all = async { while self.logs.join_next().await.is_some() {} };
        if timeout(longest, all).await.is_err() {
            self.logs.shutdown().await;
        }
        while let Ok(line) = incoming.try_recv() {
            take(trial, options, self.events, line);
        }
    }
}

async fn stream_log(
    cluster: &Cluster,
    space: &str,
    pod: &str,
    container: &str,
    lines: &mpsc::UnboundedSender<Line>,
) {
    let log = match cluster.follow_log(space, pod, container).await {
        Ok(log) => log,
        Err(error) if error.kind == ErrorKind::NotFound => {
            let _ = lines
                .send(Line::Trouble(format!("the log of {container} in pod {pod} is gone with its pod")));
            return;
        }
        Err(error) => {
            let _ = lines.send(Line::Trouble(error.message));
            return;
        }
    };
    let log = std::pin::pin!(log);
    let mut split = log.lines();
    while let Some(line) = split.next().await {
        let line = match line {
            Ok(line) => line.trim_end().chars().take(LINE).collect(),
            Err(error) => {
                let text = format!("the log of {container} in pod {pod} broke off: {error}");
                let _ = lines.send(Line::Trouble(text));
                return;
            }
        };
        let _ = lines.send(Line::Text { container: container.to_owned(), line });
    }
}

/// The phase of a pod, and why it does not get on.
fn state_of(pod: &Value) -> String {
    let phase = match text(pod, "/status/phase") {
        "" => "Pending",
        phase => phase,
    };
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return format!("{phase} (being removed)");
    }
    let waiting = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .iter()
        .flat_map(|list| items(pod, list))
        .find_map(|status| status.pointer("/state/waiting").map(|waiting| text(waiting, "/reason")));
    let unschedulable = items(pod, "/status/conditions")
        .iter()
        .find(|one| text(one, "/type") == "PodScheduled" && text(one, "/status") == "False");
    match (unschedulable, waiting) {
        (Some(condition), _) => format!("{phase} (not scheduled: {})", text(condition, "/message")),
        (None, Some(reason)) if !reason.is_empty() => format!("{phase} ({reason})"),
        _ => phase.to_owned(),
    }
}

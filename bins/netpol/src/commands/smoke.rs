//! `netpol smoke`: CronJobs tried now, with a diagnosis when they fail.

use std::sync::Arc;
use std::time::Duration;

use cluster::smoke::{self, Event, Outcome, SmokeOptions, Trial};
use cluster::{CRON_JOBS, Cluster, Select, SignedDuration, status};
use netpol::{Options, Profile};
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::args::ProfileName;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::live::{self, ClusterArgs};
use crate::world::write_json;

/// Lines of a log that are kept for the report.
const TAIL: usize = 200;
/// Lines of a log that the report for people repeats.
const SHOWN: usize = 12;

/// Arguments of `netpol smoke`.
///
/// Creates a Job from each CronJob as `kubectl create job --from` does, follows its pods and logs to the end, and removes it. When
/// it fails, the policies of the namespace are judged for it: which need is blocked, by which policy, and which label is off.
///
/// The Jobs do what the CronJobs do: real work on real data.
///
/// Exit codes: 0 all succeeded, 1 one did not, 2 the cluster cannot be asked or usage wrong, 130 or 143 interrupted (the Jobs are
/// removed then as well).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol smoke --namespace shop loader
  netpol smoke -n shop --deadline 30m --parallel 4
  netpol smoke -n shop loader --keep --format json")]
pub struct Args {
    /// CronJobs: name or namespace/name [default: all of the namespace that are not suspended].
    #[arg(value_name = "CRONJOB")]
    names: Vec<String>,
    /// All of the namespace, suspended ones too.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Longest wait for each, as 90s, 10m or 1h30m.
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "TIME")]
    deadline: Duration,
    /// Leave the Jobs and their pods, to look at them.
    #[arg(long)]
    keep: bool,
    /// Jobs that run at a time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    parallel: u16,
    /// How DNS and the network plugin of the cluster behave, for the diagnosis.
    #[arg(long, value_enum, default_value_t, value_name = "PROFILE")]
    profile: ProfileName,
    /// How to print the result. What happens meanwhile is written to standard error.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    trials: Vec<Trial>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.filter(|duration| !duration.is_zero()).ok_or_else(|| "write 90s, 10m or 1h30m".to_owned())
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    live::block_on(async {
        let cluster = Cluster::connect(&args.cluster.source()).await?;
        let scope = args.cluster.scope(&cluster);
        let select = Select { namespace: scope, labels: "" };
        let found = cluster.list(&CRON_JOBS, select).await?.items;
        let mut picked = status::pick(found, &args.names, scope)?;
        if args.names.is_empty() && !args.all {
            leave_out_suspended(&mut picked, io)?;
        }
        if picked.is_empty() {
            return Err(Failure::new(format!(
                "there are no CronJobs to try in {}",
                live::place(&cluster, scope)
            )));
        }
        writeln!(io.err, "Trying {} CronJobs in {}.", picked.len(), live::place(&cluster, scope))?;
        let (stop, stopped) = watch::channel(false);
        let signals = tokio::spawn(wait_for_signal(stop));
        let trials = try_all(args, &cluster, picked, &stopped, io).await?;
        let interrupted = *stopped.borrow();
        signals.abort();
        let code = if interrupted { signals.await.unwrap_or(130) } else { 0 };
        finish(args, trials, code, io)
    })
}

/// What somebody has suspended is not started unasked.
fn leave_out_suspended(cron_jobs: &mut Vec<Value>, io: &mut Io) -> Result<(), Failure> {
    let is_suspended = |one: &mut Value| one.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    for left_out in cron_jobs.extract_if(.., is_suspended) {
        let name = left_out.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        writeln!(io.err, "note: {name} is suspended and left out; name it, or give --all")?;
    }
    Ok(())
}

/// Tells everyone to stop at the first signal; ends with the exit code for it.
async fn wait_for_signal(stop: watch::Sender<bool>) -> u8 {
    let one = async |kind: SignalKind| match signal(kind) {
        Ok(mut signal) => signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    let code = tokio::select! {
        _ = one(SignalKind::interrupt()) => 130,
        _ = one(SignalKind::terminate()) => 143,
        _ = one(SignalKind::hangup()) => 129,
    };
    let _ = stop.send(true);
    code
}

async fn try_all(
    args: &Args,
    cluster: &Cluster,
    cron_jobs: Vec<Value>,
    stopped: &watch::Receiver<bool>,
    io: &mut Io,
) -> Result<Vec<Trial>, Failure> {
    let options = SmokeOptions { deadline: args.deadline, keep: args.keep, tail: TAIL };
    let profile = Profile::by_name(args.profile.as_str()).unwrap_or_default();
    let places = Arc::new(Semaphore::new(usize::from(args.parallel)));
    let (sender, mut events) = mpsc::unbounded_channel::<(String, Event)>();
    let mut running = JoinSet::new();
    for (index, cron_job) in cron_jobs.into_iter().enumerate() {
        let (cluster, options, profile) = (cluster.clone(), options.clone(), profile.clone());
        let (places, stopped, sender) = (Arc::clone(&places), stopped.clone(), sender.clone());
        running.spawn(async move {
            let _place = places.acquire().await;
            let options = &options;
            (index, try_one(&cluster, &cron_job, options, profile, &sender, &stopped).await)
        });
    }
    drop(sender);
    while let Some((name, event)) = events.recv().await {
        // When nobody reads along any more, the Jobs still have to be removed.
        let _ = tell(&name, &event, io);
    }
    let mut trials = Vec::new();
    while let Some(done) = running.join_next().await {
        trials.push(done.map_err(|error| Failure::new(format!("a trial broke off: {error}")))?);
    }
    trials.sort_by_key(|(index, _)| *index);
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}

async fn try_one(
    cluster: &Cluster,
    cron_job: &Value,
    options: &SmokeOptions,
    profile: Profile,
    sender: &mpsc::UnboundedSender<(String, Event)>,
    stopped: &watch::Receiver<bool>,
) -> Trial {
    let name = cron_job.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (own, mut events) = mpsc::unbounded_channel();
    let to_all = sender.clone();
    let forward = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let _ = to_all.send((name.clone(), event));
        }
    });
    let mut trial = smoke::run(cluster, cron_job, options, &own, stopped).await;
    if matches!(trial.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Vanished) {
        let options = Options { profile, default_namespace: trial.namespace.clone(), ..Options::default() };
        smoke::explain(cluster, cron_job, &mut trial, &options).await;
    }
    smoke::clean_up(cluster, &mut trial, options.keep).await;
    drop(own);
    let _ = forward.await;
    trial
}

fn tell(name: &str, event: &Event, io: &mut Io) -> Result<(), Failure> {
    match event {
        Event::Created { job } => writeln!(io.err, "[{name}] job {job} created")?,
        Event::Pod { pod, state } => writeln!(io.err, "[{name}] pod {pod}: {state}")?,
        Event::Log { container, line } => writeln!(io.err, "[{name}] {container} | {line}")?,
        Event::Note { text } => writeln!(io.err, "[{name}] note: {text}")?,
    }
    Ok(())
}

fn finish(args: &Args, trials: Vec<Trial>, signal: u8, io: &mut Io) -> Result<Exit, Failure> {
    let passed = trials.iter().filter(|trial| trial.outcome == Outcome::Passed).count();
    let error = trials.iter().any(|trial| trial.outcome == Outcome::Error);
    let report = Report { passed, failed: trials.len() - passed, trials };
    match args.format {
        Format::Json => write_json(io, &report)?,
        Format::Human => {
            for trial in &report.trials {
                human(trial, io)?;
            }
            writeln!(io.out, "{passed} of {} succeeded", report.trials.len())?;
        }
    }
    Ok(match signal {
        0 if error => Exit::InputProblems,
        0 if report.failed > 0 => Exit::Findings,
        0 => Exit::Clean,
        code => Exit::Interrupted(code),
    })
}

fn human(trial: &Trial, io: &mut Io) -> Result<(), Failure> {
    let (word, color) = match trial.outcome {
        Outcome::Passed => ("PASSED", "32"),
        Outcome::Failed => ("FAILED", "31;1"),
        Outcome::TimedOut => ("TIMED OUT", "31;1"),
        Outcome::Vanished => ("VANISHED", "31;1"),
        Outcome::Interrupted => ("INTERRUPTED", "33"),
        Outcome::Error => ("ERROR", "31;1"),
    };
    let word = if io.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
    let seconds = trial.duration_ms as f64 / 1000.0;
    writeln!(io.out, "{word} {}/{} after {seconds:.1} s", trial.namespace, trial.cron_job)?;
    if !trial.reason.is_empty() {
        writeln!(io.out, "  {}", trial.reason)?;
    }
    if let Some(hint) = &trial.hint {
        writeln!(io.out, "  hint: {hint}")?;
    }
    if trial.outcome != Outcome::Passed {
        let from = trial.log.len().saturating_sub(SHOWN);
        for line in trial.log.iter().skip(from) {
            writeln!(io.out, "  | {line}")?;
        }
        for sign in &trial.signs {
            writeln!(io.out, "  log: {}", sign.meaning)?;
        }
    }
    if let Some(diagnosis) = &trial.diagnosis {
        if diagnosis.text.is_empty() {
            writeln!(io.out, "  policies: {}", diagnosis.summary)?;
        }
        for line in diagnosis.text.lines() {
            writeln!(io.out, "  {line}")?;
        }
        for unknown in &diagnosis.unknown {
            writeln!(io.out, "  unknown: {unknown}")?;
        }
    }
    for note in &trial.notes {
        writeln!(io.out, "  note: {note}")?;
    }
    if trial.cleaned.is_none() && !trial.job.is_empty() {
        writeln!(io.out, "  kept: job {} in namespace {}", trial.job, trial.namespace)?;
    }
    Ok(())
}

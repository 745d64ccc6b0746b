//! `netpol status`: how the CronJobs are doing.

use std::time::Duration;

use cluster::status::{self, CronJobStatus, Status};
use cluster::{Cluster, JOBS, Select, Timestamp};

use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::live::{self, ClusterArgs};
use crate::table::Table;
use crate::world::write_json;

/// Longest wait before a watched table is drawn again: missed starts show without any event.
const REDRAW: Duration = Duration::from_secs(30);
/// Least time between two tables.
const CALM: Duration = Duration::from_millis(500);

/// Columns that a narrow terminal goes without, the least missed first.
const SPARE: [&str; 6] = ["NEXT RUN", "SCHEDULE", "OK", "FAILED", "MISSED", "LAST RUN"];

/// Arguments of `netpol status`.
///
/// Success and failure of the runs that the cluster still keeps, the last run with its reason, missed starts and the next one.
/// A CronJob is failing when its last finished run failed, or when none succeeded within two periods of its schedule.
///
/// Exit codes: 0 none is failing, 1 one is, 2 the cluster cannot be asked or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol status
  netpol status --namespace shop loader
  netpol status --all-namespaces --watch")]
pub struct Args {
    /// CronJobs: name or namespace/name [default: all of the namespace].
    #[arg(value_name = "CRONJOB")]
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Show it again whenever something changes, until interrupted.
    #[arg(long, short)]
    watch: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs; with --watch one line for each time.
    Json,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    live::block_on(async {
        let cluster = Cluster::connect(&args.cluster.source()).await?;
        let scope = args.cluster.scope(&cluster);
        let status = status::read(&cluster, scope, &args.names, Timestamp::now()).await?;
        print(args, &cluster, &status, io)?;
        if args.watch {
            watch(args, &cluster, status.version.clone(), io).await?;
        }
        Ok(if status.is_failing() { Exit::Findings } else { Exit::Clean })
    })
}

/// Draws again and again. A failure in between is told and waited out: the cluster may be back in a moment.
async fn watch(args: &Args, cluster: &Cluster, mut version: String, io: &mut Io) -> Result<(), Failure> {
    let scope = args.cluster.scope(cluster);
    let select = Select { namespace: scope, labels: "" };
    loop {
        if let Err(error) = cluster.wait_for_change(&JOBS, select, &version, REDRAW).await {
            writeln!(io.err, "warning: {error}: looking every {} s instead", REDRAW.as_secs())?;
            tokio::time::sleep(REDRAW).await;
        }
        tokio::time::sleep(CALM).await;
        match status::read(cluster, scope, &args.names, Timestamp::now()).await {
            Ok(status) => {
                version.clone_from(&status.version);
                if io.color && args.format == Format::Human {
                    // Clear the screen, cursor to its top.
                    io.out.write_all(b"\x1b[2J\x1b[H")?;
                }
                print(args, cluster, &status, io)?;
            }
            Err(error) => {
                writeln!(io.err, "warning: {error}")?;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

fn print(args: &Args, cluster: &Cluster, status: &Status, io: &mut Io) -> Result<(), Failure> {
    match args.format {
        Format::Json if args.watch => {
            serde_json::to_writer(&mut io.out, status).map_err(std::io::Error::from)?;
            writeln!(io.out)?;
        }
        Format::Json => write_json(io, status)?,
        Format::Human => human(cluster, args.cluster.scope(cluster), status, io)?,
    }
    Ok(io.out.flush()?)
}

fn human(cluster: &Cluster, scope: Option<&str>, status: &Status, io: &mut Io) -> Result<(), Failure> {
    writeln!(io.out, "{}, {}", live::place(cluster, scope), short(&Timestamp::now().to_string()))?;
    if status.cron_jobs.is_empty() {
        writeln!(io.out, "There are no CronJobs.")?;
    }
    let headers =
        ["CRONJOB", "STATE", "SCHEDULE", "OK", "FAILED", "RATE", "LAST RUN", "OUTCOME", "MISSED", "NEXT RUN"];
    let mut table = Table::new(&headers);
    for one in &status.cron_jobs {
        table.row(row(one, scope));
    }
    if !status.cron_jobs.is_empty() {
        let gone = table.fit(io.width, &SPARE);
        table.write(&mut io.out, io.color, paint)?;
        if !gone.is_empty() {
            writeln!(io.out, "(no room for {})", gone.join(", ").to_lowercase())?;
        }
    }
    for one in status.cron_jobs.iter().filter(|one| one.failing || !one.remarks.is_empty()) {
        details(one, io)?;
    }
    for unknown in &status.unknown {
        writeln!(io.out, "unknown: {unknown}")?;
    }
    let failing = status.cron_jobs.iter().filter(|one| one.failing).count();
    match (failing, status.cron_jobs.len()) {
        (_, 0) => {}
        (0, all) => writeln!(io.out, "\nnone of {all} is failing")?,
        (failing, all) => writeln!(io.out, "\n{failing} of {all} failing")?,
    }
    Ok(())
}

fn row(one: &CronJobStatus, scope: Option<&str>) -> Vec<String> {
    let name = if scope.is_some() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
    let schedule = match &one.time_zone {
        Some(zone) => format!("{} {zone}", one.schedule),
        None => one.schedule.clone(),
    };
    let dash = || "-".to_owned();
    let last = one.last_run.as_ref();
    vec![
        name,
        if one.failing {
            "FAILING"
        } else if one.suspended {
            "suspended"
        } else {
            "ok"
        }
        .to_owned(),
        schedule,
        one.succeeded.to_string(),
        one.failed.to_string(),
        one.success_percent.map_or_else(dash, |percent| format!("{percent}%")),
        last.and_then(|run| run.started.as_ref().or(run.scheduled.as_ref()))
            .map_or_else(dash, |at| short(at)),
        last.map_or_else(dash, |run| run.outcome.to_owned()),
        format!("{}{}", one.missed.count, if one.missed.more { "+" } else { "" }),
        one.next_run.as_ref().map_or_else(dash, |at| short(at)),
    ]
}

fn details(one: &CronJobStatus, io: &mut Io) -> Result<(), Failure> {
    writeln!(io.out, "\n{}/{}", one.namespace, one.name)?;
    for remark in &one.remarks {
        writeln!(io.out, "  {remark}")?;
    }
    if let Some(run) = one.last_run.as_ref().filter(|run| !run.reason.is_empty()) {
        writeln!(io.out, "  {}: {}", run.job, run.reason)?;
    }
    if !one.missed.last.is_empty() {
        let starts: Vec<String> = one.missed.last.iter().map(|at| short(at)).collect();
        writeln!(io.out, "  missed: {}", starts.join(", "))?;
    }
    if one.failing {
        writeln!(io.out, "  next: netpol audit -n {0}, netpol smoke -n {0} {1}", one.namespace, one.name)?;
    }
    Ok(())
}

/// `2026-11-24 02:50`: all times are UTC.
fn short(instant: &str) -> String {
    instant.get(..16).unwrap_or(instant).replace('T', " ") + "Z"
}

fn paint(line: &str, color: bool) -> String {
    if !color {
        return line.to_owned();
    }
    line.replacen(" FAILING ", " \x1b[31;1mFAILING\x1b[0m ", 1).replacen(" ok ", " \x1b[32mok\x1b[0m ", 1)
}

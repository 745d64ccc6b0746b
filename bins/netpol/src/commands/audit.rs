//! `netpol audit`: every rule over the live cluster, and where it differs from the manifests.

use std::cmp::Reverse;
use std::path::PathBuf;

use cluster::drift::{self, Comparison, Manifests};
use cluster::snapshot::{self, Snapshot};
use cluster::{Cluster, fix_command, write_here};
use netpol::needs::NeedsFile;
use netpol::rules::{self, Replaced, Report};
use netpol::{Input, Model, Options, Profile, render};
use serde_json::{Value, json};

use crate::args::{ProfileName, WorldArgs};
use crate::commands::Exit;
use crate::commands::check::{self, CheckArgs, Format, Least};
use crate::failure::Failure;
use crate::io::Io;
use crate::live::{self, ClusterArgs};
use crate::load;

/// Arguments of `netpol audit`.
///
/// Reads only. Templates of CronJobs are judged as if a pod existed. With manifests, differences between them and the cluster
/// are findings of rule NP702. What the cluster does not let you read is said on standard error, with what is unknown because
/// of it.
///
/// Exit codes: 0 clean, 1 findings, 2 the cluster cannot be asked, usage wrong, or too little could be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol audit --namespace shop
  netpol audit --all-namespaces --format json
  netpol audit --context prod -n shop k8s/")]
pub struct Args {
    /// Manifests to compare the cluster with: files, folders, or - for standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    check: CheckArgs,
    /// Namespaces that are taken to have a default-deny policy for both directions.
    #[arg(long, value_name = "NS", value_delimiter = ',', help_heading = "World")]
    assume_default_deny: Vec<String>,
    /// How DNS and the network plugin of the cluster behave.
    #[arg(long, value_enum, default_value_t, value_name = "PROFILE", help_heading = "World")]
    profile: ProfileName,
    /// Needs and prohibitions of workloads that the objects do not tell.
    #[arg(long, value_name = "FILE", help_heading = "World")]
    needs: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let (cluster, snapshot) = live::block_on(async {
        let cluster = Cluster::connect(&args.cluster.source()).await?;
        writeln!(io.err, "Reading {}.", live::place(&cluster, args.cluster.scope(&cluster)))?;
        let snapshot = snapshot::take(&cluster, args.cluster.scope(&cluster)).await?;
        Ok((cluster, snapshot))
    })?;
    let scope = args.cluster.scope(&cluster);
    exists(&snapshot, scope)?;
    for gap in &snapshot.gaps {
        let word = if gap.essential { "warning" } else { "note" };
        writeln!(io.err, "{word}: {gap}")?;
    }
    let options = Options {
        profile: Profile::by_name(args.profile.as_str()).unwrap_or_default(),
        default_namespace: scope.unwrap_or(&cluster.namespace).to_owned(),
        assume_default_deny: args.assume_default_deny.clone(),
        // Everything that exists was read, so what is not there does not exist.
        complete: scope.is_none() && snapshot.gaps.iter().all(|gap| gap.resource == "secrets"),
        ..Options::default()
    };
    let (input, report) = judge(args, &snapshot, scope, &options)?;
    let context = render::Context {
        input: &input,
        options: &options,
        report: &report,
        checked_files: snapshot.files.len(),
        evidence: args.check.evidence,
        least: least(args.check.show),
    };
    print(&context, args, &cluster, &snapshot, io)?;
    let exit = check::exit(&input, &report, args.check.rules.fail_on);
    if exit == Exit::Clean && snapshot.is_doubtful() {
        writeln!(io.err, "error: too little could be read to call this clean: see the warnings above")?;
        return Ok(Exit::InputProblems);
    }
    Ok(exit)
}

/// A namespace that does not exist is as empty as one without objects, and nearly always a typing error.
fn exists(snapshot: &Snapshot, scope: Option<&str>) -> Result<(), Failure> {
    let Some(scope) = scope.filter(|_| snapshot.complete.contains("Namespace")) else { return Ok(()) };
    let names = snapshot.files.iter().filter_map(|file| file.name().strip_prefix("cluster/Namespace/"));
    let names: Vec<&str> = names.collect();
    if names.contains(&scope) {
        return Ok(());
    }
    Err(Failure::new(format!("the cluster has no namespace {scope:?}"))
        .with_hint(format!("there are: {}", names.join(", "))))
}

fn judge(
    args: &Args,
    snapshot: &Snapshot,
    scope: Option<&str>,
    options: &Options,
) -> Result<(Input, Report), Failure> {
    let live_files = snapshot.files.len();
    let mut files = snapshot.files.clone();
    let mut command = fix_command(scope);
    if !args.paths.is_empty() {
        files.extend(load::load_paths(&args.paths, &WorldArgs::default())?.input.files);
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        command = format!("netpol fix {}", paths.join(" "));
    }
    let mut input = Input::parse(files);
    let needs = args.needs.as_deref().map(load::read_file).transpose()?;
    let needs = needs.map(|source| NeedsFile::read(source, &mut input)).unwrap_or_default();
    let manifests = Manifests::take(&mut input, live_files);
    let mut check = args.check.rules.check_options(live_files, Replaced::default(), command)?;
    check.replaced = None;
    let mut report = rules::check(&Model::new(&input, options), &needs, &check);
    write_here(&mut report.findings);
    if !args.paths.is_empty() {
        let with = Comparison {
            input: &input,
            live_files,
            scope,
            default_namespace: &options.default_namespace,
            complete: &snapshot.complete,
        };
        report.findings.extend(drift::configured(
            manifests.compare(&with),
            &check.severities,
            &check.ignores,
        ));
        report.findings.sort_by_key(|finding| (Reverse(finding.severity), finding.rule, finding.span));
    }
    Ok((input, report))
}

fn least(show: Least) -> netpol::findings::Severity {
    match show {
        Least::Error => netpol::findings::Severity::Error,
        Least::Warning => netpol::findings::Severity::Warning,
        Least::Info => netpol::findings::Severity::Info,
    }
}

fn print(
    context: &render::Context<'_>,
    args: &Args,
    cluster: &Cluster,
    snapshot: &Snapshot,
    io: &mut Io,
) -> Result<(), Failure> {
    let text = match args.check.format {
        Format::Human => render::human(context, io.color),
        Format::Json => with_cluster(&render::json(context), args, cluster, snapshot)?,
        Format::Sarif => render::sarif(context),
        Format::Github => render::github(context),
        Format::Junit => render::junit(context),
    };
    io.out.write_all(text.as_bytes())?;
    Ok(io.out.flush()?)
}

/// The report of a check, with where it comes from and what could not be read.
fn with_cluster(
    report: &str,
    args: &Args,
    cluster: &Cluster,
    snapshot: &Snapshot,
) -> Result<String, Failure> {
    let mut report: Value = serde_json::from_str(report).map_err(std::io::Error::from)?;
    report["cluster"] = json!({
        "server": cluster.server,
        "context": cluster.context,
        "namespace": args.cluster.scope(cluster),
        "objects": snapshot.objects,
        "refused": snapshot.gaps,
    });
    let mut text = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
    text.push('\n');
    Ok(text)
}

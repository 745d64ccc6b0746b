//! `netpol prove`: every need tried with real packets.

use std::path::PathBuf;

use netpol::explain::find_workload;
use packet_proof::{Launcher, ProofError, helper_main, rights, run as send, trial};

use crate::args::WorldArgs;
use crate::commands::Exit;
use crate::commands::explain::not_found;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::{World, write_json};

/// The hidden command through which this program starts itself inside namespaces.
const HELPER: &str = "packet-helper";

/// Arguments of `netpol prove`.
///
/// A namespace stands for each pod, resolver and outside machine; the policies are loaded as kernel rules, and every need is
/// tried between real sockets. Not tried: the translation of a Service's address, which is the network plugin's (packets go
/// to the pods, whose port is what policies see), and IPv6 beside IPv4, which the manifests do not tell.
///
/// Exit codes: 0 every need gets through and kernel and engine agree, 1 a need is blocked or they disagree, 2 input or
/// usage wrong, or this machine cannot do it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol prove k8s/ --from loader
  netpol prove k8s/ --all --format json")]
pub struct Args {
    /// Manifests: files, folders (searched recursively for .yaml, .yml and .json), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A workload to try: name, namespace/name, kind/name or kind/namespace/name. May be given several times.
    #[arg(long, value_name = "WORKLOAD", required_unless_present = "all", conflicts_with = "all")]
    from: Vec<String>,
    /// Try all workloads.
    #[arg(long)]
    all: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    world: WorldArgs,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// Arguments of the helper.
#[derive(Debug, clap::Args)]
pub struct HelperArgs {
    role: String,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let world = World::load(&args.paths, &args.world, io)?;
    let model = world.model();
    let needs = world.needs();
    let workloads = if args.all {
        (0..world.input.workloads.len()).collect()
    } else {
        let found = args.from.iter().map(|name| find_workload(&model, name).map_err(not_found));
        found.collect::<Result<Vec<_>, _>>()?
    };
    if workloads.is_empty() {
        return Err(Failure::new("the files hold no workload to try"));
    }
    if workloads.iter().all(|id| needs.get(*id).is_none_or(|own| own.needs.is_empty())) {
        return Err(Failure::new("nothing is known of what these workloads need: there is nothing to try")
            .with_hint(
                "declare needs with the annotation netpol.binance-extractor.dev/needs or with --needs FILE",
            ));
    }
    let rights = rights().map_err(failed)?;
    let trial = trial::prepare(&model, &needs, &workloads);
    let launcher = launcher()?;
    writeln!(io.err, "Building {} network namespaces ({rights}).", trial.plan.nodes.len())?;
    let proof = trial.judge(&send(&trial.plan, &launcher).map_err(failed)?);
    match args.format {
        Format::Human => write!(io.out, "{}", trial::human(&proof))?,
        Format::Json => write_json(io, &proof)?,
    }
    let good = proof.mismatches == 0 && proof.blocked == 0;
    Ok(world.exit(if good { Exit::Clean } else { Exit::Findings }))
}

/// Runs the helper.
pub fn run_helper(args: &HelperArgs) -> Result<Exit, Failure> {
    helper_main(&args.role, &launcher()?).map(|()| Exit::Clean).map_err(Failure::new)
}

fn launcher() -> Result<Launcher, Failure> {
    Launcher::current(&[HELPER])
        .map_err(|error| Failure::new(format!("cannot find the program that is running: {error}")))
}

fn failed(error: ProofError) -> Failure {
    match error {
        ProofError::Cannot { reason, remedy } => {
            Failure::new(format!("this machine cannot send the packets: {reason}")).with_hint(remedy)
        }
        other => Failure::new(other.to_string()),
    }
}

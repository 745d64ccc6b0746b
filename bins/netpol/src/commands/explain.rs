//! `netpol explain`: the verdict on one connection, and the reason.

use std::path::PathBuf;

use netpol::explain::{self, FindError};

use crate::args::WorldArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::{World, write_json};

/// Arguments of `netpol explain`.
///
/// Exit codes: 0 allowed, 1 denied or unknown, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol explain k8s/ --from loader --to api.example.com:443
  netpol explain k8s/ --from CronJob/shop/loader --to dns
  netpol explain k8s/ --from web --to 10.0.0.1:53/UDP")]
pub struct Args {
    /// Manifests: files, folders (searched recursively for .yaml, .yml and .json), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The sender: a workload as name, namespace/name, kind/name or kind/namespace/name.
    #[arg(long, value_name = "WORKLOAD")]
    from: String,
    /// The receiver: a host with its port, a Service, a workload with or without a port, a need as reports name it
    /// (mysql:3306), or dns. A protocol may follow: 10.0.0.1:53/UDP.
    #[arg(long, value_name = "HOST:PORT|WORKLOAD[:PORT]")]
    to: String,
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

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let world = World::load(&args.paths, &args.world, io)?;
    let model = world.model();
    let from = explain::find_workload(&model, &args.from).map_err(not_found)?;
    let explanation = explain::explain(&model, &world.needs(), from, &args.to).map_err(not_found)?;
    match args.format {
        Format::Human => write!(io.out, "{}", explain::human(&explanation))?,
        Format::Json => write_json(io, &explanation)?,
    }
    // An answer that the files do not give is no clean one.
    Ok(world.exit(if explanation.verdict == "allowed" { Exit::Clean } else { Exit::Findings }))
}

/// A name that means nothing, or too much.
pub fn not_found(error: FindError) -> Failure {
    let failure = Failure::new(error.message);
    match error.hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

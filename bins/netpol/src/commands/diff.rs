//! `netpol diff`: which connections a change opens and closes.

use std::path::PathBuf;

use netpol::changes::{self, Changes};

use crate::args::WorldArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::{World, write_json};

/// Arguments of `netpol diff`.
///
/// Exit codes: 0 no connection is opened or closed, 1 some is, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol diff before/ after/
  git show HEAD~:k8s/policies.yaml | netpol diff - k8s/policies.yaml --context k8s/workloads/")]
pub struct Args {
    /// Manifests before the change: a file, a folder, or - for standard input.
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// Manifests after the change.
    #[arg(value_name = "AFTER")]
    after: PathBuf,
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
    let stdin = |path: &PathBuf| path.as_os_str() == "-";
    if stdin(&args.before) && stdin(&args.after) {
        return Err(Failure::new("standard input can be one of the two sides, not both")
            .with_hint("write one side to a file, as in: git show HEAD~:k8s.yaml | netpol diff - k8s.yaml"));
    }
    let before = World::load(std::slice::from_ref(&args.before), &args.world, io)?;
    let after = World::load(std::slice::from_ref(&args.after), &args.world, io)?;
    let changes = Changes::new(&before.model(), &after.model());
    match args.format {
        Format::Human => write!(io.out, "{}", changes::human(&changes))?,
        Format::Json => write_json(io, &changes)?,
    }
    let exit = if changes.equal { Exit::Clean } else { Exit::Findings };
    Ok(after.exit(before.exit(exit)))
}

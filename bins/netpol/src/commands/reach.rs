//! `netpol reach`: all allowed connections.

use netpol::reach_render::{ReachReport, dot, html, svg, table};

use crate::args::InputArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::{World, write_json};

/// Arguments of `netpol reach`.
///
/// Exit codes: 0 done, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol reach k8s/
  netpol reach k8s/ --format html > reach.html
  netpol reach k8s/ --format dot | dot -Tsvg > reach.svg")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// A table for the terminal.
    #[default]
    Table,
    /// For programs.
    Json,
    /// A graph for Graphviz.
    Dot,
    /// A drawing.
    Svg,
    /// One self-contained page with a matrix, a graph and a list.
    Html,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let world = World::load(&args.input.paths, &args.input.world, io)?;
    let report = ReachReport::new(&world.model());
    match args.format {
        Format::Table => write!(io.out, "{}", table(&report))?,
        Format::Json => write_json(io, &report)?,
        Format::Dot => write!(io.out, "{}", dot(&report))?,
        Format::Svg => write!(io.out, "{}", svg(&report))?,
        Format::Html => write!(io.out, "{}", html(&report))?,
    }
    Ok(world.exit(Exit::Clean))
}

//! `netpol check`: every rule over every workload and policy.

use crate::args::InputArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::load;

/// Arguments of `netpol check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let loaded = load::load(&args.input)?;
    for problem in &loaded.input.problems {
        writeln!(io.err, "{}: {}", loaded.input.locate(problem.span), problem.message)?;
    }
    Ok(if loaded.input.problems.is_empty() { Exit::Clean } else { Exit::InputProblems })
}

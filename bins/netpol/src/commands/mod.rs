//! The commands, one module each.
//!
//! To add one: a module here with `pub struct Args` (clap) and `pub fn run(&Args, &mut Io) -> Result<Exit, Failure>`,
//! a variant of [`Command`] and a line in [`run`].

mod check;
mod rules;

use crate::failure::Failure;
use crate::io::Io;

/// How a command ended, when it could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to report.
    Clean,
    /// Findings, a denied verdict, a difference.
    Findings,
    /// The work was done, but some input could not be read.
    InputProblems,
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::InputProblems => 2,
        }
    }
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Every rule over every workload and policy.
    Check(check::Args),
    /// The rules, or the documentation of one.
    Rules(rules::Args),
}

/// Runs a command.
pub fn run(command: &Command, io: &mut Io) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check::run(args, io),
        Command::Rules(args) => rules::run(args, io),
    }
}

//! `netpol rules`: the rules, or the documentation of one.

use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Arguments of `netpol rules`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of a rule, such as NP103.
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, _io: &mut Io) -> Result<Exit, Failure> {
    match &args.id {
        Some(id) => Err(Failure::new(format!("there is no rule {id}"))),
        None => Ok(Exit::Clean),
    }
}

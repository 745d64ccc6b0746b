//! `netpol rules`: the rules, or the documentation of one.

use netpol::rules;

use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Arguments of `netpol rules`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol rules
  netpol rules NP103")]
pub struct Args {
    /// Id or name of a rule, such as NP103.
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let Some(id) = &args.id else {
        for rule in rules::ALL {
            writeln!(io.out, "{}  {:<8} {:<28} {}", rule.id, rule.severity.as_str(), rule.name, rule.title)?;
        }
        return Ok(Exit::Clean);
    };
    let rule = rules::find(id)
        .ok_or_else(|| Failure::new(format!("there is no rule {id}")).with_hint("netpol rules lists them"))?;
    io.out.write_all(rule.page().as_bytes())?;
    Ok(Exit::Clean)
}

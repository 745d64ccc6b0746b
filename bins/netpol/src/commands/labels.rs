//! `netpol labels`: the label conventions as a document.

use std::fs;
use std::path::{Component, Path, PathBuf};

use netpol::labels::document;

use crate::args::InputArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::World;

/// Lines of difference shown when the document is stale.
const SHOWN: usize = 24;

/// Arguments of `netpol labels`.
///
/// Exit codes: 0 done or up to date, 1 the document is stale, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol labels k8s/ --write docs/labels.md
  netpol labels k8s/ --check docs/labels.md")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Write the document into this file.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    write: Option<PathBuf>,
    /// Fail when this file is not what would be written.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let world = World::load(&args.input.paths, &args.input.world, io)?;
    let mut input = args.input.clone();
    // The same document however the paths are spelled.
    for path in &mut input.paths {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        let plain: PathBuf = parts.collect();
        *path = if plain.as_os_str().is_empty() { PathBuf::from(".") } else { plain };
    }
    let file = args.write.as_ref().or(args.check.as_ref());
    let target = file.map_or_else(String::new, |file| format!(" --write {}", file.display()));
    let command = format!("netpol labels {}{target}", input.to_command_line());
    let text = document(&world.model(), world.checked_files, &command);
    match (&args.write, &args.check) {
        (Some(file), _) => {
            fs::write(file, &text)
                .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
            Ok(world.exit(Exit::Clean))
        }
        (None, Some(file)) => check(&world, file, &text, &command, io),
        (None, None) => {
            write!(io.out, "{text}")?;
            Ok(world.exit(Exit::Clean))
        }
    }
}

fn check(world: &World, file: &Path, text: &str, command: &str, io: &mut Io) -> Result<Exit, Failure> {
    let written = fs::read_to_string(file).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", file.display()))
            .with_hint(format!("make it: {command}"))
    })?;
    // A checkout with other line ends is not stale.
    let written = written.replace("\r\n", "\n");
    if written == text {
        return Ok(world.exit(Exit::Clean));
    }
    let diff = netpol::text_patch(&file.display().to_string(), &written, text);
    let lines: Vec<&str> = diff.lines().collect();
    for line in lines.iter().take(SHOWN) {
        writeln!(io.out, "{line}")?;
    }
    if lines.len() > SHOWN {
        writeln!(io.out, "... {} more lines", lines.len() - SHOWN)?;
    }
    writeln!(io.out, "{} is stale. Make it again: {command}", file.display())?;
    Ok(Exit::Findings)
}

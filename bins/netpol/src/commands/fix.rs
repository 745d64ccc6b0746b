//! `netpol fix`: the least policy that gives each workload what it needs.

use std::fs;
use std::path::{Path, PathBuf};

use netpol::fix::{self, Proposal, Request};

use crate::args::WorldArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::world::{World, write_json};

/// Arguments of `netpol fix`.
///
/// Exit codes: 0 nothing is blocked (any more), 1 something is, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol fix k8s/
  netpol fix k8s/ --write k8s/network-policy-loader.yaml")]
pub struct Args {
    /// Manifests: files, folders (searched recursively for .yaml, .yml and .json), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write the policies into this file: a new one, or one that is there, whose comments and order are kept.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Which way out of a near miss to take: new policies, the closest policy selects the pods too, or the pods get the
    /// label that it wants. The last two print a patch.
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    alternative: Way,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    world: WorldArgs,
}

/// Ways to allow what is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// New policies.
    #[default]
    New,
    /// The closest policy selects the pods too.
    Widen,
    /// The pods get the label that the closest policy wants.
    Relabel,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// YAML (or a patch) with what it does as comments above it.
    #[default]
    Yaml,
    /// Everything, for programs.
    Json,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let world = load(args, io)?;
    let request = Request { files: world.manifests(), needs: world.needs_file(), options: &world.options };
    let proposal = fix::propose(&request);
    if args.format == Format::Json {
        write_json(io, &proposal)?;
    }
    if proposal.is_empty() {
        if args.format == Format::Yaml {
            write!(io.err, "{}", fix::summary(&proposal))?;
        }
        return Ok(world.exit(Exit::Clean));
    }
    let done = match (args.alternative, &args.write) {
        (Way::New, Some(file)) => write_new(args, &proposal, file, io)?,
        (Way::New, None) => {
            if args.format == Format::Yaml {
                write!(io.out, "{}", fix::human(&proposal))?;
            }
            false
        }
        (way, _) => alternative(args, way, &proposal, io)?,
    };
    Ok(if done { world.exit(Exit::Clean) } else { Exit::Findings })
}

/// Reads the paths, and the file to write as well: what it allows already must not be proposed again.
fn load(args: &Args, io: &mut Io) -> Result<World, Failure> {
    let world = World::load(&args.paths, &args.world, io)?;
    let Some(target) = args.write.as_ref().and_then(|file| fs::canonicalize(file).ok()) else {
        return Ok(world);
    };
    let same = |name: &str| fs::canonicalize(name).is_ok_and(|path| path == target);
    if world.manifests().iter().any(|file| same(file.name())) {
        return Ok(world);
    }
    if args.paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::new(format!(
            "{} is there already and is not among the input",
            target.display()
        ))
        .with_hint("name it as a PATH beside -, or remove it"));
    }
    let mut paths = args.paths.clone();
    paths.push(target);
    World::load(&paths, &args.world, io)
}

/// Writes the new policies; whether nothing stays denied.
fn write_new(args: &Args, proposal: &Proposal, file: &Path, io: &mut Io) -> Result<bool, Failure> {
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(format!("cannot {what} {}: {error}", file.display()))
    };
    let existing = match fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", error)),
    };
    let text = proposal.write_into(&file.display().to_string(), existing.as_deref());
    if existing.as_deref() != Some(text.as_str()) {
        fs::write(file, &text).map_err(|error| failed("write", error))?;
    }
    if args.format == Format::Yaml {
        let verb = if existing.is_some() { "Updated" } else { "Wrote" };
        writeln!(io.out, "{verb} {}.", file.display())?;
        write!(io.out, "{}", fix::outcome(proposal))?;
    }
    Ok(proposal.remaining.iter().all(|group| group.verdict != "denied"))
}

/// Prints or makes the edits of another way; whether they were made and nothing stays denied.
fn alternative(args: &Args, way: Way, proposal: &Proposal, io: &mut Io) -> Result<bool, Failure> {
    let kind = if way == Way::Widen { "widen" } else { "relabel" };
    let chosen: Vec<_> = proposal.alternatives.iter().filter(|one| one.kind == kind).collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!(
            "there is no way to {kind} anything: no policy is a near miss that one edit mends"
        ))
        .with_hint("leave --alternative out: netpol fix then writes new policies"));
    }
    let Some(file) = &args.write else {
        for one in &chosen {
            if args.format == Format::Yaml {
                write!(io.out, "{}", one.patch)?;
            }
        }
        return Ok(false);
    };
    let target = fs::canonicalize(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    let same = |name: &str| fs::canonicalize(name).is_ok_and(|path| path == target);
    let [one] = chosen.as_slice() else {
        return Err(Failure::new(format!("there are {} edits to choose from", chosen.len()))
            .with_hint("leave --write out and apply the patches you want with patch -p1"));
    };
    let [(name, text)] = one.files.as_slice() else {
        return Err(Failure::new("the edit concerns several files")
            .with_hint("leave --write out and apply the patch with patch -p1"));
    };
    if !same(name) {
        return Err(Failure::new(format!("the edit concerns {name}, not {}", file.display()))
            .with_hint(format!("write --write {name}")));
    }
    fs::write(&target, text).map_err(|error| Failure::new(format!("cannot write {name}: {error}")))?;
    writeln!(io.out, "Updated {name}: {}.", one.title)?;
    for warning in &one.warnings {
        writeln!(io.out, "  mind: {warning}")?;
    }
    Ok(one.remaining.iter().all(|group| group.verdict != "denied"))
}

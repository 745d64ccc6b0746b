//! `netpol report`: the check, the needs and the connections as one page.

use std::fs;
use std::path::{Path, PathBuf};

use netpol::findings::Severity;
use netpol::needs::{self, NeedsFile};
use netpol::rules;
use netpol::{Model, render};

use crate::args::InputArgs;
use crate::commands::Exit;
use crate::commands::check::{RuleArgs, exit};
use crate::failure::Failure;
use crate::io::Io;
use crate::load::{self, Loaded};

/// Arguments of `netpol report`.
///
/// The page has the findings of `netpol check` grouped by cause, the needs of each workload with verdict and evidence, and
/// the matrix and graph of `netpol reach`. It loads nothing and runs nothing: attach it to a ticket, or print it.
///
/// Exit codes: 0 clean, 1 findings, 2 input or usage wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol report k8s/ --html policies.html
  netpol report k8s/ --context cluster.yaml --html - --fail-on never > policies.html")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Write the page into this file; - for standard output.
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    #[command(flatten)]
    rules: RuleArgs,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let options = args.input.world.options();
    let Loaded { mut input, checked_files, needs } = load::load(&args.input)?;
    let needs_file = needs.map(|source| NeedsFile::read(source, &mut input)).unwrap_or_default();
    let replaced = rules::overlay(&mut input, checked_files, &options.default_namespace);
    let model = Model::new(&input, &options);
    let fix_command = format!("netpol fix {}", args.input.to_command_line());
    let check = args.rules.check_options(checked_files, replaced, fix_command)?;
    let report = rules::check(&model, &needs_file, &check);
    let needs = needs::derive(&input, &options.default_namespace, &needs_file);
    let context = render::Context {
        input: &input,
        options: &options,
        report: &report,
        checked_files,
        evidence: true,
        least: Severity::Info,
    };
    let page = render::page(&context, &model, &needs);
    if args.html == Path::new("-") {
        io.out.write_all(page.as_bytes())?;
    } else {
        let name = args.html.display();
        fs::write(&args.html, page).map_err(|error| {
            Failure::new(format!("cannot write {name}: {error}")).with_hint(
                "name a file in a folder that exists and may be written to, or - for standard output",
            )
        })?;
        let counted = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
            .map(|(severity, word)| {
                let count = report.count(severity);
                format!("{count} {word}{}", if count == 1 { "" } else { "s" })
            });
        writeln!(io.out, "{name}: {}", counted.join(", "))?;
    }
    Ok(exit(&input, &report, args.rules.fail_on))
}

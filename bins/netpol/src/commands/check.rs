//! `netpol check`: every rule over every workload and policy.

use std::path::PathBuf;

use netpol::findings::Severity;
use netpol::needs::NeedsFile;
use netpol::rules::{self, CheckOptions, Replaced, Report};
use netpol::{Input, Model, Options, render};

use crate::args::InputArgs;
use crate::commands::Exit;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::io::Io;
use crate::load::{self, Loaded};

/// Arguments of `netpol check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol check k8s/
  netpol check k8s/ --assume-default-deny shop
  kustomize build overlays/prod | netpol check - --context cluster.yaml
  netpol check k8s/ --format sarif > netpol.sarif
  netpol check k8s/ --fail-on warning --severity NP404=off")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    check: CheckArgs,
}

/// How to check and what to show: shared with the check of a live cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// How to print the findings.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Show where each need was found.
    #[arg(long)]
    pub evidence: bool,
    /// Least severity to show (human output); what is below is counted.
    #[arg(long, value_enum, default_value_t = Least::Info, value_name = "SEVERITY")]
    pub show: Least,
}

/// Which findings there are, and which count.
#[derive(Clone, Debug, clap::Args)]
pub struct RuleArgs {
    /// Least severity that makes the exit code 1.
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    pub fail_on: FailOn,
    /// Severity of a rule, as NP404=warning; `off` switches it off.
    #[arg(long, value_delimiter = ',', value_name = "RULE=SEVERITY")]
    pub severity: Vec<String>,
    /// Configuration with severities and accepted findings [default: netpol.toml, when it is there].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RuleArgs {
    /// What the engine has to know, with what the configuration says.
    pub fn check_options(
        &self,
        checked_files: usize,
        replaced: Replaced,
        fix_command: String,
    ) -> Result<CheckOptions, Failure> {
        let config = Config::read(self.config.as_deref())?;
        let mut severities = config.severities;
        for entry in &self.severity {
            let Some((rule, severity)) = entry.split_once('=') else {
                return Err(Failure::new(format!("{entry:?} is no severity of a rule"))
                    .with_hint("write NP404=warning"));
            };
            severities.push(config::severity_of(rule.trim(), severity.trim())?);
        }
        let replaced = Some(replaced);
        Ok(CheckOptions { checked_files, severities, ignores: config.ignores, replaced, fix_command })
    }
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For machines.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
    /// JUnit XML.
    Junit,
}

/// When to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// On errors.
    #[default]
    Error,
    /// On warnings and errors.
    Warning,
    /// On anything.
    Info,
    /// Never.
    Never,
}

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Least {
    /// Errors alone.
    Error,
    /// Errors and warnings.
    Warning,
    /// Everything.
    Info,
}

/// Runs the command.
pub fn run(args: &Args, io: &mut Io) -> Result<Exit, Failure> {
    let loaded = load::load(&args.input)?;
    let fix_command = format!("netpol fix {}", args.input.to_command_line());
    check(loaded, &args.input.world.options(), &args.check, fix_command, io)
}

/// Checks what was read and prints the report.
pub fn check(
    loaded: Loaded,
    options: &Options,
    args: &CheckArgs,
    fix_command: String,
    io: &mut Io,
) -> Result<Exit, Failure> {
    let Loaded { mut input, checked_files, needs } = loaded;
    let needs = needs.map(|source| NeedsFile::read(source, &mut input)).unwrap_or_default();
    let replaced = rules::overlay(&mut input, checked_files, &options.default_namespace);
    let check = args.rules.check_options(checked_files, replaced, fix_command)?;
    let model = Model::new(&input, options);
    let report = rules::check(&model, &needs, &check);
    print(&input, options, &report, checked_files, args, io)?;
    Ok(exit(&input, &report, args.rules.fail_on))
}

fn print(
    input: &Input,
    options: &Options,
    report: &Report,
    checked_files: usize,
    args: &CheckArgs,
    io: &mut Io,
) -> Result<(), Failure> {
    let least = match args.show {
        Least::Error => Severity::Error,
        Least::Warning => Severity::Warning,
        Least::Info => Severity::Info,
    };
    let context = render::Context { input, options, report, checked_files, evidence: args.evidence, least };
    let text = match args.format {
        Format::Human => render::human(&context, io.color),
        Format::Json => render::json(&context),
        Format::Sarif => render::sarif(&context),
        Format::Github => render::github(&context),
        Format::Junit => render::junit(&context),
    };
    io.out.write_all(text.as_bytes())?;
    Ok(io.out.flush()?)
}

/// How a check ends.
pub fn exit(input: &Input, report: &Report, fail_on: FailOn) -> Exit {
    if input.problems.iter().any(render::is_fatal) || !report.problems.is_empty() {
        return Exit::InputProblems;
    }
    let least = match fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
        FailOn::Info => Severity::Info,
        FailOn::Never => return Exit::Clean,
    };
    if report.worst().is_some_and(|worst| worst >= least) { Exit::Findings } else { Exit::Clean }
}

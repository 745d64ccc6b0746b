//! The commands, one module each.
//!
//! To add one: a module here with `pub struct Args` (clap) and `pub fn run(&Args, &mut Io) -> Result<Exit, Failure>`,
//! a variant of [`Command`] and a line in [`run`].

#[cfg(feature = "live")]
mod audit;
mod check;
mod diff;
mod explain;
mod fix;
mod labels;
mod manual;
mod prove;
mod reach;
mod report;
mod rules;
#[cfg(feature = "live")]
mod smoke;
#[cfg(feature = "live")]
mod status;

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
    /// Told to stop, with the exit code for the signal.
    #[cfg(feature = "live")]
    Interrupted(u8),
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::InputProblems => 2,
            #[cfg(feature = "live")]
            Self::Interrupted(code) => code,
        }
    }
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Every rule over the live cluster, and where it differs from the manifests.
    #[cfg(feature = "live")]
    Audit(audit::Args),
    /// Every rule over every workload and policy.
    Check(check::Args),
    /// A script that completes commands and flags in a shell.
    Completions(manual::CompletionArgs),
    /// Which connections a change opens and closes.
    Diff(diff::Args),
    /// The verdict on one connection, and the reason.
    Explain(explain::Args),
    /// The least policy that gives each workload what it needs.
    Fix(fix::Args),
    /// The label conventions as a document.
    Labels(labels::Args),
    /// The manual pages.
    Man(manual::ManArgs),
    /// Every need tried with real packets, in network namespaces.
    Prove(prove::Args),
    /// What this program does inside namespaces.
    #[command(name = "packet-helper", hide = true)]
    PacketHelper(prove::HelperArgs),
    /// All allowed connections: table, JSON, graph, drawing, page.
    Reach(reach::Args),
    /// Findings, needs and connections as one page, to attach to a ticket.
    Report(report::Args),
    /// The rules, or the documentation of one.
    Rules(rules::Args),
    /// CronJobs tried now, with a diagnosis when they fail.
    #[cfg(feature = "live")]
    Smoke(smoke::Args),
    /// How the CronJobs of the cluster are doing.
    #[cfg(feature = "live")]
    Status(status::Args),
}

/// Runs a command.
pub fn run(command: &Command, io: &mut Io) -> Result<Exit, Failure> {
    match command {
        #[cfg(feature = "live")]
        Command::Audit(args) => audit::run(args, io),
        Command::Check(args) => check::run(args, io),
        Command::Completions(args) => manual::completions(args, io),
        Command::Diff(args) => diff::run(args, io),
        Command::Explain(args) => explain::run(args, io),
        Command::Fix(args) => fix::run(args, io),
        Command::Labels(args) => labels::run(args, io),
        Command::Man(args) => manual::man(args, io),
        Command::Prove(args) => prove::run(args, io),
        Command::PacketHelper(args) => prove::run_helper(args),
        Command::Reach(args) => reach::run(args, io),
        Command::Report(args) => report::run(args, io),
        Command::Rules(args) => rules::run(args, io),
        #[cfg(feature = "live")]
        Command::Smoke(args) => smoke::run(args, io),
        #[cfg(feature = "live")]
        Command::Status(args) => status::run(args, io),
    }
}

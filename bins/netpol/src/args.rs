//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser};

use netpol::{Options, Profile};

use crate::commands::Command;
use crate::io::ColorChoice;

/// Checks Kubernetes network policies against what workloads need, before anything is deployed.
///
/// Exit codes: 0 clean, 1 findings, 2 input or usage wrong.
#[derive(Debug, Parser)]
#[command(name = "netpol", version, propagate_version = true)]
pub struct Cli {
    /// When to use colours.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "WHEN"
    )]
    pub color: ColorChoice,
    #[command(subcommand)]
    pub command: Command,
}

/// Reads the command line. Called `kubectl-netpol`, the program is a plugin of kubectl and names itself as people type it.
pub fn parse() -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let mut command = Cli::command();
    let called = args.first().and_then(|first| Path::new(first).file_stem());
    if called.is_some_and(|name| name == "kubectl-netpol" || name == "kubectl_netpol") {
        command = command.bin_name("kubectl netpol");
    }
    let mut matches = command.clone().try_get_matches_from(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// What to read and how to understand it: shared by all commands.
#[derive(Clone, Debug, Default, Args)]
pub struct InputArgs {
    /// Manifests: files, folders (searched recursively for .yaml, .yml and .json), or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub world: WorldArgs,
}

/// What is known besides the manifests themselves.
#[derive(Clone, Debug, Default, Args)]
pub struct WorldArgs {
    /// Manifests that are there as well but not under check (a baseline, or a snapshot of the live cluster:
    /// `kubectl get ... -o yaml`). May be given several times.
    #[arg(long, value_name = "DIR", help_heading = "World")]
    pub context: Vec<PathBuf>,
    /// Namespaces that have a default-deny policy for both directions outside the files.
    #[arg(long, value_name = "NS", value_delimiter = ',', help_heading = "World")]
    pub assume_default_deny: Vec<String>,
    /// How DNS and the network plugin of the cluster behave.
    #[arg(long, value_enum, default_value_t, value_name = "PROFILE", help_heading = "World")]
    pub profile: ProfileName,
    /// Namespace of objects that name none.
    #[arg(long, short, default_value = "default", value_name = "NS", help_heading = "World")]
    pub namespace: String,
    /// Needs and prohibitions of workloads that the manifests do not tell.
    #[arg(long, value_name = "FILE", help_heading = "World")]
    pub needs: Option<PathBuf>,
}

/// The profiles the engine knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProfileName {
    /// The specification: CoreDNS in kube-system, ipBlock matches pod addresses.
    #[default]
    Kubernetes,
    /// As kubernetes, with what Calico does where the specification leaves it open.
    Calico,
    /// ipBlock does not match pods or nodes.
    Cilium,
    /// DNS pods in openshift-dns listen on 5353.
    Openshift,
    /// Pods ask the node-local cache at 169.254.20.10.
    NodeLocalDns,
}

impl ProfileName {
    /// The name that the engine knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Calico => "calico",
            Self::Cilium => "cilium",
            Self::Openshift => "openshift",
            Self::NodeLocalDns => "node-local-dns",
        }
    }
}

impl WorldArgs {
    /// What the engine has to know.
    pub fn options(&self) -> Options {
        Options {
            profile: Profile::by_name(self.profile.as_str()).unwrap_or_default(),
            default_namespace: self.namespace.clone(),
            assume_default_deny: self.assume_default_deny.clone(),
            ..Options::default()
        }
    }

    /// These arguments as they have to be given again to another command, each with a space before it.
    pub fn to_command_line(&self) -> String {
        let mut line = String::new();
        let mut add = |flag: &str, value: &str| {
            line.push_str(&format!(" {flag} {}", quoted(value)));
        };
        for path in &self.context {
            add("--context", &path.display().to_string());
        }
        if !self.assume_default_deny.is_empty() {
            add("--assume-default-deny", &self.assume_default_deny.join(","));
        }
        if self.profile != ProfileName::default() {
            add("--profile", self.profile.as_str());
        }
        if self.namespace != "default" {
            add("--namespace", &self.namespace);
        }
        if let Some(needs) = &self.needs {
            add("--needs", &needs.display().to_string());
        }
        line
    }
}

impl InputArgs {
    /// The paths and the world, for a command line that reads the same input.
    pub fn to_command_line(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|path| quoted(&path.display().to_string())).collect();
        format!("{}{}", paths.join(" "), self.world.to_command_line())
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

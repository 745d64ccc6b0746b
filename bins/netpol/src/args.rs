//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser};

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

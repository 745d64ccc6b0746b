//! `netpol completions` and `netpol man`: what shells and `man` want to know of the command line.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;

use crate::args::Cli;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Arguments of `netpol completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol completions bash > /etc/bash_completion.d/netpol
  netpol completions zsh > \"${fpath[1]}/_netpol\"
  netpol completions fish > ~/.config/fish/completions/netpol.fish")]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Arguments of `netpol man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  netpol man | man -l -
  netpol man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write one page for the program and one for each command into this folder, which is made when it is missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub fn completions(args: &CompletionArgs, io: &mut Io) -> Result<Exit, Failure> {
    // Into memory first: the generator panics on a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "netpol", &mut text);
    io.out.write_all(&text)?;
    Ok(Exit::Clean)
}

/// Prints the manual page, or writes one for each command.
pub fn man(args: &ManArgs, io: &mut Io) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = &args.out else {
        io.out.write_all(&page(command)?)?;
        return Ok(Exit::Clean);
    };
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot write manual pages into {}: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let commands = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let mut pages: Vec<(String, clap::Command)> = commands
        .map(|sub| {
            let name = format!("netpol-{}", sub.get_name());
            (name.clone(), sub.clone().name(name))
        })
        .collect();
    pages.push(("netpol".to_owned(), command.clone()));
    for (name, command) in pages {
        fs::write(folder.join(format!("{name}.1")), page(command)?).map_err(failed)?;
    }
    Ok(Exit::Clean)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

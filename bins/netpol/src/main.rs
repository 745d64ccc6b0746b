//! `netpol`: checks Kubernetes network policies against what workloads need, before anything is deployed.

mod args;
mod commands;
mod config;
mod failure;
mod io;
#[cfg(feature = "live")]
mod live;
mod load;
#[cfg(feature = "live")]
mod table;
mod world;

use std::process::ExitCode;

use io::Io;

/// A check makes and drops a million small texts; the system's allocator takes a fifth of the time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; clap knows which stream and colours to use.
            let code = if error.use_stderr() { 2 } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(2) };
        }
    };
    let mut io = Io::standard(cli.color);
    let code = match commands::run(&cli.command, &mut io) {
        Ok(exit) => exit.code(),
        Err(failure) if failure.is_closed_pipe() => 0,
        Err(failure) => {
            io.report_failure(&failure);
            2
        }
    };
    io.flush();
    ExitCode::from(code)
}

//! `exchange-sim`: a local Binance, from the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use exchange_sim::cli::{self, Args};

/// A local Binance: the kline part of its REST interface over real or made-up data, with limits and faults
#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| cli::CliError::Io { what: "start the runtime", source })
        .and_then(|runtime| runtime.block_on(cli::run(&program.args, &mut io::stdout())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if standard error is gone too.
            let _ = writeln!(io::stderr(), "exchange-sim: {error}");
            ExitCode::from(2)
        }
    }
}

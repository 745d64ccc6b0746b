//! `klines`: keeps Binance klines complete in your own database, and proves it.
//!
//! `main` → [`run`] → one function per command in [`commands`]. Command line, environment and file become
//! [`settings::Settings`] first; commands see only those.

mod args;
mod commands;
mod error;
mod observe;
mod settings;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, OutputFormat};
use crate::commands::Context;
use crate::error::CliError;
use crate::settings::Settings;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with 0, mistakes to stderr with 2; a closed pipe is nobody's fault.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = wants_json(&cli);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            ui::print_error(&error);
            if json {
                // Whoever asked for JSON reads stdout; a reader that is gone needs no answer.
                let _ = ui::out(&format!("{:#}\n", error.as_json()));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether results are to be JSON, as far as it can be told when the settings themselves may be what is wrong.
fn wants_json(cli: &Cli) -> bool {
    match cli.global.output {
        Some(format) => format == OutputFormat::Json,
        None => std::env::var("KLINES_OUTPUT").is_ok_and(|format| format == "json"),
    }
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    if let Some(done) = commands::without_settings(&cli.command) {
        return done;
    }
    // Every TLS client of the process uses ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::load(&cli.global, commands::flags(&cli.command))?;
    // Telemetry outlives the runtime: its exporters have threads of their own and flush when all else has ended.
    let telemetry = observe::start(&settings, &cli.command)?;
    let context = Context {
        settings,
        metrics: telemetry.metrics(),
        log: telemetry.sink(),
        bars: !cli.global.no_progress,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::Io { doing: "start the runtime".into(), source })?;
    let result = runtime.block_on(commands::dispatch(cli.command, &context));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    for problem in telemetry.shutdown() {
        let hint = problem.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        ui::note(&format!("warning: telemetry: {problem}{hint}"));
    }
    result
}

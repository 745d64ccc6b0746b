//! Runs a plan from standard input and prints the results: the crate's own helper, for its tests and for scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use packet_proof::{Launcher, Plan, helper_main, run};

fn main() -> ExitCode {
    let launcher = match Launcher::current(&[]) {
        Ok(launcher) => launcher,
        Err(error) => return fail(&format!("cannot find this program: {error}")),
    };
    match std::env::args().nth(1).as_deref() {
        Some(role @ ("world" | "agent")) => match helper_main(role, &launcher) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message),
        },
        Some(other) => fail(&format!("{other:?} is not known; give a plan as JSON on standard input")),
        None => {
            let plan: Plan = match serde_json::from_reader(io::stdin().lock()) {
                Ok(plan) => plan,
                Err(error) => return fail(&format!("standard input is no plan: {error}")),
            };
            match run(&plan, &launcher) {
                Ok(results) => match serde_json::to_writer_pretty(io::stdout().lock(), &results) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => fail(&format!("cannot write: {error}")),
                },
                Err(error) => fail(&error.to_string()),
            }
        }
    }
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::from(2)
}

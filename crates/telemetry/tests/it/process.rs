//! Runs `examples/short-run` as a process: telemetry is set up once per process.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// What a run left.
pub struct Ran {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

fn example() -> PathBuf {
    // target/debug/deps/it-… → target/debug/examples/short-run
    let me = std::env::current_exe().unwrap();
    let path = me.parent().unwrap().parent().unwrap().join("examples/short-run");
    assert!(path.exists(), "{} is not built: run `cargo test -p telemetry` as a whole", path.display());
    path
}

/// Runs it with these variables and no others.
pub fn run(variables: &[(&str, &str)]) -> Ran {
    let began = Instant::now();
    let Output { status, stdout, stderr } =
        Command::new(example()).env_clear().envs(variables.iter().copied()).output().unwrap();
    Ran {
        ok: status.success(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        took: began.elapsed(),
    }
}

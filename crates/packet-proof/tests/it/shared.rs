//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};

use netpol::SourceFile;
use packet_proof::{Launcher, Plan, ProofError, Results, run};

/// The crate's own program is the helper.
fn launcher() -> Launcher {
    Launcher { program: PathBuf::from(env!("CARGO_BIN_EXE_packet-proof")), args: Vec::new() }
}

/// Runs a plan; `None`, with a message, on a machine that has no namespaces.
pub fn play(plan: &Plan) -> Option<Results> {
    match run(plan, &launcher()) {
        Ok(results) => Some(results),
        Err(error @ ProofError::Cannot { .. }) => {
            println!("skipped: packets ({error})");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The manifests of a folder, in the order of their names.
pub fn manifests(folder: &Path) -> Vec<SourceFile> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read =
        |path: &PathBuf| SourceFile::new(path.display().to_string(), fs::read_to_string(path).unwrap());
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(read)
        .collect()
}

/// The folder with test data that is no part of the repository.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("BINANCE_EXTRACTOR_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: cases (../shared not found)");
    None
}

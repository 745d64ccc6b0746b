//! Test data that others wrote. It lives outside the repository; without it these tests say so and pass.

use std::path::{Path, PathBuf};

use netpol::{Input, SourceFile};

/// A folder of the shared data, or `None` (with a message) when it is not there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = root.join(path);
    if folder.exists() {
        return Some(folder);
    }
    println!("skipped: {path} (../shared not found)");
    None
}

/// All manifests below a folder, sorted by path; names are relative to the folder.
pub fn files(folder: &Path) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
            SourceFile::from_bytes(name, std::fs::read(path).unwrap())
        })
        .collect()
}

/// Reads a whole folder.
pub fn input(folder: &Path) -> Input {
    Input::parse(files(folder))
}

/// The sub-folders of a folder, sorted.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// One file.
pub fn file(path: &Path) -> SourceFile {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    SourceFile::from_bytes(path.display().to_string(), bytes)
}

/// The JSON files directly in a folder, sorted.
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect();
    found.sort();
    found
}

//! Reads manifests from files, folders and standard input.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use netpol::{Input, Limits, SourceFile};

use crate::args::{InputArgs, WorldArgs};
use crate::failure::Failure;

/// Everything that was read.
pub struct Loaded {
    /// The objects of the checked files and, after them, of the context.
    pub input: Input,
    /// Number of files under check: files of `input` from this index on are context.
    pub checked_files: usize,
    /// The needs file, when one was given.
    pub needs: Option<SourceFile>,
}

/// Reads what the arguments name.
pub fn load(args: &InputArgs) -> Result<Loaded, Failure> {
    load_paths(&args.paths, &args.world)
}

/// Reads the given paths in the world of the arguments: for commands that take several sets of paths.
pub fn load_paths(paths: &[PathBuf], world: &WorldArgs) -> Result<Loaded, Failure> {
    let mut files = Vec::new();
    for path in paths {
        read_path(path, &mut files)?;
    }
    if files.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::new(format!("no manifests in {}", names.join(", ")))
            .with_hint("folders are searched for .yaml, .yml and .json files"));
    }
    let checked_files = files.len();
    for path in &world.context {
        read_path(path, &mut files)?;
    }
    let needs = world.needs.as_deref().map(read_file).transpose()?;
    Ok(Loaded { input: Input::parse(files), checked_files, needs })
}

fn read_path(path: &Path, files: &mut Vec<SourceFile>) -> Result<(), Failure> {
    if path == Path::new("-") {
        files.push(read_stream("<stdin>", std::io::stdin().lock(), 0)?);
        return Ok(());
    }
    let metadata = fs::metadata(path).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", path.display()))
            .with_hint("name files or folders with manifests, or - for standard input")
    })?;
    if metadata.is_dir() {
        return read_folder(path, files);
    }
    files.push(read_file(path)?);
    Ok(())
}

/// Reads a folder and what is below it, in the order of the names. Hidden entries (`.git`, `..data` of mounted
/// ConfigMaps) are left out, and a folder that links back to itself is entered once.
fn read_folder(root: &Path, files: &mut Vec<SourceFile>) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    let mut open = vec![(root.to_path_buf(), true)];
    while let Some((path, is_folder)) = open.pop() {
        if !is_folder {
            files.push(read_file(&path)?);
            continue;
        }
        if let Ok(real) = fs::canonicalize(&path)
            && !seen.insert(real)
        {
            continue;
        }
        let failed = |error: std::io::Error| Failure::new(format!("cannot list {}: {error}", path.display()));
        let mut found = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let path = entry.path();
            // Only a link has to be followed to know what it is.
            let kind = entry.file_type().map_err(failed)?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && path.is_dir());
            if !hidden && (is_folder || is_manifest_name(&path)) {
                found.push((path, is_folder));
            }
        }
        found.sort();
        open.extend(found.into_iter().rev());
    }
    Ok(())
}

fn is_manifest_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Reads one file, whatever its name.
pub fn read_file(path: &Path) -> Result<SourceFile, Failure> {
    let failed = |error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let file = fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    read_stream(&path.display().to_string(), file, size)
}

/// Reads no more than the parser accepts: a file beyond that is reported by the parser, not loaded.
fn read_stream(name: &str, stream: impl Read, size: u64) -> Result<SourceFile, Failure> {
    // A few bytes more than the limit, so that the parser sees that it is exceeded even when the cut splits a character.
    let most = Limits::default().file_bytes as u64 + 8;
    // The size is what the system says; what is read is what counts.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(most)).unwrap_or(0) + 1);
    let failed = |error| Failure::new(format!("cannot read {name}: {error}"));
    stream.take(most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 == most {
        while bytes.last().is_some_and(|byte| !byte.is_ascii()) {
            bytes.pop();
        }
    }
    Ok(SourceFile::from_bytes(name, bytes))
}

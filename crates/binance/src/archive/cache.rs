//! Files kept for the next time, in one flat folder.
//!
//! A file counts only while its SHA-256 is what the archive's CHECKSUM says now, so a file that Binance replaced is
//! fetched anew. What was half-way when a run ended is gone on with. The oldest files go when the folder grows too large.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::spool::Spool;
use super::{ArchiveError, ArchiveFile};

/// Where and how much to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// The folder; it is made when first needed.
    pub folder: PathBuf,
    /// Most bytes to keep in it.
    pub most_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Cache(pub(super) CacheConfig);

impl Cache {
    /// A kept file whose bytes are those of the checksum.
    pub(super) fn find(&self, file: &ArchiveFile, sha256: &str) -> Option<Spool> {
        let path = self.path(file, "zip");
        let kept = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        let spool = Spool::of_file(kept).ok()?;
        if spool.sha256() == sha256 {
            return Some(spool);
        }
        tracing::debug!(%file, "kept file is out of date");
        None
    }

    /// A place for a file on its way in, with what came of it before; `None` when another process is at it.
    pub(super) fn begin(&self, file: &ArchiveFile) -> Result<Option<Spool>, ArchiveError> {
        let path = self.path(file, "part");
        let failed = |error: std::io::Error| local("write to the archive cache", &path, &error);
        fs::create_dir_all(&self.0.folder).map_err(failed)?;
        let part = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        if part.try_lock().is_err() {
            return Ok(None);
        }
        Spool::of_file(part).map(Some).map_err(failed)
    }

    /// Keeps a file that is complete and verified, and makes room.
    pub(super) fn keep(&self, file: &ArchiveFile) -> Result<(), ArchiveError> {
        let (from, to) = (self.path(file, "part"), self.path(file, "zip"));
        fs::rename(&from, &to).map_err(|error| local("keep a file in the archive cache", &to, &error))?;
        self.make_room(&to);
        Ok(())
    }

    /// Removes the oldest files until the rest fits; what cannot be removed stays.
    fn make_room(&self, newest: &Path) {
        let entries = fs::read_dir(&self.0.folder).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let (path, about) = (entry.path(), entry.metadata().ok()?);
                let ours = path.extension().is_some_and(|e| e == "zip" || e == "part");
                (ours && about.is_file()).then_some((about.modified().ok()?, about.len(), path))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= self.0.most_bytes || path == newest || in_use(&path) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => total -= bytes,
                Err(error) => tracing::debug!(path = %path.display(), %error, "cannot remove from the cache"),
            }
        }
    }

    /// `um-monthly-BTCUSDT-5m-2025-01.zip`: no part of it can leave the folder.
    fn path(&self, file: &ArchiveFile, ending: &str) -> PathBuf {
        let cycle = if file.period().is_month() { "monthly" } else { "daily" };
        self.0.folder.join(format!("{}-{cycle}-{}.{ending}", file.series().market, file.stem()))
    }
}

/// Whether another process is writing a file.
fn in_use(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "part") && File::open(path).is_ok_and(|f| f.try_lock().is_err())
}

fn local(doing: &str, path: &Path, error: &std::io::Error) -> ArchiveError {
    ArchiveError::Local { doing: format!("{doing} ({})", path.display()), detail: error.to_string() }
}

//! Reading files.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use binance::archive::{self, ArchiveFile, Batch};
use kline::{Market, SlotRange};
use sha2::{Digest, Sha256};

use crate::error::FileError;
use crate::name::{Format, Named};
use crate::parquet_in;

/// A file of klines, not read yet.
#[derive(Debug, Clone)]
pub struct KlineFile {
    path: PathBuf,
    format: Format,
    named: Named,
}

/// The kline files of some paths: files as they are, folders with everything below them, in order of their names.
///
/// # Errors
/// [`FileError::Io`] when a path is not there, [`FileError::Format`] when a file that was named is of no known form.
pub fn find(paths: &[PathBuf]) -> Result<Vec<KlineFile>, FileError> {
    let mut found = Vec::new();
    for path in paths {
        if fs::metadata(path).map_err(FileError::io("read", path))?.is_dir() {
            walk(path, &mut found)?;
        } else {
            found.push(KlineFile::of(path)?);
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<KlineFile>) -> Result<(), FileError> {
    let failed = || FileError::io("read", folder);
    let mut entries: Vec<_> =
        fs::read_dir(folder).map_err(failed())?.collect::<Result<_, _>>().map_err(failed())?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed())?);
        if kind.is_dir() {
            walk(&path, found)?;
        } else if kind.is_file() && Format::of(&path).is_some() {
            found.push(KlineFile::of(&path)?);
        }
    }
    Ok(())
}

impl KlineFile {
    /// Looks at the name of a file, and at the metadata of Parquet.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let format = Format::of(path).ok_or_else(|| FileError::Format(path.to_owned()))?;
        let mut named = Named::of(path);
        if format == Format::Parquet {
            parquet_in::named(path, &mut named)?;
        }
        Ok(Self { path: path.to_owned(), format, named })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says it holds.
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// The slots of its period, when its name tells one.
    pub fn slots(&self) -> Option<SlotRange> {
        let (interval, period) = (self.named.interval?, self.named.period?);
        Some(interval.slots_starting_in(period.range()))
    }

    /// Reads its rows; `deliver` gets batches of at most 10,000, in order, each row once, until it says `false`.
    ///
    /// A zip is compared with the CHECKSUM file beside it, if there is one, and no row of it counts before its CRC does.
    ///
    /// # Errors
    /// [`FileError`]; what was delivered before it stands.
    pub fn read(&self, deliver: impl FnMut(Batch) -> bool) -> Result<(), FileError> {
        let path = &self.path;
        let label = path.display().to_string();
        let open = || File::open(path).map_err(FileError::io("read", path));
        match self.format {
            Format::Parquet => parquet_in::read(path, deliver),
            Format::Csv => {
                let slots = self.slots().map(|slots| slots.len());
                Ok(archive::read_csv(&label, slots, open()?, deliver)?)
            }
            Format::Zip => {
                self.check_sum()?;
                let source = BufReader::new(open()?);
                match self.archive_file() {
                    Some(file) => Ok(archive::read_zip(&file, source, deliver)?),
                    None => Ok(archive::read_unnamed_zip(&label, source, deliver)?),
                }
            }
        }
    }

    /// The file as the archive names it, if it still has that name. Which market it is of plays no part in reading.
    fn archive_file(&self) -> Option<ArchiveFile> {
        let market = self.named.market.unwrap_or(Market::Spot);
        ArchiveFile::of_stem(market, self.path.file_stem()?.to_str()?)
    }

    fn check_sum(&self) -> Result<(), FileError> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".CHECKSUM");
        let Ok(text) = fs::read_to_string(PathBuf::from(beside)) else { return Ok(()) };
        let expected = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let failed = || FileError::io("read", &self.path);
        let mut file = File::open(&self.path).map_err(failed())?;
        let (mut hash, mut window) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match file.read(&mut window).map_err(failed())? {
                0 => break,
                n => hash.update(&window[..n]),
            }
        }
        let got: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if got == expected {
            Ok(())
        } else {
            Err(FileError::Checksum { path: self.path.clone(), expected, got })
        }
    }
}

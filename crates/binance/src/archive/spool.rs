//! Where the bytes of a zip wait until they are verified: in memory while they are few, else in a temporary file, or in the
//! cache.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

/// Bytes held in memory: every file of 1m klines and longer, and a day of 1s, stay below.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// Bytes of one file, hashed as they come.
pub(super) struct Spool {
    place: Place,
    hash: Sha256,
    length: u64,
}

enum Place {
    Spooled(SpooledTempFile),
    /// A file of the cache, not complete yet.
    Part(File),
}

impl Spool {
    /// An empty spool that overflows into a folder.
    pub(super) fn temporary(folder: PathBuf) -> Self {
        let place = Place::Spooled(tempfile::spooled_tempfile_in(IN_MEMORY, folder));
        Self { place, hash: Sha256::new(), length: 0 }
    }

    /// What a file holds already, to be gone on with, or to be read.
    pub(super) fn of_file(mut file: File) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let mut window = vec![0; 64 * 1024];
        let mut length = 0;
        file.rewind()?;
        loop {
            match file.read(&mut window)? {
                0 => break,
                n => {
                    hash.update(&window[..n]);
                    length += n as u64;
                }
            }
        }
        Ok(Self { place: Place::Part(file), hash, length })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Spooled(file) => file.set_len(0)?,
            Place::Part(file) => file.set_len(0)?,
        }
        self.rewind()?;
        self.hash = Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// SHA-256 of all bytes, in lower-case hexadecimal.
    pub(super) fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Spooled(file) => file.write(bytes),
            Place::Part(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Spooled(file) => file.flush(),
            Place::Part(file) => file.flush(),
        }
    }
}

impl Read for Spool {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Spooled(file) => file.read(out),
            Place::Part(file) => file.read(out),
        }
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.place {
            Place::Spooled(file) => file.seek(to),
            Place::Part(file) => file.seek(to),
        }
    }
}

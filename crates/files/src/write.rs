//! Writing files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use binance::archive::csv::{self, Unit};
use kline::{Kline, Series};

use crate::error::FileError;
use crate::name::Format;
use crate::parquet_out::ParquetOut;

/// Klines as the bytes of a file, wherever that file is.
pub struct Encoder {
    label: PathBuf,
    out: Out,
    rows: u64,
}

enum Out {
    Csv(BufWriter<File>),
    Parquet(Box<ParquetOut>),
}

impl Encoder {
    /// Begins to write into an empty file; errors call it by the label. CSV begins with the archive's header, its times are
    /// milliseconds in every market and year.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn new(label: &Path, file: File, series: &Series, format: Format) -> Result<Self, FileError> {
        let out = match format {
            Format::Csv => {
                let mut out = BufWriter::with_capacity(64 * 1024, file);
                writeln!(out, "{}", csv::HEADER).map_err(FileError::io("write", label))?;
                Out::Csv(out)
            }
            Format::Parquet => Out::Parquet(Box::new(ParquetOut::new(label, file, series)?)),
            Format::Zip => return Err(FileError::Format(label.to_owned())),
        };
        Ok(Self { label: label.to_owned(), out, rows: 0 })
    }

    /// Adds klines, ascending.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        self.rows += klines.len() as u64;
        match &mut self.out {
            Out::Csv(out) => {
                for kline in klines {
                    csv::write_row(out, kline, Unit::Milliseconds)
                        .map_err(FileError::io("write", &self.label))?;
                }
                Ok(())
            }
            Out::Parquet(out) => out.write(klines),
        }
    }

    /// Klines so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what is still held back, and gives the file back.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn finish(self) -> Result<File, FileError> {
        match self.out {
            Out::Csv(out) => {
                out.into_inner().map_err(|error| FileError::io("write", &self.label)(error.into_error()))
            }
            Out::Parquet(out) => out.finish(),
        }
    }
}

/// Makes one file. It is written beside its place under another name, and moved there by [`finish`](Self::finish): whoever
/// reads the folder meanwhile sees whole files only, old or new. One that is given up leaves nothing.
pub struct Writer {
    path: PathBuf,
    part: Part,
    encoder: Encoder,
}

/// The file beside the place, gone when it was not moved there.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After `finish` there is no such file any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Klines in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl Writer {
    /// Begins a file, and makes the folders above it. What is at the path stays until the end.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn create(path: &Path, series: &Series, format: Format) -> Result<Self, FileError> {
        let mut part = path.to_owned().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(FileError::io("make the folder", folder))?;
        }
        let file = File::create(&part).map_err(FileError::io("write", &part))?;
        let part = Part(part);
        let encoder = Encoder::new(&part.0, file, series, format)?;
        Ok(Self { path: path.to_owned(), part, encoder })
    }

    /// Adds klines, ascending.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        self.encoder.write(klines)
    }

    /// Ends the file and puts it in its place.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn finish(self) -> Result<Written, FileError> {
        let Self { path, part, encoder } = self;
        let failed = || FileError::io("write", &part.0);
        let rows = encoder.rows();
        let file = encoder.finish()?;
        // Under the final name there is never less than the whole file, not even after a power failure.
        file.sync_all().map_err(failed())?;
        let bytes = file.metadata().map_err(failed())?.len();
        drop(file);
        fs::rename(&part.0, &path).map_err(FileError::io("write", &path))?;
        Ok(Written { path, rows, bytes })
    }
}

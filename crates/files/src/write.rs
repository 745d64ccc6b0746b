//! Writing files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use binance::archive::csv::{self, Unit};
use kline::{Kline, Series};

use crate::error::FileError;
use crate::name::Format;
use crate::parquet_out::ParquetOut;

/// Makes one file. It is written beside its place under another name, and moved there by [`finish`](Self::finish): whoever
/// reads the folder meanwhile sees whole files only, old or new. One that is given up leaves nothing.
pub struct Writer {
    path: PathBuf,
    part: PathBuf,
    out: Option<Out>,
    rows: u64,
}

enum Out {
    Csv(BufWriter<File>),
    Parquet(Box<ParquetOut>),
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
    /// Begins a file, and makes the folders above it. CSV begins with the archive's header, its times are milliseconds in
    /// every market and year. What is at the path stays until the end.
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
        let out = match format {
            Format::Csv => {
                let mut out = BufWriter::with_capacity(64 * 1024, file);
                writeln!(out, "{}", csv::HEADER).map_err(FileError::io("write", &part))?;
                Out::Csv(out)
            }
            Format::Parquet => Out::Parquet(Box::new(ParquetOut::new(&part, file, series)?)),
            Format::Zip => return Err(FileError::Format(path.to_owned())),
        };
        Ok(Self { path: path.to_owned(), part, out: Some(out), rows: 0 })
    }

    /// Adds klines, ascending.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        self.rows += klines.len() as u64;
        match &mut self.out {
            Some(Out::Csv(out)) => {
                for kline in klines {
                    csv::write_row(out, kline, Unit::Milliseconds)
                        .map_err(FileError::io("write", &self.part))?;
                }
                Ok(())
            }
            Some(Out::Parquet(out)) => out.write(klines),
            None => Ok(()),
        }
    }

    /// Ends the file and puts it in its place.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn finish(mut self) -> Result<Written, FileError> {
        let failed = || FileError::io("write", &self.part);
        let file = match self.out.take() {
            Some(Out::Csv(out)) => out.into_inner().map_err(|error| failed()(error.into_error()))?,
            Some(Out::Parquet(out)) => out.finish()?,
            None => File::open(&self.part).map_err(failed())?,
        };
        // Under the final name there is never less than the whole file, not even after a power failure.
        file.sync_all().map_err(failed())?;
        let bytes = file.metadata().map_err(failed())?.len();
        drop(file);
        fs::rename(&self.part, &self.path).map_err(FileError::io("write", &self.path))?;
        Ok(Written { path: self.path.clone(), rows: self.rows, bytes })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` there is no such file any more.
        let _ = fs::remove_file(&self.part);
    }
}

//! Why a file is of no use.

use std::io;
use std::path::{Path, PathBuf};

use binance::archive::ArchiveError;

/// Why a file could not be read or written. `Display` names the file and the reason.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system said no.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its name ends in nothing that holds klines.
    #[error("{path} is neither .csv nor .zip nor .parquet", path = .0.display())]
    Format(PathBuf),
    /// A zip or CSV that cannot be read. The text names the file.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The zip is not the one its CHECKSUM is of.
    #[error("{path}: SHA-256 is {got}, the CHECKSUM file beside it says {expected}", path = .path.display())]
    Checksum {
        /// The zip.
        path: PathBuf,
        /// Of the CHECKSUM file.
        expected: String,
        /// Of the zip.
        got: String,
    },
    /// Parquet that cannot be read or written.
    #[error("{path}: {detail}", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl FileError {
    /// What to do next, where there is advice.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Io { .. } => return None,
            Self::Format(_) => {
                "klines come as the archive's zips, as CSV with the archive's columns, or as Parquet of klines export"
            }
            Self::Archive(ArchiveError::Member { .. }) => {
                "a zip of the archive holds one CSV of its own name: was it renamed? --symbols and --intervals say what \
                 a file of another name holds"
            }
            Self::Archive(_) => {
                "klines have 11 or 12 columns: open_time, open, high, low, close, volume, close_time, \
                                 quote_volume, count, taker_buy_volume, taker_buy_quote_volume"
            }
            Self::Checksum { .. } => {
                "the download is damaged, or one of the two was replaced since: fetch both again"
            }
            Self::Parquet { .. } => {
                "columns must be named as in the archive's header, times be timestamps, and prices and \
                                     volumes decimals: floating-point numbers are not exact and not taken"
            }
        };
        Some(text.to_owned())
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn parquet(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |error| Self::Parquet { path: path.clone(), detail: error.to_string() }
    }
}

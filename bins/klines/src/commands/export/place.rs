//! Where exported files go: a folder, or an object store.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use files::{Encoder, FileError, Format, S3, S3Place, Writer};
use kline::{Kline, Series};
use tokio::task::block_in_place;

use crate::commands::show::masked;
use crate::error::CliError;
use crate::settings::Settings;

/// Where files go.
pub enum Place {
    Folder(PathBuf),
    Objects(Box<S3>),
}

/// A file that was written.
pub struct Exported {
    /// Path, or address.
    pub path: String,
    /// Klines in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Objects(store) => store.place().fmt(f),
        }
    }
}

impl Place {
    /// The place that was named; nothing is made or asked yet.
    pub fn of(settings: &Settings, out: &Path) -> Result<Self, CliError> {
        match out.to_str() {
            Some(text) if S3Place::is_meant(text) => {
                Ok(Self::Objects(Box::new(S3::new(S3Place::parse(text)?, settings.s3()?)?)))
            }
            Some(text) if text.contains("://") => Err(CliError::Usage {
                message: format!("cannot write to {}: klines writes to folders and to S3", masked(text)),
                hint: Some("write --out DIR or --out s3://BUCKET/PREFIX".into()),
            }),
            _ => Ok(Self::Folder(out.to_owned())),
        }
    }

    /// Finds out early whether an object store lets us in. A folder tells with the first file.
    pub async fn check(&self) -> Result<(), CliError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Objects(store) => Ok(store.check().await?),
        }
    }

    /// Begins a file, by its name below the place.
    pub fn begin<'a>(
        &'a self,
        name: PathBuf,
        series: &Series,
        format: Format,
    ) -> Result<Writing<'a>, CliError> {
        match self {
            Self::Folder(folder) => {
                Ok(Writing::File(Box::new(Writer::create(&folder.join(name), series, format)?)))
            }
            Self::Objects(store) => {
                // Without a name from the start, so that nothing stays behind however the program ends.
                let label = std::env::temp_dir().join(name.file_name().unwrap_or_default());
                let encoder = Encoder::new(&label, temporary()?, series, format)?;
                Ok(Writing::Object(Box::new(Object { store, name, format, encoder })))
            }
        }
    }
}

fn temporary() -> Result<File, CliError> {
    tempfile::tempfile().map_err(|error| CliError::Failed {
        message: format!("cannot make a temporary file in {}: {error}", std::env::temp_dir().display()),
        hint: Some("name a folder with space for the largest month in TMPDIR".into()),
    })
}

/// A file in the making.
pub enum Writing<'a> {
    File(Box<Writer>),
    Object(Box<Object<'a>>),
}

/// An object in the making, as yet in a temporary file.
pub struct Object<'a> {
    store: &'a S3,
    name: PathBuf,
    format: Format,
    encoder: Encoder,
}

impl Writing<'_> {
    /// Adds klines, ascending.
    pub fn write(&mut self, klines: &[Kline]) -> Result<(), FileError> {
        // Compressing takes a while; the store's own tasks go on meanwhile.
        block_in_place(|| match self {
            Self::File(writer) => writer.write(klines),
            Self::Object(object) => object.encoder.write(klines),
        })
    }

    /// Ends it and puts it in its place.
    pub async fn finish(self) -> Result<Exported, CliError> {
        match self {
            Self::File(writer) => {
                let done = block_in_place(|| writer.finish())?;
                Ok(Exported { path: done.path.display().to_string(), rows: done.rows, bytes: done.bytes })
            }
            Self::Object(object) => {
                let Object { store, name, format, encoder } = *object;
                let rows = encoder.rows();
                let file = block_in_place(|| encoder.finish())?;
                let stored = store.put(&name, file, media(format)).await?;
                Ok(Exported { path: stored.address, rows, bytes: stored.bytes })
            }
        }
    }
}

fn media(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv",
        Format::Zip => "application/zip",
        Format::Parquet => "application/vnd.apache.parquet",
    }
}

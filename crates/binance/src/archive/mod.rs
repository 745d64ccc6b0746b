//! The public archive: months and days of klines as zip files, free of request weight.
//!
//! * [`file`](mod@file): which file holds which klines, and where it lies.
//! * [`csv`]: rows out of a file's bytes, and back.
//! * [`unzip`]: the one member of a zip, checked before a row of it counts.
//! * [`listing`]: what the bucket holds.
//! * [`plan`]: which files are worth fetching for a set of missing slots (pure).
//! * [`Archive`] fetches: CHECKSUM first, then the zip, its SHA-256 compared, then rows in batches.
//!
//! The archive is known to miss days, to end months early, to hold rows twice or unordered, and to replace files. So
//! nothing here says that a kline does not exist: what a file lacks is for the next source to answer.

mod bucket;
mod cache;
mod client;
pub mod csv;
mod error;
pub mod file;
pub mod listing;
mod pick;
pub mod plan;
mod spool;
pub mod unzip;

pub use cache::CacheConfig;
pub use client::{Archive, ArchiveConfig};
pub use error::ArchiveError;
pub use file::{ArchiveFile, Period};
pub use pick::{Batch, Opened, read_csv, read_unnamed_zip, read_zip};

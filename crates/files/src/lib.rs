//! Klines in files: archive zips, CSV and Parquet, in and out.
//!
//! [`KlineFile`] is a file to read: what its name (or its own metadata) says about it, and its rows in batches. [`Writer`]
//! makes a file, which appears under its name when it is complete. [`name`] holds the rules of names: those of the public
//! archive. [`S3`] carries finished files to an object store.
//!
//! Knows nothing of stores. Everything streams: a batch of rows is in memory, never a file.

mod error;
pub mod name;
mod parquet_in;
mod parquet_out;
mod read;
mod s3;
#[cfg(test)]
mod tests;
mod write;

pub use error::FileError;
pub use name::{Format, Named};
pub use read::{KlineFile, find};
pub use s3::{Refusal, S3, S3Config, S3Error, S3Keys, S3Place, Stored};
pub use write::{Encoder, Writer, Written};

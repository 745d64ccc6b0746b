//! Klines in files: archive zips, CSV and Parquet, in and out.
//!
//! [`KlineFile`] is a file to read: what its name (or its own metadata) says about it, and its rows in batches. [`Writer`]
//! makes a file, which appears under its name when it is complete. [`name`] holds the rules of names: those of the public
//! archive.
//!
//! Knows nothing of stores. Everything streams: a batch of rows is in memory, never a file.

mod error;
pub mod name;
mod parquet_in;
mod parquet_out;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::FileError;
pub use name::{Format, Named};
pub use read::{KlineFile, find};
pub use write::{Writer, Written};

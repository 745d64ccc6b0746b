//! Arguments of the commands that prove, and of those that carry klines in and out.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{RangeArgs, SeriesArgs};

/// What stored klines are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AgainstArg {
    /// The REST interface: never out of date, costs request weight.
    Rest,
    /// The public archive: costs no weight; known to lack klines and to be behind REST in some.
    Archive,
}

impl AgainstArg {
    /// The name of the source in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Archive => "archive",
        }
    }
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Compare with this source
    #[arg(long, value_name = "SOURCE", default_value = "rest")]
    pub against: AgainstArg,
    /// Write the source's values of klines that drifted or are missing; the values before are kept as revisions. Klines
    /// that the source does not have are told and never deleted
    #[arg(long)]
    pub repair: bool,
    /// Show what it would cost in requests, weight and files; compare nothing
    #[arg(long, conflicts_with = "repair")]
    pub dry_run: bool,
    /// Tell at most this many findings per series; the rest is counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Share of the exchange's weight limit to leave to others, percent [default: 10]
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<String>,
}

#[derive(Debug, Args)]
pub struct CertifyArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Write the certificate into this file, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub out: Option<PathBuf>,
    /// Tell in which months the klines differ from those of a certificate, over the ranges it names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "until"])]
    pub check: Option<PathBuf>,
    /// Read only months that changed since they were certified with this flag; their digests are kept in the store
    #[arg(long, conflicts_with = "from")]
    pub incremental: bool,
    /// Take the klines from these files and folders (archive zips, CSV, Parquet) instead of the store
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub from: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub series: SeriesArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Form of the files
    #[arg(long, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Folder or object store (s3://BUCKET/PREFIX) to write into; it is laid out like the public archive, a file per series
    /// and month
    #[arg(long, value_name = "DIR|S3-URL")]
    pub out: PathBuf,
}

/// Form of exported files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Text with the archive's header; times in milliseconds.
    Csv,
    /// Decimal columns, zstd.
    Parquet,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files and folders: archive zips, CSV, Parquet
    #[arg(value_name = "FILE|DIR", required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub series: SeriesArgs,
    /// Replace stored klines that have other values (they are kept as revisions); otherwise such are only told
    #[arg(long)]
    pub replace: bool,
    /// Read and check everything, write nothing
    #[arg(long)]
    pub dry_run: bool,
}

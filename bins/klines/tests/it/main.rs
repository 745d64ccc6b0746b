//! The program as its users run it: real processes, real files, real HTTP.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod certify;
mod cli;
mod doctor;
#[cfg(all(feature = "mongodb", feature = "mysql", feature = "postgres"))]
mod engines;
mod files;
#[cfg(feature = "mysql")]
mod incident;
mod killed;
mod media;
mod memory;
#[cfg(all(feature = "mongodb", feature = "mysql", feature = "postgres"))]
mod outages;
#[cfg(feature = "mysql")]
mod received;
mod s3;
#[cfg(feature = "mysql")]
mod scene;
mod schemas;
mod serve;
mod support;
mod symbols;
mod verify;
#[cfg(feature = "mysql")]
mod workers;

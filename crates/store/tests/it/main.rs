//! What every engine promises ([`suite`]), and what only SQLite does ([`sqlite`]).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test fails by panicking

mod common;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod on_servers;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod suite;

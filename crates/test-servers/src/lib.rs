//! Private servers for tests: each in a folder of its own, on a free port of loopback, gone when the test ends, also
//! when the test program is killed.
//!
//! A server whose programs are not on this machine is `None`, and says so: `skipped: mysql (mariadbd not found)`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test fails by panicking

#[cfg(feature = "collector")]
pub mod collector;
pub mod daemon;
pub mod mariadb;
pub mod mongo;
pub mod nats;
pub mod postgres;

#[cfg(feature = "collector")]
pub use collector::Collector;
pub use daemon::{Daemon, free_port};
pub use mariadb::Mariadb;
pub use mongo::Mongo;
pub use nats::Nats;
pub use postgres::Postgres;

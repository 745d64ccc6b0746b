//! The commands on a live cluster, against an API server of the test's own: what people see and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod audit;
mod handle;
mod objects;
mod plugin;
mod rbac;
mod run;
mod server;
mod smoke;
mod status;
mod trouble;

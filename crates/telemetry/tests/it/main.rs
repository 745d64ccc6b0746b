//! A short process and its collectors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests

mod away;
mod names;
mod process;
mod received;
mod settings;
mod stderr;

//! The exchange as its clients see it: over HTTP.

// Helpers outside of test functions may fail loudly too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod archive;
mod command;
mod faults;
mod limits;
mod replay;
mod semantics;
mod support;

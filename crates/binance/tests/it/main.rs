//! The client against a scripted exchange on the loopback interface.

// Helpers of tests are tests to a reader, though not to clippy.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod archive;
mod dns;
mod failures;
mod klines;
mod server;

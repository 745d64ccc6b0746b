//! The program as its users run it: real processes, real files, real HTTP.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod cli;
mod killed;
mod memory;
mod support;

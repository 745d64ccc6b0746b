//! The program as its users run it: real processes, real files, real HTTP.

mod cli;
mod killed;
mod memory;
mod support;

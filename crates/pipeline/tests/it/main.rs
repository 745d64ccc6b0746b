//! The jobs end to end: a real store on disk, real HTTP against the local exchange, real klines where they are at hand.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // tests fail by panicking and say what they skip

mod archive;
mod closed;
mod faults;
mod follow;
mod real_data;
mod support;
mod together;
mod verify;
mod weight;

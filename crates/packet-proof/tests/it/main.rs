//! Policies against the kernel. Every test that needs namespaces says so when the machine has none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod e2e;
mod incident;
mod lifetime;
mod random;
mod shared;

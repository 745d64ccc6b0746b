//! Policies against the kernel. Every test that needs namespaces says so when the machine has none.

mod e2e;
mod incident;
mod lifetime;
mod random;
mod shared;

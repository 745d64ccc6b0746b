//! Tests against the public interface, one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod admin_conformance;
mod corpus;
mod e2e;
mod incident;
mod json;
mod np_guard;
mod parse;
mod random;
mod reference;
mod target;

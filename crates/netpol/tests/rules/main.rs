//! The rules, from manifests to reports, one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../it/corpus.rs"]
#[allow(dead_code, reason = "shared with the other test binary, which uses all of it")]
mod corpus;

mod incident;
mod nearmiss;
mod needs;
mod others;
mod render;
mod rules;
mod support;
mod suppress;

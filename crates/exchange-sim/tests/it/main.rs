//! The exchange as its clients see it: over HTTP.

mod semantics;
mod support;

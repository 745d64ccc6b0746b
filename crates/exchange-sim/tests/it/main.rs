//! The exchange as its clients see it: over HTTP.

mod replay;
mod semantics;
mod support;

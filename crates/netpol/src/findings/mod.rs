//! What the rules found.
pub mod pattern;

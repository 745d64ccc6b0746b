//! Tests against the public interface, one binary.

mod corpus;
mod parse;

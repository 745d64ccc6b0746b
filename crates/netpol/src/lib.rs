//! Kubernetes NetworkPolicy engine: reads manifests with the place of every field, and judges what may talk
//! to what. Pure: no files, no network, no clock.

pub mod object;
mod read;
mod source;
mod yaml;

pub use read::{Input, Location};
pub use source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span, Spanned, Text};

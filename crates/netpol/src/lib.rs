#![doc = include_str!("../README.md")]

pub mod changes;
pub mod explain;
pub mod findings;
pub mod fix;
pub mod labels;
mod model;
pub mod nearmiss;
pub mod needs;
pub mod object;
mod parallel;
mod profile;
pub mod reach_render;
mod read;
pub mod render;
pub mod rules;
pub mod set;
mod source;
mod yaml;

pub use fix::text_patch;
pub use model::*;
pub use profile::{DnsServer, HostNetwork, Profile};
pub use read::{Input, Location};
pub use source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span, Spanned, Text};

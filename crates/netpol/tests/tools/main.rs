//! What people are shown: explanations, reachability, changes, fixes, label documents.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod changes;
mod explain;
mod fix;
mod labels;
mod page;
mod reach;
mod shared;

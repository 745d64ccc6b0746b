//! The dashboard as browsers and programs ask it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod api;
mod fixture;
mod guard;
mod live;
mod report;

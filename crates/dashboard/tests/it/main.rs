//! The dashboard as browsers and programs ask it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod actions;
mod api;
mod certified;
mod fixture;
mod guard;
mod live;
mod report;

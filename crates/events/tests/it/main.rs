//! Delivery to a real NATS server. Each test starts its own; without `nats-server` on the PATH it says that it was
//! skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests

mod away;
mod delivery;
mod login;
mod outbox;
mod permissions;
mod server;
mod streams;
mod tls;

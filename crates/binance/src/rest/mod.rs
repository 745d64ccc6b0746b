//! The REST client.

mod classify;
mod client;
mod decode;
mod event;
mod http;
mod pool;
mod retry;
mod stream;

pub use client::{Client, Page};
pub use decode::{ExchangeInfo, SymbolInfo};
pub use event::Event;

//! The REST client.

pub(crate) mod classify;
mod client;
mod decode;
mod event;
pub(crate) mod http;
mod live;
mod pool;
pub(crate) mod retry;
mod send;
mod stream;

pub use client::{Client, Page, Spent};
pub use decode::{ExchangeInfo, SymbolInfo, read_klines};
pub use event::Event;
pub use live::{Live, MOST_STREAMS, Push, Pushed};

//! The jobs end to end: a real store on disk, real HTTP against the local exchange, real klines where they are at hand.

mod closed;
mod faults;
mod real_data;
mod support;
mod together;
mod weight;

//! A local Binance.
fn main() {}

//! Symbolic sets of ports and of addresses.

mod intervals;
mod ips;
mod ports;

pub use intervals::{Bound, Intervals};
pub use ips::IpSet;
pub use ports::PortSet;

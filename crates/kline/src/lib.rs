//! The domain: markets, intervals, klines, and the algebra of gaps.
//!
//! Pure: no I/O, no async, no clock, no environment. Everything else in the workspace speaks these types.
//!
//! * A [`Series`] is one (market, symbol, interval).
//! * Its *grid* is a sequence of numbered [`Slot`]s: [`Interval::slot_of`] maps an instant to the slot that contains it
//!   and [`Interval::slot_start`] maps back. Numbering makes calendar months as easy as minutes: slots are consecutive
//!   integers whatever the interval, so gaps are plain integer ranges.
//! * A [`RangeSet`] is a set of slots, kept as sorted half-open ranges; union, difference and intersection are linear.
//! * A [`Kline`] carries exact [`Decimal`]s; [`validate`] decides what may be stored and says why not.
//!
//! Times are UTC milliseconds ([`Millis`]); ranges are half-open, `[since, until)`.

mod decimal;
pub mod digits;
mod interval;
mod kline;
mod market;
mod ranges;
mod series;
mod time;
pub mod validate;

pub use decimal::{Decimal, DecimalError};
pub use interval::{Interval, UnknownInterval};
pub use kline::Kline;
pub use market::{BadSymbol, Market, Symbol, UnknownMarket};
pub use ranges::{RangeSet, SlotRange};
pub use series::{Series, UnsupportedInterval};
pub use time::{Millis, TimeError, TimeRange};

/// Number of a grid slot of one interval. Consecutive slots have consecutive numbers; slot 0 holds 1970-01-02 for `3d`,
/// Monday 1970-01-05 for `1w`, January 1970 for `1M`, and the epoch for every other interval.
pub type Slot = i64;

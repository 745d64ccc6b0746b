//! What a run tells while it goes on.

use binance::FetchError;
use kline::validate::Rejection;
use kline::{Kline, Market, Series, SlotRange};

use crate::report::SeriesReport;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another job holds the lease of a series; this one waits for it.
    WaitingForLease {
        /// The series.
        series: &'a Series,
        /// Who holds it.
        owner: &'a str,
    },
    /// It is known what a series lacks and what it takes to fetch it.
    Planned {
        /// The series.
        series: &'a Series,
        /// Missing klines.
        missing: u64,
        /// Maximal runs of missing klines.
        gaps: u64,
        /// Requests planned.
        requests: u64,
        /// Weight planned.
        weight: u64,
        /// Files of the archive planned.
        files: u64,
    },
    /// An answer arrived and was checked.
    Fetched {
        /// The series.
        series: &'a Series,
        /// The window that was asked for.
        slots: SlotRange,
        /// Klines in it that fill missing slots.
        useful: u64,
    },
    /// A row was refused.
    Rejected {
        /// The series.
        series: &'a Series,
        /// Which and why.
        rejection: &'a Rejection,
    },
    /// A file of the archive is of no use; what it should have had comes from elsewhere, or stays missing.
    FileRefused {
        /// The series.
        series: &'a Series,
        /// Which file and why.
        reason: &'a str,
    },
    /// Klines were committed.
    Committed {
        /// The series.
        series: &'a Series,
        /// Klines in the chunk.
        klines: u64,
    },
    /// The streams of a market are open.
    LineOpened {
        /// The market.
        market: Market,
        /// Series on this connection.
        streams: usize,
    },
    /// A connection of streams broke or did not come about; it is tried again.
    LineLost {
        /// The market.
        market: Market,
        /// Why.
        error: &'a FetchError,
    },
    /// A kline was pushed as closed and is stored.
    Pushed {
        /// The series.
        series: &'a Series,
        /// The kline.
        kline: &'a Kline,
    },
    /// A series is done, one way or another.
    Finished(&'a SeriesReport),
}

/// Somebody who wants to know: a progress display, a log, telemetry.
pub trait Observer: Send + Sync {
    /// Called for every event, from the task that runs the job: must not block.
    fn event(&self, event: &Event<'_>);
}

/// Hears nothing.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}

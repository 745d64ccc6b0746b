//! What goes into a store and comes out of it.

use std::collections::BTreeMap;
use std::fmt;

use kline::{Kline, Millis, RangeSet, Series, Slot, SlotRange};

/// What the store knows of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRecord {
    /// The series.
    pub series: Series,
    /// When the exchange listed what is stored here (its onboard date, or the first kline it has), as first learnt.
    /// A later date from the exchange means that the ticker now names another asset.
    pub listed: Option<Millis>,
    /// Stored klines, or `None` when there are none.
    pub extent: Option<Extent>,
}

/// First, last and number of the stored klines of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Open time of the first kline.
    pub first: Millis,
    /// Open time of the last kline.
    pub last: Millis,
    /// Number of klines.
    pub rows: u64,
}

/// What the books say of a range of a series, without its rows being read. As long as they say the same, nothing that this
/// program does has changed a kline in it, and nobody has added or taken one. (A value that somebody changes by hand is
/// not in the books.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// The slots in which no kline opens.
    pub missing: RangeSet,
    /// Slots of which the books cannot tell what became of them: somebody changed rows there by hand.
    pub unknown: RangeSet,
    /// Klines beyond the first of their slots, and the slots among which these are: in the range and next to it, ascending.
    pub doubled: Vec<(SlotRange, u64)>,
    /// How often a kline of a slot was replaced, where that ever happened.
    pub replaced: BTreeMap<Slot, u64>,
}

/// A note that klines were certified: what the books said when their digest was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The slots: those of a month, or of a part of it.
    pub slots: SlotRange,
    /// Fingerprint of what the books said.
    pub books: String,
    /// Klines.
    pub rows: u64,
    /// Their digest.
    pub digest: String,
    /// When it was taken, local clock.
    pub at: Millis,
}

/// How it was established that the source has no kline for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Absence {
    /// The slot lies before the first kline the exchange has of this symbol.
    NotListedYet,
    /// The exchange answered for this slot, twice, with no kline in it: an outage or a halt.
    EmptyAnswer,
}

impl Absence {
    /// Stable identifier: `not_listed_yet`, `empty_answer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotListedYet => "not_listed_yet",
            Self::EmptyAnswer => "empty_answer",
        }
    }

    /// The absence of this identifier.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::NotListedYet, Self::EmptyAnswer].into_iter().find(|a| a.as_str() == name)
    }
}

/// A run of slots the source does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsentRange {
    /// The slots.
    pub slots: SlotRange,
    /// How this is known.
    pub how: Absence,
    /// When it was established, by the exchange's clock.
    pub at: Millis,
}

/// Where klines came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The REST API.
    Rest,
    /// The public archive.
    Archive,
    /// A file given by the user.
    Import,
    /// A stream that pushes klines as they close.
    Stream,
}

impl Source {
    /// Stable identifier: `rest`, `archive`, `import`, `stream`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Archive => "archive",
            Self::Import => "import",
            Self::Stream => "stream",
        }
    }

    /// The source of this identifier.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Rest, Self::Archive, Self::Import, Self::Stream].into_iter().find(|s| s.as_str() == name)
    }
}

/// Ledger entry: one answer of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The slots that were asked for.
    pub slots: SlotRange,
    /// Who answered.
    pub source: Source,
    /// Rows in the answer.
    pub rows: u64,
    /// Rows refused by validation.
    pub rejected: u64,
    /// When, by the exchange's clock.
    pub at: Millis,
}

/// A ledger entry as kept: successive pages of one run are joined into one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Identifier of the run that asked.
    pub run: String,
    /// What was asked and answered.
    pub fetched: Fetched,
}

/// Values of a kline that were replaced because the source revised them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Identifier of the run that replaced it.
    pub run: String,
    /// When, local clock.
    pub at: Millis,
    /// The values before.
    pub old: Kline,
}

/// What is committed together.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Identifier of the run this belongs to.
    pub run: String,
    /// Klines, ascending by open time.
    pub klines: Vec<Kline>,
    /// Ledger entries of the answers these klines came from.
    pub fetched: Vec<Fetched>,
    /// Slots now known to be absent at the source, with how and when.
    pub absent: Vec<AbsentRange>,
    /// When the exchange listed the symbol, once learnt.
    pub listed: Option<Millis>,
    /// End of the run, if this is its last chunk.
    pub finish: Option<Finish>,
}

impl Chunk {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.klines.is_empty()
            && self.fetched.is_empty()
            && self.absent.is_empty()
            && self.listed.is_none()
            && self.finish.is_none()
    }
}

/// The end of a run of one series, and what the world is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finish {
    /// The run record; `None` for a message that belongs to no single series.
    pub run: Option<SeriesRun>,
    /// Messages for the outbox.
    pub messages: Vec<Message>,
}

/// How a run of one series ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every slot is stored or known to be absent.
    Complete,
    /// Ran to the end, but slots are still missing.
    Incomplete,
    /// Stopped by an error.
    Failed,
}

impl Outcome {
    /// Stable identifier: `complete`, `incomplete`, `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The outcome of this identifier.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Complete, Self::Incomplete, Self::Failed].into_iter().find(|o| o.as_str() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Record of one run over one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRun {
    /// Identifier of the run; several series share one.
    pub run: String,
    /// `extract` or `fill-gaps`.
    pub job: String,
    /// The series.
    pub series: Series,
    /// Start, local clock.
    pub started: Millis,
    /// End, local clock.
    pub ended: Millis,
    /// How it ended.
    pub outcome: Outcome,
    /// The series' part of the JSON report, as text.
    pub report: String,
}

/// A message for the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique id of the message; a consumer that dedupes sees it once (`Nats-Msg-Id`).
    pub id: String,
    /// Subject.
    pub subject: String,
    /// JSON body.
    pub payload: String,
    /// `traceparent` of the span that produced it, if any.
    pub traceparent: Option<String>,
}

/// A message that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMessage {
    /// Position in the outbox.
    pub position: i64,
    /// The message.
    pub message: Message,
    /// When it was put in, local clock.
    pub created: Millis,
}

/// The right to write to one series, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The series.
    pub series: Series,
    /// Who holds it, for people: host, process, run.
    pub owner: String,
    /// Unique token of this very acquisition.
    pub token: String,
}

/// A lease that somebody holds right now, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// The series that is being written to.
    pub series: Series,
    /// Who holds it, for people: host, process.
    pub owner: String,
    /// When it ends unless it is renewed, by the store's clock.
    pub expires: Millis,
}

/// What a commit did to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Klines that were not there before.
    pub inserted: u64,
    /// Klines that were there with other values: replaced, the old values kept in the audit table.
    pub replaced: u64,
    /// Klines that were there with equal values.
    pub unchanged: u64,
}

impl Committed {
    /// Rows that the commit wrote.
    pub fn written(&self) -> u64 {
        self.inserted + self.replaced
    }

    /// Adds another commit's counts.
    pub fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.replaced += other.replaced;
        self.unchanged += other.unchanged;
    }
}

/// Slots of a list of absences, as a set.
pub fn absent_slots(ranges: &[AbsentRange]) -> RangeSet {
    ranges.iter().map(|a| a.slots).collect()
}

//! What is wrong with files of the public archive.

use kline::{Millis, Series, TimeRange};
use serde::{Deserialize, Serialize};

use super::{Faults, RowRange};

/// A defect of some files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFault {
    /// What is wrong.
    pub defect: ArchiveDefect,
    /// Months alone (`true`), days alone (`false`), or both.
    #[serde(default)]
    pub monthly: Option<bool>,
    /// Files that hold some of these klines; `lacks` and `stale` touch these klines alone.
    #[serde(default)]
    pub rows: RowRange,
}

/// What can be wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveDefect {
    /// It is not there: 404.
    Missing,
    /// 403 with an error document.
    Denied,
    /// Some klines are not in it.
    Lacks,
    /// Some klines have values that were corrected since.
    Stale,
    /// Every seventh row is there twice.
    Duplicates,
    /// Every fiftieth row is there twice, with different values.
    Contradictions,
    /// Rows are out of order.
    Unsorted,
    /// Every hundredth row is cut short.
    Unreadable,
    /// A header where others of its time have none, or the other way round.
    OtherHeader,
    /// Every other row counts microseconds where the rest counts milliseconds, or the other way round.
    OtherUnit,
    /// Decimals with more zeros at the end.
    OtherPadding,
    /// The CHECKSUM is that of another file.
    WrongChecksum,
    /// There is no CHECKSUM.
    NoChecksum,
    /// The zip's CRC is wrong; the CHECKSUM is right.
    BadCrc,
    /// The member has another name.
    WrongMember,
    /// The member's name leads out of the folder.
    PathTrick,
    /// A second member.
    SeveralMembers,
    /// It inflates to 12 MiB more than its rows.
    Bomb,
    /// It is no zip; the CHECKSUM is right.
    NoZip,
}

impl ArchiveFault {
    fn is_about(&self, series: &Series, monthly: bool) -> bool {
        let rows = &self.rows;
        self.monthly.is_none_or(|wanted| wanted == monthly)
            && rows.market.is_none_or(|market| market == series.market)
            && rows.interval.is_none_or(|interval| interval == series.interval)
            && rows.symbol.as_ref().is_none_or(|symbol| *symbol == series.symbol)
    }
}

impl Faults {
    /// The defects of a file.
    pub(crate) fn archive_defects(
        &self,
        series: &Series,
        monthly: bool,
        range: TimeRange,
    ) -> Vec<ArchiveDefect> {
        let touches = |rows: &RowRange| {
            rows.since.is_none_or(|since| since < range.until)
                && rows.until.is_none_or(|until| range.since < until)
        };
        let about = |fault: &&ArchiveFault| fault.is_about(series, monthly) && touches(&fault.rows);
        self.archive.iter().filter(about).map(|fault| fault.defect).collect()
    }

    /// Whether a kline is not in its file.
    pub(crate) fn archive_lacks(&self, series: &Series, monthly: bool, open: Millis) -> bool {
        self.archive_touches(ArchiveDefect::Lacks, series, monthly, open)
    }

    /// Whether a kline is out of date in its file.
    pub(crate) fn archive_is_stale(&self, series: &Series, monthly: bool, open: Millis) -> bool {
        self.archive_touches(ArchiveDefect::Stale, series, monthly, open)
    }

    fn archive_touches(&self, defect: ArchiveDefect, series: &Series, monthly: bool, open: Millis) -> bool {
        let touches = |fault: &ArchiveFault| {
            fault.defect == defect && fault.is_about(series, monthly) && fault.rows.matches(series, open)
        };
        self.archive.iter().any(touches)
    }
}

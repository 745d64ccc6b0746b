//! Which slots a job is about.

use binance::Client;
use kline::{Interval, Millis, Series, SlotRange};
use store::SeriesRecord;

use crate::error::JobError;
use crate::spec::{Job, Lookback, Options, Since};

/// The slots of one series that a job is about. All of them are closed by the exchange's clock, when `now` is known.
pub(crate) fn slots(
    options: &Options,
    series: &Series,
    record: Option<&SeriesRecord>,
    listing: Option<Millis>,
    now: Option<Millis>,
) -> Result<SlotRange, JobError> {
    let interval = series.interval;
    let end = end_slot(options, interval, now)?;
    let start = start_slot(options, series, record, listing, now)?;
    Ok(SlotRange::new(start, end.max(start)))
}

fn end_slot(options: &Options, interval: Interval, now: Option<Millis>) -> Result<i64, JobError> {
    let closed = now.map_or(i64::MAX, |now| interval.first_open_slot(now));
    let Some(until) = options.until else { return Ok(closed) };
    if let Some(now) = now.filter(|now| *now < until) {
        return Err(JobError::Usage(format!(
            "--until {until} lies in the future: the exchange's clock says {now}; leave --until out for the last closed kline"
        )));
    }
    let asked = interval.slot_of(until) + i64::from(!interval.is_aligned(until));
    Ok(asked.min(closed))
}

fn start_slot(
    options: &Options,
    series: &Series,
    record: Option<&SeriesRecord>,
    listing: Option<Millis>,
    now: Option<Millis>,
) -> Result<i64, JobError> {
    let interval = series.interval;
    let extent = record.and_then(|r| r.extent);
    let up = |at: Millis| interval.slot_of(at) + i64::from(!interval.is_aligned(at));
    let back = |lookback: Lookback| {
        // Without a clock the range ends where the caller said.
        let end = options.until.or(now).unwrap_or_default();
        interval.slot_of(lookback.since(interval, end))
    };
    let at = |since: Millis| match (options.until, now) {
        (Some(until), _) if until <= since => {
            Err(JobError::Usage(format!("--until {until} is not after --since {since}: the range is empty")))
        }
        (_, Some(now)) if now <= since => Err(JobError::Usage(format!(
            "--since {since} lies in the future: the exchange's clock says {now}"
        ))),
        // Nothing traded before 1970: an earlier begin means "everything", as 0 does.
        _ => Ok(up(since.max(Millis(0)))),
    };
    match (options.since, options.job, extent) {
        (Since::At(since), _, _) => at(since),
        (Since::Begin(_) | Since::Stored, Job::Extract, Some(extent)) => {
            Ok(interval.slot_of(extent.last) + 1)
        }
        (Since::Begin(since), _, _) => at(since),
        (Since::Listing, _, _) => Ok(interval.slot_of(listing.unwrap_or_default())),
        (Since::Back(lookback), _, _) => Ok(back(lookback)),
        (Since::Stored, Job::Extract, None) => Ok(back(Lookback::DEFAULT)),
        (Since::Stored, Job::FillGaps, Some(extent)) => Ok(interval.slot_of(extent.first)),
        (Since::Stored, Job::FillGaps, None) => Err(JobError::Usage(format!(
            "{series}: nothing is stored yet, so say where its history begins: --since 2023-01-01, or --since listing \
             for the first kline the exchange has"
        ))),
    }
}

/// Whether the range cannot be known without asking the exchange.
pub(crate) fn needs_clock(options: &Options) -> bool {
    options.until.is_none()
}

/// First kline of a series at the exchange.
pub(crate) async fn listing(client: &Client, series: &Series) -> Result<Millis, JobError> {
    client.first_kline(series).await?.ok_or_else(|| JobError::NoKlines(series.clone()))
}

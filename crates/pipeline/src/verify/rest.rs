//! Comparing with the REST interface: windows of least weight over the whole range.

use binance::planner::{Prefer, Rules, Window, Windows};
use binance::{Client, Page};
use futures_util::StreamExt;
use kline::validate;
use kline::{RangeSet, Series, SlotRange};
use store::{Fetched, KlineStore, Source};
use tokio_util::sync::CancellationToken;

use super::compare::{Answer, Verdict};
use super::task::{Comparison, slots_of};
use crate::error::JobError;

impl<S: KlineStore> Comparison<'_, '_, S> {
    /// Requests, weight, and no files.
    pub(crate) async fn price_of_rest(&self, slots: SlotRange) -> Result<(u64, u64, u64), JobError> {
        let (all, rules) = (RangeSet::from(slots), Rules::of(self.series.market, self.series.interval));
        let mut price = (0, 0, 0);
        for window in Windows::new(&all, &rules, Prefer::Weight) {
            price = (price.0 + 1, price.1 + u64::from(window.weight), 0);
        }
        Ok(price)
    }

    /// Compares a range, window by window, with a few requests in flight.
    pub(crate) async fn compare_with_rest(&mut self, slots: SlotRange) -> Result<(), JobError> {
        // The exchange's own limit is learnt before it is spent.
        self.shared.client.exchange_info(self.series.market).await?;
        let (all, rules) = (RangeSet::from(slots), Rules::of(self.series.market, self.series.interval));
        let (client, series, stop) = (self.client.clone(), self.series, self.shared.stop);
        let mut answers = futures_util::stream::iter(Windows::new(&all, &rules, Prefer::Weight))
            .map(|window| ask(&client, series, window, stop))
            .buffered(self.shared.options.in_flight.max(1));
        while let Some(answer) = answers.next().await {
            let (window, page) = answer?;
            self.window(window, page).await?;
            self.check_stop()?;
        }
        Ok(())
    }

    async fn window(&mut self, window: Window, page: Page) -> Result<(), JobError> {
        let interval = self.series.interval;
        let stored = self.stored(window.slots, None, None).await?;
        self.report.inspect(interval, &stored, self.shared.options.most_findings);
        let (received, now) = (page.rows_received, page.exchange_now);
        let garbled = page.unreadable.iter().any(|r| r.open_time.is_none());
        let checked = validate::check_page(interval, window.slots, now, page.rows);
        let refused = checked.rejected.iter().chain(&page.unreadable);
        let doubtful = slots_of(interval, refused.clone().filter_map(|r| r.open_time));
        let rejected = refused.count() as u64;
        let mut verdict = Verdict::default();
        verdict.compare(interval, &stored, Answer { rows: checked.accepted, doubtful, garbled });
        self.note(Fetched { slots: window.slots, source: Source::Rest, rows: received, rejected, at: now });
        self.settle(verdict).await
    }
}

async fn ask(
    client: &Client,
    series: &Series,
    window: Window,
    stop: &CancellationToken,
) -> Result<(Window, Page), JobError> {
    tokio::select! {
        page = client.klines(series, window.slots) => Ok((window, page?)),
        () = stop.cancelled() => Err(JobError::Interrupted),
    }
}

//! An exchange that misbehaves.

use std::sync::Mutex;

use exchange_sim::{BadRow, Faults};
use kline::{Interval, Market};
use pipeline::{Event, Job, Observer, Options};
use store::{KlineStore, Outcome};
use tokio_util::sync::CancellationToken;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn errors_cut_bodies_and_a_storm_of_429_end_complete() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let storm = Faults {
        error_rate: 0.05,
        truncate_rate: 0.02,
        reset_rate: 0.01,
        too_many_rate: 0.05,
        retry_after_s: Some(0),
        ..Faults::default()
    };
    world.sim.control().set_faults(storm).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    assert_eq!(
        (report.outcome, report.totals.missing_after),
        ("complete", 0),
        "{:?}",
        report.series[0].error
    );
    let range = slots(Interval::M1, "2024-01-01", "2024-03-01");
    assert_eq!(world.rows(&series, range).await.len() as u64, range.len());
    let stats = world.sim.stats();
    assert!(stats.answered_429 > 0 && stats.faults.len() >= 3, "{:?}", stats.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn false_rows_are_refused_with_reasons_and_come_right_later() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    let false_rows =
        Faults { bad_row_rate: 0.05, duplicate_rate: 0.03, unordered_rate: 0.03, ..Faults::default() };
    world.sim.control().set_faults(false_rows).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    let s = &report.series[0];
    assert_eq!(report.outcome, "complete", "{s:?}");
    assert_eq!(s.absent, 0, "a refused row is no proof of absence");
    assert!(s.rejected > 100 && s.rejections.len() >= 3, "{:?}", s.rejections);

    // What was stored is what an honest exchange says.
    world.sim.control().set_faults(Faults::default()).unwrap();
    let honest = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    honest.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    let range = slots(Interval::M5, "2024-01-01", "2024-01-08");
    assert_eq!(world.rows(&series, range).await, honest.rows(&series, range).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_stay_false_are_left_out_and_reported_as_missing() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    let stubborn = Faults {
        bad_row_rate: 0.01,
        sticky_rows: true,
        bad_rows: vec![BadRow::LowAboveHigh],
        ..Faults::default()
    };
    world.sim.control().set_faults(stubborn).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    let s = &report.series[0];
    assert_eq!(report.outcome, "incomplete");
    assert!(s.missing_after > 0 && s.absent == 0 && s.error.is_none(), "{s:?}");
    assert_eq!(s.expected, s.stored_before + s.written + s.absent + s.missing_after);
    let range = slots(Interval::M5, "2024-01-01", "2024-01-08");
    let stored = world.rows(&series, range).await;
    assert_eq!(stored.len() as u64, s.written);
    assert!(stored.iter().all(|k| kline::validate::check_values(k).is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_answers_by_mistake_make_no_kline_absent() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    world.sim.control().set_faults(Faults { empty_rate: 0.3, ..Faults::default() }).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    assert_eq!(report.totals.absent, 0, "{report:?}");
    assert_eq!(report.totals.expected, report.totals.written + report.totals.missing_after);
    world.sim.control().set_faults(Faults::default()).unwrap();
    let again = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    assert_eq!((again.outcome, again.totals.absent), ("complete", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_of_years_costs_no_more_than_one_of_hours() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-02-01").await;
    let hole = exchange_sim::RowRange {
        market: Some(Market::Um),
        since: Some(at("2021-01-01")),
        until: Some(at("2024-01-01")),
        ..exchange_sim::RowRange::default()
    };
    world.sim.control().set_faults(Faults { holes: vec![hole], ..Faults::default() }).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2020-12-30", Some("2024-01-03"))).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.written), ("complete", 4 * 288));
    assert_eq!(s.absent, slots(Interval::M5, "2021-01-01", "2024-01-01").len());
    assert!(s.requests < 20, "{} requests for a hole of 315,360 klines", s.requests);
    assert_eq!(s.requests, world.klines_requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_ended_is_complete_with_the_rest_absent() {
    let symbol = kline::Symbol::new("GONEUSDT").unwrap();
    let (from, until) = (at("2020-01-01"), Some(at("2021-06-01")));
    let data = exchange_sim::DataSource::Synthetic { market: Market::Spot, symbol, from, until, seed: 1 };
    let world = World::new(vec![data], "2024-02-01").await;
    let series = series(Market::Spot, "GONEUSDT", Interval::M15);
    let report = world.run(&fill(std::slice::from_ref(&series), "2021-05-30", Some("2024-01-01"))).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.written), ("complete", 192));
    assert_eq!(s.absent, slots(Interval::M15, "2021-06-01", "2024-01-01").len());
    assert!(s.requests < 15, "{}", s.requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_in_the_middle_ends_the_run_with_its_error() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    let mut options = fill(std::slice::from_ref(&series), "2024-01-01", None);
    options.chunk = 1000;
    let robber = async {
        // Wait for the job to be at work, then take its lease away.
        while world.store.series(&series).await.unwrap().and_then(|r| r.extent).is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let holder = world.store.acquire(&series, "robber", std::time::Duration::from_secs(600)).await;
        let Err(store::StoreError::Leased { owner, .. }) = holder else { panic!("{holder:?}") };
        world.store.take_over(&series, &owner, "robber", std::time::Duration::from_secs(600)).await.unwrap()
    };
    let (report, _) = tokio::join!(world.run(&options), robber);
    assert_eq!(report.outcome, "failed");
    let error = report.series[0].error.as_deref().unwrap();
    assert!(error.contains("lease"), "{error}");
    let stored = world.rows(&series, slots(Interval::M1, "2024-01-01", "2024-03-01")).await;
    assert_eq!(stored.len() as u64, report.totals.written);
    assert_eq!(report.totals.expected, report.totals.written + report.totals.missing_after);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_symbol_fails_alone() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    let good = series(Market::Um, "BTCUSDT", Interval::M5);
    let bad = series(Market::Um, "NOSUCHUSDT", Interval::M5);
    let report = world.run(&fill(&[bad.clone(), good], "2024-01-01", None)).await;
    assert_eq!(report.outcome, "failed");
    let error = report.series[0].error.as_deref().unwrap();
    assert!(error.contains("-1121") || error.contains("Invalid symbol"), "{error}");
    assert_eq!(report.series[1].outcome, "complete");
    let last = world.store.runs(Some(&bad), 1).await.unwrap();
    assert_eq!(last[0].outcome, Outcome::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_stops_every_series_and_what_came_before_is_kept() {
    let data = vec![made_up(Market::Um, "AUSDT", "2020-01-01"), made_up(Market::Um, "BUSDT", "2020-01-01")];
    let world = World::new(data, "2024-02-01").await;
    let banned = Faults { banned_rate: 1.0, ban_s: 3600, after: 12, ..Faults::default() };
    world.sim.control().set_faults(banned).unwrap();
    let both = [series(Market::Um, "AUSDT", Interval::M1), series(Market::Um, "BUSDT", Interval::M1)];
    let mut options = fill(&both, "2024-01-01", None);
    options.series_at_once = 1;
    let report = world.run(&options).await;
    assert_eq!(report.outcome, "failed");
    assert!(report.series.iter().all(|s| s.error.is_some()), "{report:?}");
    let stored = world.rows(&both[0], slots(Interval::M1, "2024-01-01", "2024-02-01")).await;
    assert_eq!(stored.len() as u64, report.series[0].written);
    assert!(report.series[0].written > 0, "{report:?}");
    let asked = world.sim.stats().requests;
    assert!(asked < 30, "{asked} requests though the address is banned");
}

/// Cancels after so many commits.
struct StopAfter(Mutex<u32>, CancellationToken);

impl Observer for StopAfter {
    fn event(&self, event: &Event<'_>) {
        if let Event::Committed { .. } = event {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.1.cancel();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_chunk_in_hand_and_the_next_run_the_rest() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    let mut options = fill(std::slice::from_ref(&series), "2024-01-01", None);
    options.chunk = 1000;
    let stop = CancellationToken::new();
    let observer = StopAfter(Mutex::new(5), stop.clone());
    let report = pipeline::run(&world.store, &world.client, &options, &observer, at("2026-01-01"), &stop)
        .await
        .unwrap();
    assert!(report.interrupted());
    let range = slots(Interval::M1, "2024-01-01", "2024-03-01");
    let stored = world.rows(&series, range).await.len() as u64;
    assert_eq!((stored, report.totals.missing_after), (report.totals.written, range.len() - stored));
    assert!(stored >= 5000 && stored < range.len(), "{stored}");

    let rest = world.run(&options).await;
    assert_eq!((rest.outcome, rest.totals.written), ("complete", range.len() - stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_ticker_does_not_splice_two_assets() {
    let old = World::new(vec![made_up(Market::Um, "LITUSDT", "2021-02-01")], "2024-01-08").await;
    let series = series(Market::Um, "LITUSDT", Interval::D1);
    assert_eq!(old.run(&fill(std::slice::from_ref(&series), "2021-02-01", None)).await.outcome, "complete");
    // The same store, a year on: the ticker was listed anew for another asset.
    let new = World::new(vec![made_up(Market::Um, "LITUSDT", "2024-12-23")], "2025-02-01").await;
    let both = World { client: World::client_of(&new.sim), ..old };
    let report = both.run(&Options::new(Job::Extract, vec![series.clone()])).await;
    assert_eq!(report.outcome, "failed");
    let error = report.series[0].error.as_deref().unwrap();
    assert!(error.contains("another asset"), "{error}");
    assert_eq!(report.totals.written, 0);
}

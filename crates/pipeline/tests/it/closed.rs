//! Only closed klines are stored, by the exchange's clock.

use exchange_sim::{Config, Faults, Now};
use kline::{Interval, Market};
use pipeline::{Job, JobError, Lookback, Options, Since};
use store::KlineStore;
use tokio_util::sync::CancellationToken;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_unfinished_kline_is_never_stored_whatever_the_local_clock_says() {
    // The machine's clock is right; an exchange an hour ahead or behind is the same as a local clock an hour off.
    for offset in [-3_600_000, 0, 3_600_000] {
        let data = vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")];
        let world =
            World::with(Config { data, now: Now::Real, clock_offset_ms: offset, ..Config::default() }).await;
        let series = series(Market::Um, "BTCUSDT", Interval::M1);
        let options = Options {
            since: Since::Back(Lookback::Klines(30)),
            ..Options::new(Job::Extract, vec![series.clone()])
        };
        let before = world.sim.control().now();
        let report = world.run(&options).await;
        let after = world.sim.control().now();
        assert_eq!((report.outcome, report.totals.written), ("complete", 30));
        let last = world.store.series(&series).await.unwrap().unwrap().extent.unwrap().last;
        let end = Interval::M1.slot_end(Interval::M1.slot_of(last));
        assert!(end <= after, "{last} was stored before it was closed at {after}");
        assert!(end >= before.plus(-60_000), "{last} is not the last closed kline at {before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kline_that_closes_exactly_now_is_stored_and_the_next_is_not() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-01T00:05:00Z").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    assert_eq!((report.totals.expected, report.totals.written), (1, 1));
    assert_eq!(report.series[0].until.as_deref(), Some("2024-01-01T00:05:00Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn extract_goes_on_after_the_last_stored_kline() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-01T00:00:00Z").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let options = Options::new(Job::Extract, vec![series.clone()]);
    assert_eq!(world.run(&options).await.totals.written, 499);
    assert_eq!(world.run(&options).await.totals.expected, 0);
    world.sim.control().set_now(Now::Frozen(at("2024-01-01T01:00:00Z")));
    // The client keeps the clock it was told; a new run has a new one.
    let world = World { client: World::client_of(&world.sim), ..world };
    let report = world.run(&options).await;
    assert_eq!((report.outcome, report.totals.expected, report.totals.written), ("complete", 12, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_history_begins_matters_to_extract_only_while_nothing_is_stored() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-03").await;
    let series = series(Market::Um, "BTCUSDT", Interval::H1);
    let options =
        |day| Options { since: Since::Begin(at(day)), ..Options::new(Job::Extract, vec![series.clone()]) };
    assert_eq!(world.run(&options("2024-01-02")).await.totals.written, 24);
    let again = world.run(&options("2024-01-01")).await;
    assert_eq!((again.outcome, again.totals.expected, again.totals.written), ("complete", 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_in_the_future_are_wrong_usage() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    for (since, until) in
        [("2023-12-31", Some("2024-01-02")), ("2024-01-02", None), ("2023-12-31", Some("2023-12-30"))]
    {
        let options = fill(std::slice::from_ref(&series), since, until);
        let stop = CancellationToken::new();
        let error = pipeline::run(&world.store, &world.client, &options, &(), at("2026-01-01"), &stop)
            .await
            .unwrap_err();
        assert!(matches!(error, JobError::Usage(_)), "{since} {until:?}: {error}");
    }
    assert_eq!(world.store.all_series().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_listing_nothing_is_asked_twice() {
    let world = World::new(vec![made_up(Market::Um, "NEWUSDT", "2023-11-15T08:00")], "2024-01-01").await;
    let series = series(Market::Um, "NEWUSDT", Interval::M1);
    let options = fill(std::slice::from_ref(&series), "2019-01-01", Some("2023-11-17"));
    let report = world.run(&options).await;
    let s = &report.series[0];
    let listed = slots(Interval::M1, "2023-11-15T08:00", "2023-11-17").len();
    assert_eq!((report.outcome, s.written, s.absent), ("complete", listed, s.expected - listed));
    // A few windows in flight, the question for the first kline, and the klines themselves; the range holds 2.4 million slots.
    assert!(s.requests < 20, "{} requests to find the listing", s.requests);
    world.sim.control().reset_stats();
    assert_eq!(world.run(&options).await.outcome, "complete");
    assert_eq!(world.klines_requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kline_that_is_late_at_the_exchange_is_missing_and_not_absent() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-01T00:05:01Z").await;
    let late = Faults { late_ms: 305_000, ..Faults::default() };
    world.sim.control().set_faults(late).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let report = world.run(&fill(std::slice::from_ref(&series), "2023-12-31T23:00", None)).await;
    assert_eq!((report.outcome, report.totals.missing_after, report.totals.absent), ("incomplete", 1, 0));
}

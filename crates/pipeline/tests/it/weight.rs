//! The weight budget.

use std::time::Duration;

use binance::planner::{self, Prefer, Rules};
use exchange_sim::{Config, Limits, Now};
use kline::{Interval, Market, RangeSet};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_single_gaps_are_all_filled_within_a_hundredth_of_the_least_weight() {
    let data = vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")];
    let limits = Limits { futures_weight: 1_000_000, ..Limits::default() };
    let now = Now::Frozen(at("2024-06-01"));
    let world = World::with(Config { data, now, limits, ..Config::default() }).await;
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    let range = slots(Interval::M1, "2024-01-01", "2024-04-10");
    // Stored: everything but 10,000 single klines, unevenly spread.
    let holes: RangeSet = (0..10_000).map(|i| range.start + 13 + i * 14 + (i * i) % 11).collect();
    assert_eq!((holes.len(), holes.runs()), (10_000, 10_000));
    let lease =
        store::KlineStore::acquire(&world.store, &series, "test", Duration::from_secs(600)).await.unwrap();
    let keep = RangeSet::from(range).difference(&holes);
    for window in
        planner::plan(&RangeSet::from(range), &Rules::of(Market::Um, Interval::M1), Prefer::Requests)
    {
        let mut page = world.client.klines(&series, window.slots).await.unwrap();
        page.rows.retain(|k| keep.contains(Interval::M1.slot_of(k.open_time)));
        let chunk = store::Chunk { run: "stock".into(), klines: page.rows, ..store::Chunk::default() };
        store::KlineStore::commit(&world.store, &lease, &chunk).await.unwrap();
    }
    store::KlineStore::release(&world.store, &lease).await.unwrap();
    world.sim.control().reset_stats();

    let report = world.run(&fill(std::slice::from_ref(&series), "2024-01-01", Some("2024-04-10"))).await;
    assert_eq!((report.outcome, report.totals.written, report.series[0].gaps), ("complete", 10_000, 10_000));
    let least = planner::lower_bound(&holes, &Rules::of(Market::Um, Interval::M1));
    let spent: u64 =
        world.sim.stats().endpoints.iter().filter(|e| e.endpoint == "klines").map(|e| e.weight).sum();
    assert_eq!(report.totals.weight, spent);
    assert!(spent * 100 <= least * 101, "{spent} spent, {least} is a lower bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_whole_minutes_at_the_limit_the_exchange_never_answers_429() {
    // Far more work than one minute's limit allows, for several series at once.
    let symbols = ["AUSDT", "BUSDT"];
    let data = symbols.iter().map(|s| made_up(Market::Um, s, "2020-01-01")).collect();
    let limits = Limits { futures_weight: 240, ..Limits::default() };
    let world =
        World::with(Config { data, limits, now: Now::From(at("2024-03-01")), ..Config::default() }).await;
    let all: Vec<_> = symbols.iter().map(|s| series(Market::Um, s, Interval::M1)).collect();
    let report = world.run(&fill(&all, "2024-01-30", Some("2024-03-01"))).await;
    assert_eq!(report.outcome, "complete", "{report:?}");
    let stats = world.sim.stats();
    assert_eq!((stats.answered_429, stats.answered_418), (0, 0));
    assert!(stats.weight > 240, "{} is no pressure on the limit", stats.weight);
    assert!(
        stats.pools.futures.max_used <= 240 && stats.pools.futures.max_used > 150,
        "{:?}",
        stats.pools.futures
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing_and_tells_the_cost() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-01-08").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let options =
        pipeline::Options { dry_run: true, ..fill(std::slice::from_ref(&series), "2024-01-01", None) };
    let report = world.run(&options).await;
    let s = &report.series[0];
    let plan = s.plan.unwrap();
    let slots = slots(Interval::M5, "2024-01-01", "2024-01-08");
    let windows = planner::plan(&RangeSet::from(slots), &Rules::of(Market::Um, Interval::M5), Prefer::Weight);
    assert_eq!((s.missing_before, s.written, s.missing_after), (2016, 0, 2016));
    assert_eq!(
        (plan.requests, plan.weight),
        (windows.len() as u64, windows.iter().map(|w| u64::from(w.weight)).sum())
    );
    assert_eq!(world.klines_requests(), 0);
    assert!(store::KlineStore::all_series(&world.store).await.unwrap().is_empty());
    assert!(store::KlineStore::runs(&world.store, None, 10).await.unwrap().is_empty());
}

//! Several jobs, and what they leave behind for others.

use std::time::Duration;

use kline::{Interval, Market};
use pipeline::{Job, MessageOptions, Options};
use serde_json::Value;
use store::{KlineStore, Outcome};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_on_the_same_series_share_the_work_and_lose_nothing() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M1);
    let options = fill(std::slice::from_ref(&series), "2024-02-01", None);
    let (a, b) = tokio::join!(world.run(&options), world.run(&options));
    let range = slots(Interval::M1, "2024-02-01", "2024-03-01");
    assert_eq!((a.outcome, b.outcome), ("complete", "complete"));
    assert_eq!(a.totals.written + b.totals.written, range.len());
    assert_eq!(world.rows(&series, range).await.len() as u64, range.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_up_waiting_for_a_live_lease_and_says_who_holds_it() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let held = world.store.acquire(&series, "somebody else", Duration::from_secs(600)).await.unwrap();
    let mut options = fill(std::slice::from_ref(&series), "2024-02-01", None);
    options.lease_wait = Duration::from_millis(600);
    let report = world.run(&options).await;
    let error = report.series[0].error.as_deref().unwrap();
    assert!(report.outcome == "failed" && error.contains("somebody else"), "{error}");
    world.store.release(&held).await.unwrap();
    assert_eq!(world.run(&options).await.outcome, "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_a_lease_can_be_stopped() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-03-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    let _held = world.store.acquire(&series, "somebody else", Duration::from_secs(600)).await.unwrap();
    let options = fill(std::slice::from_ref(&series), "2024-02-01", None);
    let stop = tokio_util::sync::CancellationToken::new();
    let stopper = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    };
    let run = pipeline::run(&world.store, &world.client, &options, &(), at("2026-01-01"), &stop);
    let (report, ()) = tokio::join!(run, stopper);
    assert!(report.unwrap().interrupted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_makes_no_sense_for_one_series_does_nothing_for_any() {
    let data = vec![made_up(Market::Um, "AUSDT", "2020-01-01"), made_up(Market::Um, "BUSDT", "2020-01-01")];
    let world = World::new(data, "2024-01-08").await;
    let (stored, new) =
        (series(Market::Um, "AUSDT", Interval::M5), series(Market::Um, "BUSDT", Interval::M5));
    world.run(&fill(std::slice::from_ref(&stored), "2024-01-01", Some("2024-01-02"))).await;
    let options =
        Options { since: pipeline::Since::Stored, ..fill(&[stored.clone(), new], "2024-01-01", None) };
    let stop = tokio_util::sync::CancellationToken::new();
    let error =
        pipeline::run(&world.store, &world.client, &options, &(), at("2026-01-01"), &stop).await.unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert_eq!(world.store.series(&stored).await.unwrap().unwrap().extent.unwrap().rows, 288);
}

#[tokio::test(flavor = "multi_thread")]
async fn extract_reads_the_last_stored_kline_once_more_and_replaces_what_changed() {
    let world = World::new(vec![made_up(Market::Um, "AUSDT", "2020-01-01")], "2024-01-08").await;
    let series = series(Market::Um, "AUSDT", Interval::M5);
    world.run(&fill(std::slice::from_ref(&series), "2024-01-01", Some("2024-01-07"))).await;
    let revision = exchange_sim::Revision {
        rows: exchange_sim::RowRange { since: Some(at("2024-01-06T23:55")), ..Default::default() },
        from: at("2024-01-01"),
    };
    let faults = exchange_sim::Faults { revisions: vec![revision], ..Default::default() };
    world.sim.control().set_faults(faults).unwrap();
    let report = world.run(&Options::new(Job::Extract, vec![series.clone()])).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.expected, s.written, s.revised), ("complete", 288, 288, 1));
    assert_eq!(world.store.revisions(&series, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_its_record_and_its_messages_in_the_store() {
    let data = vec![made_up(Market::Um, "AUSDT", "2020-01-01"), made_up(Market::Um, "BUSDT", "2020-01-01")];
    let world = World::new(data, "2024-01-08").await;
    let both = [series(Market::Um, "AUSDT", Interval::M5), series(Market::Um, "BUSDT", Interval::M5)];
    let options = Options {
        messages: Some(MessageOptions::new("binance.extraction.gap-filler")),
        ..fill(&both, "2024-01-01", None)
    };
    world.run(&options).await;
    let pending = world.store.pending(100).await.unwrap();
    let mut subjects: Vec<_> = pending.iter().map(|p| p.message.subject.clone()).collect();
    assert_eq!(subjects.pop().unwrap(), "binance.extraction.gap-filler.klines_gap_filling.batch.5m");
    subjects.sort();
    let of = |symbol: &str| format!("binance.extraction.gap-filler.klines_gap_filling.{symbol}.5m");
    assert_eq!(subjects, [of("AUSDT"), of("BUSDT")]);
    let batch: Value = serde_json::from_str(&pending[2].message.payload).unwrap();
    assert_eq!(batch["metrics"]["records_written"], 2 * 2016);

    let runs = world.store.runs(Some(&both[0]), 10).await.unwrap();
    assert_eq!(
        (runs.len(), runs[0].outcome, runs[0].job.as_str()),
        (1, Outcome::Complete, Job::FillGaps.as_str())
    );
    let report: Value = serde_json::from_str(&runs[0].report).unwrap();
    assert_eq!((&report["written"], &report["missing_after"]), (&2016.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_messages_nothing_is_put_into_the_outbox() {
    let world = World::new(vec![made_up(Market::Um, "AUSDT", "2020-01-01")], "2024-01-08").await;
    world.run(&fill(&[series(Market::Um, "AUSDT", Interval::M5)], "2024-01-01", None)).await;
    assert!(world.store.pending(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_made_holes_are_found_and_filled() {
    let world = World::new(vec![made_up(Market::Um, "AUSDT", "2020-01-01")], "2024-01-08").await;
    let series = series(Market::Um, "AUSDT", Interval::M5);
    let options =
        Options { since: pipeline::Since::Stored, ..fill(std::slice::from_ref(&series), "2024-01-01", None) };
    world.run(&fill(std::slice::from_ref(&series), "2024-01-01", None)).await;
    let range = slots(Interval::M5, "2024-01-01", "2024-01-08");
    let before = world.rows(&series, range).await;
    let again = world.run(&options).await;
    assert_eq!((again.outcome, again.totals.expected, again.totals.written), ("complete", 2016, 0));
    assert_eq!(world.rows(&series, range).await, before);
}

//! Klines out of the public archive, and out of REST where the archive fails.

use binance::archive::{Archive, ArchiveConfig};
use exchange_sim::{ArchiveDefect, ArchiveFault, DataSource, Faults, RowRange};
use kline::{Interval, Market, Series, SlotRange};
use pipeline::{FetchFrom, Options, SeriesReport};
use store::{KlineStore, Source};

use crate::support::*;

const SINCE: &str = "2025-01-01";
const UNTIL: &str = "2025-05-10";

fn archive(world: &World) -> Archive {
    let url = world.sim.url();
    let config = ArchiveConfig {
        listing_url: format!("{url}/data.binance.vision"),
        url,
        backoff: std::time::Duration::from_millis(2),
        timeout: std::time::Duration::from_secs(60),
        ..ArchiveConfig::default()
    };
    Archive::new(config).unwrap()
}

async fn world(faults: Vec<(ArchiveDefect, Option<bool>, RowRange)>) -> (World, Series, SlotRange) {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2024-12-01")], "2025-05-10T12:00:00Z").await;
    let archive =
        faults.into_iter().map(|(defect, monthly, rows)| ArchiveFault { defect, monthly, rows }).collect();
    world.sim.control().set_faults(Faults { archive, ..Faults::default() }).unwrap();
    let series = series(Market::Um, "BTCUSDT", Interval::M5);
    (world, series, slots(Interval::M5, SINCE, UNTIL))
}

fn job(series: &Series, from: FetchFrom) -> Options {
    Options { from, ..fill(std::slice::from_ref(series), SINCE, Some(UNTIL)) }
}

async fn auto(world: &World, series: &Series) -> SeriesReport {
    let report = world.run(&job(series, FetchFrom::Auto(archive(world)))).await;
    report.series.into_iter().next().unwrap()
}

fn between(since: &str, until: &str) -> RowRange {
    RowRange { since: Some(at(since)), until: Some(at(until)), ..RowRange::default() }
}

/// What REST says of the same range.
async fn assert_rows_are_those_of_rest(world: &World, series: &Series, range: SlotRange) {
    world.sim.control().set_faults(Faults::default()).unwrap();
    let stored = world.rows(series, range).await;
    assert_eq!(stored.len() as u64, range.len());
    for (i, chunk) in stored.chunks(1500).enumerate() {
        let start = range.start + i as i64 * 1500;
        let sent =
            world.client.klines(series, SlotRange::new(start, start + chunk.len() as i64)).await.unwrap();
        assert_eq!(chunk, sent.rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_comes_out_of_files_and_its_end_out_of_rest() {
    let (world, series, range) = world(vec![]).await;
    let report = auto(&world, &series).await;
    let archive = report.archive.clone().unwrap();
    assert_eq!((report.outcome, report.written, report.missing_after), ("complete", range.len(), 0));
    assert_eq!((archive.files, archive.refused, archive.klines), (4, 0, 120 * 288));
    assert_eq!(report.requests, 6, "nine days of May: {report:?}");
    assert!(report.weight <= 12);
    let ledger = world.store.ledger(&series, 1000).await.unwrap();
    let of =
        |source| ledger.iter().filter(|e| e.fetched.source == source).map(|e| e.fetched.rows).sum::<u64>();
    assert_eq!((of(Source::Archive), of(Source::Rest)), (120 * 288, 9 * 288));
    assert_rows_are_those_of_rest(&world, &series, range).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_a_month_lacks_come_out_of_daily_files_and_what_those_lack_out_of_rest() {
    let (world, series, range) = world(vec![
        (ArchiveDefect::Lacks, Some(true), between("2025-02-03", "2025-02-06")),
        (ArchiveDefect::Lacks, Some(true), between("2025-03-11", "2025-04-01")),
        (ArchiveDefect::Lacks, Some(false), between("2025-03-20T06:00:00Z", "2025-03-20T07:00:00Z")),
    ])
    .await;
    let report = auto(&world, &series).await;
    assert_eq!((report.outcome, report.absent), ("complete", 0), "{report:?}");
    assert_rows_are_those_of_rest(&world, &series, range).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_is_told_and_its_klines_come_from_elsewhere() {
    let (world, series, range) = world(vec![
        (ArchiveDefect::BadCrc, Some(true), between("2025-01-01", "2025-02-01")),
        (ArchiveDefect::Contradictions, Some(true), between("2025-02-01", "2025-03-01")),
        (ArchiveDefect::Missing, Some(true), between("2025-03-01", "2025-04-01")),
        (ArchiveDefect::Unreadable, Some(true), between("2025-04-01", "2025-05-01")),
    ])
    .await;
    let report = auto(&world, &series).await;
    let archive = report.archive.clone().unwrap();
    assert_eq!((report.outcome, archive.refused, archive.not_found), ("complete", 1, 1), "{report:?}");
    assert!(archive.reasons[0].contains("2025-01.zip: damaged zip"), "{:?}", archive.reasons);
    let reasons: Vec<_> = report.rejections.iter().map(|r| (r.reason, r.rows)).collect();
    assert_eq!(reasons, [("not_ascending", 162), ("unreadable", 87)]);
    assert_rows_are_those_of_rest(&world, &series, range).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_away_costs_nothing_but_its_weight() {
    let (world, series, range) = world(vec![]).await;
    let faults = Faults { endpoints: vec!["archive".into()], error_rate: 1.0, ..Faults::default() };
    world.sim.control().set_faults(faults).unwrap();
    let report = auto(&world, &series).await;
    assert_eq!((report.outcome, report.archive.unwrap().files), ("complete", 0));
    assert_rows_are_those_of_rest(&world, &series, range).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_alone_asks_rest_for_nothing_and_leaves_the_rest_missing() {
    let (world, series, _) = world(vec![
        (ArchiveDefect::Lacks, None, between("2025-02-03T01:00:00Z", "2025-02-03T02:00:00Z")),
        (ArchiveDefect::Missing, Some(false), between("2025-05-01", "2025-06-01")),
    ])
    .await;
    let report = world.run(&job(&series, FetchFrom::Archive(archive(&world)))).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.missing_after, s.absent), ("incomplete", 12 + 9 * 288, 0), "{s:?}");
    assert_eq!((s.error.as_ref(), s.requests, world.sim.stats().weight), (None, 0, 0));
    assert!(world.sim.stats().endpoints.iter().all(|e| e.endpoint == "archive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_alone_knows_where_history_begins() {
    let (world, series, _) = world(vec![]).await;
    let options =
        Options { since: pipeline::Since::Listing, ..job(&series, FetchFrom::Archive(archive(&world))) };
    let report = world.run(&options).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.since.as_deref()), ("complete", Some("2024-12-01T00:00:00Z")), "{s:?}");
    assert_eq!(world.sim.stats().weight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_files_beside_requests() {
    let (world, series, range) = world(vec![]).await;
    let plan = async |from| {
        let report = world.run(&Options { dry_run: true, ..job(&series, from) }).await;
        report.series[0].plan.unwrap()
    };
    let rest = plan(FetchFrom::Rest).await;
    assert_eq!((rest.files, rest.requests), (0, range.len().div_ceil(499)));
    let auto = plan(FetchFrom::Auto(archive(&world))).await;
    assert_eq!((auto.files, auto.requests, auto.weight <= 12), (4, 6, true));
    let alone = plan(FetchFrom::Archive(archive(&world))).await;
    assert_eq!((alone.files, alone.requests), (4 + 9, 0));
    let zips = world.sim.control().requests(0).into_iter().filter(|r| r.request.ends_with(".zip"));
    assert_eq!(zips.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_exchange_is_absent_by_rest_and_never_by_the_archive() {
    let Some(folder) = shared("data/spot/monthly/klines/BTCUSDT/1h") else { return };
    let path = folder.join("BTCUSDT-1h-2023-03.csv");
    let world = World::new(vec![DataSource::Folder(path.clone())], "2023-06-01").await;
    let series = series(Market::Spot, "BTCUSDT", Interval::H1);
    let range = slots(Interval::H1, "2023-03-01", "2023-04-01");
    let job =
        |from| Options { from, ..fill(std::slice::from_ref(&series), "2023-03-01", Some("2023-04-01")) };
    let alone = world.run(&job(FetchFrom::Archive(archive(&world)))).await;
    let s = &alone.series[0];
    assert_eq!((alone.outcome, s.written, s.absent, s.missing_after), ("incomplete", 743, 0, 1));
    assert_eq!(world.rows(&series, range).await, archive_rows(&path));
    let with_rest = world.run(&job(FetchFrom::Auto(archive(&world)))).await;
    let s = &with_rest.series[0];
    assert_eq!((with_rest.outcome, s.written, s.absent, s.missing_after), ("complete", 0, 1, 0));
}

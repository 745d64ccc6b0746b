//! Comparing with an archive that is not what it should be.

use binance::archive::{Archive, ArchiveConfig};
use exchange_sim::{ArchiveDefect, ArchiveFault, Faults, RowRange};
use kline::{Interval, Market, RangeSet, Series};
use pipeline::{Against, VerifyOptions, VerifyReport};
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// The first quarter of 2025, all of it stored.
async fn world() -> (World, Series) {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2024-12-01")], "2025-04-10T12:00:00Z").await;
    let series = series(Market::Um, "BTCUSDT", Interval::H1);
    world.stock(&series, slots(Interval::H1, "2025-01-01", "2025-04-01"), &RangeSet::new()).await;
    (world, series)
}

async fn compare(
    world: &World,
    series: &Series,
    faults: Vec<(ArchiveDefect, Option<bool>, &str, &str)>,
) -> VerifyReport {
    let archive = faults
        .into_iter()
        .map(|(defect, monthly, since, until)| {
            let rows = RowRange { since: Some(at(since)), until: Some(at(until)), ..RowRange::default() };
            ArchiveFault { defect, monthly, rows }
        })
        .collect();
    world.sim.control().set_faults(Faults { archive, ..Faults::default() }).unwrap();
    let url = world.sim.url();
    let config = ArchiveConfig {
        listing_url: format!("{url}/data.binance.vision"),
        url,
        backoff: std::time::Duration::from_millis(2),
        timeout: std::time::Duration::from_secs(60),
        ..ArchiveConfig::default()
    };
    let against = Against::Archive(Archive::new(config).unwrap());
    let options = VerifyOptions::new(vec![series.clone()], against);
    let stop = CancellationToken::new();
    pipeline::verify(&world.store, &world.client, &options, &(), &stop).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_a_day_counts_more_than_that_of_its_month() {
    let (world, series) = world().await;
    let stale = vec![
        (ArchiveDefect::Stale, Some(true), "2025-01-10T05:00:00Z", "2025-01-10T08:00:00Z"),
        (ArchiveDefect::Lacks, Some(true), "2025-02-03", "2025-02-05"),
    ];
    let report = compare(&world, &series, stale).await;
    let totals = report.totals;
    assert_eq!((report.outcome, totals.equal, totals.found()), ("clean", 90 * 24, 0), "{report:?}");
    assert_eq!(totals.files, 3 + 3);
    assert_eq!(world.sim.stats().weight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_month_and_day_lack_or_have_otherwise_is_told() {
    let (world, series) = world().await;
    let both = vec![
        (ArchiveDefect::Stale, None, "2025-01-10T05:00:00Z", "2025-01-10T08:00:00Z"),
        (ArchiveDefect::Lacks, None, "2025-02-03T01:00:00Z", "2025-02-03T03:00:00Z"),
    ];
    let report = compare(&world, &series, both).await;
    let totals = report.totals;
    assert_eq!((report.outcome, totals.drift, totals.unexpected), ("found", 3, 2), "{report:?}");
    assert_eq!(totals.equal, 90 * 24 - 5);
    let kinds: Vec<_> = report.series[0].findings.iter().map(|f| (f.kind, f.klines)).collect();
    assert_eq!(kinds, [("drift", 1), ("drift", 1), ("drift", 1), ("unexpected", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_convicted_by_a_file_that_is_not_there_or_is_damaged() {
    let (world, series) = world().await;
    let away = vec![
        (ArchiveDefect::Missing, None, "2025-01-01", "2025-02-01"),
        (ArchiveDefect::BadCrc, Some(true), "2025-02-01", "2025-03-01"),
        (ArchiveDefect::Contradictions, None, "2025-03-01", "2025-04-01"),
    ];
    let report = compare(&world, &series, away).await;
    let totals = report.totals;
    assert_eq!((report.outcome, totals.found(), totals.stored), ("clean", 0, 90 * 24), "{report:?}");
    assert!(totals.unchecked > 31 * 24, "January, and what March contradicts itself about");
    assert_eq!(totals.equal + totals.unchecked, 90 * 24);
    assert!(report.series[0].refused_files[0].contains("2025-02.zip: damaged zip"), "{report:?}");
}

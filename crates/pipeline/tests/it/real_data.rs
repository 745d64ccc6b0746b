//! Real klines in, the same klines out.

use exchange_sim::DataSource;
use kline::{Decimal, Interval, Market, Millis, RangeSet, SlotRange};
use store::{Absence, KlineStore};

use crate::support::*;

/// Holes of every shape, counted from the start of the range: at both ends, single klines, runs over a page.
fn holes(range: SlotRange, runs: &[(i64, i64)]) -> RangeSet {
    runs.iter().map(|&(from, len)| SlotRange::new(range.start + from, range.start + from + len)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gaps_of_the_incident_are_filled_and_every_field_of_every_row_is_the_sources() {
    let Some(folder) = shared("data/futures/um/monthly/klines/BTCUSDT/5m") else { return };
    let Some(eth) = shared("other/futures-um/ETHUSDT/5m") else { return };
    let data = vec![DataSource::Folder(folder.clone()), DataSource::Folder(eth.clone())];
    let world = World::new(data, "2025-03-01").await;
    let cases = [
        (
            "BTCUSDT",
            "2025-01-01",
            "2025-02-15",
            2479,
            &[
                (0, 150),
                (700, 1),
                (703, 1),
                (1000, 12),
                (2000, 1300),
                (4000, 1),
                (5000, 499),
                (7000, 288),
                (12_733, 227),
            ][..],
        ),
        (
            "ETHUSDT",
            "2025-01-01",
            "2025-02-01",
            2482,
            &[(0, 1), (300, 96), (1200, 1), (2500, 1600), (4800, 288), (6000, 1), (8200, 244), (8677, 251)][..],
        ),
    ];
    for (symbol, since, until, lacking, runs) in cases {
        let series = series(Market::Um, symbol, Interval::M5);
        let range = slots(Interval::M5, since, until);
        let holes = holes(range, runs);
        assert_eq!(
            (holes.len(), holes.runs() >= 7, holes.last()),
            (lacking, true, Some(range.end - 1)),
            "{symbol}"
        );
        world.stock(&series, range, &holes).await;

        let report = world.run(&fill(std::slice::from_ref(&series), since, Some(until))).await;
        let s = &report.series[0];
        assert_eq!(report.outcome, "complete", "{s:?}");
        assert_eq!((s.missing_before, s.written, s.fetched, s.missing_after), (lacking, lacking, lacking, 0));
        assert_eq!(s.gaps as usize, runs.len());

        let stored = world.rows(&series, range).await;
        assert_eq!(stored.len() as u64, range.len());
        if symbol == "BTCUSDT" {
            let mut source = archive_rows(&folder.join("BTCUSDT-5m-2025-01.csv"));
            source.extend(archive_rows(&folder.join("BTCUSDT-5m-2025-02.csv")));
            source.retain(|k| range.contains(Interval::M5.slot_of(k.open_time)));
            assert_eq!(stored, source);
        } else {
            let text = std::fs::read_to_string(eth.join("ETHUSDT-5m-2025-01.ohlcv.csv")).unwrap();
            for (kline, line) in stored.iter().zip(text.lines().skip(1)) {
                let f: Vec<&str> = line.split(',').collect();
                assert_eq!(kline.open_time, Millis(f[0].parse().unwrap()));
                let sent: Vec<Decimal> = f[1..6].iter().map(|v| v.parse().unwrap()).collect();
                assert_eq!(
                    [kline.open, kline.high, kline.low, kline.close, kline.volume],
                    sent[..],
                    "{line}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_outage_is_remembered_as_absent_and_never_asked_for_again() {
    let Some(folder) = shared("data/spot/monthly/klines/BTCUSDT/1h") else { return };
    let world = World::new(vec![DataSource::Folder(folder.clone())], "2023-05-01").await;
    let series = series(Market::Spot, "BTCUSDT", Interval::H1);
    let options = fill(std::slice::from_ref(&series), "2023-03-01", Some("2023-04-01"));

    let report = world.run(&options).await;
    let s = &report.series[0];
    assert_eq!(
        (report.outcome, s.expected, s.written, s.absent, s.missing_after),
        ("complete", 744, 743, 1, 0)
    );
    assert_eq!((s.flagged.odd_close, s.flagged.zero_volume), (1, 1));
    let range = slots(Interval::H1, "2023-03-01", "2023-04-01");
    let absent = world.store.absent(&series, range).await.unwrap();
    assert_eq!(absent.len(), 1);
    assert_eq!(absent[0].how, Absence::EmptyAnswer);
    assert_eq!(Interval::H1.slot_start(absent[0].slots.start), at("2023-03-24T13:00"));
    assert_eq!(world.rows(&series, range).await, archive_rows(&folder.join("BTCUSDT-1h-2023-03.csv")));

    world.sim.control().reset_stats();
    let again = world.run(&options).await;
    assert_eq!((again.outcome, again.series[0].absent, again.series[0].requests), ("complete", 1, 0));
    assert_eq!(world.klines_requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn absences_are_asked_for_again_on_demand() {
    let world = World::new(vec![made_up(Market::Um, "BTCUSDT", "2020-01-01")], "2024-02-01").await;
    let series = series(Market::Um, "BTCUSDT", Interval::H1);
    let hole = exchange_sim::RowRange {
        market: Some(Market::Um),
        since: Some(at("2024-01-10")),
        until: Some(at("2024-01-11")),
        ..exchange_sim::RowRange::default()
    };
    let control = world.sim.control();
    control.set_faults(exchange_sim::Faults { holes: vec![hole], ..Default::default() }).unwrap();
    let options = fill(std::slice::from_ref(&series), "2024-01-01", Some("2024-02-01"));
    let first = world.run(&options).await;
    assert_eq!((first.series[0].absent, first.series[0].written), (24, 31 * 24 - 24));

    control.set_faults(exchange_sim::Faults::default()).unwrap();
    let second = world.run(&pipeline::Options { recheck_absent: true, ..options }).await;
    assert_eq!((second.outcome, second.series[0].absent, second.series[0].written), ("complete", 0, 24));
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_of_years_past_end_up_absent_hour_by_hour() {
    let Some(file) = shared("other/spot/BTCUSDT/1h/BTCUSDT-1h-2018.ohlcv.csv") else { return };
    let folder = file.parent().unwrap().to_owned();
    let world = World::new(vec![DataSource::Folder(folder)], "2020-01-01").await;
    let series = series(Market::Spot, "BTCUSDT", Interval::H1);
    let report = world.run(&fill(&[series], "2018-01-01", Some("2019-01-01"))).await;
    let s = &report.series[0];
    assert_eq!((report.outcome, s.expected, s.written, s.absent), ("complete", 8760, 8698, 62));
}

#[tokio::test(flavor = "multi_thread")]
async fn klines_off_the_grid_with_odd_closes_and_no_volume_are_stored_as_sent() {
    // 15m klines around the restart of 2018-02-09, by their real open times; then one that closes before it opens.
    let series = series(Market::Spot, "BTCUSDT", Interval::M15);
    let number = |text: &str| text.parse::<Decimal>().unwrap();
    let row = |open: &str, close: &str, volume: &str| kline::Kline {
        open_time: at(open),
        open: number("8000.1"),
        high: number("8100.00000001"),
        low: number("7999"),
        close: number("8050.50"),
        volume: number(volume),
        close_time: at(close),
        quote_volume: number("123456789012345678.12345678"),
        count: 0,
        taker_buy_volume: number("0.10"),
        taker_buy_quote_volume: number("0"),
    };
    let rows = vec![
        row("2018-02-09T09:28:14.789Z", "2018-02-09T09:43:14.788Z", "2328926384141.0"),
        row("2018-02-09T09:43:14.789Z", "2018-02-09T09:58:14.788Z", "1"),
        row("2018-02-09T09:58:14.789Z", "2018-02-09T10:13:14.788Z", "0"),
        row("2018-02-09T10:15:00Z", "2018-02-09T09:47:20.521Z", "0.00000000"),
    ];
    let world =
        World::new(vec![DataSource::Rows { series: series.clone(), rows: rows.clone() }], "2018-03-01").await;
    let report =
        world.run(&fill(std::slice::from_ref(&series), "2018-02-09T09:15", Some("2018-02-09T10:30"))).await;
    let s = &report.series[0];
    let stored = world.rows(&series, slots(Interval::M15, "2018-02-09T09:00", "2018-02-09T11:00")).await;
    assert_eq!(stored, rows, "{report:?}");
    assert_eq!((s.flagged.off_grid, s.flagged.odd_close, s.flagged.zero_volume), (3, 1, 2));
    let texts: Vec<_> = stored.iter().map(|k| k.volume.to_string()).collect();
    assert_eq!(texts, ["2328926384141.0", "1", "0", "0.00000000"]);
    assert_eq!((report.outcome, s.written + s.absent), ("complete", s.expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn coin_m_history_is_paged_over_many_windows() {
    let world = World::new(vec![made_up(Market::Cm, "BTCUSD_PERP", "2021-03-01")], "2024-06-01").await;
    let day = series(Market::Cm, "BTCUSD_PERP", Interval::D1);
    let hour = series(Market::Cm, "BTCUSD_PERP", Interval::H1);
    let report = world.run(&fill(&[day.clone(), hour], "2021-03-01", None)).await;
    assert_eq!(report.outcome, "complete", "{report:?}");
    assert_eq!(report.series[0].written, slots(Interval::D1, "2021-03-01", "2024-06-01").len());
    assert_eq!(report.series[1].written, slots(Interval::H1, "2021-03-01", "2024-06-01").len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interval_of_every_market_becomes_complete() {
    for (market, symbol) in [(Market::Um, "AUSDT"), (Market::Cm, "AUSD_PERP"), (Market::Spot, "AUSDT")] {
        let world = World::new(vec![made_up(market, symbol, "2023-01-01")], "2024-03-05T12:34:56Z").await;
        let all: Vec<_> = Interval::of_market(market).map(|i| series(market, symbol, i)).collect();
        let (long, short): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| s.interval >= Interval::H1);
        for (some, since) in [(long, "2023-06-15"), (short, "2024-03-05T10:00")] {
            let until = "2024-03-05T12:00:00Z";
            let report = world.run(&fill(&some, since, Some(until))).await;
            assert_eq!(report.outcome, "complete", "{market}: {report:?}");
            for (series, s) in some.iter().zip(&report.series) {
                let expected = series.interval.slots_starting_in(kline::TimeRange::new(
                    at(since),
                    series.interval.slot_start(series.interval.slot_of(at(until))),
                ));
                assert_eq!((s.expected, s.written), (expected.len(), expected.len()), "{series}");
            }
        }
    }
}

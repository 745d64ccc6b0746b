//! The page that needs no server.

use dashboard::coverage::{detailed, range_of};
use dashboard::report::{Part, Report, html};
use dashboard::runs::Run;
use store::{KlineStore, OpenOptions, Outcome, SeriesRun, Store};

use crate::fixture::*;

async fn page(limit: usize, runs: Vec<SeriesRun>) -> String {
    let folder = stocked().await;
    let url = format!("sqlite://{}/klines.db", folder.path().display());
    let writer = Store::open(&url).await.unwrap();
    certify(&writer, &series("ETHUSDT", kline::Interval::H1), "2025-04-02").await;
    writer.close().await.unwrap();
    let store = Store::open_with(&url, OpenOptions { read_only: true, ..Default::default() }).await.unwrap();
    let mut parts = Vec::new();
    for record in store.all_series().await.unwrap() {
        let stored = range_of(&record, None);
        let (coverage, absent) = detailed(&store, &record.series, stored).await.unwrap();
        let certified = pipeline::certify::notes::state(&store, &record.series, stored).await.unwrap();
        parts.push(Part { coverage, absent, rows: record.extent.unwrap().rows, certified });
    }
    html(&Report {
        store: "sqlite://a&b.db".into(),
        made: at("2025-02-01"),
        version: "0.0.0",
        range: "all that is stored".into(),
        series: parts,
        runs: runs.into_iter().map(Run::of).collect(),
        limit,
    })
}

#[tokio::test]
async fn a_report_tells_every_gap_and_stands_alone() {
    let text = page(10, Vec::new()).await;
    for part in [
        "52 klines missing in 2 gaps, in 1 of 3 series",
        "2025-01-01 08:20</th><td>2025-01-01 11:40</td><td class=\"n\">40",
        "12 klines absent at the exchange",
        "answered twice without it, found out 2025-01-05 00:00",
        "um ETHUSDT 1h",
        "sqlite://a&amp;b.db",
        "all 3 months, the oldest certified 2025-04-02",
        "never certified",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for foreign in ["<script", "src=", "@import", "http://", "https://", "url(\""] {
        assert!(!text.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn what_is_left_out_is_said() {
    let text = page(1, Vec::new()).await;
    assert!(text.contains("… and 1 more, not listed here"), "{text}");
    assert!(!text.contains("2025-01-03 02:00"), "{text}");
}

#[tokio::test]
async fn words_of_others_are_no_markup() {
    let series = series("BTCUSDT", kline::Interval::M5);
    let report = r#"{"error": "<script>alert(1)</script>"}"#;
    let text = page(1, vec![run(&series, "r", Outcome::Failed, report)]).await;
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !text.contains("<script"), "{text}");
}

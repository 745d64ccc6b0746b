//! The public archive: where files lie, when they appear, what they hold.

use std::io::{Cursor, Read};

use exchange_sim::{ArchiveDefect, ArchiveFault, Config, Faults, Now, RowRange};

use crate::support::*;

async fn bytes(
    sim: &exchange_sim::Sim,
    path: &str,
    range: Option<&str>,
) -> (u16, Vec<u8>, reqwest::header::HeaderMap) {
    let mut request = client().get(format!("{}{path}", sim.url()));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, response.bytes().await.unwrap().to_vec(), headers)
}

/// Name and text of the only member.
fn unzip(zip: Vec<u8>) -> (String, String) {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    assert_eq!(archive.len(), 1);
    let mut entry = archive.by_index(0).unwrap();
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    (entry.name().unwrap().into_owned(), text)
}

const UM: &str = "/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip";

#[tokio::test]
async fn a_month_holds_the_klines_that_rest_has() {
    let sim = start(config()).await;
    let (status, zip, _) = bytes(&sim, UM, None).await;
    assert_eq!(status, 200);
    let (name, text) = unzip(zip);
    assert_eq!(name, "BTCUSDT-5m-2025-01.csv");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(text.starts_with("open_time,open,high,") && rows.len() == 31 * 288);
    let since = at("2025-01-01").0;
    let rest = get(&sim, &format!("/fapi/v1/klines?symbol=BTCUSDT&interval=5m&startTime={since}&limit=500"))
        .await
        .json();
    for (row, sent) in rows.iter().zip(rest.as_array().unwrap()) {
        let sent: Vec<String> =
            sent.as_array().unwrap().iter().map(|v| v.to_string().replace('"', "")).collect();
        assert_eq!(row[..11], sent[..11]);
    }
}

#[tokio::test]
async fn the_checksum_is_that_of_the_zip_and_files_cost_no_weight() {
    use sha2::{Digest, Sha256};
    let sim = start(config()).await;
    let (_, zip, headers) = bytes(&sim, UM, None).await;
    let (_, sum, _) = bytes(&sim, &format!("{UM}.CHECKSUM"), None).await;
    let hex: String = Sha256::digest(&zip).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(String::from_utf8(sum).unwrap(), format!("{hex}  BTCUSDT-5m-2025-01.zip"));
    assert!(headers.contains_key("etag") && !headers.contains_key("x-mbx-used-weight-1m"));
    let (status, tail, headers) = bytes(&sim, UM, Some("bytes=1000-")).await;
    assert_eq!((status, &tail[..]), (206, &zip[1000..]));
    assert_eq!(headers["content-range"], format!("bytes 1000-{}/{}", zip.len() - 1, zip.len()));
    assert_eq!((sim.stats().weight, sim.stats().requests), (0, 3));
}

#[tokio::test]
async fn spot_has_no_header_and_counts_microseconds_from_2025_on() {
    let sim = start(config()).await;
    for (month, first) in [("2024-12", "1733011200000,"), ("2025-01", "1735689600000000,")] {
        let path = format!("/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-{month}.zip");
        let (_, text) = unzip(bytes(&sim, &path, None).await.1);
        assert!(text.starts_with(first), "{}", &text[..40]);
        assert_eq!(text.lines().count(), 31 * 24);
    }
}

#[tokio::test]
async fn a_file_appears_hours_after_its_period_and_only_for_what_is_listed() {
    let sim = start(Config { now: Now::Frozen(at("2025-03-10T08:29:59Z")), ..config() }).await;
    let day = |day: &str| format!("/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{day}.zip");
    assert_eq!(bytes(&sim, &day("2025-03-08"), None).await.0, 200);
    assert_eq!(bytes(&sim, &day("2025-03-09"), None).await.0, 404);
    sim.control().set_now(Now::Frozen(at("2025-03-10T08:30:00Z")));
    assert_eq!(bytes(&sim, &day("2025-03-09"), None).await.0, 200);
    for path in [
        day("2023-12-31"),
        day("2025-02-30"),
        UM.replace("BTCUSDT", "NOSUCH"),
        UM.replace("monthly", "daily"),
        UM.replace("/5m/", "/1m/"),
        "/data/../etc/passwd".to_owned(),
    ] {
        assert_eq!(bytes(&sim, &path, None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn defects_touch_the_files_they_name() {
    let sim = start(config()).await;
    let lacks = ArchiveFault {
        defect: ArchiveDefect::Lacks,
        monthly: Some(true),
        rows: RowRange {
            since: Some(at("2025-01-03")),
            until: Some(at("2025-01-05")),
            ..RowRange::default()
        },
    };
    sim.control().set_faults(Faults { archive: vec![lacks], ..Faults::default() }).unwrap();
    let rows = async |path: &str| unzip(bytes(&sim, path, None).await.1).1.lines().count() - 1;
    assert_eq!(rows(UM).await, 29 * 288);
    assert_eq!(rows("/data/futures/um/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01-03.zip").await, 288);
    let text =
        r#"{"archive":[{"defect":"bomb","monthly":true,"rows":{"symbol":"BTCUSDT"}}],"archive_lag_ms":0}"#;
    let faults = Faults::from_json(text).unwrap();
    assert_eq!((faults.archive[0].defect, faults.archive_lag_ms), (ArchiveDefect::Bomb, 0));
}

#[tokio::test]
async fn the_list_names_folders_and_files_and_goes_on_after_a_marker() {
    let sim = start(config()).await;
    let list = async |query: &str| get(&sim, &format!("/data.binance.vision?{query}")).await.body;
    let symbols = list("delimiter=/&prefix=data/futures/um/monthly/klines/").await;
    assert!(symbols.contains("<Prefix>data/futures/um/monthly/klines/ETHUSDT/</Prefix>"), "{symbols}");
    let folder = "prefix=data/futures/um/daily/klines/BTCUSDT/1d/";
    let first = list(folder).await;
    assert_eq!(first.matches("<Key>").count(), 868, "434 days, each with its CHECKSUM");
    let all = list("prefix=data/futures/um/daily/klines/BTCUSDT/1d/&marker=data/futures/um/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2025-03-08.zip").await;
    assert_eq!(all.matches("<Key>").count(), 3);
}

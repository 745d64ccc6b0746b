//! A store with a little of everything, and a dashboard on it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use dashboard::{Actions, Config, Failure, FillRequest, Source, Token, VerifyRequest, Work, app};
use kline::{Interval, Kline, Market, Millis, Series, SlotRange, Symbol};
use pipeline::verify::{FieldDifference, Finding, VerifyReport, VerifySeries};
use serde_json::Value;
use store::{Absence, AbsentRange, Chunk, Fetched, Finish, KlineStore, Outcome, SeriesRun, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const TOKEN: &str = "a-token-of-the-tests";

pub fn series(symbol: &str, interval: Interval) -> Series {
    Series::new(Market::Um, Symbol::new(symbol).unwrap(), interval).unwrap()
}

pub fn at(text: &str) -> Millis {
    text.parse().unwrap()
}

pub fn kline(interval: Interval, slot: i64) -> Kline {
    let d = |text: &str| kline::Decimal::parse(text).unwrap();
    Kline {
        open_time: interval.slot_start(slot),
        open: d("1.10"),
        high: d("1.30"),
        low: d("0.90"),
        close: d("1.20"),
        volume: d("5"),
        close_time: interval.slot_end(slot).plus(-1),
        quote_volume: d("6.0"),
        count: 3,
        taker_buy_volume: d("2"),
        taker_buy_quote_volume: d("2.4"),
    }
}

pub fn run(series: &Series, id: &str, outcome: Outcome, report: &str) -> SeriesRun {
    SeriesRun {
        run: id.into(),
        job: "fill-gaps".into(),
        series: series.clone(),
        started: at("2025-01-05"),
        ended: at("2025-01-05T00:01:00Z"),
        outcome,
        report: report.into(),
    }
}

/// Writes klines of the slots that are not in `holes`, counted from `since`.
pub async fn put(store: &Store, series: &Series, since: &str, slots: i64, holes: &[(i64, i64)], rest: Chunk) {
    let interval = series.interval;
    let start = interval.slot_of(at(since));
    let free = |slot: &i64| !holes.iter().any(|(from, to)| (start + from..start + to).contains(slot));
    let lease = store.acquire(series, "writer", Duration::from_secs(60)).await.unwrap();
    let klines = (start..start + slots).filter(free).map(|slot| kline(interval, slot)).collect();
    store.commit(&lease, &Chunk { run: "first".into(), klines, ..rest }).await.unwrap();
    store.release(&lease).await.unwrap();
}

pub struct Stage {
    pub folder: TempDir,
    pub app: Router,
    pub stop: CancellationToken,
}

impl Stage {
    pub fn url(&self) -> String {
        url(&self.folder)
    }
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/klines.db", folder.path().display())
}

/// Three series: whole; with gaps and an absence; by the month.
pub async fn stocked() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&folder)).await.unwrap();
    let five = series("BTCUSDT", Interval::M5);
    let slot = |text: &str| five.interval.slot_of(at(text));
    let absent = AbsentRange {
        slots: SlotRange::new(slot("2025-01-02"), slot("2025-01-02T01:00:00Z")),
        how: Absence::EmptyAnswer,
        at: at("2025-01-05"),
    };
    let fetched = Fetched {
        slots: SlotRange::new(slot("2025-01-01"), slot("2025-01-04")),
        source: store::Source::Rest,
        rows: 800,
        rejected: 1,
        at: at("2025-01-05"),
    };
    let report = r#"{"since":"2025-01-01T00:00:00Z","until":"2025-01-04T00:00:00Z","expected":864,"gaps":1,
        "missing_before":864,"fetched":800,"written":800,"rejected":1,"missing_after":52,"requests":2,"weight":4,
        "error":null,"hint":null}"#;
    let finish = Finish { run: Some(run(&five, "first", Outcome::Incomplete, report)), messages: Vec::new() };
    let rest = Chunk {
        fetched: vec![fetched],
        absent: vec![absent],
        listed: Some(at("2019-09-08")),
        finish: Some(finish),
        ..Chunk::default()
    };
    // One day at 288 slots, the absent hour from slot 288, two gaps of 40 and 12.
    put(&store, &five, "2025-01-01", 864, &[(100, 140), (288, 300), (600, 612)], rest).await;
    put(&store, &series("ETHUSDT", Interval::H1), "2025-01-01", 2000, &[], Chunk::default()).await;
    put(&store, &series("BTCUSDT", Interval::Mo1), "2023-01-01", 24, &[], Chunk::default()).await;
    let failed = run(
        &series("NOPEUSDT", Interval::M5),
        "second",
        Outcome::Failed,
        r#"{"error":"Invalid symbol","hint":"spell it"}"#,
    );
    store.finish(&Finish { run: Some(failed), messages: Vec::new() }).await.unwrap();
    store.close().await.unwrap();
    folder
}

/// Certifies a series as it is stored now, on a day.
pub async fn certify(store: &Store, series: &Series, day: &str) {
    let stored = pipeline::certify::stored_slots(store, series).await.unwrap().unwrap();
    pipeline::certify::incrementally(store, series, stored, at(day)).await.unwrap();
}

/// Says that nothing was to be filled, and that of a comparison the hours are the same, five minutes differ, and months take
/// their time.
struct Idle;

impl Actions for Idle {
    fn fill(&self, request: FillRequest, stop: CancellationToken) -> Work<pipeline::Report> {
        Box::pin(async move {
            if request.series[0].symbol.as_str() == "SLOWUSDT" {
                stop.cancelled().await;
            }
            let reports = request.series.iter().map(pipeline::SeriesReport::new).collect();
            Ok(pipeline::Report::new(pipeline::Job::FillGaps, "id".into(), false, 1, reports))
        })
    }

    fn verify(&self, request: VerifyRequest, stop: CancellationToken) -> Work<VerifyReport> {
        Box::pin(async move {
            if request.series[0].interval == Interval::Mo1 {
                stop.cancelled().await;
                let hint = Some("start it again".into());
                return Err(Failure { message: "the exchange is away".into(), hint });
            }
            let series = request.series.iter().map(compared).collect();
            Ok(VerifyReport::new("id".into(), "rest", false, false, 1, series))
        })
    }
}

/// What a comparison of a series comes to.
fn compared(series: &Series) -> VerifySeries {
    let mut report = VerifySeries::new(series);
    (report.counts.stored, report.counts.equal) = (100, 100);
    if series.interval == Interval::M5 {
        let fields = vec![FieldDifference { field: "close", stored: "1.20".into(), source: "1.21".into() }];
        let mut drift = Finding::of("drift", series.interval, at("2025-01-01"));
        drift.fields = fields;
        let missing =
            |hour: i64| Finding::of("missing", series.interval, at("2025-01-02").plus(hour * 3_600_000));
        report.findings = std::iter::once(drift).chain((0..30).map(missing)).collect();
        (report.counts.equal, report.counts.drift, report.counts.missing) = (99, 1, 35);
        report.findings_left_out = 5;
    }
    report
}

pub fn config(url: &str) -> Config {
    Config {
        source: Source::new(url),
        store_name: "sqlite://klines.db".into(),
        version: "0.0.0",
        since: None,
        loopback: true,
        hosts: Vec::new(),
        actions: Some((Token::new(TOKEN).unwrap(), Arc::new(Idle))),
    }
}

pub async fn stage() -> Stage {
    let folder = stocked().await;
    let stop = CancellationToken::new();
    let app = app(config(&url(&folder)), stop.clone());
    Stage { folder, app, stop }
}

/// A dashboard on a file that does not exist yet.
pub fn bare() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let app = app(config(&url(&folder)), stop.clone());
    Stage { folder, app, stop }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

pub async fn ask(app: &Router, request: Request<Body>) -> Reply {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 10 << 20).await.unwrap();
    Reply { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

pub fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080")
}

pub async fn get(app: &Router, path: &str) -> Reply {
    ask(app, request("GET", path).body(Body::empty()).unwrap()).await
}

pub async fn post(app: &Router, path: &str, token: &str, body: &str) -> Reply {
    let request = request("POST", path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    ask(app, request.body(Body::from(body.to_owned())).unwrap()).await
}

//! Completion messages: what the world is told when a series, or all series of an interval, are done.

use serde_json::{Value, json};
use store::{Message, Outcome};

use crate::report::SeriesReport;
use crate::spec::Job;

/// Message of one series: subject `{prefix}.{extraction_type}.{symbol}.{interval}`.
pub fn of_series(prefix: &str, job: Job, run: &str, timestamp: &str, report: &SeriesReport) -> Message {
    let body = json!({
        "event_type": "extraction_completed",
        "extraction_type": job.extraction_type(),
        "market": report.market,
        "symbol": report.symbol,
        "period": report.interval,
        "timestamp": timestamp,
        "success": report.outcome() == Outcome::Complete,
        "metrics": metrics(std::slice::from_ref(report)),
        "errors": errors(std::slice::from_ref(report)),
        "run": run,
    });
    let token = subject_token(&report.symbol);
    message(prefix, job, run, &token, &format!("{}.{}", report.market, token), report.interval, &body)
}

/// Message of all series of one interval: subject `{prefix}.{extraction_type}.batch.{interval}`.
pub fn of_batch(
    prefix: &str,
    job: Job,
    run: &str,
    timestamp: &str,
    interval: &str,
    reports: &[SeriesReport],
) -> Message {
    let symbols: Vec<&str> = reports.iter().map(|r| r.symbol.as_str()).collect();
    let body = json!({
        "event_type": "batch_extraction_completed",
        "extraction_type": job.extraction_type(),
        "symbol": "batch",
        "symbols": symbols,
        "period": interval,
        "timestamp": timestamp,
        "success": reports.iter().all(|r| r.outcome() == Outcome::Complete),
        "metrics": metrics(reports),
        "errors": errors(reports),
        "run": run,
    });
    message(prefix, job, run, "batch", "batch", interval, &body)
}

fn message(
    prefix: &str,
    job: Job,
    run: &str,
    token: &str,
    id: &str,
    interval: &str,
    body: &Value,
) -> Message {
    let kind = job.extraction_type();
    Message {
        id: format!("{run}.{id}.{interval}"),
        subject: format!("{prefix}.{kind}.{token}.{interval}"),
        payload: body.to_string(),
        traceparent: None,
    }
}

/// A symbol as one token of a NATS subject: the characters that have a meaning there are replaced.
fn subject_token(symbol: &str) -> String {
    symbol.replace(['.', '*', '>', ' '], "_")
}

fn metrics(reports: &[SeriesReport]) -> Value {
    let sum = |of: fn(&SeriesReport) -> u64| reports.iter().map(of).sum::<u64>();
    let longest = reports.iter().map(|r| r.duration_ms).max().unwrap_or(0);
    json!({
        "records_fetched": sum(|r| r.fetched),
        "records_written": sum(|r| r.written),
        "duration_seconds": std::time::Duration::from_millis(longest).as_secs_f64(),
        "gaps_found": sum(|r| r.gaps),
        "gaps_filled": sum(|r| r.gaps_filled),
    })
}

fn errors(reports: &[SeriesReport]) -> Vec<String> {
    let several = reports.len() > 1;
    let mut errors = Vec::new();
    for report in reports {
        let what = match (&report.error, report.missing_after) {
            (Some(error), _) => error.clone(),
            (None, 0) => continue,
            (None, missing) => format!("{missing} klines are still missing"),
        };
        errors.push(if several { format!("{}: {what}", report.name()) } else { what });
    }
    errors
}

#[cfg(test)]
mod tests {
    use kline::{Interval, Market, Series, Symbol};

    use super::*;

    fn report() -> SeriesReport {
        let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M5).unwrap();
        SeriesReport {
            fetched: 2479,
            written: 2479,
            gaps: 9,
            gaps_filled: 9,
            duration_ms: 1500,
            ..SeriesReport::new(&series)
        }
    }

    #[test]
    fn a_series_message_has_the_documented_subject_and_fields() {
        let message = of_series(
            "binance.extraction.gap-filler",
            Job::FillGaps,
            "r1",
            "2026-01-01T00:00:00Z",
            &report(),
        );
        assert_eq!(message.subject, "binance.extraction.gap-filler.klines_gap_filling.BTCUSDT.5m");
        let body: Value = serde_json::from_str(&message.payload).unwrap();
        assert_eq!(body["event_type"], "extraction_completed");
        assert_eq!(body["symbol"], "BTCUSDT");
        assert_eq!(body["period"], "5m");
        assert_eq!(body["success"], true);
        assert_eq!(body["errors"], json!([]));
        assert_eq!(
            body["metrics"],
            json!({"records_fetched": 2479, "records_written": 2479, "duration_seconds": 1.5, "gaps_found": 9, "gaps_filled": 9})
        );
    }

    #[test]
    fn a_batch_message_sums_its_series_and_names_the_failed_ones() {
        let failed = SeriesReport { symbol: "ETHUSDT".into(), error: Some("no route".into()), ..report() };
        let message = of_batch("p", Job::Extract, "r1", "2026-01-01T00:00:00Z", "5m", &[report(), failed]);
        assert_eq!(message.subject, "p.klines.batch.5m");
        let body: Value = serde_json::from_str(&message.payload).unwrap();
        assert_eq!(body["event_type"], "batch_extraction_completed");
        assert_eq!(body["metrics"]["records_written"], 4958);
        assert_eq!(
            (&body["success"], &body["errors"][0]),
            (&json!(false), &json!("um ETHUSDT 5m: no route"))
        );
    }

    #[test]
    fn messages_of_a_run_have_ids_of_their_own() {
        let a = of_series("p", Job::Extract, "r1", "t", &report());
        let b = of_batch("p", Job::Extract, "r1", "t", "5m", &[report()]);
        assert_ne!(a.id, b.id);
    }
}

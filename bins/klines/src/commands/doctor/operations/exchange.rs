//! The exchange: what time is it there? And the archive: is it there?

use std::time::Instant;

use binance::{Client, FetchError};
use kline::Market;

use super::goes_by_proxy;
use crate::commands::doctor::check::{Check, Log, Trouble};
use crate::commands::doctor::net;
use crate::commands::doctor::plan::{Plan, Site};
use crate::commands::doctor::pod::Pod;
use crate::commands::jobs::wall_clock;

/// A clock that differs by more than this, ms, is worth telling.
const SKEW: i64 = 1000;

/// Checks every market, and the archive.
pub async fn check(plan: &Plan, pod: Option<&Pod>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (market, site) in &plan.markets {
        let mut log = Log::new("exchange", &site.shown, site.required);
        if way(&mut log, site, pod).await {
            let began = Instant::now();
            let result = time(plan, *market, pod, site).await;
            log.note("time", began, result);
        }
        checks.append(&mut log.checks);
    }
    if let Some(site) = &plan.archive {
        let mut log = Log::new("archive", &site.shown, site.required);
        way(&mut log, site, pod).await;
        checks.append(&mut log.checks);
    }
    checks
}

/// Name, connection, encryption.
async fn way(log: &mut Log, site: &Site, pod: Option<&Pod>) -> bool {
    if goes_by_proxy() {
        return true;
    }
    match net::reach(log, &site.place, pod).await {
        Some(address) if site.encrypted => net::tls(log, &site.place, address).await,
        found => found.is_some(),
    }
}

async fn time(plan: &Plan, market: Market, pod: Option<&Pod>, site: &Site) -> Result<String, Trouble> {
    let trouble = |error: FetchError| {
        let hint = match (&error, pod) {
            (FetchError::Connect { .. } | FetchError::Timeout { .. }, Some(pod)) => {
                Some(pod.advice(&site.place.host, site.place.port))
            }
            _ => error.hint(),
        };
        Trouble::new(error.to_string(), hint)
    };
    let client = Client::new(plan.client.clone()).map_err(trouble)?;
    let there = client.now(market).await.map_err(trouble)?;
    let ahead = there.0 - wall_clock().0;
    Ok(match ahead {
        ahead if ahead.abs() <= SKEW => format!("{there}"),
        ahead => format!(
            "{there}; this machine's clock is {}.{} s {}, which harms no job",
            ahead.abs() / 1000,
            ahead.abs() % 1000 / 100,
            if ahead > 0 { "behind" } else { "ahead" }
        ),
    })
}

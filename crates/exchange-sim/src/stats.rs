//! What was asked and answered.

use std::collections::{BTreeMap, VecDeque};

use kline::{Market, Series};
use serde::Serialize;

use crate::rest::Endpoint;

/// Everything counted since the start or the last reset. Control requests (`/__…`) are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Requests, answered or not.
    pub requests: u64,
    /// Weight of all of them.
    pub weight: u64,
    /// Klines sent.
    pub rows: u64,
    /// Bytes of bodies sent.
    pub bytes: u64,
    /// Answers 429, for a true reason or as a fault.
    pub answered_429: u64,
    /// Answers 418, for a true reason or as a fault.
    pub answered_418: u64,
    /// Answers 429 because the limit was truly exceeded.
    pub over_limit: u64,
    /// The two weight counters.
    pub pools: Pools,
    /// Per market, endpoint and status; status 0 is no answer.
    pub endpoints: Vec<EndpointStats>,
    /// Per series that klines were asked of.
    pub series: Vec<SeriesStats>,
    /// Faults that happened, by name: requests hit, and rows for row faults.
    pub faults: BTreeMap<&'static str, u64>,
}

/// The two weight counters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pools {
    /// USD-M and COIN-M together.
    pub futures: PoolStats,
    /// Spot.
    pub spot: PoolStats,
}

/// One weight counter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PoolStats {
    /// Weight allowed per window.
    pub limit: u32,
    /// Weight counted in the present window.
    pub used: u32,
    /// Most weight counted in any one window.
    pub max_used: u32,
    /// Requests refused with 429 because the limit was exceeded.
    pub over_limit: u64,
    /// Requests refused with 418 because of a ban.
    pub banned: u64,
}

/// Requests of one kind with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointStats {
    /// `um`, `cm` or `spot`.
    pub market: &'static str,
    /// `klines`, `time`, …
    pub endpoint: &'static str,
    /// HTTP status; 0 where no answer was sent.
    pub status: u16,
    /// How many.
    pub requests: u64,
    /// Their weight.
    pub weight: u64,
    /// Klines sent.
    pub rows: u64,
}

/// Klines requests of one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesStats {
    /// `um`, `cm` or `spot`.
    pub market: &'static str,
    /// Symbol.
    pub symbol: String,
    /// Interval, as REST names it.
    pub interval: &'static str,
    /// How many requests.
    pub requests: u64,
    /// Their weight.
    pub weight: u64,
    /// Klines sent.
    pub rows: u64,
}

/// One request, as `GET /__requests` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Counts from 1 since the start.
    pub number: u64,
    /// The exchange's clock when it was answered, in milliseconds.
    pub at: i64,
    /// Path and query.
    pub request: String,
    /// Its weight.
    pub weight: u32,
    /// HTTP status; 0 where no answer was sent.
    pub status: u16,
    /// Klines sent.
    pub rows: u64,
    /// The fault that hit it.
    pub fault: Option<&'static str>,
}

/// The outcome of one request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) market: Market,
    pub(crate) endpoint: Endpoint,
    pub(crate) request: String,
    pub(crate) weight: u32,
    pub(crate) status: u16,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) series: Option<Series>,
    pub(crate) fault: Option<&'static str>,
    pub(crate) at: i64,
}

/// Counters and the log of requests.
#[derive(Debug)]
pub(crate) struct Book {
    totals: Stats,
    endpoints: BTreeMap<(Market, Endpoint, u16), [u64; 3]>,
    series: BTreeMap<Series, [u64; 3]>,
    log: VecDeque<RequestRecord>,
    log_size: usize,
    number: u64,
}

impl Book {
    pub(crate) fn new(log_size: usize) -> Self {
        Self {
            totals: Stats::default(),
            endpoints: BTreeMap::new(),
            series: BTreeMap::new(),
            log: VecDeque::new(),
            log_size,
            number: 0,
        }
    }

    pub(crate) fn record(&mut self, outcome: Outcome) {
        let Outcome { market, endpoint, request, weight, status, rows, bytes, series, fault, at } = outcome;
        self.number += 1;
        self.totals.requests += 1;
        self.totals.weight += u64::from(weight);
        self.totals.rows += rows;
        self.totals.bytes += bytes;
        self.totals.answered_429 += u64::from(status == 429);
        self.totals.answered_418 += u64::from(status == 418);
        if let Some(name) = fault {
            *self.totals.faults.entry(name).or_default() += 1;
        }
        add(self.endpoints.entry((market, endpoint, status)).or_default(), weight, rows);
        if let Some(series) = series {
            add(self.series.entry(series).or_default(), weight, rows);
        }
        if self.log_size > 0 {
            if self.log.len() == self.log_size {
                self.log.pop_front();
            }
            self.log.push_back(RequestRecord {
                number: self.number,
                at,
                request,
                weight,
                status,
                rows,
                fault,
            });
        }
    }

    /// Counts rows that a fault touched.
    pub(crate) fn count_rows(&mut self, fault: &'static str, rows: u64) {
        if rows > 0 {
            *self.totals.faults.entry(fault).or_default() += rows;
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.totals.clone();
        stats.endpoints = self
            .endpoints
            .iter()
            .map(|((market, endpoint, status), [requests, weight, rows])| EndpointStats {
                market: market.as_str(),
                endpoint: endpoint.as_str(),
                status: *status,
                requests: *requests,
                weight: *weight,
                rows: *rows,
            })
            .collect();
        stats.series = self
            .series
            .iter()
            .map(|(series, [requests, weight, rows])| SeriesStats {
                market: series.market.as_str(),
                symbol: series.symbol.as_str().to_owned(),
                interval: series.interval.as_str(),
                requests: *requests,
                weight: *weight,
                rows: *rows,
            })
            .collect();
        stats
    }

    /// The requests remembered, oldest first, that came after a number.
    pub(crate) fn requests(&self, after: u64) -> Vec<RequestRecord> {
        let start = self.log.partition_point(|record| record.number <= after);
        self.log.iter().skip(start).cloned().collect()
    }

    /// Forgets everything but the numbering of requests.
    pub(crate) fn reset(&mut self) {
        let number = self.number;
        *self = Self { number, ..Self::new(self.log_size) };
    }
}

fn add(counts: &mut [u64; 3], weight: u32, rows: u64) {
    let [requests, total_weight, total_rows] = counts;
    *requests += 1;
    *total_weight += u64::from(weight);
    *total_rows += rows;
}

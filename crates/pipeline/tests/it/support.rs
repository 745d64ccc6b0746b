//! What the tests share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use binance::{Client, ClientConfig, Endpoints};
use exchange_sim::{Config, DataSource, Now, Sim};
use kline::{Interval, Kline, Market, Millis, RangeSet, Series, SlotRange, Symbol, TimeRange};
use pipeline::{Job, Options, Report, Since};
use store::{Chunk, KlineStore, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Real klines kept beside the project, or `None` with a word where they are absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let full = root.join("data/binance").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: real klines ({path} not found below ../shared)");
    None
}

pub fn series(market: Market, symbol: &str, interval: Interval) -> Series {
    Series::new(market, Symbol::new(symbol).unwrap(), interval).unwrap()
}

pub fn at(text: &str) -> Millis {
    text.parse().unwrap()
}

pub fn slots(interval: Interval, since: &str, until: &str) -> SlotRange {
    interval.slots_starting_in(TimeRange::new(at(since), at(until)))
}

/// An exchange, a client of it, and a store.
pub struct World {
    pub sim: Sim,
    pub client: Client,
    pub store: Store,
    /// Removed at the end.
    #[allow(dead_code)]
    pub folder: TempDir,
}

impl World {
    pub async fn new(data: Vec<DataSource>, now: &str) -> Self {
        Self::with(Config { data, now: Now::Frozen(at(now)), ..Config::default() }).await
    }

    pub async fn with(config: Config) -> Self {
        let sim = Sim::start(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::open(&format!("sqlite://{}", folder.path().join("klines.db").display())).await.unwrap();
        let client = Self::client_of(&sim);
        Self { sim, client, store, folder }
    }

    pub fn client_of(sim: &Sim) -> Client {
        let url = sim.url();
        let endpoints = Endpoints { um: url.clone(), cm: url.clone(), spot: url };
        Client::new(ClientConfig { endpoints, backoff: Duration::from_millis(5), ..ClientConfig::default() })
            .unwrap()
    }

    /// Stores klines of the exchange, all but the holes.
    pub async fn stock(&self, series: &Series, range: SlotRange, holes: &RangeSet) {
        let keep = RangeSet::from(range).difference(holes);
        let lease = self.store.acquire(series, "test", Duration::from_secs(600)).await.unwrap();
        for run in keep.ranges() {
            let mut start = run.start;
            while start < run.end {
                let end = (start + 190).min(run.end);
                let page = self.client.klines(series, SlotRange::new(start, end)).await.unwrap();
                let chunk = Chunk { run: "stock".into(), klines: page.rows, ..Chunk::default() };
                self.store.commit(&lease, &chunk).await.unwrap();
                start = end;
            }
        }
        self.store.release(&lease).await.unwrap();
        self.sim.control().reset_stats();
    }

    pub async fn run(&self, options: &Options) -> Report {
        let stop = CancellationToken::new();
        pipeline::run(&self.store, &self.client, options, &(), at("2026-01-01"), &stop).await.unwrap()
    }

    /// Every stored kline of a range.
    pub async fn rows(&self, series: &Series, range: SlotRange) -> Vec<Kline> {
        let mut rows: Vec<Kline> = Vec::new();
        loop {
            let after = rows.last().map(|k| k.open_time);
            let page = self.store.read(series, range, after, 5000).await.unwrap();
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }

    pub fn klines_requests(&self) -> u64 {
        let stats = self.sim.stats();
        stats.endpoints.iter().filter(|e| e.endpoint == "klines").map(|e| e.requests).sum()
    }
}

/// A gap job over a fixed range.
pub fn fill(series: &[Series], since: &str, until: Option<&str>) -> Options {
    Options {
        since: Since::At(at(since)),
        until: until.map(at),
        ..Options::new(Job::FillGaps, series.to_vec())
    }
}

/// A made-up symbol.
pub fn made_up(market: Market, symbol: &str, from: &str) -> DataSource {
    DataSource::Synthetic {
        market,
        symbol: Symbol::new(symbol).unwrap(),
        from: at(from),
        until: None,
        seed: 42,
    }
}

/// Klines of an archive file, read here in the plainest way: what the store must hold in the end.
pub fn archive_rows(path: &Path) -> Vec<Kline> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|line| {
        let f: Vec<&str> = line.split(',').collect();
        let time = |i: usize| Millis::detect(f[i].parse().unwrap()).unwrap();
        let number = |i: usize| f[i].parse().unwrap();
        Kline {
            open_time: time(0),
            open: number(1),
            high: number(2),
            low: number(3),
            close: number(4),
            volume: number(5),
            close_time: time(6),
            quote_volume: number(7),
            count: f[8].parse().unwrap(),
            taker_buy_volume: number(9),
            taker_buy_quote_volume: number(10),
        }
    })
    .collect()
}

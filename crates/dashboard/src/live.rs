//! What goes on in the store right now, whoever does it: leases say who is at work, the books how far it has come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kline::{Millis, Series};
use serde::Serialize;
use store::{HeldLease, KlineStore, Store, StoreResult};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::coverage::{coverage, range_of};
use crate::jobs::{Job, Jobs};
use crate::snapshot::wall_clock;
use crate::source::{Source, words};

/// How often the store is asked while somebody looks.
const EVERY: Duration = Duration::from_secs(1);
/// Readers at the same time; more are refused.
const READERS: usize = 64;

/// Work on one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Activity {
    market: &'static str,
    symbol: String,
    interval: &'static str,
    /// Who is at work: host and process.
    owner: String,
    /// When it was first seen.
    seen: String,
    /// Klines stored now.
    rows: u64,
    /// Those that came since it was first seen.
    written: u64,
    /// Klines missing between the first and the last stored one.
    missing: u64,
    /// The same when it was first seen.
    missing_at_first: u64,
    /// Klines per second lately.
    rate: f64,
}

/// The state that readers are told.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct State {
    /// Work that goes on.
    pub running: Vec<Activity>,
    /// Jobs of this process.
    pub jobs: Vec<Job>,
    /// The newest run record: when it changes, lists are out of date.
    pub newest_run: Option<String>,
    /// Why the store cannot be read, if it cannot.
    pub error: Option<String>,
}

/// A series that is being worked on.
struct Track {
    owner: String,
    seen: Millis,
    first_rows: u64,
    first_missing: u64,
    last: (Instant, u64),
    rate: f64,
}

/// Polls the store while somebody looks, and tells them.
pub(crate) struct Live {
    source: Arc<Source>,
    jobs: Arc<Jobs>,
    state: watch::Sender<Arc<State>>,
    wake: Notify,
}

impl Live {
    pub fn new(source: Arc<Source>, jobs: Arc<Jobs>) -> Self {
        Self { source, jobs, state: watch::Sender::new(Arc::default()), wake: Notify::new() }
    }

    /// A reader's end, which is told the state at once; `None` when there are too many.
    pub fn subscribe(&self) -> Option<watch::Receiver<Arc<State>>> {
        if self.state.receiver_count() >= READERS {
            return None;
        }
        let receiver = self.state.subscribe();
        self.wake.notify_one();
        Some(receiver)
    }

    /// Looks again now: something has changed.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }

    /// What goes on, asked now.
    pub async fn look_once(&self) -> State {
        self.look(&mut HashMap::new()).await
    }

    /// Runs until told to stop.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut tracks = HashMap::new();
        while !stop.is_cancelled() {
            if self.state.receiver_count() > 0 {
                let state = self.look(&mut tracks).await;
                self.state.send_replace(Arc::new(state));
            } else {
                tracks.clear();
            }
            let pause = async {
                if self.state.receiver_count() > 0 {
                    tokio::time::sleep(EVERY).await
                } else {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&self, tracks: &mut HashMap<Series, Track>) -> State {
        let jobs = self.jobs.list();
        let store = match self.source.store().await {
            Ok(Some(store)) => store,
            Ok(None) => return State { jobs, ..State::default() },
            Err(away) => return State { jobs, error: Some(away.to_string()), ..State::default() },
        };
        match activities(&store, tracks).await {
            Ok((running, newest_run)) => State { running, jobs, newest_run, error: None },
            Err(error) => State { jobs, error: Some(words(&error)), ..State::default() },
        }
    }
}

async fn activities(
    store: &Store,
    tracks: &mut HashMap<Series, Track>,
) -> StoreResult<(Vec<Activity>, Option<String>)> {
    let leases = store.leases().await?;
    tracks.retain(|series, track| leases.iter().any(|l| l.series == *series && l.owner == track.owner));
    let mut found = Vec::with_capacity(leases.len());
    for lease in leases {
        found.push(activity(store, lease, tracks).await?);
    }
    let newest = store.runs(None, 1).await?.pop();
    let newest = newest.map(|run| format!("{} {} {}", run.run, run.series, run.ended));
    Ok((found, newest))
}

async fn activity(
    store: &Store,
    lease: HeldLease,
    tracks: &mut HashMap<Series, Track>,
) -> StoreResult<Activity> {
    let series = lease.series;
    let record = store.series(&series).await?;
    let rows = record.as_ref().and_then(|r| r.extent).map_or(0, |extent| extent.rows);
    let missing = match &record {
        Some(record) => coverage(store, &series, range_of(record, None)).await?.missing.len(),
        None => 0,
    };
    let now = Instant::now();
    let track = tracks.entry(series.clone()).or_insert_with(|| Track {
        owner: lease.owner.clone(),
        seen: wall_clock(),
        first_rows: rows,
        first_missing: missing,
        last: (now, rows),
        rate: 0.0,
    });
    let elapsed = now.duration_since(track.last.0).as_secs_f64();
    if elapsed > 0.5 {
        let latest = rows.saturating_sub(track.last.1) as f64 / elapsed;
        // Chunks come in bursts: smooth over a few seconds.
        track.rate = if track.rate == 0.0 { latest } else { 0.7 * track.rate + 0.3 * latest };
        track.last = (now, rows);
    }
    // Work at the ends of a series can make it longer, and find more to do.
    track.first_missing = track.first_missing.max(missing);
    Ok(Activity {
        market: series.market.as_str(),
        symbol: series.symbol.to_string(),
        interval: series.interval.as_str(),
        // What follows the process is for programs: it tells machines and processes of one number apart.
        owner: lease.owner.split(" (").next().unwrap_or_default().to_owned(),
        seen: track.seen.to_string(),
        rows,
        written: rows.saturating_sub(track.first_rows),
        missing,
        missing_at_first: track.first_missing,
        rate: (track.rate * 10.0).round() / 10.0,
    })
}

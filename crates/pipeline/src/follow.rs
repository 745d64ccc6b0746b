//! Following the market: klines are stored as they close.
//!
//! The exchange's streams say when a kline has closed and what it is; they promise nothing. So a stream only makes things
//! quick, and the clock makes them complete: of every slot that has ended, this job either has stored the kline that was
//! pushed, or *owes* it, and what is owed is fetched by REST as `extract` does, until it is stored or known to be absent.
//! A lost push, a broken line, an hour without streams and the seam at the start are all the same: slots that are owed.

use std::collections::HashMap;
use std::time::Duration;

use binance::{Client, FetchError, MOST_STREAMS, Push, Pushed};
use futures_util::StreamExt;
use kline::validate::check_page;
use kline::{Market, Millis, RangeSet, Series, Slot, SlotRange};
use serde::Serialize;
use store::{Chunk, Fetched, KlineStore, Source, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::error::JobError;
use crate::event::{Event, Observer};
use crate::run::{millis, run};
use crate::spec::{Options, Since};
use crate::{lease, report};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pushes of closed klines that wait while something is fetched; when it is full, the exchange waits, or cuts the line.
const WAITING: usize = 10_000;
/// First and longest pause before something is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is to be followed, and how.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// The job that catches up: an `extract`.
    pub catch_up: Options,
    /// How long after its end a kline that was not pushed is waited for before REST is asked.
    pub grace: Duration,
    /// A connection is replaced by a new one after this time. Binance ends every connection after 24 hours.
    pub rotate: Duration,
    /// How long to follow; `None` for ever.
    pub time: Option<Duration>,
}

impl FollowOptions {
    /// Follows for ever, with the usual patience.
    pub fn new(catch_up: Options) -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self { catch_up, grace: Duration::from_secs(3), rotate: hours(23), time: None }
    }
}

/// What became of it. The JSON form is public: fields may be added, none renamed.
#[derive(Debug, Clone, Serialize)]
pub struct FollowReport {
    /// `follow`.
    pub job: &'static str,
    /// Identifier of the run.
    pub run: String,
    /// `complete` or `incomplete`.
    pub outcome: &'static str,
    /// Wall time, ms.
    pub duration_ms: u64,
    /// Connections that broke or did not come about.
    pub lines_lost: u64,
    /// One entry per series, in the order asked.
    pub series: Vec<FollowedReport>,
}

/// One series of a [`FollowReport`].
#[derive(Debug, Clone, Serialize)]
pub struct FollowedReport {
    /// `um`, `cm` or `spot`.
    pub market: &'static str,
    /// Symbol.
    pub symbol: String,
    /// Interval.
    pub interval: &'static str,
    /// Up to where the series is accounted for, exclusive, RFC 3339; `null` when it was never reached.
    pub until: Option<String>,
    /// Klines stored as pushed.
    pub from_stream: u64,
    /// Klines fetched by REST.
    pub from_rest: u64,
    /// Pushes of klines that were stored already.
    pub repeated: u64,
    /// Slots before `until` that are neither stored nor known to be absent.
    pub missing_after: u64,
    /// Why the last attempt to fetch what is missing failed.
    pub error: Option<String>,
}

/// Follows the series until told to stop, or until the time is over.
///
/// `wall` is the local time of the start, for run records alone.
///
/// # Errors
/// [`JobError::Usage`] when the request makes no sense, [`JobError::Store`] when the store fails for good. What the exchange
/// fails at is tried again for ever.
pub async fn follow<S: KlineStore>(
    store: &S,
    client: &Client,
    options: &FollowOptions,
    observer: &dyn Observer,
    wall: Millis,
    stop: &CancellationToken,
) -> Result<FollowReport, JobError> {
    if options.catch_up.series.is_empty() {
        return Err(JobError::Usage("no series to follow".into()));
    }
    let started = Instant::now();
    let stop = stop.child_token();
    let _end = options.time.map(|time| {
        let stop = stop.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(time).await;
            stop.cancel();
        }))
    });
    let shared = Shared {
        store,
        client,
        options,
        observer,
        wall,
        started,
        stop: &stop,
        run: uuid::Uuid::now_v7().to_string(),
        owner: lease::this_owner(),
    };
    let lines = Market::ALL.into_iter().flat_map(|market| {
        let of_market: Vec<Series> =
            options.catch_up.series.iter().filter(|s| s.market == market).cloned().collect();
        of_market.chunks(MOST_STREAMS).map(|some| Line::new(&shared, market, some)).collect::<Vec<_>>()
    });
    let lines = futures_util::future::try_join_all(lines.map(Line::keep)).await?;
    Ok(shared.report(lines))
}

/// What all connections share.
struct Shared<'a, S> {
    store: &'a S,
    client: &'a Client,
    options: &'a FollowOptions,
    observer: &'a dyn Observer,
    wall: Millis,
    started: Instant,
    stop: &'a CancellationToken,
    run: String,
    owner: String,
}

impl<S> Shared<'_, S> {
    fn report(&self, lines: Vec<Line<'_, S>>) -> FollowReport {
        let lines_lost = lines.iter().map(|line| line.lost).sum();
        let all: HashMap<Series, Followed> =
            lines.into_iter().flat_map(|line| line.series).map(|f| (f.series.clone(), f)).collect();
        let series: Vec<FollowedReport> =
            self.options.catch_up.series.iter().filter_map(|s| all.get(s)).map(Followed::report).collect();
        let whole = series.iter().all(|s| s.until.is_some() && s.missing_after == 0);
        FollowReport {
            job: "follow",
            run: self.run.clone(),
            outcome: if whole { "complete" } else { "incomplete" },
            duration_ms: millis(self.started.elapsed()),
            lines_lost,
            series,
        }
    }
}

/// One series and how far it is.
struct Followed {
    series: Series,
    /// Every slot before is stored, absent or owed; `None` until it was caught up with once.
    next: Option<Slot>,
    owed: RangeSet,
    /// When what is owed is fetched, and the pause after that if it is still owed.
    at: Instant,
    pause: Duration,
    from_stream: u64,
    from_rest: u64,
    repeated: u64,
    error: Option<String>,
}

impl Followed {
    fn new(series: Series) -> Self {
        Self {
            series,
            next: None,
            owed: RangeSet::default(),
            at: Instant::now(),
            pause: PAUSES.0,
            from_stream: 0,
            from_rest: 0,
            repeated: 0,
            error: None,
        }
    }

    /// Owes every slot up to `end` that is not accounted for.
    fn owe_up_to(&mut self, end: Slot) {
        if let Some(next) = self.next.filter(|next| *next < end) {
            self.owe(SlotRange::new(next, end));
            self.next = Some(end);
        }
    }

    fn owe(&mut self, slots: SlotRange) {
        if self.owed.is_empty() {
            self.at = Instant::now();
        }
        self.owed = self.owed.union(&slots.into());
    }

    /// Whether a pushed kline of this slot is news.
    fn wants(&self, slot: Slot) -> bool {
        self.next.is_some_and(|next| slot >= next) || self.owed.contains(slot)
    }

    fn is_due(&self) -> bool {
        (self.next.is_none() || !self.owed.is_empty()) && Instant::now() >= self.at
    }

    /// Tries again after a pause that grows.
    fn later(&mut self) {
        self.at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn report(&self) -> FollowedReport {
        let interval = self.series.interval;
        FollowedReport {
            market: self.series.market.as_str(),
            symbol: self.series.symbol.as_str().to_owned(),
            interval: interval.as_str(),
            until: self.next.map(|next| interval.slot_start(next).to_string()),
            from_stream: self.from_stream,
            from_rest: self.from_rest,
            repeated: self.repeated,
            missing_after: self.owed.len(),
            error: self.error.clone(),
        }
    }
}

/// What is heard of a connection.
enum Heard {
    Opened,
    Closed(Box<Push>),
    Unreadable(String),
    Lost(FetchError),
}

/// One connection and its series.
struct Line<'a, S> {
    shared: &'a Shared<'a, S>,
    market: Market,
    series: Vec<Followed>,
    lost: u64,
}

impl<'a, S: KlineStore> Line<'a, S> {
    fn new(shared: &'a Shared<'a, S>, market: Market, series: &[Series]) -> Self {
        Self { shared, market, series: series.iter().cloned().map(Followed::new).collect(), lost: 0 }
    }

    /// Listens first and then catches up, so that nothing falls between the two.
    async fn keep(mut self) -> Result<Self, JobError> {
        let (sender, mut heard) = mpsc::channel(WAITING);
        let names: Vec<Series> = self.series.iter().map(|f| f.series.clone()).collect();
        let client = self.shared.client.clone();
        let rotate = self.shared.options.rotate;
        let _ear = AbortOnDropHandle::new(tokio::spawn(listen(client, self.market, names, rotate, sender)));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => break,
                _ = ticks.tick() => self.tick().await?,
                Some(news) = heard.recv() => self.hear(news).await?,
            }
        }
        Ok(self)
    }

    async fn hear(&mut self, news: Heard) -> Result<(), JobError> {
        let observer = self.shared.observer;
        match news {
            Heard::Opened => {
                observer.event(&Event::LineOpened { market: self.market, streams: self.series.len() })
            }
            Heard::Lost(error) => {
                self.lost += 1;
                observer.event(&Event::LineLost { market: self.market, error: &error });
            }
            Heard::Unreadable(why) => {
                tracing::warn!(market = self.market.as_str(), "a push was not understood: {why}")
            }
            Heard::Closed(push) => self.closed(*push).await?,
        }
        Ok(())
    }

    /// A kline was pushed as closed.
    async fn closed(&mut self, push: Push) -> Result<(), JobError> {
        let shared = self.shared;
        let interval = push.series.interval;
        let slot = interval.slot_of(push.kline.open_time);
        let Some(followed) = self.series.iter_mut().find(|f| f.series == push.series) else { return Ok(()) };
        if !followed.wants(slot) {
            followed.repeated += u64::from(followed.next.is_some());
            return Ok(());
        }
        followed.owe_up_to(slot);
        let one = SlotRange::new(slot, slot + 1);
        // Both clocks are the exchange's; ours may be a moment behind.
        let now = shared.client.now(push.series.market).await.map_or(push.at, |now| now.max(push.at));
        let checked = check_page(interval, one, now, vec![push.kline.clone()]);
        for rejection in &checked.rejected {
            shared.observer.event(&Event::Rejected { series: &push.series, rejection });
        }
        let stored = !checked.accepted.is_empty() && shared.store_one(&push, one).await?;
        if stored {
            followed.owed = followed.owed.difference(&one.into());
            followed.from_stream += 1;
            shared.observer.event(&Event::Pushed { series: &push.series, kline: &push.kline });
        } else {
            followed.owe(one);
        }
        followed.next = followed.next.max(Some(slot + 1));
        Ok(())
    }

    /// Owes what has ended without being pushed, and fetches what is owed and due.
    async fn tick(&mut self) -> Result<(), JobError> {
        let shared = self.shared;
        // Without the exchange's clock nothing can be judged; the attempt to catch up says why.
        if self.series.iter().any(|f| f.next.is_some())
            && let Ok(now) = shared.client.now(self.market).await
        {
            let late = now.plus(-i64::try_from(shared.options.grace.as_millis()).unwrap_or(i64::MAX));
            for followed in &mut self.series {
                followed.owe_up_to(followed.series.interval.first_open_slot(late));
            }
        }
        let at_once = shared.options.catch_up.series_at_once.max(1);
        let due = self.series.iter_mut().filter(|f| f.is_due());
        let mut fetching =
            futures_util::stream::iter(due).map(|f| shared.settle(f)).buffer_unordered(at_once);
        while let Some(result) = fetching.next().await {
            result?;
        }
        Ok(())
    }
}

impl<S: KlineStore> Shared<'_, S> {
    /// Commits one kline. `false` when another job is at work on the series.
    async fn store_one(&self, push: &Push, slots: SlotRange) -> Result<bool, JobError> {
        let ttl = self.options.catch_up.lease_ttl;
        let (none, stop) = (Duration::ZERO, CancellationToken::new());
        let taken =
            lease::acquire(self.store, &push.series, &self.owner, ttl, none, self.observer, &stop).await;
        let lease = match taken {
            Ok(lease) => lease,
            Err(JobError::Store(error)) if matches!(*error, StoreError::Leased { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let chunk = Chunk {
            run: self.run.clone(),
            klines: vec![push.kline.clone()],
            fetched: vec![Fetched { slots, source: Source::Stream, rows: 1, rejected: 0, at: push.at }],
            ..Chunk::default()
        };
        let done = self.store.commit(&lease, &chunk).await;
        let released = self.store.release(&lease).await;
        match done {
            Err(StoreError::LeaseLost { .. } | StoreError::Leased { .. }) => Ok(false),
            done => {
                done?;
                released?;
                Ok(true)
            }
        }
    }

    /// Fetches what one series owes, as `extract` does; the first time, whatever lies between what is stored and now.
    async fn settle(&self, followed: &mut Followed) -> Result<(), JobError> {
        let interval = followed.series.interval;
        let mut options = self.options.catch_up.clone();
        options.series = vec![followed.series.clone()];
        if let Some(first) = followed.owed.first() {
            options.since = Since::At(interval.slot_start(first));
        }
        let wall = self.wall.plus(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0));
        // One retry in many would be one too many here: whatever fails is owed, and is tried again.
        let done = match run(self.store, self.client, &options, self.observer, wall, self.stop).await {
            Ok(report) => report.series.into_iter().next(),
            Err(JobError::Interrupted | JobError::Halted) => None,
            Err(error) => return Err(error),
        };
        let Some(done) = done else { return Ok(()) };
        followed.from_rest += done.written;
        followed.error.clone_from(&done.error);
        if let Some(slots) = slots_of(&done, interval) {
            let absent = self.store.absent(&followed.series, slots).await?;
            let absent: RangeSet = absent.into_iter().map(|range| range.slots).collect();
            let missing = self.store.missing(&followed.series, slots).await?.difference(&absent);
            followed.owed = followed.owed.difference(&slots.into()).union(&missing);
            followed.next = followed.next.max(Some(slots.end));
        }
        if followed.owed.is_empty() && followed.error.is_none() {
            followed.pause = PAUSES.0;
        } else {
            followed.later();
        }
        Ok(())
    }
}

/// The slots that a report of one series is about.
fn slots_of(done: &report::SeriesReport, interval: kline::Interval) -> Option<SlotRange> {
    let at = |text: &Option<String>| text.as_ref()?.parse::<Millis>().ok().map(|at| interval.slot_of(at));
    Some(SlotRange::new(at(&done.since)?, at(&done.until)?))
}

/// Keeps a connection open, and another after it, and hands on what closes.
async fn listen(
    client: Client,
    market: Market,
    series: Vec<Series>,
    rotate: Duration,
    heard: mpsc::Sender<Heard>,
) {
    let mut pause = PAUSES.0;
    loop {
        let opened = client.live(market, &series).await;
        let news = match opened {
            Err(error) => Heard::Lost(error),
            Ok(mut live) => {
                pause = PAUSES.0;
                if heard.send(Heard::Opened).await.is_err() {
                    return;
                }
                // The end of a connection's day is no loss: the next one is opened at once.
                match tokio::time::timeout(rotate, until_lost(&mut live, &heard)).await {
                    Err(_) => continue,
                    Ok(None) => return,
                    Ok(Some(error)) => Heard::Lost(error),
                }
            }
        };
        if heard.send(news).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Hands on what closes until the connection breaks; `None` when nobody listens any more.
async fn until_lost(live: &mut binance::Live, heard: &mpsc::Sender<Heard>) -> Option<FetchError> {
    loop {
        let news = match live.next().await {
            Ok(Pushed::Kline(push)) if push.closed => Heard::Closed(push),
            Ok(Pushed::Kline(_)) => continue,
            Ok(Pushed::Unreadable(why)) => Heard::Unreadable(why),
            Err(error) => return Some(error),
        };
        heard.send(news).await.ok()?;
    }
}

//! How fast the SQLite engine writes and finds gaps, beside the plainest way to do the same, in one run.
//!
//! ```sh
//! # everything: a few minutes, 2 GB in the temporary folder
//! cargo bench -p store --no-default-features --bench sqlite
//! # one part: gaps, scattered, write
//! cargo bench -p store --no-default-features --bench sqlite -- write
//! ```
//! (Without the default features the engines with a server need not be built.)
//!
//! * `write`: one year of 1m klines (525,600) in chunks of 10,000 under a lease, as a job commits them, beside prepared
//!   inserts into an identical table in one transaction. Both open a new file with the same settings, and both start
//!   from the same klines in memory. The bare loader is timed twice: turning decimals into text as we must, and with all
//!   texts ready-made. Best of [`ROUNDS`], taken in turns. To reach: 70% of the bare loader.
//! * `gaps`: 10 million klines of one series with 40 holes, beside a window-function query on the same file. Both must
//!   find the same holes. To reach: 10 times faster. The rows are made as they are written, so the peak memory printed is
//!   what writing and searching need, whatever the range. To reach: under 64 MiB.
//! * `scattered`: as `gaps`, but 10,000 single holes in 525,600 slots.

#![allow(clippy::print_stdout)] // printing is what it is for

use std::path::Path;
use std::time::{Duration, Instant};

use kline::{Decimal, Interval, Kline, Market, Millis, Series, SlotRange, Symbol};
use rusqlite::{Connection, params};
use store::{Chunk, KlineStore, OpenOptions, SqliteStore};

type Anything = Box<dyn std::error::Error>;

const YEAR: i64 = 525_600;
const CHUNK: usize = 10_000;
const ROUNDS: usize = 5;
const DAY_ONE: i64 = 1_672_531_200_000;
const MINUTE: i64 = 60_000;

fn main() -> Result<(), Anything> {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|a| a == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if wanted("gaps") {
            let holes = (0..40).map(|i| (1 + i * 240_007, 1 + i * 5)).collect::<Vec<_>>();
            gaps("10,000,000 rows, 40 holes", 10_000_000, &holes).await?;
        }
        if wanted("scattered") {
            let holes = (0..10_000).map(|i| (17 + i * 52, 1)).collect::<Vec<_>>();
            gaps("525,600 slots, 10,000 single holes", YEAR, &holes).await?;
        }
        if wanted("write") {
            write().await?;
        }
        Ok(())
    })
}

fn series() -> Result<Series, Anything> {
    Ok(Series::new(Market::Um, Symbol::new("BTCUSDT")?, Interval::M1)?)
}

/// A kline with numbers as long as real ones.
fn kline(minute: i64) -> Result<Kline, Anything> {
    let n = i128::from(minute.wrapping_mul(2_654_435_761).rem_euclid(1_000_003));
    let price = |add: i128| Decimal::from_parts(165_000 + n / 100 + add, 1);
    Ok(Kline {
        open_time: Millis(DAY_ONE + minute * MINUTE),
        open: price(1)?,
        high: price(90)?,
        low: price(0)?,
        close: price(40)?,
        volume: Decimal::from_parts(n, 3)?,
        close_time: Millis(DAY_ONE + (minute + 1) * MINUTE - 1),
        quote_volume: Decimal::from_parts(n * 1_654_321, 5)?,
        count: n.unsigned_abs() as u64 % 20_000,
        taker_buy_volume: Decimal::from_parts(n / 2, 3)?,
        taker_buy_quote_volume: Decimal::from_parts(n * 827_160, 5)?,
    })
}

async fn write() -> Result<(), Anything> {
    let klines = (0..YEAR).map(kline).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<[String; 8]> = klines.iter().map(texts).collect();
    let [mut ours, mut bare, mut ready] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        ours = ours.min(load_ours(&dir.path().join("ours.db"), &klines).await?);
        bare = bare.min(load_bare(&dir.path().join("bare.db"), &klines, None)?);
        ready = ready.min(load_bare(&dir.path().join("ready.db"), &klines, Some(&texts))?);
    }
    let rate = |t: Duration| klines.len() as f64 / t.as_secs_f64();
    println!("write 525,600 klines in chunks of 10,000 (best of {ROUNDS})");
    println!("  store                          {:>9.0} rows/s", rate(ours));
    println!(
        "  bare loader                    {:>9.0} rows/s   store reaches {:.0}%",
        rate(bare),
        100. * rate(ours) / rate(bare)
    );
    println!(
        "  bare loader, texts ready-made  {:>9.0} rows/s   store reaches {:.0}%",
        rate(ready),
        100. * rate(ours) / rate(ready)
    );
    Ok(())
}

fn texts(k: &Kline) -> [String; 8] {
    [k.open, k.high, k.low, k.close, k.volume, k.quote_volume, k.taker_buy_volume, k.taker_buy_quote_volume]
        .map(|d| d.to_string())
}

async fn load_ours(path: &Path, klines: &[Kline]) -> Result<Duration, Anything> {
    let store = SqliteStore::open(&path.display().to_string(), OpenOptions::default()).await?;
    let lease = store.acquire(&series()?, "bench", Duration::from_secs(600)).await?;
    let chunks: Vec<Chunk> = klines
        .chunks(CHUNK)
        .map(|part| Chunk { run: "bench".into(), klines: part.to_vec(), ..Chunk::default() })
        .collect();
    let start = Instant::now();
    for chunk in &chunks {
        store.commit(&lease, chunk).await?;
    }
    let took = start.elapsed();
    store.close().await?;
    Ok(took)
}

fn load_bare(path: &Path, klines: &[Kline], ready: Option<&[[String; 8]]>) -> Result<Duration, Anything> {
    let mut conn = Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4096;
         CREATE TABLE k (series_id INTEGER NOT NULL, open_time INTEGER NOT NULL, open TEXT NOT NULL,
           high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
           close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
           taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
           PRIMARY KEY (series_id, open_time)) STRICT, WITHOUT ROWID",
    )?;
    let start = Instant::now();
    let tx = conn.transaction()?;
    {
        let mut insert =
            tx.prepare("INSERT INTO k VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
        for (i, k) in klines.iter().enumerate() {
            let made;
            let [o, h, l, c, v, q, tv, tq] = match ready.and_then(|all| all.get(i)) {
                Some(ready) => ready,
                None => {
                    made = texts(k);
                    &made
                }
            };
            insert.execute(params![
                1,
                k.open_time.0,
                o,
                h,
                l,
                c,
                v,
                k.close_time.0,
                q,
                k.count.cast_signed(),
                tv,
                tq
            ])?;
        }
    }
    tx.commit()?;
    Ok(start.elapsed())
}

/// Stores `slots` minutes except the `holes` (start, length), then looks for them both ways.
async fn gaps(title: &str, slots: i64, holes: &[(i64, i64)]) -> Result<(), Anything> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("gaps.db");
    let store = SqliteStore::open(&path.display().to_string(), OpenOptions::default()).await?;
    let series = series()?;
    fill(&store, &series, slots, holes).await?;

    let first = Interval::M1.slot_of(Millis(DAY_ONE));
    let range = SlotRange::new(first, first + slots);
    let mut ours = Duration::MAX;
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        found = store.missing(&series, range).await?.ranges().to_vec();
        ours = ours.min(start.elapsed());
    }
    let peak = peak_memory();
    let mut window = Duration::MAX;
    let mut expected = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        expected = by_window_function(&path)?;
        window = window.min(start.elapsed());
    }
    store.close().await?;
    let as_pairs: Vec<(i64, i64)> = found.iter().map(|r| (r.start, r.end)).collect();
    if as_pairs != expected {
        return Err("the two ways found different gaps".into());
    }
    println!("gaps: {title}, {} found", found.len());
    if let Some(peak) = peak {
        println!("  peak memory of the process after writing and searching: {peak}");
    }
    println!("  store            {:>9.2} ms", ours.as_secs_f64() * 1e3);
    println!(
        "  window function  {:>9.2} ms   store is {:.0} times faster",
        window.as_secs_f64() * 1e3,
        window.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

async fn fill(
    store: &SqliteStore,
    series: &Series,
    slots: i64,
    holes: &[(i64, i64)],
) -> Result<(), Anything> {
    let lease = store.acquire(series, "bench", Duration::from_secs(6000)).await?;
    let mut holes = holes.iter().peekable();
    let mut klines = Vec::with_capacity(CHUNK);
    for minute in 0..slots {
        while holes.next_if(|(start, len)| start + len <= minute).is_some() {}
        if holes.peek().is_none_or(|(start, _)| minute < *start) {
            klines.push(kline(minute)?);
        }
        if klines.len() == CHUNK || minute + 1 == slots {
            let chunk =
                Chunk { run: "bench".into(), klines: std::mem::take(&mut klines), ..Chunk::default() };
            store.commit(&lease, &chunk).await?;
        }
    }
    Ok(())
}

/// Most memory that was ever resident, where the system tells.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}

/// The usual query, as slots `[from, to)`, with the cache that the store's own readers have.
fn by_window_function(path: &Path) -> Result<Vec<(i64, i64)>, Anything> {
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA cache_size = -2048")?;
    let mut query = conn.prepare(
        "SELECT before, open_time FROM (
           SELECT open_time, lag(open_time) OVER (ORDER BY open_time) AS before
           FROM kline_rows_m1 WHERE series_id = 1
         ) WHERE open_time - before > 60000",
    )?;
    let slot = |ms: i64| Interval::M1.slot_of(Millis(ms));
    let rows = query.query_map([], |row| Ok((slot(row.get(0)?) + 1, slot(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

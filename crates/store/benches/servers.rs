//! How fast the MySQL and PostgreSQL engines write and find gaps, beside the server's own means, in one run on a private
//! server with its usual settings (every commit reaches the disk).
//!
//! ```sh
//! # everything: some ten minutes, 6 GB in the temporary folder
//! cargo bench -p store --no-default-features --features mysql,postgres --bench servers
//! # parts: mysql, postgres, write, gaps
//! cargo bench -p store --no-default-features --features mysql,postgres --bench servers -- mysql write
//! ```
//!
//! * `write`: 300,000 1m klines in chunks of 10,000 under a lease, as a job commits them, beside the bare bulk loader
//!   (`LOAD DATA LOCAL INFILE`, binary `COPY`) with the same rows into an identical table without triggers. The loader's
//!   bytes are ready-made; it runs once in one transaction, and once with a commit per 10,000 rows. Best of [`ROUNDS`],
//!   taken in turns. To reach: 70% of the bare loader in one transaction.
//! * `gaps`: 10 million klines of one series with 40 holes, made by the server, beside a window-function query on the
//!   same table. Both must find the same holes. To reach: 10 times faster.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // printing is what it is for; a failure ends it

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use kline::{Decimal, Interval, Kline, Market, Millis, Series, Slot, SlotRange, Symbol};
use mysql_async::prelude::Queryable;
use store::{Chunk, KlineStore, Store};
use test_servers::daemon::{Daemon, Recipe};
use test_servers::{mariadb, postgres};
use tokio_postgres::NoTls;

const ROWS: i64 = 300_000;
const CHUNK: usize = 10_000;
const ROUNDS: usize = 3;
const DAY_ONE: i64 = 1_672_531_200_000;
const MINUTE: i64 = 60_000;
const MANY: i64 = 10_000_000;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let among = |part: &str, all: &[&str]| {
        let named = only.iter().any(|o| all.contains(&o.as_str()));
        !named || only.iter().any(|o| o == part)
    };
    let engine = |name: &str| among(name, &["mysql", "postgres"]);
    let part = |name: &str| among(name, &["write", "gaps"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if engine("mysql")
            && let Some(server) = Daemon::start(&MARIADB, &[])
        {
            let port = server.port();
            mariadb::sql(port, "", "CREATE DATABASE k").unwrap();
            let bench = Mysql { url: format!("mysql://root@127.0.0.1:{port}/k"), port };
            run(&bench, part("write"), part("gaps")).await;
        }
        if engine("postgres")
            && let Some(server) = Daemon::start(&POSTGRES, &[])
        {
            let port = server.port();
            postgres::sql(port, "postgres", "CREATE DATABASE k").unwrap();
            let url = format!("postgres://postgres@127.0.0.1:{port}/k");
            run(&Postgres { url, port }, part("write"), part("gaps")).await;
        }
    });
}

/// What is measured beside the store.
trait Bare {
    const NAME: &'static str;
    /// SQL that counts the rows that `bare` and the 1m table have in common.
    const SAME: &'static str;
    fn url(&self) -> &str;
    /// Runs SQL with all rights; as the store's own connections, so that no trigger fires on inserts.
    fn sql(&self, script: &str) -> String;
    /// SQL that empties all tables.
    fn clear(&self) -> &'static str;
    /// SQL that makes an empty table `bare` like that of the 1m klines.
    fn like(&self) -> &'static str;
    /// Bytes for the bulk loader, one piece per so many rows.
    async fn prepare(&self, klines: &[Kline], rows: usize) -> Vec<Vec<u8>>;
    /// Loads pieces into `bare`, each in a transaction.
    async fn load(&self, pieces: &[Vec<u8>]) -> Duration;
    /// SQL that puts the first series's rows of `minutes` since [`DAY_ONE`] into the 1m table, but for the holes.
    fn generate(&self, minutes: i64, holes: &str) -> String;
    /// The window-function query: (open time before, open time after) of every gap, ms.
    async fn window(&self) -> (Duration, Vec<(i64, i64)>);
}

async fn run(bare: &impl Bare, write: bool, gaps: bool) {
    if write {
        measure_write(bare).await;
    }
    if gaps {
        measure_gaps(bare).await;
    }
}

fn series() -> Series {
    Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::M1).unwrap()
}

/// A kline with numbers as long as real ones.
fn kline(minute: i64) -> Kline {
    let n = i128::from(minute.wrapping_mul(2_654_435_761).rem_euclid(1_000_003));
    let number = |mantissa: i128, scale: u32| Decimal::from_parts(mantissa, scale).unwrap();
    let price = |add: i128| number(165_000 + n / 100 + add, 1);
    Kline {
        open_time: Millis(DAY_ONE + minute * MINUTE),
        open: price(1),
        high: price(90),
        low: price(0),
        close: price(40),
        volume: number(n, 3),
        close_time: Millis(DAY_ONE + (minute + 1) * MINUTE - 1),
        quote_volume: number(n * 1_654_321, 5),
        count: n.unsigned_abs() as u64 % 20_000,
        taker_buy_volume: number(n / 2, 3),
        taker_buy_quote_volume: number(n * 827_160, 5),
    }
}

async fn measure_write<B: Bare>(bare: &B) {
    let klines: Vec<Kline> = (0..ROWS).map(kline).collect();
    let store = Store::open(bare.url()).await.unwrap();
    let lease = store.acquire(&series(), "bench", Duration::from_secs(6000)).await.unwrap();
    let chunks: Vec<Chunk> = klines
        .chunks(CHUNK)
        .map(|part| Chunk { run: "bench".into(), klines: part.to_vec(), ..Chunk::default() })
        .collect();
    let whole = bare.prepare(&klines, klines.len()).await;
    let pieces = bare.prepare(&klines, CHUNK).await;
    let [mut ours, mut one, mut many] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        bare.sql(bare.clear());
        let start = Instant::now();
        for chunk in &chunks {
            assert_eq!(store.commit(&lease, chunk).await.unwrap().inserted, chunk.klines.len() as u64);
        }
        ours = ours.min(start.elapsed());
        bare.sql(bare.like());
        one = one.min(bare.load(&whole).await);
        bare.sql(bare.like());
        many = many.min(bare.load(&pieces).await);
        assert_eq!(bare.sql(B::SAME).trim(), ROWS.to_string(), "both hold the same rows");
    }
    let rate = |t: Duration| ROWS as f64 / t.as_secs_f64();
    let share = |t: Duration| 100. * rate(ours) / rate(t);
    println!("{}: write {ROWS} klines (best of {ROUNDS})", B::NAME);
    println!("  store, chunks of {CHUNK}            {:>9.0} rows/s", rate(ours));
    println!(
        "  bare loader, one transaction     {:>9.0} rows/s   store reaches {:.0}%",
        rate(one),
        share(one)
    );
    println!(
        "  bare loader, a commit per {CHUNK}  {:>9.0} rows/s   store reaches {:.0}%",
        rate(many),
        share(many)
    );
    bare.sql("DROP TABLE bare;");
    bare.sql(bare.clear());
    store.release(&lease).await.unwrap();
    store.close().await.unwrap();
}

async fn measure_gaps<B: Bare>(bare: &B) {
    let store = Store::open(bare.url()).await.unwrap();
    let lease = store.acquire(&series(), "bench", Duration::from_secs(6000)).await.unwrap();
    let before = Chunk { klines: vec![kline(-1)], ..Chunk::default() };
    store.commit(&lease, &before).await.unwrap();
    let holes: Vec<(i64, i64)> = (0..40).map(|i| (1 + i * 240_007, 1 + i * 5)).collect();
    let conditions: Vec<String> =
        holes.iter().map(|(at, len)| format!("n NOT BETWEEN {at} AND {}", at + len - 1)).collect();
    let start = Instant::now();
    bare.sql(&bare.generate(MANY, &conditions.join(" AND ")));
    let first = Interval::M1.slot_of(Millis(DAY_ONE));
    let range = SlotRange::new(first, first + MANY);
    println!("{}: {MANY} rows made in {:.0} s", B::NAME, start.elapsed().as_secs_f64());
    let start = Instant::now();
    store.recount(&series(), range).await.unwrap();
    println!("  recount          {:>9.0} ms", start.elapsed().as_secs_f64() * 1e3);

    let (mut ours, mut found) = (Duration::MAX, Vec::new());
    for _ in 0..5 {
        let start = Instant::now();
        found = store.missing(&series(), range).await.unwrap().ranges().to_vec();
        ours = ours.min(start.elapsed());
    }
    let (mut window, mut expected) = (Duration::MAX, Vec::new());
    for _ in 0..2 {
        let (took, gaps) = bare.window().await;
        (window, expected) = (window.min(took), gaps);
    }
    let slot = |ms: i64| -> Slot { Interval::M1.slot_of(Millis(ms)) };
    let expected: Vec<_> = expected.iter().map(|(a, b)| SlotRange::new(slot(*a) + 1, slot(*b))).collect();
    assert_eq!(found, expected, "both ways find the same gaps");
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!("  store            {:>9.2} ms, {} gaps", ms(ours), found.len());
    println!(
        "  window function  {:>9.2} ms   store is {:.0} times faster",
        ms(window),
        ms(window) / ms(ours)
    );
    store.close().await.unwrap();
}

/// As a server usually is: every commit reaches the disk.
static MARIADB: Recipe = Recipe {
    run: |data, port| {
        let dir = data.display();
        let files = [format!("--datadir={dir}"), format!("--socket={dir}/s"), format!("--port={port}")];
        let args = [
            "mariadbd",
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--local-infile=1",
            "--innodb-buffer-pool-size=1G",
        ];
        args.map(String::from).into_iter().chain(files).collect()
    },
    ..mariadb::RECIPE
};

static POSTGRES: Recipe = Recipe {
    run: |data, port| {
        let (data, port) = (data.display().to_string(), port.to_string());
        let args = ["-D", &data, "-k", &data, "-p", &port, "-h", "127.0.0.1", "-c", "shared_buffers=1GB"];
        std::iter::once(postgres::program("postgres")).chain(args.map(String::from)).collect()
    },
    ..postgres::RECIPE
};

struct Mysql {
    url: String,
    port: u16,
}

impl Bare for Mysql {
    const NAME: &'static str = "MariaDB";
    const SAME: &'static str = "SELECT COUNT(*) FROM bare b JOIN kline_rows_m1 k USING (series_id, open_time) \
                                WHERE k.volume = b.volume AND k.quote_volume = b.quote_volume AND k.close_time = b.close_time;";

    fn url(&self) -> &str {
        &self.url
    }

    fn sql(&self, script: &str) -> String {
        mariadb::sql(self.port, "k", script).unwrap()
    }

    fn clear(&self) -> &'static str {
        "TRUNCATE kline_rows_m1; TRUNCATE kline_buckets;"
    }

    fn like(&self) -> &'static str {
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare LIKE kline_rows_m1;"
    }

    async fn prepare(&self, klines: &[Kline], rows: usize) -> Vec<Vec<u8>> {
        let instant = |at: Millis| {
            jiff::Timestamp::from_millisecond(at.0).unwrap().strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
        };
        let line = |k: &Kline| {
            let [o, h, l, c, v] = [k.open, k.high, k.low, k.close, k.volume];
            let [q, t, tq] = [k.quote_volume, k.taker_buy_volume, k.taker_buy_quote_volume];
            let (at, end, n) = (instant(k.open_time), instant(k.close_time), k.count);
            format!("1\t{at}\t{o}\t{h}\t{l}\t{c}\t{v}\t{end}\t{q}\t{n}\t{t}\t{tq}\n")
        };
        klines.chunks(rows).map(|part| part.iter().map(line).collect::<String>().into_bytes()).collect()
    }

    async fn load(&self, pieces: &[Vec<u8>]) -> Duration {
        let mut conn = mysql_async::Conn::from_url(&self.url).await.unwrap();
        let start = Instant::now();
        for piece in pieces {
            let parts: Vec<_> = piece.chunks(256 * 1024).map(|p| Ok(p.to_vec().into())).collect();
            conn.set_infile_handler(async move { Ok(stream::iter(parts).boxed()) });
            conn.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE bare").await.unwrap();
        }
        let took = start.elapsed();
        conn.disconnect().await.unwrap();
        took
    }

    fn generate(&self, minutes: i64, holes: &str) -> String {
        format!(
            "INSERT INTO kline_rows_m1 SELECT s.id, '2023-01-01' + INTERVAL n MINUTE, 16500 + n % 977, 16600 + n % 977, \
             16400 + n % 977, 16550 + n % 977, n % 1009, \
             '2023-01-01' + INTERVAL n MINUTE + INTERVAL 59999000 MICROSECOND, n % 9973, n % 2003, n % 499, n % 4999 \
             FROM (SELECT seq AS n FROM seq_0_to_{}) q JOIN kline_series s WHERE {holes};",
            minutes - 1
        )
    }

    async fn window(&self) -> (Duration, Vec<(i64, i64)>) {
        let mut conn = mysql_async::Conn::from_url(&self.url).await.unwrap();
        conn.query_drop("SET time_zone = '+00:00'").await.unwrap();
        let start = Instant::now();
        let ms = |column: &str| format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column}) DIV 1000");
        let gaps = conn
            .query(format!(
                "SELECT {}, {} FROM (SELECT open_time, LAG(open_time) OVER (ORDER BY open_time) AS previous \
                 FROM kline_rows_m1 WHERE series_id = (SELECT id FROM kline_series)) t \
                 WHERE TIMESTAMPDIFF(SECOND, previous, open_time) > 60 ORDER BY 2",
                ms("previous"),
                ms("open_time")
            ))
            .await
            .unwrap();
        let took = start.elapsed();
        conn.disconnect().await.unwrap();
        (took, gaps)
    }
}

struct Postgres {
    url: String,
    port: u16,
}

impl Postgres {
    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Bare for Postgres {
    const NAME: &'static str = "PostgreSQL";
    const SAME: &'static str = "SELECT count(*) FROM bare b JOIN kline_rows_m1 k USING (open_time) \
                                WHERE k.volume = b.volume AND k.quote_volume = b.quote_volume AND k.close_time = b.close_time;";

    fn url(&self) -> &str {
        &self.url
    }

    fn sql(&self, script: &str) -> String {
        postgres::sql(self.port, "k", &format!("SET klines.own = 'on'; SET timezone = 'UTC'; {script}"))
            .unwrap()
    }

    fn clear(&self) -> &'static str {
        "TRUNCATE kline_rows_m1; TRUNCATE kline_buckets;"
    }

    fn like(&self) -> &'static str {
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE kline_rows_m1 INCLUDING ALL);"
    }

    /// The server writes the bytes itself: what it copies out it copies in.
    async fn prepare(&self, klines: &[Kline], rows: usize) -> Vec<Vec<u8>> {
        let store = Store::open(&self.url).await.unwrap();
        let series = Series { symbol: Symbol::new("COPY").unwrap(), ..series() };
        let lease = store.acquire(&series, "bench", Duration::from_secs(600)).await.unwrap();
        let client = self.client().await;
        let mut pieces = Vec::new();
        for part in klines.chunks(rows) {
            self.sql(self.clear());
            store.commit(&lease, &Chunk { klines: part.to_vec(), ..Chunk::default() }).await.unwrap();
            let out = client.copy_out("COPY kline_rows_m1 TO STDOUT (FORMAT binary)").await.unwrap();
            pieces.push(out.map_ok(|b| b.to_vec()).try_concat().await.unwrap());
        }
        store.release(&lease).await.unwrap();
        store.close().await.unwrap();
        pieces
    }

    async fn load(&self, pieces: &[Vec<u8>]) -> Duration {
        let client = self.client().await;
        let start = Instant::now();
        for piece in pieces {
            let sink = client.copy_in("COPY bare FROM STDIN (FORMAT binary)").await.unwrap();
            let mut sink = Box::pin(sink);
            for part in piece.chunks(64 * 1024) {
                sink.feed(bytes::Bytes::copy_from_slice(part)).await.unwrap();
            }
            sink.as_mut().finish().await.unwrap();
        }
        start.elapsed()
    }

    fn generate(&self, minutes: i64, holes: &str) -> String {
        format!(
            "INSERT INTO kline_rows_m1 SELECT t, t + INTERVAL '59999 ms', n % 2003, s.id, 16500 + n % 977, 16600 + n % 977, \
             16400 + n % 977, 16550 + n % 977, n % 1009, n % 9973, n % 499, n % 4999 \
             FROM (SELECT n, TIMESTAMPTZ '2023-01-01 00:00:00+00' + n * INTERVAL '1 minute' AS t \
             FROM generate_series(0, {}) n WHERE {holes}) q, kline_series s WHERE s.symbol = 'BTCUSDT'; \
             VACUUM ANALYZE kline_rows_m1;",
            minutes - 1
        )
    }

    async fn window(&self) -> (Duration, Vec<(i64, i64)>) {
        let client = self.client().await;
        let start = Instant::now();
        let ms = |column: &str| format!("(extract(epoch FROM {column}) * 1000)::bigint");
        let sql = format!(
            "SELECT {}, {} FROM (SELECT open_time, lag(open_time) OVER (ORDER BY open_time) AS previous \
             FROM kline_rows_m1 WHERE series_id = (SELECT id FROM kline_series WHERE symbol = 'BTCUSDT')) t \
             WHERE open_time - previous > INTERVAL '1 minute' ORDER BY 2",
            ms("previous"),
            ms("open_time")
        );
        let rows = client.query(&sql, &[]).await.unwrap();
        let took = start.elapsed();
        (took, rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

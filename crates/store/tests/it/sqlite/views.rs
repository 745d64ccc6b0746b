//! What a person sees in a SQLite shell.

use kline::{Interval, Kline};
use rusqlite::Connection;
use store::KlineStore;

use super::File;
use crate::common::*;
use crate::suite::Harness;

const COLUMNS: &str = "market symbol open_time open high low close volume close_time quote_volume count \
                       taker_buy_volume taker_buy_quote_volume";

fn plan(conn: &Connection, sql: &str) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    lines.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

#[tokio::test]
async fn every_interval_has_a_view_with_the_archives_columns() {
    let file = File::new().await;
    for interval in Interval::ALL {
        let view = format!("SELECT * FROM klines_{}", interval.suffix());
        let shell = file.shell();
        let statement = shell.prepare(&view).unwrap();
        assert_eq!(statement.column_names().collect::<Vec<_>>().join(" "), COLUMNS);
    }
}

#[tokio::test]
async fn times_are_instants_and_numbers_are_as_sent() {
    let file = File::new().await;
    let s = btc(Interval::M15);
    let odd = Kline {
        open_time: at("2018-02-09T09:58:14.789Z"),
        close_time: at("2018-02-09T10:12:59.999Z"),
        open: d("8300.10000000"),
        ..kline(Interval::M15, 0)
    };
    let lease = lease(&file.store, &s).await;
    file.store.commit(&lease, &rows(vec![odd])).await.unwrap();
    let row: (String, String, String, String, String) = file
        .shell()
        .query_row("SELECT market, symbol, open_time, close_time, open FROM klines_m15", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
        })
        .unwrap();
    let want = ("spot", "BTCUSDT", "2018-02-09T09:58:14.789Z", "2018-02-09T10:12:59.999Z", "8300.10000000");
    assert_eq!((&*row.0, &*row.1, &*row.2, &*row.3, &*row.4), want);
}

#[tokio::test]
async fn instants_of_a_view_sort_as_time_does_and_are_exact_to_the_millisecond() {
    let file = File::new().await;
    let (s, b) = (btc(Interval::S1), base(Interval::S1));
    let sent: Vec<_> = (0..1000)
        .map(|n| Kline { open_time: Interval::S1.slot_start(b + n).plus(n), ..kline(Interval::S1, b + n) })
        .collect();
    let lease = lease(&file.store, &s).await;
    file.store.commit(&lease, &rows(sent.clone())).await.unwrap();
    let shell = file.shell();
    let mut statement = shell.prepare("SELECT open_time FROM klines_s1 ORDER BY open_time").unwrap();
    let texts: Vec<String> =
        statement.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let times: Vec<_> = texts.iter().map(|t| at(t)).collect();
    assert_eq!(times, sent.iter().map(|k| k.open_time).collect::<Vec<_>>());
    assert!(texts.iter().all(|t| t.len() == 24 && t.ends_with('Z')));
}

#[tokio::test]
async fn a_query_for_one_series_reads_one_series() {
    let file = File::new().await;
    let shell = file.shell();
    for interval in Interval::ALL {
        let suffix = interval.suffix();
        let of_series = format!("FROM klines_{suffix} WHERE market = 'um' AND symbol = 'BTCUSDT'");
        for query in [
            format!("SELECT * {of_series}"),
            format!("SELECT count(*) {of_series}"),
            format!("SELECT close {of_series} AND open_time >= '2023-01-01' ORDER BY open_time"),
        ] {
            let plan = plan(&shell, &query);
            assert!(
                plan.contains("SEARCH s USING COVERING INDEX")
                    && plan.contains("SEARCH k USING PRIMARY KEY (series_id=?)"),
                "{plan}"
            );
            assert!(!plan.contains("SCAN"), "{plan}");
        }
        let by_time = format!(
            "SELECT close FROM kline_rows_{suffix} WHERE series_id = 1 AND open_time BETWEEN 5 AND 9 ORDER BY open_time"
        );
        let plan = plan(&shell, &by_time);
        assert!(plan.contains("USING PRIMARY KEY (series_id=? AND open_time>? AND open_time<?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn a_table_takes_no_number_that_would_lose_digits() {
    let file = File::new().await;
    let insert = "INSERT INTO kline_rows_m1 VALUES (1, 2, '1', '1', '1', '1', '1', 'late', '1', 1, '1', '1')";
    assert!(file.shell().execute(insert, []).is_err(), "the tables are STRICT");
}

#[tokio::test]
async fn rows_that_were_moved_or_replaced_by_hand_are_seen() {
    let file = File::new().await;
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&file.store, &s, b..b + 3000).await;
    let start = |slot| Interval::M5.slot_start(slot).0;
    let shell = file.shell();
    let moved = "UPDATE kline_rows_m5 SET open_time = ?2 WHERE open_time = ?1";
    shell.execute(moved, (start(b + 7), start(b + 3007))).unwrap();
    let onto_another = "UPDATE OR REPLACE kline_rows_m5 SET open_time = ?2 WHERE open_time = ?1";
    shell.execute(onto_another, (start(b + 1500), start(b + 20))).unwrap();
    shell
        .execute(
            "INSERT OR REPLACE INTO kline_rows_m5 SELECT * FROM kline_rows_m5 WHERE open_time = ?1",
            [start(b + 9)],
        )
        .unwrap();
    let missing = file.store.missing(&s, slots(b, b + 3008)).await.unwrap();
    let want = [b + 7, b + 1500].into_iter().chain(b + 3000..b + 3007).collect();
    assert_eq!(missing, want);
    assert_eq!(file.store.series(&s).await.unwrap().unwrap().extent.unwrap().rows, 2999);
    shell.execute("DELETE FROM kline_rows_m5", []).unwrap();
    assert_eq!(file.store.missing(&s, slots(b, b + 3008)).await.unwrap(), slots(b, b + 3008).into());
    assert_eq!(file.store.series(&s).await.unwrap().unwrap().extent, None);
}

#[tokio::test]
async fn a_row_made_unreadable_by_hand_is_named_and_repaired_by_the_next_write() {
    let file = File::new().await;
    let (s, b) = (btc(Interval::M5), base(Interval::M5));
    put(&file.store, &s, b..b + 3).await;
    file.shell()
        .execute(
            "UPDATE kline_rows_m5 SET high = 'x' WHERE open_time = ?1",
            [Interval::M5.slot_start(b + 1).0],
        )
        .unwrap();
    let error = file.store.read(&s, slots(b, b + 3), None, 9).await.unwrap_err().to_string();
    assert!(
        error.contains("kline_rows_m5") && error.contains("2023-01-01T00:05:00Z") && error.contains('x'),
        "{error}"
    );
    put(&file.store, &s, b..b + 3).await;
    assert_eq!(all(&file.store, &s).await, klines(Interval::M5, b..b + 3));
}

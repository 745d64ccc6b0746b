//! Any bytes as CSV: no panic, ascending rows, and what is written of them is read the same.
#![no_main]

use binance::archive::csv::{Unit, write_row};
use binance::archive::read_csv;
use kline::Kline;
use libfuzzer_sys::fuzz_target;

fn rows(bytes: &[u8], slots: Option<u64>) -> Option<Vec<Kline>> {
    let mut rows: Vec<Kline> = Vec::new();
    let read = read_csv("fuzz", slots, bytes, |batch| {
        assert!(batch.rows.len() <= 10_000);
        rows.extend(batch.rows);
        true
    });
    assert!(rows.windows(2).all(|pair| pair[0].open_time < pair[1].open_time));
    read.is_ok().then_some(rows)
}

fuzz_target!(|bytes: &[u8]| {
    let _ = rows(bytes, Some(300));
    let Some(found) = rows(bytes, None) else { return };
    for unit in [Unit::Milliseconds, Unit::Microseconds] {
        let mut text = Vec::new();
        for row in &found {
            write_row(&mut text, row, unit).expect("memory takes it");
        }
        // Times beyond the year 5138 change their unit when they are written in the other one.
        if found.iter().all(|row| row.open_time.0.max(row.close_time.0) < 90_000_000_000_000) {
            assert_eq!(rows(&text, None).as_deref(), Some(found.as_slice()));
        }
    }
});

//! Any bytes as a zip of the archive: no panic, no more rows than the file may have, ascending.
#![no_main]

use std::io::Cursor;

use binance::archive::{ArchiveFile, read_unnamed_zip, read_zip};
use kline::Market;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = ArchiveFile::of_stem(Market::Um, "BTCUSDT-1h-2025-01-02").expect("a name of the archive");
    let (mut last, mut total) = (None, 0);
    let _ = read_zip(&file, Cursor::new(bytes), |batch| {
        total += batch.rows.len();
        for row in &batch.rows {
            assert!(last.is_none_or(|last| last < row.open_time));
            last = Some(row.open_time);
        }
        true
    });
    assert!(total <= 24 * 4 + 100);
    // A zip of unknown content may be large, but is never held: a few portions tell.
    let mut portions = 0;
    let _ = read_unnamed_zip("fuzz", Cursor::new(bytes), |_| {
        portions += 1;
        portions < 4
    });
});

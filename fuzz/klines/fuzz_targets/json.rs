//! Any bytes as an answer of the REST interface: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((rows, unreadable)) = binance::read_klines(bytes) {
        // A row takes more than ten bytes.
        assert!(rows.len() + unreadable.len() <= bytes.len());
    }
});

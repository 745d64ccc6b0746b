//! Real bodies, where they are at hand.

use std::path::PathBuf;

/// A captured REST body, or `None` (and a note) when the shared test data is not there.
pub(crate) fn shared(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("BINANCE_EXTRACTOR_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let body = std::fs::read(root.join("data/binance/rest").join(file)).ok();
    if body.is_none() {
        println!("skipped: {file} (../shared not found)");
    }
    body
}

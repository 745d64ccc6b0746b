//! SQLite alone.

use kline::{Interval, RangeSet};
use store::{KlineStore, OpenOptions, SqliteStore};

use crate::common::*;

#[tokio::test]
async fn what_is_missing_is_found_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k.db");
    let store = SqliteStore::open(path.to_str().unwrap(), OpenOptions::default()).await.unwrap();
    let s = btc(Interval::M5);
    let b = base(Interval::M5);
    put(&store, &s, (b..b + 5000).filter(|x| ![b + 3, b + 4, b + 2000].contains(x))).await;
    let gaps: RangeSet =
        [slots(b - 5, b), slots(b + 3, b + 5), slots(b + 2000, b + 2001), slots(b + 5000, b + 5009)]
            .into_iter()
            .collect();
    assert_eq!(store.missing(&s, slots(b - 5, b + 5009)).await.unwrap(), gaps);
    assert_eq!(all(&store, &s).await.len(), 4997);
    store.close().await.unwrap();
}

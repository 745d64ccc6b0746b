//! What the bucket lists, as S3 does: at most 1000 entries a page, and a marker for the next page only with a delimiter.
//!
//! Sizes and ETags in it are nominal: a file is made when it is asked for.

use std::fmt::Write;

use kline::{Interval, Millis, Series};
use serde::Deserialize;

use super::key::{self, Key};
use crate::data::{Listing, Window};
use crate::state::Shared;

const PAGE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    marker: String,
    delimiter: Option<String>,
}

/// One page.
pub(super) fn page(shared: &Shared, asked: &Asked) -> String {
    let (folders, keys) = below(shared, &asked.prefix, asked.delimiter.is_some());
    let mut entries: Vec<(String, bool)> = folders.into_iter().map(|folder| (folder, true)).collect();
    entries.extend(keys.into_iter().map(|key| (key, false)));
    entries.retain(|(name, _)| name.as_str() > asked.marker.as_str());
    entries.sort_unstable();
    let truncated = entries.len() > PAGE;
    entries.truncate(PAGE);
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>data.binance.vision</Name>",
    );
    let mut tag = |text: String| xml.push_str(&text);
    tag(format!(
        "<Prefix>{}</Prefix><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{truncated}</IsTruncated>",
        asked.prefix
    ));
    if let (true, Some(_), Some((last, _))) = (truncated, &asked.delimiter, entries.last()) {
        tag(format!("<NextMarker>{last}</NextMarker>"));
    }
    for (name, is_folder) in &entries {
        tag(match is_folder {
            true => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
            false => format!(
                "<Contents><Key>{name}</Key><LastModified>{}</LastModified><ETag>&quot;{:x}&quot;</ETag>\
                 <Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>",
                shared.clock.now(),
                crate::random::hash_text(1, name)
            ),
        });
    }
    let _ = write!(xml, "</ListBucketResult>");
    xml
}

/// Folders and keys below a prefix. Only whole folders are known: all symbols, the intervals of one, the files of both.
fn below(shared: &Shared, prefix: &str, folders: bool) -> (Vec<String>, Vec<String>) {
    let Some((market, monthly, rest)) = prefix.strip_prefix("data/").and_then(key::root) else {
        return Default::default();
    };
    let (symbol, interval) = rest.split_once('/').unwrap_or((rest, ""));
    let interval = interval.strip_suffix('/').unwrap_or(interval);
    if symbol.is_empty() && folders {
        let symbols = shared.catalog.symbols(market);
        return (symbols.map(|(symbol, _)| format!("{prefix}{symbol}/")).collect(), Vec::new());
    }
    let Some((symbol, listing)) = shared.catalog.listing(market, symbol) else { return Default::default() };
    let files = |interval: Interval| {
        let series = Series { market, symbol: symbol.clone(), interval };
        keys(shared, listing, &series, monthly)
    };
    match interval.parse::<Interval>() {
        Ok(interval) => (Vec::new(), files(interval)),
        Err(_) if folders => {
            let all = Interval::of_market(market).filter(|i| !files(*i).is_empty());
            (
                all.map(|i| format!("{prefix}{}/", if i == Interval::Mo1 { "1mo" } else { i.as_str() }))
                    .collect(),
                Vec::new(),
            )
        }
        Err(_) => Default::default(),
    }
}

/// The files of a series and their CHECKSUMs.
fn keys(shared: &Shared, listing: &Listing, series: &Series, monthly: bool) -> Vec<String> {
    let (now, cycle) = (shared.clock.now(), key::cycle(monthly));
    shared.catalog.read(series.market, series.symbol.as_str(), series.interval);
    let Some(listed) = listing.listed() else { return Vec::new() };
    let lag = shared.faults().archive_lag_ms;
    let has_rows = |key: &Key| {
        let range = key.range();
        let window = Window { from: range.since, to: Millis(range.until.0 - 1), limit: 1, newest: false };
        !listing.page(series.interval, &window, &|_| true).is_empty()
    };
    (cycle.slot_of(listed)..cycle.slot_of(now))
        .map(|number| Key::new(series.clone(), monthly, number))
        .filter(|key| key.is_published(now, lag) && has_rows(key))
        .flat_map(|key| [key.path(), format!("{}.CHECKSUM", key.path())])
        .collect()
}

//! Zips, right ones and defective ones. Equal requests give equal bytes.

use std::io::{self, Cursor, Write};

use kline::{Decimal, Kline, Market, Millis};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::Built;
use super::key::Key;
use crate::data::Window;
use crate::faults::{ArchiveDefect, Faults, revise};
use crate::state::Shared;

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                      taker_buy_quote_volume,ignore";
/// 2022-06-01 and 2021-01-01: from these months on files of USD-M and COIN-M have a header. Spot has none.
const UM_HEADER: Millis = Millis(1_654_041_600_000);
const CM_HEADER: Millis = Millis(1_609_459_200_000);
/// 2025-01-01: from here on spot counts microseconds.
const SPOT_MICROS: Millis = Millis(1_735_689_600_000);
/// Bytes a bomb inflates to: far more than a month of five minutes or a day of minutes may.
const BOMB: usize = 12 * 1024 * 1024;

/// Makes a file; `None` when there is not a single kline for it.
pub(super) fn build(shared: &Shared, faults: &Faults, key: &Key, defects: &[ArchiveDefect]) -> Option<Built> {
    let series = &key.series;
    let (_, listing) = shared.catalog.listing(series.market, series.symbol.as_str())?;
    let range = key.range();
    let window = Window { from: range.since, to: range.until.plus(-1), limit: usize::MAX, newest: false };
    let visible =
        |open: Millis| !faults.hides(series, open) && !faults.archive_lacks(series, key.monthly, open);
    let mut rows = listing.page(series.interval, &window, &visible);
    let now = shared.clock.now();
    for row in &mut rows {
        *row = revise(faults, series, now, row.clone());
        if faults.archive_is_stale(series, key.monthly, row.open_time) {
            // What it was before trades that came late: half the volume.
            row.volume = half(row.volume);
            row.quote_volume = half(row.quote_volume);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let csv = print(key, &rows, defects);
    let zip = pack(key, &csv, defects).unwrap_or_else(|error| {
        tracing::error!(%error, "cannot make a zip");
        Vec::new()
    });
    let sha256 = Sha256::digest(&zip).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Built { zip: zip.into(), sha256, rows: rows.len() as u64 })
}

fn half(value: Decimal) -> Decimal {
    Decimal::from_parts(value.mantissa() / 2, value.scale()).unwrap_or(value)
}

fn print(key: &Key, rows: &[Kline], defects: &[ArchiveDefect]) -> String {
    let has = |defect| defects.contains(&defect);
    let first = key.range().since;
    let with_header = match key.series.market {
        Market::Um => first >= UM_HEADER,
        Market::Cm => first >= CM_HEADER,
        Market::Spot => false,
    };
    let mut lines: Vec<String> = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        let micros = (key.series.market == Market::Spot && row.open_time >= SPOT_MICROS)
            != (has(ArchiveDefect::OtherUnit) && i % 2 == 0);
        lines.push(line(row, micros, has(ArchiveDefect::OtherPadding)));
        if has(ArchiveDefect::Duplicates) && i % 7 == 0 {
            lines.push(line(row, micros, true));
        }
        if has(ArchiveDefect::Contradictions) && i % 50 == 0 {
            let other = Kline { volume: half(row.volume), ..row.clone() };
            lines.push(line(&other, micros, false));
        }
        if has(ArchiveDefect::Unreadable) && i % 100 == 0 {
            let last = lines.len() - 1;
            lines[last].truncate(20);
        }
    }
    if has(ArchiveDefect::Unsorted) {
        for chunk in lines.chunks_mut(11) {
            chunk.reverse();
        }
    }
    if with_header != has(ArchiveDefect::OtherHeader) {
        lines.insert(0, HEADER.to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn line(row: &Kline, micros: bool, padded: bool) -> String {
    let time = |at: Millis, rest: i64| if micros { at.0 * 1000 + rest } else { at.0 };
    let d = |value: Decimal| match padded && value.scale() < 8 && value.scale() > 0 {
        true => format!("{value}{}", "0".repeat((8 - value.scale()) as usize)),
        false => value.to_string(),
    };
    let prices = [row.open, row.high, row.low, row.close, row.volume].map(d).join(",");
    format!(
        "{},{prices},{},{},{},{},{},0",
        time(row.open_time, 0),
        time(row.close_time, 999),
        d(row.quote_volume),
        row.count,
        d(row.taker_buy_volume),
        d(row.taker_buy_quote_volume),
    )
}

fn pack(key: &Key, csv: &str, defects: &[ArchiveDefect]) -> io::Result<Vec<u8>> {
    let has = |defect| defects.contains(&defect);
    if has(ArchiveDefect::NoZip) {
        return Ok(b"<html><body>Service unavailable</body></html>".to_vec());
    }
    let right = format!("{}.csv", key.stem());
    let name = match () {
        () if has(ArchiveDefect::WrongMember) => "ETHUSDT-1m-2017-08.csv".to_owned(),
        () if has(ArchiveDefect::PathTrick) => format!("../../../tmp/{right}"),
        () => right,
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default())?;
    zip.write_all(csv.as_bytes())?;
    if has(ArchiveDefect::Bomb) {
        let zeros = vec![b'0'; 1024 * 1024];
        for _ in 0..BOMB / zeros.len() {
            zip.write_all(&zeros)?;
        }
    }
    if has(ArchiveDefect::SeveralMembers) {
        zip.start_file("README.txt", SimpleFileOptions::default())?;
        zip.write_all(b"not klines")?;
    }
    let mut bytes = zip.finish()?.into_inner();
    if has(ArchiveDefect::BadCrc) {
        for (mark, offset) in [(b"PK\x03\x04", 14), (b"PK\x01\x02", 16)] {
            if let Some(at) = bytes.windows(4).rposition(|w| w == mark)
                && let Some(byte) = bytes.get_mut(at + offset)
            {
                *byte ^= 0xff;
            }
        }
    }
    Ok(bytes)
}

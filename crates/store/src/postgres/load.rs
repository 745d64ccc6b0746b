//! Klines as PostgreSQL's binary `COPY` wants them.

use bytes::{BufMut, Bytes, BytesMut};
use kline::{Kline, Millis};

use super::numeric;

/// Bytes sent at once.
const PIECE: usize = 64 * 1024;
/// Columns of a row.
const COLUMNS: i16 = 12;
/// What every binary `COPY` begins with: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: i16 = -1;
/// The server counts instants from here, ms since 1970.
const YEAR_2000: i64 = 946_684_800_000;

/// An instant as the server has it: microseconds since 2000.
pub(super) fn micros(at: Millis) -> i64 {
    (at.0 - YEAR_2000) * 1000
}

/// The instant of so many microseconds since 2000; what is finer than a millisecond is dropped.
pub(super) fn millis(micros: i64) -> Millis {
    Millis(micros.div_euclid(1000).saturating_add(YEAR_2000))
}

/// The messages of a `COPY` into a table of rows.
pub(super) fn pieces(id: i64, klines: &[&Kline]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut out = BytesMut::with_capacity(PIECE + 512);
    out.put_slice(HEADER);
    for kline in klines {
        row(&mut out, id, kline);
        if out.len() >= PIECE {
            pieces.push(out.split().freeze());
            out.reserve(PIECE + 512);
        }
    }
    out.put_i16(TRAILER);
    pieces.push(out.freeze());
    pieces
}

fn row(out: &mut BytesMut, id: i64, k: &Kline) {
    out.put_i16(COLUMNS);
    // Ids are 32 bits wide in the table, from which this one came.
    sized(out, |out| out.put_i32(id as i32));
    instant(out, k.open_time);
    for value in [&k.open, &k.high, &k.low, &k.close, &k.volume] {
        sized(out, |out| numeric::put(value, out));
    }
    instant(out, k.close_time);
    sized(out, |out| numeric::put(&k.quote_volume, out));
    sized(out, |out| out.put_i64(k.count.cast_signed())); // checked to fit before
    sized(out, |out| numeric::put(&k.taker_buy_volume, out));
    sized(out, |out| numeric::put(&k.taker_buy_quote_volume, out));
}

fn instant(out: &mut BytesMut, at: Millis) {
    sized(out, |out| out.put_i64(micros(at)));
}

/// A field: its length, then what `write` writes.
fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_i32(0);
    write(out);
    let len = (out.len() - at - 4) as u32; // a few dozen bytes
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

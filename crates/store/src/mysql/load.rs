//! Klines as the text that MySQL reads fastest.

use std::io::Write;

use kline::{Decimal, Kline, Millis};

use super::calendar::civil;
use crate::digits::Digits;
use crate::servers::numbers::inside;

/// Bytes of text sent at once.
const PIECE: usize = 256 * 1024;
/// Bytes an `INSERT` may have; far below any server's `max_allowed_packet`.
const STATEMENT: usize = 512 * 1024;
const DAY: i64 = 86_400_000;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `LOAD DATA`: fields separated by commas, a line per row.
    Lines,
    /// Values of an `INSERT`.
    Tuples,
}

/// The pieces of a file for `LOAD DATA`.
pub(super) fn lines(id: i64, klines: &[&Kline]) -> Vec<Vec<u8>> {
    let mut writer = Writer::new(Form::Lines);
    let mut pieces = Vec::new();
    for kline in klines {
        writer.row(id, kline);
        if writer.text.len() >= PIECE {
            pieces.push(std::mem::replace(&mut writer.text, Vec::with_capacity(PIECE + 512)));
        }
    }
    pieces.push(writer.text);
    pieces
}

/// `INSERT` statements for all klines.
pub(super) fn inserts(head: &str, id: i64, klines: &[&Kline]) -> Vec<Vec<u8>> {
    let mut statements = Vec::new();
    let mut writer = Writer::new(Form::Tuples);
    for kline in klines {
        let is_first = writer.text.is_empty();
        writer.text.extend_from_slice(if is_first { head.as_bytes() } else { b"," });
        writer.row(id, kline);
        if writer.text.len() >= STATEMENT {
            statements.push(std::mem::take(&mut writer.text));
        }
    }
    if !writer.text.is_empty() {
        statements.push(writer.text);
    }
    statements
}

struct Writer {
    form: Form,
    text: Vec<u8>,
    digits: Digits,
    /// The day that `date` spells, since 1970; most rows share it with the row before.
    day: i64,
    date: [u8; 10],
}

impl Writer {
    fn new(form: Form) -> Self {
        Self {
            form,
            text: Vec::with_capacity(PIECE + 512),
            digits: Digits::new(),
            day: 0,
            date: *b"1970-01-01",
        }
    }

    fn row(&mut self, id: i64, k: &Kline) {
        if self.form == Form::Tuples {
            self.text.push(b'(');
        }
        self.whole(id.unsigned_abs());
        self.comma().instant(k.open_time);
        self.comma().decimal(k.open);
        self.comma().decimal(k.high);
        self.comma().decimal(k.low);
        self.comma().decimal(k.close);
        self.comma().decimal(k.volume);
        self.comma().instant(k.close_time);
        self.comma().decimal(k.quote_volume);
        self.comma().whole(k.count);
        self.comma().decimal(k.taker_buy_volume);
        self.comma().decimal(k.taker_buy_quote_volume);
        self.text.push(if self.form == Form::Tuples { b')' } else { b'\n' });
    }

    fn comma(&mut self) -> &mut Self {
        self.text.push(b',');
        self
    }

    fn whole(&mut self, number: u64) {
        // Writing to a vector cannot fail.
        let _ = write!(self.text, "{number}");
    }

    fn decimal(&mut self, value: Decimal) {
        self.text.extend_from_slice(self.digits.of(&value).as_bytes());
    }

    /// `YYYY-MM-DD hh:mm:ss.mmm`, in quotes where SQL wants them.
    fn instant(&mut self, at: Millis) {
        let ms = inside(at).0;
        let day = ms.div_euclid(DAY);
        if day != self.day {
            self.date = date_of(day);
            self.day = day;
        }
        let of_day = ms.rem_euclid(DAY);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        let digit = |n: i64| b'0' + (n % 10) as u8;
        let time = [
            b' ',
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
            b':',
            digit(second / 10),
            digit(second),
            b'.',
            digit(milli / 100),
            digit(milli / 10),
            digit(milli),
        ];
        let quote: &[u8] = if self.form == Form::Tuples { b"'" } else { b"" };
        self.text.extend_from_slice(quote);
        self.text.extend_from_slice(&self.date);
        self.text.extend_from_slice(&time);
        self.text.extend_from_slice(quote);
    }
}

/// `YYYY-MM-DD` of a day since 1970, for years of four digits.
fn date_of(day: i64) -> [u8; 10] {
    let date = civil(Millis(day * DAY)).date();
    let (year, month, day) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
    let digit = |n: i32| b'0' + (n % 10) as u8;
    [
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        b'-',
        digit(month / 10),
        digit(month),
        b'-',
        digit(day / 10),
        digit(day),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer::new(Form::Lines);
        write(&mut writer);
        String::from_utf8(writer.text).unwrap()
    }

    proptest! {
        #[test]
        fn instants_are_written_as_utc(ms in 0i64..253_402_300_800_000) {
            let text = civil(Millis(ms)).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string();
            prop_assert_eq!(written(|w| w.instant(Millis(ms))), text);
        }
    }
}

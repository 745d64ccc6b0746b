//! Rows per second from an archive zip to klines, on one core.
//!
//! `cargo bench -p binance --bench archive [-- ZIP]`; without a file a month of minutes is made up. `bench/archive`
//! measures other programs on the same file in the same run.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use binance::archive::csv::{Reader, Unit, write_row};
use binance::archive::unzip::Zip;
use binance::archive::{ArchiveFile, Period};
use kline::{Decimal, Interval, Kline, Market, Millis, Series, Symbol};

type Error = Box<dyn std::error::Error>;

/// Repetitions; the fastest counts, since everything else on the machine only adds.
const TIMES: usize = 50;

fn main() -> Result<(), Error> {
    let named = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let (file, bytes) = match &named {
        Some(path) => (file_of(path)?, std::fs::read(path)?),
        None => made_up()?,
    };
    let mut zip = Zip::open(&file, Cursor::new(bytes.as_slice()))?;
    let mut csv = Vec::new();
    zip.csv()?.read_to_end(&mut csv)?;
    let mut buffer = Vec::with_capacity(90_000);
    let rows = read(csv.as_slice(), &mut buffer)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {rows} rows, {} bytes zipped, {} plain", file.stem(), bytes.len(), csv.len())?;
    if let Some(path) = std::env::var_os("BENCH_ARCHIVE_SAVE") {
        std::fs::write(std::path::Path::new(&path).join(format!("{}.zip", file.stem())), &bytes)?;
    }
    let whole = fastest(|| {
        let mut zip = Zip::open(&file, Cursor::new(bytes.as_slice()))?;
        read(zip.csv()?, &mut buffer)
    })?;
    let parse = fastest(|| read(csv.as_slice(), &mut buffer))?;
    let unzip = fastest(|| {
        let mut zip = Zip::open(&file, Cursor::new(bytes.as_slice()))?;
        zip.verify()?;
        Ok(rows)
    })?;
    for (name, time) in [("unzip + parse", whole), ("parse alone", parse), ("unzip alone", unzip)] {
        let rate = rows as f64 / time.as_secs_f64();
        writeln!(out, "{name:16} {:8.2} ms {:10.0} rows/s", time.as_secs_f64() * 1000.0, rate)?;
    }
    Ok(())
}

fn fastest(mut work: impl FnMut() -> Result<usize, Error>) -> Result<Duration, Error> {
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let begin = Instant::now();
        std::hint::black_box(work()?);
        best = best.min(begin.elapsed());
    }
    Ok(best)
}

/// Reads all rows into a buffer that is used again, as the archive's client does.
fn read(source: impl Read, rows: &mut Vec<Kline>) -> Result<usize, Error> {
    let mut reader = Reader::new(source);
    rows.clear();
    let mut total = 0;
    loop {
        let more = reader.read(rows, 90_000)?;
        total += std::hint::black_box(&*rows).len();
        rows.clear();
        if !more {
            return Ok(total);
        }
    }
}

/// What a zip is by its name; the market plays no part in reading.
fn file_of(path: &str) -> Result<ArchiveFile, Error> {
    let name = std::path::Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let parts: Vec<&str> = name.splitn(3, '-').collect();
    let [symbol, interval, period] = parts[..] else {
        return Err("name it like BTCUSDT-1m-2025-01.zip".into());
    };
    let series = Series::new(Market::Spot, Symbol::new(symbol)?, interval.parse()?)?;
    let period = Period::parse(period).ok_or("the name has no month or day")?;
    Ok(ArchiveFile::new(&series, period).ok_or("the archive is not read for this interval")?)
}

/// A month of minutes with the widths of real ones.
fn made_up() -> Result<(ArchiveFile, Vec<u8>), Error> {
    let series = Series::new(Market::Um, Symbol::new("BTCUSDT")?, Interval::M1)?;
    let file = ArchiveFile::new(&series, Period::month_of("2025-01-01".parse()?)).ok_or("no file")?;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(format!("{}.csv", file.stem()), zip::write::SimpleFileOptions::default())?;
    let mut state = 88_172_645_463_325_252u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i128::from(state % below)
    };
    let mut price = 9_354_880i128;
    for slot in file.slots().start..file.slots().end {
        let open = price;
        price += draw(4001) - 2000;
        let (low, high) = (open.min(price) - draw(900), open.max(price) + draw(900));
        let volume = draw(400_000) + 1;
        let quote = volume * (open + price) / 2;
        let d = Decimal::from_parts;
        let kline = Kline {
            open_time: Interval::M1.slot_start(slot),
            open: d(open, 2)?,
            high: d(high, 2)?,
            low: d(low, 2)?,
            close: d(price, 2)?,
            volume: d(volume, 3)?,
            close_time: Millis(Interval::M1.slot_end(slot).0 - 1),
            quote_volume: d(quote, 5)?,
            count: draw(5000).unsigned_abs() as u64,
            taker_buy_volume: d(volume / 2, 3)?,
            taker_buy_quote_volume: d(quote / 2, 5)?,
        };
        write_row(&mut zip, &kline, Unit::Milliseconds)?;
    }
    Ok((file, zip.finish()?.into_inner()))
}

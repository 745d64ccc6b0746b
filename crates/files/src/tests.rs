//! What goes out comes in again.

use std::path::Path;

use binance::archive::Period;
use kline::{Decimal, Interval, Kline, Market, Millis, Series, Symbol};
use proptest::prelude::*;

use crate::{FileError, Format, KlineFile, Writer, find, name};

fn series() -> Series {
    Series::new(Market::Spot, Symbol::new("PEPEUSDT").unwrap(), Interval::M1).unwrap()
}

fn kline(minute: i64, mantissas: &[i64; 8], scale: u32) -> Kline {
    let d = |i: usize| Decimal::from_parts(i128::from(mantissas[i]), scale).unwrap();
    Kline {
        open_time: Millis(1_735_689_600_000 + minute * 60_000),
        open: d(0),
        high: d(1),
        low: d(2),
        close: d(3),
        volume: d(4),
        close_time: Millis(1_735_689_600_000 + minute * 60_000 + 59_999),
        quote_volume: d(5),
        count: mantissas[6].unsigned_abs(),
        taker_buy_volume: d(6),
        taker_buy_quote_volume: d(7),
    }
}

fn read(path: &Path) -> Result<Vec<Kline>, FileError> {
    let mut rows = Vec::new();
    KlineFile::of(path)?.read(|batch| {
        assert!(batch.rows.len() <= 10_000 && batch.disputed.is_empty());
        rows.extend(batch.rows);
        true
    })?;
    Ok(rows)
}

fn written(folder: &Path, format: Format, rows: &[Kline]) -> std::path::PathBuf {
    let month = Period::month_of(Millis(1_735_689_600_000));
    let path = folder.join(name::path_of(&series(), month, format));
    let mut writer = Writer::create(&path, &series(), format).unwrap();
    rows.chunks(777).for_each(|part| writer.write(part).unwrap());
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.path.as_path()), (rows.len() as u64, path.as_path()));
    path
}

#[test]
fn a_month_goes_out_and_in_and_nothing_else_is_left_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> =
        (0..44_640).map(|i| kline(i, &[i, i + 2, i - 1, i + 1, 2_328_926_384_141, i * 7, i, 0], 8)).collect();
    for format in [Format::Csv, Format::Parquet] {
        let path = written(folder.path(), format, &rows);
        assert_eq!(read(&path).unwrap(), rows);
        let named = KlineFile::of(&path).unwrap().named().clone();
        assert_eq!(
            (named.market, named.symbol, named.interval),
            (Some(Market::Spot), Some(series().symbol), Some(Interval::M1))
        );
    }
    assert_eq!(find(&[folder.path().to_owned()]).unwrap().len(), 2);
    let parts = std::fs::read_dir(folder.path().join("data/spot/monthly/klines/PEPEUSDT/1m")).unwrap();
    assert_eq!(parts.count(), 2);
}

#[test]
fn a_file_that_is_given_up_leaves_nothing_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [kline(0, &[1, 2, 3, 4, 5, 6, 7, 8], 2)];
    let path = written(folder.path(), Format::Parquet, &rows);
    let mut writer = Writer::create(&path, &series(), Format::Parquet).unwrap();
    writer.write(&[kline(5, &[0; 8], 0)]).unwrap();
    drop(writer);
    assert_eq!(read(&path).unwrap(), rows);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_file_of_more_rows_than_a_group_has_several() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..110_003).map(|i| kline(i, &[i; 8], 12)).collect();
    let path = written(folder.path(), Format::Parquet, &rows);
    assert_eq!(read(&path).unwrap(), rows);
}

#[test]
fn what_is_no_parquet_of_klines_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, b"PAR1 not at all PAR1").unwrap();
    let error = KlineFile::of(&path).unwrap_err();
    assert!(error.to_string().contains("x.parquet"), "{error}");
    let huge = kline(0, &[1; 8], 0);
    let huge = Kline { volume: "9999999999999999999999999999".parse().unwrap(), ..huge };
    let mut writer = Writer::create(&folder.path().join("y.parquet"), &series(), Format::Parquet).unwrap();
    let error = writer.write(&[huge]).unwrap_err();
    assert!(error.to_string().contains("volume of the kline of 2025-01-01T00:00:00Z"), "{error}");
}

#[test]
fn a_zip_that_is_not_what_its_checksum_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("PEPEUSDT-1m-2025-01.zip");
    let rows = [kline(0, &[1, 2, 3, 4, 5, 6, 7, 8], 2)];
    for (member, file) in [("PEPEUSDT-1m-2025-01.csv", &path), ("any.csv", &folder.path().join("other.zip"))]
    {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(file).unwrap());
        zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        rows.iter()
            .for_each(|row| binance::archive::csv::write_row(&mut zip, row, Default::default()).unwrap());
        zip.finish().unwrap();
        assert_eq!(read(file).unwrap(), rows);
    }
    std::fs::write(folder.path().join("PEPEUSDT-1m-2025-01.zip.CHECKSUM"), "00ff  x.zip").unwrap();
    assert!(matches!(read(&path), Err(FileError::Checksum { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_rows_come_back_as_they_were(
        rows in proptest::collection::vec((any::<[i64; 8]>(), 0u32..=12), 0..40), parquet: bool
    ) {
        let folder = tempfile::tempdir().unwrap();
        let format = if parquet { Format::Parquet } else { Format::Csv };
        let bound = |m: &[i64; 8]| { let mut m = *m; m[6] = m[6].rem_euclid(1 << 40); m };
        let rows: Vec<_> = rows.iter().enumerate().map(|(i, (m, scale))| kline(i as i64, &bound(m), *scale)).collect();
        let path = written(folder.path(), format, &rows);
        prop_assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn no_bytes_make_the_parquet_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), flip in 0usize..2000, to: u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, &bytes).unwrap();
        let _ = read(&path);
        let good = written(folder.path(), Format::Parquet, &[kline(0, &[1, 2, 3, 4, 5, 6, 7, 8], 2)]);
        let mut bytes = std::fs::read(good).unwrap();
        let at = flip % bytes.len();
        bytes[at] = to;
        std::fs::write(&path, &bytes).unwrap();
        let _ = read(&path);
    }
}

//! The one CSV of a zip.
//!
//! A zip of the archive has exactly one member, the CSV of the same name, stored or deflated. Everything else is refused
//! before a byte is inflated: other names and several members (and with them every trick with paths), encryption, and
//! sizes that the klines of the file cannot take. Inflating stops at the size the zip states, and the CRC is compared at
//! the end.

use std::io::{self, BufReader, Read, Seek};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{ArchiveError, ArchiveFile};

/// Most bytes a row takes: eight decimals of 28 digits with a point and three integers of up to 19, with their commas.
const MOST_ROW: u64 = 300;
/// Room for a header, and for what a file holds beyond its slots (rows twice, a day too many).
const SLACK: u64 = 64 * 1024;

/// Compressed bytes handed to the inflater at once. The reader of the `zip` crate takes 8 KiB, which costs a third more time: at
/// the end of each piece the inflater goes byte by byte.
const INPUT: usize = 64 * 1024;

/// Most bytes a file may inflate to; compressed it is smaller. Room for twice the rows there should be.
pub fn most_bytes(file: &ArchiveFile) -> u64 {
    file.slots().len().saturating_mul(2 * MOST_ROW).saturating_add(SLACK)
}

/// Most bytes a zip of unknown content may inflate to; they are streamed, never held.
pub const MOST_UNNAMED: u64 = 16 << 30;

/// A zip whose only member is the right one.
pub struct Zip<R> {
    archive: ZipArchive<R>,
    file: String,
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the directory of a zip and checks it.
    ///
    /// # Errors
    /// [`ArchiveError::Zip`], [`ArchiveError::Member`], [`ArchiveError::TooLarge`].
    pub fn open(file: &ArchiveFile, source: R) -> Result<Self, ArchiveError> {
        let key = file.key();
        let (slots, limit) = (file.slots().len(), most_bytes(file));
        let name = format!("{}.csv", file.stem());
        let zip = Self::sole(&key, source, &name, |found| found == name.as_bytes(), limit)?;
        zip.ok_or(ArchiveError::TooLarge { file: key, what: "its content", limit, slots })
    }

    /// As [`open`](Self::open), for a zip of any name with one CSV of any name, of at most [`MOST_UNNAMED`] bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_unnamed(label: &str, source: R) -> Result<Self, ArchiveError> {
        let is_csv = |name: &[u8]| name.ends_with(b".csv") && !name.iter().any(|b| b"/\\\0".contains(b));
        let zip = Self::sole(label, source, "one .csv", is_csv, MOST_UNNAMED)?;
        zip.ok_or_else(|| ArchiveError::Zip {
            file: label.to_owned(),
            detail: format!("it would inflate to more than {MOST_UNNAMED} bytes"),
        })
    }

    /// A zip with one member of the right name; `None` when it states more bytes than the limit.
    fn sole(
        label: &str,
        source: R,
        expected: &str,
        fits: impl Fn(&[u8]) -> bool,
        limit: u64,
    ) -> Result<Option<Self>, ArchiveError> {
        let file = || label.to_owned();
        let damaged = |error: ZipError| ArchiveError::Zip { file: file(), detail: error.to_string() };
        let mut archive = ZipArchive::new(source).map_err(damaged)?;
        let member =
            |found: String| ArchiveError::Member { file: file(), found, expected: expected.to_owned() };
        if archive.len() != 1 {
            return Err(member(format!("{} members", archive.len())));
        }
        let entry = archive.by_index_raw(0).map_err(damaged)?;
        if !fits(entry.name_raw()) {
            return Err(member(crate::error::excerpt(entry.name_raw())));
        }
        if entry.encrypted() || !entry.is_file() {
            return Err(member("a member that is encrypted or no plain file".to_owned()));
        }
        let method = entry.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::Zip { file: file(), detail: format!("compressed by {method}") });
        }
        if entry.size() > limit {
            return Ok(None);
        }
        drop(entry);
        Ok(Some(Self { archive, file: file() }))
    }

    /// The bytes of the CSV; the last read fails when the CRC or the size differs, and reading beyond the stated size does.
    ///
    /// # Errors
    /// [`ArchiveError::Zip`]
    pub fn csv(&mut self) -> Result<impl Read + '_, ArchiveError> {
        let Self { archive, file } = self;
        let raw = archive
            .by_index_raw(0)
            .map_err(|error| ArchiveError::Zip { file: file.clone(), detail: error.to_string() })?;
        let (crc, size, stored) = (raw.crc32(), raw.size(), raw.compression() == CompressionMethod::Stored);
        let input = BufReader::with_capacity(INPUT, raw);
        let source =
            if stored { Source::Stored(input) } else { Source::Deflated(DeflateDecoder::new(input)) };
        Ok(Checked { source, seen: Crc::new(), read: 0, size, crc })
    }

    /// Inflates everything, for the CRC alone.
    ///
    /// # Errors
    /// [`ArchiveError::Zip`]
    pub fn verify(&mut self) -> Result<(), ArchiveError> {
        let file = self.file.clone();
        let damaged = |error: io::Error| ArchiveError::Zip { file: file.clone(), detail: error.to_string() };
        let mut csv = self.csv()?;
        let mut window = vec![0; 64 * 1024];
        while csv.read(&mut window).map_err(damaged)? > 0 {}
        Ok(())
    }
}

/// A member's bytes.
enum Source<R> {
    Stored(BufReader<R>),
    Deflated(DeflateDecoder<BufReader<R>>),
}

/// A member that must have the size and the CRC that its zip states.
struct Checked<R> {
    source: Source<R>,
    seen: Crc,
    read: u64,
    size: u64,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, window: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.source {
            Source::Stored(bytes) => bytes.read(window),
            Source::Deflated(bytes) => bytes.read(window),
        }?;
        self.seen.update(&window[..n]);
        self.read += n as u64;
        let damaged = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let ended = n == 0 && !window.is_empty();
        if self.read > self.size || (ended && self.read < self.size) {
            let more = if ended { "" } else { "more than " };
            return damaged(format!(
                "it inflates to {more}{} bytes, and states {}",
                self.read.min(self.size),
                self.size
            ));
        }
        if ended && self.seen.sum() != self.crc {
            return damaged("its CRC is not the one that it states".to_owned());
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use kline::{Interval, Market, Series, Symbol};
    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::archive::Period;

    fn file() -> ArchiveFile {
        let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::H1).unwrap();
        ArchiveFile::new(&series, Period::day_of("2025-01-02".parse().unwrap())).unwrap()
    }

    fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn content(bytes: &[u8]) -> Result<Vec<u8>, ArchiveError> {
        let mut zip = Zip::open(&file(), Cursor::new(bytes))?;
        zip.verify()?;
        let mut out = Vec::new();
        zip.csv()?.read_to_end(&mut out).unwrap();
        Ok(out)
    }

    const NAME: &str = "BTCUSDT-1h-2025-01-02.csv";

    #[test]
    fn the_one_right_member_is_read() {
        assert_eq!(content(&zipped(&[(NAME, b"1,2,3\n")])), Ok(b"1,2,3\n".to_vec()));
    }

    #[test]
    fn wrong_names_several_members_and_path_tricks_are_refused() {
        let ether = "ETHUSDT-1h-2025-01-02.csv";
        let up = format!("../../{NAME}");
        let deep = format!("/tmp/{NAME}");
        for members in [
            vec![],
            vec![(ether, b"x".as_slice())],
            vec![(NAME, b"x"), (ether, b"x")],
            vec![(up.as_str(), b"x")],
            vec![(deep.as_str(), b"x")],
            vec![("BTCUSDT-1h-2025-01-02.csv/", b"")],
        ] {
            let error = content(&zipped(&members)).unwrap_err();
            assert!(matches!(error, ArchiveError::Member { .. }), "{members:?}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_stated_size_and_stopped_when_it_lies() {
        let zeros = vec![b'0'; 4 * 1024 * 1024];
        let honest = zipped(&[(NAME, &zeros)]);
        assert!(honest.len() < 10_000);
        let error = content(&honest).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { slots: 24, .. }), "{error}");
        // The stated size, in both headers, is made small.
        let mut liar = honest;
        let size = (zeros.len() as u32).to_le_bytes();
        let places: Vec<_> = (0..liar.len() - 4).filter(|i| liar[*i..*i + 4] == size).collect();
        assert_eq!(places.len(), 2);
        for at in places {
            liar[at..at + 4].copy_from_slice(&100u32.to_le_bytes());
        }
        let error = content(&liar).unwrap_err();
        assert!(matches!(error, ArchiveError::Zip { .. }), "{error}");
    }

    #[test]
    fn a_member_that_is_stored_as_it_is_is_read_and_checked_as_well() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(NAME, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
            .unwrap();
        zip.write_all(b"1,2,3\n").unwrap();
        let mut bytes = zip.finish().unwrap().into_inner();
        assert_eq!(content(&bytes), Ok(b"1,2,3\n".to_vec()));
        let at = bytes.windows(6).position(|w| w == b"1,2,3\n").unwrap();
        bytes[at] = b'7';
        let error = content(&bytes).unwrap_err().to_string();
        assert!(error.contains("CRC"), "{error}");
    }

    #[test]
    fn a_zip_that_states_more_than_it_holds_is_refused() {
        let mut bytes = zipped(&[(NAME, b"1735689600000,1,2,3\n")]);
        // The directory counts; the size lies 24 bytes behind its mark.
        let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + 24;
        assert_eq!(bytes[at], 20);
        bytes[at] = 21;
        let error = content(&bytes).unwrap_err().to_string();
        assert!(error.contains("inflates to 20 bytes, and states 21"), "{error}");
    }

    #[test]
    fn a_wrong_crc_and_a_cut_zip_are_found() {
        let good = zipped(&[(NAME, b"1735689600000,1,2,3\n")]);
        let mut bad = good.clone();
        let directory = bad.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bad[directory + 16] ^= 1;
        for bytes in [bad.as_slice(), &good[..good.len() - 30], b"no zip at all", b""] {
            assert!(matches!(content(bytes), Err(ArchiveError::Zip { .. })));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = content(&bytes);
        }

        #[test]
        fn a_zip_with_any_byte_changed_is_read_or_refused(at in 0usize..200, to: u8) {
            let mut bytes = zipped(&[(NAME, b"1735689600000,1,2,3,4,5,6,7,8,9,10,0\n")]);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = content(&bytes);
        }
    }
}

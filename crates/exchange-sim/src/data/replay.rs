//! The rows of one series, from all the files that hold some of them.

use std::sync::OnceLock;

use kline::{Kline, Millis};

use super::PackedRows;
use super::folder::KlineFile;
use super::read::{Trust, read};

/// Rows that are read from their files when first asked for.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) files: Vec<KlineFile>,
    first_open: OnceLock<Option<Millis>>,
    loaded: OnceLock<Loaded>,
}

/// What the files held.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) rows: PackedRows,
    pub(crate) notes: Vec<String>,
}

impl Replay {
    /// Rows that are there already.
    pub(crate) fn of_rows(rows: PackedRows) -> Self {
        let replay = Self::default();
        // The cell is new, so it is empty.
        let _ = replay.loaded.set(Loaded { rows, notes: Vec::new() });
        replay
    }

    /// The rows; read now if they were not before, which blocks.
    pub(crate) fn rows(&self) -> &PackedRows {
        &self.loaded.get_or_init(|| load(&self.files)).rows
    }

    /// The rows if they were read before.
    pub(crate) fn loaded(&self) -> Option<&Loaded> {
        self.loaded.get()
    }

    /// The first open time, read from the head of each file.
    pub(crate) fn first_open(&self) -> Option<Millis> {
        if let Some(loaded) = self.loaded.get() {
            return loaded.rows.first_open();
        }
        *self.first_open.get_or_init(|| {
            let heads = self.files.iter().map(|file| read(file, 1).rows);
            heads.filter_map(|rows| rows.first().map(|(_, row)| row.open_time)).min()
        })
    }
}

/// Rows of one file, packed: a year of minutes in all its files at once would be large otherwise.
struct Part {
    rows: PackedRows,
    /// Trust in all rows but the last, and in the last.
    trust: (Trust, Trust),
}

/// Reads files and merges them. Where two have a kline, the more trusted one counts, and of equals the later file.
fn load(files: &[KlineFile]) -> Loaded {
    let mut notes = Vec::new();
    let mut parts = Vec::new();
    for file in files {
        let mut read = read(file, usize::MAX);
        notes.append(&mut read.notes);
        if let Some(part) = Part::new(read.rows) {
            parts.push(part);
        }
    }
    // Stable, so that files with equal starts stay in order.
    parts.sort_by_key(|part| part.rows.first_open());
    let mut merged = PackedRows::default();
    let mut rest = parts.as_slice();
    while let [first, tail @ ..] = rest {
        // All files that reach into each other; months that follow one another are taken one by one.
        let mut end = first.rows.last_open();
        let overlapping = tail
            .iter()
            .take_while(|part| {
                let reaches = part.rows.first_open() <= end;
                if reaches {
                    end = end.max(part.rows.last_open());
                }
                reaches
            })
            .count();
        let (group, after) = rest.split_at(1 + overlapping);
        merge_into(&mut merged, group);
        rest = after;
    }
    Loaded { rows: merged, notes }
}

impl Part {
    fn new(mut rows: Vec<(Trust, Kline)>) -> Option<Self> {
        // Files out of order, or with rows twice, exist. Of equals the last counts.
        rows.sort_by_key(|(_, row)| row.open_time);
        rows.reverse();
        rows.dedup_by_key(|(_, row)| row.open_time);
        rows.reverse();
        let trust = (rows.first()?.0, rows.last()?.0);
        let rows = PackedRows::from_sorted(rows.into_iter().map(|(_, row)| row));
        Some(Self { rows, trust })
    }

    fn ranked(&self) -> impl Iterator<Item = (Trust, Kline)> + '_ {
        let last = self.rows.len().saturating_sub(1);
        self.rows
            .iter()
            .enumerate()
            .map(move |(i, row)| (if i == last { self.trust.1 } else { self.trust.0 }, row))
    }
}

fn merge_into(merged: &mut PackedRows, group: &[Part]) {
    if let [only] = group {
        only.rows.iter().for_each(|row| merged.push(&row));
        return;
    }
    let mut rows: Vec<(Trust, Kline)> = group.iter().flat_map(Part::ranked).collect();
    // Stable: of equally trusted rows the one of the later file comes last, and the last one counts.
    rows.sort_by_key(|(trust, row)| (row.open_time, *trust));
    let mut rows = rows.into_iter().map(|(_, row)| row).peekable();
    while let Some(row) = rows.next() {
        if rows.peek().is_none_or(|next| next.open_time != row.open_time) {
            merged.push(&row);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::data::folder::scan;

    const BASE: i64 = 1_735_689_600_000;

    fn at(i: i64) -> i64 {
        BASE + i * 300_000
    }

    fn archive_row(i: i64, close: &str) -> String {
        format!("{},1,9,1,{close},5,{},6,7,2,3,0\n", at(i), at(i + 1) - 1)
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn closes(root: &Path) -> Vec<String> {
        let files = scan(root).unwrap().files;
        load(&files).rows.iter().map(|row| row.close.to_string()).collect()
    }

    #[test]
    fn the_more_trusted_file_counts_where_files_disagree() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(
            root,
            "um/A/5m/A-5m-x.ohlcv.csv",
            &(0..4).map(|i| format!("{},1,9,1,2.1,5\n", at(i))).collect::<String>(),
        );
        let answer =
            |i: i64| format!(r#"[{},"1","9","1","2.2","5",{},"6",7,"2","3","0"]"#, at(i), at(i + 1) - 1);
        write(root, "fapi-v1-klines.A.5m.json", &format!("[{},{},{}]", answer(0), answer(1), answer(2)));
        assert_eq!(closes(root), ["2.2", "2.2", "2.1", "2.1"], "the last row of an answer may be unfinished");
        write(root, "um/monthly/klines/A/5m/A-5m-2025-01.csv", &archive_row(1, "2.3"));
        assert_eq!(closes(root), ["2.2", "2.3", "2.1", "2.1"]);
        write(root, "um/daily/klines/A/5m/A-5m-2025-01-01.csv", &archive_row(1, "2.4"));
        assert_eq!(closes(root), ["2.2", "2.4", "2.1", "2.1"]);
    }

    #[test]
    fn unordered_and_doubled_rows_of_a_file_are_put_right_and_bad_ones_noted() {
        let dir = tempfile::tempdir().unwrap();
        let text = [2, 0, 1, 0].map(|i| archive_row(i, &format!("{}", i + 1))).concat() + "rubbish,1\n";
        write(dir.path(), "spot/A/5m/A-5m-1.csv", &text);
        let files = scan(dir.path()).unwrap().files;
        let loaded = load(&files);
        let closes: Vec<_> = loaded.rows.iter().map(|row| row.close.to_string()).collect();
        assert_eq!(closes, ["1", "2", "3"]);
        assert_eq!(loaded.notes.len(), 1);
        assert!(
            loaded.notes[0].ends_with("row 5 left out: 2 fields; at least 6 are needed"),
            "{:?}",
            loaded.notes
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_the_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "spot/A/5m/A-5m-1.csv", &archive_row(0, "2"));
        write(dir.path(), "spot/A/5m/A-5m-2.zip", "no zip at all");
        let loaded = load(&scan(dir.path()).unwrap().files);
        assert_eq!((loaded.rows.len(), loaded.notes.len()), (1, 1));
        assert!(loaded.notes[0].contains("A-5m-2.zip: cannot be read"), "{:?}", loaded.notes);
    }
}

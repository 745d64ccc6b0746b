//! Changes of texts that leave everything else as it is.

use std::ops::Range;

use crate::source::{FileId, SourceFile, Span};

/// A piece of a file and what replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) file: FileId,
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Edit {
    pub(super) fn replace(span: Span, text: impl Into<String>) -> Self {
        Self { file: span.file, range: span.range(), text: text.into() }
    }
}

/// The files with all edits made. Edits must not overlap; equal ones are made once.
pub(super) fn apply(files: &[SourceFile], edits: &[Edit]) -> Vec<SourceFile> {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.file, edit.range.start, edit.range.end));
    edits.dedup();
    let mut changed = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let own: Vec<&Edit> = edits.iter().filter(|edit| edit.file.0 as usize == index).collect();
        if own.is_empty() {
            changed.push(file.clone());
            continue;
        }
        let mut text = String::with_capacity(file.text().len() + 256);
        let mut at = 0;
        for edit in own {
            text.push_str(file.text().get(at..edit.range.start).unwrap_or(""));
            text.push_str(&edit.text);
            at = edit.range.end.max(at);
        }
        text.push_str(file.text().get(at..).unwrap_or(""));
        changed.push(SourceFile::new(file.name(), text));
    }
    changed
}

/// The difference of two texts as a unified diff; empty when there is none.
#[must_use]
pub fn patch(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let diff = similar::TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(3).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}

/// The line that holds a byte: its start, and its number of leading spaces.
pub(super) fn line_at(text: &str, at: usize) -> (usize, usize) {
    let start = text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or("");
    (start, line.len() - line.trim_start_matches(' ').len())
}

/// How the lines of a text end.
pub(super) fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_pieces_change() {
        let files = [SourceFile::new("a", "one two three"), SourceFile::new("b", "four")];
        let edit = |range, text: &str| Edit { file: FileId(0), range, text: text.to_owned() };
        let changed = apply(&files, &[edit(8..13, "3"), edit(0..3, "1"), edit(0..3, "1")]);
        assert_eq!(changed[0].text(), "1 two 3");
        assert_eq!(changed[1].text(), "four");
    }
}

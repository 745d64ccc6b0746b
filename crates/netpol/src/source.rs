//! Source texts, positions in them, and what could not be read.

use std::fmt;
use std::ops::{Deref, Range};

/// Index of a file among the files given to [`crate::Input::parse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// One text to read: a name to show to people and the whole content.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    /// Why the bytes were not text, and where (line, column); the text is then empty.
    undecodable: Option<(u32, u32, String)>,
}

impl SourceFile {
    /// A file whose text is already known to be UTF-8.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), undecodable: None }
    }

    /// A file as it was read from a disk or a pipe. Bytes that are no UTF-8 do not fail here: they become a
    /// [`Problem`] of the file, so that one binary file does not stop the others.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        let utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
        match String::from_utf8(bytes) {
            Ok(text) => Self { name, text, undecodable: None },
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let hint = if utf16 {
                    "the file is UTF-16: save it as UTF-8".to_owned()
                } else {
                    "the file is not UTF-8 text: is it a binary or in another encoding?".to_owned()
                };
                // The readable head is kept: it gives the position its line and column.
                let head = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default());
                let (line, column) = line_and_column(&head, at);
                let message = format!("{hint} (first invalid byte at offset {at})");
                Self { name, text: String::new(), undecodable: Some((line, column, message)) }
            }
        }
    }

    /// The name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text; empty when the bytes were not text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text that a span covers; empty when the span does not belong to this file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Line `number` (from 1) without its line break; empty when there is none.
    #[must_use]
    pub fn line(&self, number: u32) -> &str {
        self.lines().nth((number as usize).saturating_sub(1)).unwrap_or("")
    }

    /// The lines as spans count them: YAML ends a line at a line feed, a carriage return, or both in a row.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.text.as_str());
        std::iter::from_fn(move || {
            let text = rest?;
            let Some(at) = text.find(['\n', '\r']) else { return rest.take() };
            let (line, tail) = text.split_at(at);
            rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
            Some(line)
        })
    }

    pub(crate) fn undecodable(&self, file: FileId) -> Option<(Span, &str)> {
        let (line, column, message) = self.undecodable.as_ref()?;
        Some((Span { file, line: *line, column: *column, start: 0, end: 0 }, message))
    }
}

/// Line and column (both from 1, columns in characters) of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let head = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = head.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = head.rfind('\n').map_or(0, |at| at + 1);
    let column = head.get(start..).unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// A place in a source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character, from 1, counted in characters.
    pub column: u32,
    /// Offset of the first byte in the file.
    pub start: u32,
    /// Offset of the byte after the last one.
    pub end: u32,
}

impl Span {
    /// The covered bytes.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value and its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A text and where it was written.
pub type Text = Spanned<String>;

/// What kind of trouble a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The bytes are no text.
    Encoding,
    /// The text is no YAML or JSON; the rest of the document is not read.
    Syntax,
    /// A limit of [`Limits`] was reached; the document or file is not read.
    Limit,
    /// A key stands twice in one mapping; the last one counts.
    DuplicateKey,
    /// A value has another type than the field wants.
    WrongType,
    /// A field that the Kubernetes schema does not have, often an indentation mistake.
    UnknownField,
    /// A value that the API server would reject.
    Invalid,
}

/// Something that could not be read or that the API server would reject. Never stops the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of trouble.
    pub kind: ProblemKind,
    /// Where.
    pub span: Span,
    /// What is wrong, with the likely cause and the way out where they are known.
    pub message: String,
    /// The object it stands in (`Kind namespace/name`), empty when it stands in none.
    pub object: String,
}

/// Bounds on what one file may cost. The defaults fit any real repository; a hostile file meets them before
/// it meets the memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes in one file.
    pub file_bytes: usize,
    /// Most YAML nodes in one document, nodes repeated through aliases included.
    pub nodes: usize,
    /// Most nodes in one file that aliases and merge keys may add.
    pub alias_nodes: usize,
    /// Deepest nesting.
    pub depth: usize,
    /// Most problems kept per file; a last one then says that there were more.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, nodes: 4_000_000, alias_nodes: 200_000, depth: 100, problems: 1_000 }
    }
}

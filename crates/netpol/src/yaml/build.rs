//! From parser events to trees, within the limits.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

use super::template::{is_masked, mask, unmask};
use super::{Entry, Node, Scalar, ScalarKind, Value};
use crate::source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span};

/// Reads all documents of a file and hands each tree to `visit` as soon as it is complete, so that no more
/// than one tree is in memory. Trouble goes to `problems`; documents after a broken one are still read.
pub(crate) fn parse(
    file: &SourceFile,
    id: FileId,
    limits: &Limits,
    problems: &mut Vec<Problem>,
    mut visit: impl FnMut(&Node<'_>, &mut Vec<Problem>),
) {
    let report = |problems: &mut Vec<Problem>, kind, span, message| {
        problems.push(Problem { kind, span, message, object: String::new() });
    };
    let start = Span { file: id, line: 1, column: 1, start: 0, end: 0 };
    if let Some((span, message)) = file.undecodable(id) {
        report(problems, ProblemKind::Encoding, span, message.to_owned());
        return;
    }
    if file.text().len() > limits.file_bytes {
        let message = format!(
            "the file is larger than {} MiB, the most that is read; it was not read: split it, or leave it out",
            limits.file_bytes >> 20
        );
        report(problems, ProblemKind::Limit, start, message);
        return;
    }
    let text = file.text().strip_prefix('\u{FEFF}').unwrap_or(file.text());
    let base = file.text().len() - text.len();
    let mut masked = mask(text);
    let source =
        Source { file: id, base, original: text, actions: std::mem::take(&mut masked.actions), limits };
    let first = run(&source, &masked.text, 0, true, problems, &mut visit);
    if let Some(seen) = first {
        let spaced = without_leading_tabs(&masked.text);
        run(&source, &spaced, seen, false, problems, &mut visit);
    }
}

/// One file while it is read.
struct Source<'l> {
    file: FileId,
    base: usize,
    original: &'l str,
    actions: Vec<Range<usize>>,
    limits: &'l Limits,
}

/// Parses the text, skipping the first `skip` documents, which were visited before. With `may_retry`, returns
/// the number of documents visited when it stopped at a tab that kubectl's reader would accept: one that
/// indents a line inside brackets.
fn run(
    source: &Source<'_>,
    text: &str,
    skip: usize,
    may_retry: bool,
    problems: &mut Vec<Problem>,
    visit: &mut impl FnMut(&Node<'_>, &mut Vec<Problem>),
) -> Option<usize> {
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: source.limits.depth,
        block_nesting_limit: source.limits.depth,
    };
    options.set_emit_comments(false);
    let mut builder = Builder::new(source);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut seen = 0;
    let mut ignored = Vec::new();
    loop {
        // A file of nothing but mistakes must not fill the memory with reports of them.
        if problems.len() > source.limits.problems.saturating_mul(2) {
            problems.truncate(source.limits.problems + 1);
        }
        let sink = if seen < skip { &mut ignored } else { &mut *problems };
        match parser.next_event()? {
            Ok((event, span)) => {
                let ends = matches!(event, Event::DocumentEnd);
                if let Some(root) = builder.event(event, span, sink).ok()?
                    && seen >= skip
                {
                    visit(&root, problems);
                }
                seen += usize::from(ends);
            }
            Err(error) => {
                let (span, message) = builder.syntax_error(&error);
                if may_retry && builder.in_flow && message.contains("tab") {
                    return Some(seen);
                }
                sink.push(Problem { kind: ProblemKind::Syntax, span, message, object: String::new() });
                builder.abandon();
                seen += 1;
                if !parser.proceed_next_document().unwrap_or(false) {
                    return None;
                }
            }
        }
    }
}

/// Each leading tab of a line as one space, so that every position stays true.
fn without_leading_tabs(text: &str) -> String {
    let mut leading = true;
    let space = |c: char| {
        let tab = leading && c == '\t';
        leading = c == '\n' || (leading && matches!(c, ' ' | '\t'));
        if tab { ' ' } else { c }
    };
    text.chars().map(space).collect()
}

/// A limit was reached and reported; the rest of the file is not read.
struct Stop;

/// A collection that is still open.
enum Open<'s> {
    Seq { span: Span, anchor: usize, items: Vec<Node<'s>> },
    Map { span: Span, anchor: usize, entries: Vec<Entry<'s>>, key: Option<Key<'s>> },
}

/// A key whose value has not come yet; `None` for keys that are no scalars.
type Key<'s> = Option<(Cow<'s, str>, Span)>;

struct Builder<'s, 'l> {
    source: &'l Source<'l>,
    nodes: usize,
    alias_nodes: usize,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, (Node<'s>, usize)>,
    root: Option<Node<'s>>,
    /// The innermost collection that was opened is written with brackets.
    in_flow: bool,
}

impl<'s, 'l> Builder<'s, 'l> {
    fn new(source: &'l Source<'l>) -> Self {
        Self {
            source,
            nodes: 0,
            alias_nodes: 0,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            in_flow: false,
        }
    }

    fn abandon(&mut self) {
        self.open.clear();
        self.anchors.clear();
        self.root = None;
    }

    fn event(
        &mut self,
        event: Event<'s>,
        span: granit_parser::Span,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Node<'s>>, Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.abandon();
                self.nodes = 0;
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                return Ok(self.root.take());
            }
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.span(&span);
                let scalar = self.scalar(text, style, tag.as_deref(), span);
                self.place(Node { value: Value::Scalar(scalar), span }, anchor, problems)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                self.in_flow = style == StructureStyle::Flow;
                let span = self.span(&span);
                self.open.push(Open::Seq { span, anchor, items: Vec::new() });
            }
            Event::MappingStart(style, anchor, _) => {
                self.in_flow = style == StructureStyle::Flow;
                let span = self.span(&span);
                self.open.push(Open::Map { span, anchor, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let end = self.span(&span).end;
                self.close(end, problems)?;
            }
            Event::Alias(id) => self.alias(id, self.span(&span), problems)?,
            Event::UnresolvedAlias(name) => {
                let span = self.span(&span);
                let message = format!("alias *{name} has no anchor &{name} before it in this document");
                problems.push(Problem { kind: ProblemKind::Syntax, span, message, object: String::new() });
                self.place(null(span), 0, problems)?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn scalar(&self, text: Cow<'s, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Scalar<'s> {
        let plain = style == ScalarStyle::Plain;
        if !self.source.actions.is_empty() && is_masked(&text) {
            let start = (span.start as usize).saturating_sub(self.source.base);
            let end = (span.end as usize).saturating_sub(self.source.base);
            let first = self.source.actions.partition_point(|range| range.start < start);
            let count = self.source.actions[first..].partition_point(|range| range.start < end);
            let text = unmask(&text, self.source.original, &self.source.actions[first..first + count]);
            return Scalar { text: Cow::Owned(text), kind: ScalarKind::Str, templated: true };
        }
        let kind = match tag.and_then(Tag::core_suffix) {
            Some("str") => ScalarKind::Str,
            Some("int") => ScalarKind::Int,
            Some("bool") => ScalarKind::Bool(text.eq_ignore_ascii_case("true")),
            Some("null") => ScalarKind::Null,
            _ if plain => ScalarKind::of_plain(&text),
            _ => ScalarKind::Str,
        };
        Scalar { text, kind, templated: false }
    }

    /// Puts a finished node where it belongs: the open collection on top, or the root.
    fn place(&mut self, node: Node<'s>, anchor: usize, problems: &mut Vec<Problem>) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > self.source.limits.nodes {
            return Err(self.over("nodes in one document", self.source.limits.nodes, node.span, problems));
        }
        if anchor > 0 {
            let size = size(&node);
            self.spend_alias(size, node.span, problems)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => {
                    *key = Some(match node.value {
                        Value::Scalar(scalar) => Some((scalar.text, node.span)),
                        _ => None,
                    });
                }
                Some(Some((name, key_span))) => entries.push(Entry { key: name, key_span, value: node }),
                Some(None) => {}
            },
        }
        Ok(())
    }

    fn close(&mut self, end: u32, problems: &mut Vec<Problem>) -> Result<(), Stop> {
        match self.open.pop() {
            Some(Open::Seq { mut span, anchor, items }) => {
                span.end = end.max(span.start);
                self.place(Node { value: Value::Seq(items), span }, anchor, problems)
            }
            Some(Open::Map { mut span, anchor, entries, .. }) => {
                span.end = end.max(span.start);
                let entries = self.unique(entries, problems);
                let entries = self.merged(entries, problems)?;
                self.place(Node { value: Value::Map(entries), span }, anchor, problems)
            }
            None => Ok(()),
        }
    }

    /// Reports keys that stand twice; the last one counts, as in the API server's decoder.
    fn unique(&self, mut entries: Vec<Entry<'s>>, problems: &mut Vec<Problem>) -> Vec<Entry<'s>> {
        let small = entries.len() <= 12;
        let twice = if small {
            (1..entries.len()).any(|i| entries[..i].iter().any(|other| other.key == entries[i].key))
        } else {
            let mut seen = HashSet::with_capacity(entries.len());
            !entries.iter().all(|entry| seen.insert(entry.key.as_ref()))
        };
        if !twice {
            return entries;
        }
        let mut first: HashMap<String, (usize, u32)> = HashMap::new();
        let mut kept: Vec<Entry<'s>> = Vec::with_capacity(entries.len());
        for entry in entries.drain(..) {
            if entry.key == "<<" {
                kept.push(entry);
                continue;
            }
            match first.get(entry.key.as_ref()) {
                Some((index, line)) => {
                    // Both branches of a template's if/else are seen here: no mistake.
                    if self.source.actions.is_empty() {
                        let message = format!(
                            "key {:?} stands twice in this mapping (first on line {line}); the last one counts, \
                             and stricter readers reject the file",
                            entry.key
                        );
                        let span = entry.key_span;
                        let kind = ProblemKind::DuplicateKey;
                        problems.push(Problem { kind, span, message, object: String::new() });
                    }
                    kept[*index] = entry;
                }
                None => {
                    first.insert(entry.key.to_string(), (kept.len(), entry.key_span.line));
                    kept.push(entry);
                }
            }
        }
        kept
    }

    /// Resolves merge keys (`<<: *base`).
    fn merged(
        &mut self,
        entries: Vec<Entry<'s>>,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Entry<'s>>, Stop> {
        if !entries.iter().any(|entry| entry.key == "<<") {
            return Ok(entries);
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
        let mut known: HashSet<String> = own.iter().map(|entry| entry.key.to_string()).collect();
        for merge in merges {
            let sources = match merge.value.value {
                Value::Map(_) => vec![merge.value],
                Value::Seq(items) => items,
                Value::Scalar(_) => Vec::new(),
            };
            for source in sources {
                let Value::Map(inherited) = source.value else { continue };
                for entry in inherited {
                    if known.insert(entry.key.to_string()) {
                        self.spend_alias(1, entry.key_span, problems)?;
                        own.push(entry);
                    }
                }
            }
        }
        Ok(own)
    }

    fn alias(&mut self, id: usize, span: Span, problems: &mut Vec<Problem>) -> Result<(), Stop> {
        let Some((node, size)) = self.anchors.get(&id) else {
            // An alias inside its own anchor: a circle, which no manifest can mean.
            let message = "this alias refers to a collection that contains it".to_owned();
            problems.push(Problem { kind: ProblemKind::Syntax, span, message, object: String::new() });
            return self.place(null(span), 0, problems);
        };
        let (size, node) = (*size, node.clone());
        self.spend_alias(size, span, problems)?;
        self.place(node, 0, problems)
    }

    fn spend_alias(&mut self, nodes: usize, span: Span, problems: &mut Vec<Problem>) -> Result<(), Stop> {
        self.alias_nodes = self.alias_nodes.saturating_add(nodes);
        if self.alias_nodes > self.source.limits.alias_nodes {
            return Err(self.over(
                "nodes repeated through aliases",
                self.source.limits.alias_nodes,
                span,
                problems,
            ));
        }
        Ok(())
    }

    fn over(&self, what: &str, limit: usize, span: Span, problems: &mut Vec<Problem>) -> Stop {
        let message = format!("more than {limit} {what}; the rest of the file was not read");
        problems.push(Problem { kind: ProblemKind::Limit, span, message, object: String::new() });
        Stop
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let start = self.offset(&span.start);
        let end = self.offset(&span.end).max(start);
        Span {
            file: self.source.file,
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
            start,
            end,
        }
    }

    fn offset(&self, marker: &Marker) -> u32 {
        number(self.source.base + marker.byte_offset().unwrap_or(0))
    }

    fn syntax_error(&self, error: &ScanError) -> (Span, String) {
        let marker = error.marker();
        let start = self.offset(marker);
        let line = number(marker.line().max(1));
        let span = Span { file: self.source.file, line, column: number(marker.col() + 1), start, end: start };
        let at = marker.byte_offset().unwrap_or(0);
        let head = self.source.original.get(..at).unwrap_or("");
        let line_start = head.rfind('\n').map_or(0, |index| index + 1);
        let tail = self.source.original.get(line_start..).unwrap_or("");
        let indent: &str = tail.split(|c: char| c != ' ' && c != '\t').next().unwrap_or("");
        let info = error.info();
        if info.contains("recursion limit") {
            return (
                span,
                format!("nested more than {} levels deep: no manifest is", self.source.limits.depth),
            );
        }
        let tab = indent.contains('\t');
        (span, format!("{info}{}", if tab { TAB_HINT } else { hint(&info) }))
    }
}

const TAB_HINT: &str = " (the line is indented with a tab: YAML wants spaces)";

/// What is most likely behind an error of the YAML reader.
fn hint(info: &str) -> &'static str {
    match info {
        _ if info.contains("found a tab") => {
            " (YAML wants spaces: look for a tab here and at the start of the next line)"
        }
        _ if info.contains("did not find expected key") => {
            " (the indentation of this line does not fit the lines before it)"
        }
        _ if info.contains("mapping values are not allowed") => {
            " (a value with ': ' in it needs quotes, or the indentation is off)"
        }
        _ if info.contains("expected ',' or") => " (a bracket that is opened here is not closed)",
        _ if info.contains("u{0}") => " (a NUL byte: is this a text file?)",
        _ => "",
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn null<'s>(span: Span) -> Node<'s> {
    let scalar = Scalar { text: Cow::Borrowed(""), kind: ScalarKind::Null, templated: false };
    Node { value: Value::Scalar(scalar), span }
}

/// Number of nodes in a tree; the depth limit bounds the recursion.
fn size(node: &Node<'_>) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::Seq(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}

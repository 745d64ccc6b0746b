//! Helm and Go template actions (`{{ ... }}`) in a text that should be YAML.
//!
//! The actions are masked by as many bytes as they had, so that every position stays true: a line that holds
//! nothing but actions becomes blank, an action inside a value becomes a marker that a plain scalar may hold.
//! The tree then gets the original text back, flagged as templated.

use std::borrow::Cow;
use std::ops::Range;

/// First character of a mask; a private-use character never appears in a real manifest.
const MARK: char = '\u{E0FA}';

/// A text with its template actions masked.
pub(crate) struct Masked<'s> {
    /// What to give to the YAML parser; as many bytes as the original.
    pub(crate) text: Cow<'s, str>,
    /// Where in the text the actions stood, ascending, blanked ones included.
    pub(crate) actions: Vec<Range<usize>>,
}

/// Masks all template actions.
pub(crate) fn mask(text: &str) -> Masked<'_> {
    if !text.contains("{{") {
        return Masked { text: Cow::Borrowed(text), actions: Vec::new() };
    }
    let actions = find_actions(text);
    if actions.is_empty() {
        return Masked { text: Cow::Borrowed(text), actions };
    }
    let alone = standing_alone(text, &actions);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (action, alone) in actions.iter().zip(alone) {
        out.push_str(text.get(done..action.start).unwrap_or(""));
        let body = text.get(action.clone()).unwrap_or("");
        if alone || body.contains('\n') {
            out.extend(
                body.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { byte as char } else { ' ' }),
            );
        } else {
            out.push(MARK);
            out.extend(std::iter::repeat_n('_', body.len().saturating_sub(MARK.len_utf8())));
        }
        done = action.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Masked { text: Cow::Owned(out), actions }
}

/// Puts the original actions back into a scalar that was parsed from masked text. `actions` are the ranges
/// that start inside the scalar.
pub(crate) fn unmask(scalar: &str, original: &str, actions: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(scalar.len());
    let mut rest = scalar;
    let mut bodies = actions.iter().filter_map(|range| original.get(range.clone()));
    while let Some(at) = rest.find(MARK) {
        out.push_str(rest.get(..at).unwrap_or(""));
        let body = bodies.next().unwrap_or("");
        out.push_str(body);
        let mut skip = at + MARK.len_utf8();
        let padding = body.len().saturating_sub(MARK.len_utf8());
        skip += rest.get(skip..).unwrap_or("").bytes().take(padding).take_while(|byte| *byte == b'_').count();
        rest = rest.get(skip..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// Whether a scalar of the masked text holds an action.
pub(crate) fn is_masked(scalar: &str) -> bool {
    scalar.contains(MARK)
}

fn find_actions(text: &str) -> Vec<Range<usize>> {
    let mut actions = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("{{")) {
        let start = from + at;
        let comment =
            text.get(start..).is_some_and(|rest| rest.starts_with("{{/*") || rest.starts_with("{{- /*"));
        let close = if comment { "*/" } else { "}}" };
        let Some(end) = text.get(start..).and_then(|rest| rest.find(close)) else { break };
        let mut end = start + end;
        if comment {
            match text.get(end..).and_then(|rest| rest.find("}}")) {
                Some(more) => end += more,
                None => break,
            }
        }
        actions.push(start..end + 2);
        from = end + 2;
    }
    actions
}

/// For each action, whether its line holds nothing but actions. One pass: a line of a million actions is no
/// worse than a million lines.
fn standing_alone(text: &str, actions: &[Range<usize>]) -> Vec<bool> {
    let between = |from: usize, to: usize| text.get(from..to).unwrap_or("");
    let mut alone = Vec::with_capacity(actions.len());
    let mut previous_end = 0;
    let mut index = 0;
    while let Some(first) = actions.get(index) {
        let head = between(previous_end, first.start);
        let mut blank = head.rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let mut last = index;
        while let Some(next) = actions.get(last + 1) {
            let gap = between(actions[last].end, next.start);
            if gap.contains('\n') {
                break;
            }
            blank &= gap.trim().is_empty();
            last += 1;
        }
        let limit = actions.get(last + 1).map_or(text.len(), |next| next.start);
        let tail = between(actions[last].end, limit);
        blank &= tail.split('\n').next().is_some_and(|line| line.trim().is_empty());
        alone.extend(std::iter::repeat_n(blank, last + 1 - index));
        previous_end = actions[last].end;
        index = last + 1;
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_keeps_every_position() {
        let text =
            "a: {{ .Values.a }}\n{{- if .b }}\nb: x-{{ .c }}{{ .d }}-y\n{{- end }}\n{{/* a\n b */}}\nc: 1\n";
        let masked = mask(text);
        assert_eq!(masked.text.len(), text.len());
        assert_eq!(masked.text.lines().count(), text.lines().count());
        assert!(masked.text.lines().nth(1).is_some_and(|line| line.trim().is_empty()));
        assert_eq!(masked.text.find("c: 1"), text.find("c: 1"));
    }

    #[test]
    fn the_original_comes_back() {
        let text = "b: x-{{ .c }}{{ .d }}-y";
        let masked = mask(text);
        let scalar = masked.text.get(3..).unwrap_or("");
        assert!(is_masked(scalar));
        assert_eq!(unmask(scalar, text, &masked.actions), "x-{{ .c }}{{ .d }}-y");
    }

    #[test]
    fn an_unclosed_action_is_left_to_the_yaml_parser() {
        assert_eq!(mask("a: {{ b").text, "a: {{ b");
    }
}

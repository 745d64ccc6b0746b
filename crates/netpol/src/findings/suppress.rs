//! Findings that somebody decided to live with. Each decision has a reason, and what it hides is still reported as
//! suppressed.

use crate::object::Labels;
use crate::source::Span;

use super::{ObjectId, pattern};

/// The annotation on an object, or on its pod template: `NP305: reason; NP402: reason`.
pub const ANNOTATION: &str = "netpol.binance-extractor.dev/ignore";

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// The reason that was given.
    pub reason: String,
    /// Who says so: `annotation` or `config`.
    pub by: &'static str,
    /// Where the annotation is.
    pub span: Option<Span>,
}

/// A decision in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// Id of the rule.
    pub rule: String,
    /// Which objects: `name`, `namespace/name`, `Kind/namespace/name`, with `*` for any text.
    pub object: String,
    /// Why.
    pub reason: String,
}

impl Ignore {
    /// Whether it is about this finding and object.
    #[must_use]
    pub fn covers(&self, rule: &str, object: &ObjectId) -> bool {
        self.rule.eq_ignore_ascii_case(rule)
            && pattern::matches_object(&self.object, &object.kind, &object.namespace, &object.name)
    }
}

/// One decision of an annotation, or what is wrong with it.
pub(crate) type Decision<'a> = Result<(&'a str, &'a str), String>;

/// The decisions in annotations, each as rule and reason, with the place.
pub(crate) fn decisions(annotations: &Labels) -> impl Iterator<Item = (Decision<'_>, Span)> {
    let pair = annotations.get(ANNOTATION);
    pair.into_iter().flat_map(|pair| {
        let parts = pair.value.value.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| (decision(part), pair.value.span))
    })
}

fn decision(part: &str) -> Decision<'_> {
    let (rule, reason) =
        part.split_once(':').map_or((part, ""), |(rule, reason)| (rule.trim(), reason.trim()));
    if !rule.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("NP")) {
        return Err(format!("{part:?} names no rule: write \"NP305: reason\""));
    }
    if reason.is_empty() {
        return Err(format!("{rule} is to be ignored, but without a reason: write \"{rule}: reason\""));
    }
    Ok((rule, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_without_a_reason_is_none() {
        let labels = Labels::from_pairs([(ANNOTATION, "NP305: planned for March; NP402; x: y")]);
        let read: Vec<_> = decisions(&labels).map(|(decision, _)| decision).collect();
        assert_eq!(read[0], Ok(("NP305", "planned for March")));
        assert!(read[1].as_ref().is_err_and(|message| message.contains("without a reason")));
        assert!(read[2].is_err());
    }
}

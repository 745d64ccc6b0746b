//! What the rules found: one finding per cause, with everything a person needs to act.

pub mod pattern;
mod suppress;

pub(crate) use suppress::decisions as suppress_decisions;
pub use suppress::{ANNOTATION, Ignore, Suppression};

use crate::model::Verdict;
use crate::needs::{Confidence, Need};
use crate::object::Meta;
use crate::read::Input;
use crate::source::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Probably wrong, or fragile.
    Warning,
    /// Will not work.
    Error,
}

impl Severity {
    /// `error`, `warning` or `info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|severity| severity.as_str() == word)
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectId {
    /// Kind.
    pub kind: String,
    /// Namespace, with the default filled in; empty for objects without one.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Where it is about this object: a label, a rule, or its name.
    pub span: Span,
    /// Why the finding does not count for this object, when it does not.
    pub suppressed: Option<Suppression>,
}

impl ObjectId {
    /// An object by its metadata, pointing at its name.
    #[must_use]
    pub fn new(meta: &Meta, default_namespace: &str) -> Self {
        let cluster_wide = matches!(
            meta.kind.value.as_str(),
            "Namespace" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" | "ClusterNetworkPolicy"
        );
        let namespace = if cluster_wide { "" } else { meta.namespace_or(default_namespace) };
        Self {
            kind: meta.kind.value.clone(),
            namespace: namespace.to_owned(),
            name: meta.name.value.clone(),
            span: meta.name.span,
            suppressed: None,
        }
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// A remark of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text; a place in it is written as `{}` and filled from `span`.
    pub text: String,
    /// The place.
    pub span: Option<Span>,
}

impl Note {
    /// The text in one line, with the place filled in.
    #[must_use]
    pub fn render(&self, input: &Input) -> String {
        self.render_lines(input).replace('\n', " ")
    }

    /// The text with the place filled in, broken where that reads better.
    #[must_use]
    pub fn render_lines(&self, input: &Input) -> String {
        match self.span {
            Some(span) => self.text.replacen("{}", &input.locate(span).to_string(), 1),
            None => self.text.clone(),
        }
    }
}

/// A step of the chain from the policies to the finding, for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What kind of step: `isolated-by`, `rule-does-not-match`, `near-miss`, `not-selected`, ...
    pub kind: &'static str,
    /// The policy, as `namespace/name`.
    pub policy: Option<String>,
    /// Number of the rule, from 1.
    pub rule: Option<usize>,
    /// The step in words.
    pub text: String,
    /// Where.
    pub span: Option<Span>,
}

/// A need that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedRef {
    /// The need.
    pub need: Need,
    /// Its verdict.
    pub verdict: Verdict,
    /// Named in the headline already.
    pub in_headline: bool,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Id of the rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What its evidence is worth; `None` where the manifests themselves are the evidence.
    pub confidence: Option<Confidence>,
    /// The headline.
    pub message: String,
    /// Where.
    pub span: Span,
    /// The objects it is about, the one of the headline first.
    pub objects: Vec<ObjectId>,
    /// The first object is what is wrong, the others are what it is wrong for; else all are wrong alike.
    pub concerns_others: bool,
    /// Remarks, in order.
    pub notes: Vec<Note>,
    /// The chain of causes.
    pub causes: Vec<Cause>,
    /// Needs that are blocked or at stake.
    pub needs: Vec<NeedRef>,
    /// The words before the list of further needs.
    pub needs_title: &'static str,
    /// What to do.
    pub fix: Option<String>,
    /// Rules that would have reported the same cause.
    pub also: Vec<&'static str>,
    /// Findings of one rule with the same key are one finding.
    pub group: String,
    /// Why it does not count, when it does not.
    pub suppressed: Option<Suppression>,
}

impl Finding {
    /// A finding about an object, at the place the object points at.
    #[must_use]
    pub fn new(object: ObjectId, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            rule: "",
            severity: Severity::Info,
            confidence: None,
            span: object.span,
            group: format!("{object} {message} {}:{}", object.span.file.0, object.span.start),
            objects: vec![object],
            message,
            concerns_others: false,
            notes: Vec::new(),
            causes: Vec::new(),
            needs: Vec::new(),
            needs_title: "needs blocked as well",
            fix: None,
            also: Vec::new(),
            suppressed: None,
        }
    }

    /// Points at another place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        if let Some(object) = self.objects.first_mut() {
            object.span = span;
        }
        self.group = format!("{} {}:{}", self.group, span.file.0, span.start);
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note { text: text.into(), span: None });
        self
    }

    /// Adds an object that the finding is a problem for.
    #[must_use]
    pub fn concerns(mut self, object: ObjectId) -> Self {
        self.concerns_others = true;
        self.objects.push(object);
        self
    }

    /// Adds a remark with a place, written as `{}` in the text.
    #[must_use]
    pub fn note_at(mut self, text: impl Into<String>, span: Span) -> Self {
        self.notes.push(Note { text: text.into(), span: Some(span) });
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, kind: &'static str, text: impl Into<String>, span: Option<Span>) -> Self {
        self.causes.push(Cause { kind, policy: None, rule: None, text: text.into(), span });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, text: impl Into<String>) -> Self {
        self.fix = Some(text.into());
        self
    }

    /// Sets the key under which findings of the rule become one.
    #[must_use]
    pub fn group(mut self, key: impl Into<String>) -> Self {
        self.group = key.into();
        self
    }

    /// A number that stays the same when lines move: for tools that track findings over time.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut eat = |text: &str| {
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        eat(self.rule);
        eat(&self.message);
        for object in &self.objects {
            eat(&object.to_string());
        }
        format!("{hash:016x}")
    }
}

/// More names than this are counted, not written.
const MOST_NAMES: usize = 50;

/// The names of objects for one line of text: all of them while that is readable, else with the common beginning
/// written once, and the last ones counted.
#[must_use]
pub fn names(objects: &[ObjectId]) -> String {
    let names: Vec<&str> = objects.iter().take(MOST_NAMES).map(|object| object.name.as_str()).collect();
    let more = match objects.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} others"),
    };
    let prefix = common_prefix(&names);
    if names.len() <= 12 || prefix.len() < 6 {
        return names.join(", ") + &more;
    }
    let tails: Vec<&str> = names.iter().map(|name| name.get(prefix.len()..).unwrap_or("")).collect();
    format!("{prefix}{{{}}}{more}", tails.join(","))
}

/// The common beginning, up to a separator.
fn common_prefix<'n>(names: &[&'n str]) -> &'n str {
    let Some(first) = names.first() else { return "" };
    let shared = names.iter().skip(1).fold(first.len(), |shared, name| {
        let same = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        shared.min(same)
    });
    let end = first.get(..shared).and_then(|head| head.rfind(['-', '.', '_'])).map_or(0, |at| at + 1);
    first.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_share_their_beginning() {
        let object = |name: String| ObjectId {
            kind: "CronJob".to_owned(),
            namespace: "n".to_owned(),
            name,
            span: Span::default(),
            suppressed: None,
        };
        let few: Vec<ObjectId> = (0..2).map(|n| object(format!("job-name-{n}"))).collect();
        assert_eq!(names(&few), "job-name-0, job-name-1");
        let many: Vec<ObjectId> = (0..13).map(|n| object(format!("job-name-{n}"))).collect();
        assert_eq!(names(&many), "job-name-{0,1,2,3,4,5,6,7,8,9,10,11,12}");
    }

    #[test]
    fn very_many_names_are_counted() {
        let object = |n: usize| ObjectId {
            kind: "Pod".to_owned(),
            namespace: "n".to_owned(),
            name: format!("pod-name-{n}"),
            span: Span::default(),
            suppressed: None,
        };
        let all: Vec<ObjectId> = (0..700).map(object).collect();
        assert!(names(&all).ends_with(",48,49} and 650 others"), "{}", names(&all));
    }
}

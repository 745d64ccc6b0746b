//! A value tree that knows where every node was written.
//!
//! Built from parser events and not through serde: unknown kinds, lists, templates, wrong types and duplicate
//! keys all have to be read, and reported, without losing the rest.

mod build;
pub(crate) mod scalar;
pub(crate) mod template;

use std::borrow::Cow;

use crate::source::Span;
pub(crate) use build::parse;
pub(crate) use scalar::ScalarKind;

/// A node of the tree; texts are borrowed from the source where they stand there unchanged.
#[derive(Clone, Debug)]
pub(crate) struct Node<'s> {
    pub(crate) value: Value<'s>,
    pub(crate) span: Span,
}

/// The three shapes of a node.
#[derive(Clone, Debug)]
pub(crate) enum Value<'s> {
    Scalar(Scalar<'s>),
    Seq(Vec<Node<'s>>),
    Map(Vec<Entry<'s>>),
}

/// A scalar, as text, with the type it would have.
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'s> {
    pub(crate) text: Cow<'s, str>,
    pub(crate) kind: ScalarKind,
    /// Holds a template action, so that the real value is not known.
    pub(crate) templated: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'s> {
    pub(crate) key: Cow<'s, str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node<'s>,
}

impl<'s> Node<'s> {
    /// The value under a key of a mapping; nulls count as absent, as they do in Kubernetes.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'s>> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// The entry of a key, null or not.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry<'s>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Walks down mappings.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node<'s>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of a scalar.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => Some(&scalar.text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    /// Whether this scalar holds a template action.
    pub(crate) fn is_templated(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.templated)
    }

    /// The word for the shape of this node in a message.
    pub(crate) fn shape(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.kind.name(),
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

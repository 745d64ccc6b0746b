//! The Kubernetes objects that matter here, typed, each field with the place where it was written.

mod admin;
mod policy;
mod selector;
mod service;
mod workload;

pub use admin::*;
pub use policy::*;
pub use selector::*;
pub use service::*;
pub use workload::*;

use std::fmt;

use crate::source::{Span, Text};

/// One `key: value` pair of labels or annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: Text,
    /// The value; what was no string in the file (`true`, `1`) is kept as its text and reported.
    pub value: Text,
    /// The value holds a template action, so that the real one is not known.
    pub templated: bool,
}

/// Labels or annotations, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The pairs.
    pub pairs: Vec<Label>,
    /// The whole mapping; of the parent when there is none.
    pub span: Span,
    /// Some pairs come from a template and are not known.
    pub incomplete: bool,
}

impl Labels {
    /// The pair with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Label> {
        self.pairs.iter().find(|pair| pair.key.value == key)
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(|pair| pair.value.value.as_str())
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Labels without places, for peers that no file describes.
    #[must_use]
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let text = |value: &str| Text { value: value.to_owned(), span: Span::default() };
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| Label { key: text(key), value: text(value), templated: false })
            .collect();
        Self { pairs, span: Span::default(), incomplete: false }
    }
}

/// `metadata` and `kind` of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `kind`.
    pub kind: Text,
    /// `apiVersion`.
    pub api_version: Text,
    /// `metadata.name`; the `generateName` with a `*` at the end where there is only that.
    pub name: Text,
    /// `metadata.namespace` as written; `None` means the namespace given on the command line.
    pub namespace: Option<Text>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
    /// The first owner reference, if any.
    pub owner: Option<Owner>,
    /// The document, or the item of a list.
    pub span: Span,
    /// Some part of the object comes from a template.
    pub templated: bool,
    /// The object was read from a cluster: it has a `metadata.uid`.
    pub live: bool,
}

impl Meta {
    /// The namespace the object lives in, with the default filled in.
    #[must_use]
    pub fn namespace_or<'a>(&'a self, default: &'a str) -> &'a str {
        match &self.namespace {
            Some(namespace) if !namespace.value.is_empty() => &namespace.value,
            _ => default,
        }
    }
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// An owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind of the owner; empty when not written.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
}

/// A Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Name and labels.
    pub meta: Meta,
}

/// A ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Name and labels.
    pub meta: Meta,
    /// `data`, in file order.
    pub data: Vec<Label>,
}

/// A Secret: which keys it has. Values are never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Name and labels.
    pub meta: Meta,
    /// Keys of `data` and `stringData`.
    pub keys: Vec<Text>,
}

/// A HorizontalPodAutoscaler: what it scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Name and labels.
    pub meta: Meta,
    /// `spec.scaleTargetRef.kind`.
    pub target_kind: Option<Text>,
    /// `spec.scaleTargetRef.name`.
    pub target_name: Option<Text>,
}

/// A PodDisruptionBudget: which pods it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Name and labels.
    pub meta: Meta,
    /// `spec.selector`.
    pub selector: Option<LabelSelector>,
}

/// A ServiceMonitor of the Prometheus operator: which Services it has scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMonitor {
    /// Name and labels.
    pub meta: Meta,
    /// `spec.selector`, on the labels of Services.
    pub selector: LabelSelector,
    /// `spec.namespaceSelector.matchNames`; empty means the own namespace.
    pub namespaces: Vec<Text>,
    /// `spec.namespaceSelector.any`.
    pub any_namespace: bool,
}

/// An object of another kind: known to be there, not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherObject {
    /// Kind, name and labels.
    pub meta: Meta,
}

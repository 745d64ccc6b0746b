//! `metadata`, labels, selectors, and the objects that have little else.

use super::field::Reader;
use crate::object::{
    Autoscaler, ConfigMap, DisruptionBudget, Label, LabelSelector, Labels, MatchExpression, Meta, Operator,
    Owner, Secret, ServiceMonitor,
};
use crate::source::{ProblemKind, Span, Text};
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn meta(&mut self, node: &Node<'_>, kind: &str) -> Meta {
        let kind_span = node.get("kind").map_or(node.span, |value| value.span);
        let kind = Text::new(kind.to_owned(), kind_span);
        self.object.clone_from(&kind.value);
        let metadata = node.get("metadata");
        let at = |key: &str| metadata.and_then(|metadata| metadata.get(key));
        let parent = metadata.map_or(node.span, |metadata| metadata.span);
        let name = match (at("name"), at("generateName")) {
            (Some(name), _) => self.text(name, "metadata.name"),
            (None, Some(prefix)) => self
                .text(prefix, "metadata.generateName")
                .map(|prefix| Text::new(format!("{}*", prefix.value), prefix.span)),
            (None, None) => None,
        };
        let name = name.unwrap_or_else(|| Text::new(String::new(), parent));
        let namespace = at("namespace").and_then(|value| self.text(value, "metadata.namespace"));
        self.object = match &namespace {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        };
        let api_version = node.get("apiVersion").and_then(|value| self.text(value, "apiVersion"));
        Meta {
            api_version: api_version.unwrap_or_else(|| Text::new(String::new(), node.span)),
            labels: self.labels(at("labels"), parent, "metadata.labels"),
            annotations: self.pairs(at("annotations"), parent, "metadata.annotations"),
            owner: owner(at("ownerReferences")),
            span: node.span,
            templated: holds_template(node),
            live: at("uid").is_some(),
            kind,
            name,
            namespace,
        }
    }

    /// Reports an object without a name.
    pub(super) fn named(&mut self, node: &Node<'_>) {
        let metadata = node.get("metadata");
        let known = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(Node::as_str);
        if known("name").or(known("generateName")).is_none_or(str::is_empty) {
            let kind = node.get("kind").and_then(Node::as_str).unwrap_or("object");
            let message = format!("this {kind} has no metadata.name");
            self.report(ProblemKind::Invalid, metadata.map_or(node.span, |metadata| metadata.span), message);
        }
    }

    /// Labels, checked against the syntax that the API server wants.
    pub(super) fn labels(&mut self, node: Option<&Node<'_>>, parent: Span, what: &str) -> Labels {
        let labels = self.pairs(node, parent, what);
        for pair in &labels.pairs {
            if !pair.templated && !is_label_value(&pair.value.value) {
                let message = format!(
                    "{what}: {:?} is no label value: at most 63 letters, digits, '-', '_' or '.', \
                     with a letter or digit at both ends",
                    pair.value.value
                );
                self.report(ProblemKind::Invalid, pair.value.span, message);
            }
            if !pair.key.value.contains("{{") && !is_label_key(&pair.key.value) {
                let message = format!(
                    "{what}: {:?} is no label key: a name of at most 63 characters, with an optional \
                     DNS prefix and '/' before it",
                    pair.key.value
                );
                self.report(ProblemKind::Invalid, pair.key.span, message);
            }
        }
        labels
    }

    /// Labels or annotations.
    pub(super) fn pairs(&mut self, node: Option<&Node<'_>>, parent: Span, what: &str) -> Labels {
        let span = node.map_or(parent, |node| node.span);
        let mut incomplete = node.is_some_and(Node::is_templated);
        let mut pairs = Vec::new();
        for entry in self.entries(node, what) {
            let key = Text::new(entry.key.to_string(), entry.key_span);
            if key.value.contains("{{") {
                incomplete = true;
            }
            if entry.value.is_null() {
                pairs.push(Label {
                    key,
                    value: Text::new(String::new(), entry.value.span),
                    templated: false,
                });
            } else if let Some(value) = self.text(&entry.value, &format!("{what}.{}", entry.key)) {
                let templated = entry.value.is_templated() || is_substitution(&value);
                pairs.push(Label { key, value, templated });
            }
        }
        Labels { pairs, span, incomplete }
    }

    pub(super) fn selector(&mut self, node: Option<&Node<'_>>, parent: Span, what: &str) -> LabelSelector {
        let Some(node) = node else { return LabelSelector { span: parent, ..LabelSelector::default() } };
        self.entries(Some(node), what);
        self.known_fields(node, what, &["matchLabels", "matchExpressions"]);
        let label_what = format!("{what}.matchLabels");
        let mut match_labels = self.labels(node.get("matchLabels"), node.span, &label_what);
        match_labels.incomplete |= node.is_templated() || !matches!(node.value, Value::Map(_));
        let expressions = self.list(node.get("matchExpressions"), &format!("{what}.matchExpressions"));
        let match_expressions =
            expressions.iter().map(|item| self.match_expression(item, what)).collect::<Vec<_>>();
        LabelSelector { match_labels, match_expressions, span: node.span }
    }

    fn match_expression(&mut self, node: &Node<'_>, what: &str) -> MatchExpression {
        self.known_fields(node, "an item of matchExpressions", &["key", "operator", "values"]);
        let key = self.text_at(node, "key").unwrap_or_else(|| Text::new(String::new(), node.span));
        let word = self.text_at(node, "operator");
        let operator = match word.as_ref().map_or("", |word| word.value.as_str()) {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => Operator::Unknown,
        };
        let values = self.texts(node.get("values"), "values");
        let hidden = |key: &str| node.get(key).is_some_and(holds_template);
        let templated = hidden("key") || hidden("operator") || hidden("values");
        if !templated {
            self.check_expression(node, what, &key, operator, word.as_ref(), values.len());
        }
        MatchExpression { key, operator, values, span: node.span, templated }
    }

    fn check_expression(
        &mut self,
        node: &Node<'_>,
        what: &str,
        key: &Text,
        operator: Operator,
        word: Option<&Text>,
        values: usize,
    ) {
        let message = match operator {
            _ if key.value.is_empty() => format!("an expression of {what} has no key"),
            Operator::Unknown => format!(
                "operator {:?} does not exist: In, NotIn, Exists or DoesNotExist",
                word.map_or("", |word| word.value.as_str())
            ),
            Operator::In | Operator::NotIn if values == 0 => {
                format!("operator {} on key {key:?} needs values", operator.as_str(), key = key.value)
            }
            Operator::Exists | Operator::DoesNotExist if values > 0 => {
                format!("operator {} on key {key:?} must have no values", operator.as_str(), key = key.value)
            }
            _ => return,
        };
        let span = word.filter(|_| operator == Operator::Unknown).map_or(node.span, |word| word.span);
        self.report(ProblemKind::Invalid, span, message);
    }

    pub(super) fn config_map(&mut self, node: &Node<'_>, meta: Meta) -> ConfigMap {
        let data = self.pairs(node.get("data"), node.span, "data").pairs;
        ConfigMap { meta, data }
    }

    pub(super) fn secret(&mut self, node: &Node<'_>, meta: Meta) -> Secret {
        let mut keys = Vec::new();
        for field in ["data", "stringData"] {
            let entries = self.entries(node.get(field), field);
            keys.extend(entries.iter().map(|entry| Text::new(entry.key.to_string(), entry.key_span)));
        }
        Secret { meta, keys }
    }

    pub(super) fn autoscaler(&mut self, node: &Node<'_>, meta: Meta) -> Autoscaler {
        let target = node.at(&["spec", "scaleTargetRef"]);
        Autoscaler {
            meta,
            target_kind: target.and_then(|target| self.text_at(target, "kind")),
            target_name: target.and_then(|target| self.text_at(target, "name")),
        }
    }

    pub(super) fn disruption_budget(&mut self, node: &Node<'_>, meta: Meta) -> DisruptionBudget {
        let selector = node
            .at(&["spec", "selector"])
            .map(|selector| self.selector(Some(selector), node.span, "spec.selector"));
        DisruptionBudget { meta, selector }
    }

    pub(super) fn service_monitor(&mut self, node: &Node<'_>, meta: Meta) -> ServiceMonitor {
        let spaces = node.at(&["spec", "namespaceSelector"]);
        ServiceMonitor {
            selector: self.selector(node.at(&["spec", "selector"]), node.span, "spec.selector"),
            namespaces: self.texts(spaces.and_then(|spaces| spaces.get("matchNames")), "matchNames"),
            any_namespace: self.boolean(spaces.and_then(|spaces| spaces.get("any")), "any"),
            meta,
        }
    }
}

fn owner(node: Option<&Node<'_>>) -> Option<Owner> {
    let Value::Seq(items) = &node?.value else { return None };
    let first = items.first()?;
    let text = |key: &str| first.get(key).and_then(Node::as_str).map(str::to_owned);
    Some(Owner { kind: text("kind").unwrap_or_default(), name: text("name")? })
}

/// Whether a template hides any part of this tree.
pub(super) fn holds_template(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Scalar(scalar) => scalar.templated,
        Value::Seq(items) => items.iter().any(holds_template),
        Value::Map(entries) => {
            entries.iter().any(|entry| entry.key.contains("{{") || holds_template(&entry.value))
        }
    }
}

/// Whether a value is put in later by `envsubst`, Flux and the like: `${NAME}`.
pub(super) fn is_substitution(text: &str) -> bool {
    text.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

fn is_name(text: &str, most: usize) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= most
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text, 63)
}

fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => {
            is_name(name, 63)
                && is_name(prefix, 253)
                && !prefix.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_')
        }
        None => is_name(text, 63),
    }
}

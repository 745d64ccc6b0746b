//! The environment that a container will see, as far as the input tells.

use std::collections::HashMap;

use crate::object::{ConfigMap, Container, EnvValue, EnvVar, Secret};
use crate::read::Input;
use crate::source::Span;

/// ConfigMaps and Secrets by namespace and name.
pub(crate) struct Configs<'a> {
    maps: HashMap<(&'a str, &'a str), &'a ConfigMap>,
    secrets: HashMap<(&'a str, &'a str), &'a Secret>,
}

impl<'a> Configs<'a> {
    /// Indexes the input.
    pub(crate) fn new(input: &'a Input, default_namespace: &'a str) -> Self {
        let maps = input
            .config_maps
            .iter()
            .map(|map| ((map.meta.namespace_or(default_namespace), map.meta.name.value.as_str()), map));
        let secrets = input.secrets.iter().map(|secret| {
            ((secret.meta.namespace_or(default_namespace), secret.meta.name.value.as_str()), secret)
        });
        Self { maps: maps.collect(), secrets: secrets.collect() }
    }

    /// A ConfigMap.
    pub(crate) fn map(&self, namespace: &str, name: &str) -> Option<&'a ConfigMap> {
        self.maps.get(&(namespace, name)).copied()
    }

    /// A Secret.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Secret> {
        self.secrets.get(&(namespace, name)).copied()
    }
}

/// What is known of a variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// The text; parts of it may still be open (see [`is_partial`]).
    Known(String),
    /// In a Secret, or in a ConfigMap that is not in the input.
    Hidden,
    /// The ConfigMap or Secret is in the input and does not have the key.
    Absent,
    /// Known only when the pod runs.
    Runtime,
}

/// A variable.
#[derive(Clone, Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Where the workload sets it.
    pub(crate) span: Span,
    /// Where the value itself stands, when that is elsewhere (in a ConfigMap).
    pub(crate) value_span: Option<Span>,
    /// Where the value comes from.
    pub(crate) origin: Origin<'a>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// Written in the workload.
    Literal,
    /// A key of a ConfigMap; the flag says whether the ConfigMap is in the input.
    ConfigMap(&'a str, &'a str, bool),
    /// A key of a Secret; the flag says whether the Secret is in the input.
    Secret(&'a str, &'a str, bool),
    /// A field of the pod.
    Field,
}

impl std::fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal => f.write_str("a literal value"),
            Self::ConfigMap(name, key, true) => write!(f, "ConfigMap {name}, key {key}"),
            Self::ConfigMap(name, key, false) => {
                write!(f, "ConfigMap {name}, key {key}; the ConfigMap is not in the input")
            }
            Self::Secret(name, key, _) => write!(f, "Secret {name}, key {key}"),
            Self::Field => f.write_str("a field of the pod"),
        }
    }
}

/// The variables of a container in the order in which Kubernetes sets them; a later one with the same name has
/// replaced the earlier.
pub(crate) fn variables<'a>(
    container: &'a Container,
    namespace: &str,
    configs: &Configs<'a>,
) -> Vec<Variable<'a>> {
    let mut found: Vec<Variable<'a>> = Vec::new();
    for source in &container.env_from {
        let prefix = source.prefix.as_ref().map_or("", |prefix| prefix.value.as_str());
        let owner = source.name.value.as_str();
        if source.secret {
            let keys = configs.secret(namespace, owner).map_or(&[][..], |secret| &secret.keys);
            for key in keys {
                set(
                    &mut found,
                    Variable {
                        name: format!("{prefix}{key}"),
                        value: Value::Hidden,
                        span: source.span,
                        value_span: Some(key.span),
                        origin: Origin::Secret(owner, &key.value, true),
                    },
                );
            }
        } else if let Some(map) = configs.map(namespace, owner) {
            for pair in &map.data {
                let value = Value::Known(pair.value.value.clone());
                set(
                    &mut found,
                    Variable {
                        name: format!("{prefix}{}", pair.key),
                        value,
                        span: source.span,
                        value_span: Some(pair.value.span),
                        origin: Origin::ConfigMap(owner, &pair.key.value, true),
                    },
                );
            }
        }
    }
    for entry in &container.env {
        let variable = entry_variable(entry, &found, namespace, configs);
        set(&mut found, variable);
    }
    found
}

/// One entry of `env`; `before` are the variables that stand before it.
fn entry_variable<'a>(
    entry: &'a EnvVar,
    before: &[Variable<'a>],
    namespace: &str,
    configs: &Configs<'a>,
) -> Variable<'a> {
    let mut variable = Variable {
        name: entry.name.value.clone(),
        value: Value::Runtime,
        span: entry.span,
        value_span: None,
        origin: Origin::Field,
    };
    match &entry.value {
        EnvValue::Literal(text, _) => {
            variable.value = Value::Known(expand(&text.value, before));
            variable.value_span = Some(text.span);
            variable.origin = Origin::Literal;
        }
        EnvValue::ConfigMapKey(reference) => {
            let (owner, key) = (reference.name.value.as_str(), reference.key.value.as_str());
            let map = configs.map(namespace, owner);
            variable.origin = Origin::ConfigMap(owner, key, map.is_some());
            let pair = map.map(|map| map.data.iter().find(|pair| pair.key.value == key));
            variable.value_span = pair.flatten().map(|pair| pair.value.span);
            variable.value = match pair {
                None => Value::Hidden,
                Some(None) => Value::Absent,
                Some(Some(pair)) => Value::Known(pair.value.value.clone()),
            };
        }
        EnvValue::SecretKey(reference) => {
            let (owner, key) = (reference.name.value.as_str(), reference.key.value.as_str());
            let secret = configs.secret(namespace, owner);
            variable.origin = Origin::Secret(owner, key, secret.is_some());
            let lacks = secret.is_some_and(|secret| !secret.keys.iter().any(|known| known.value == key));
            variable.value = if lacks { Value::Absent } else { Value::Hidden };
        }
        EnvValue::Field(_) | EnvValue::Other => {}
    }
    variable
}

fn set<'a>(found: &mut Vec<Variable<'a>>, variable: Variable<'a>) {
    match found.iter_mut().find(|known| known.name == variable.name) {
        Some(known) => *known = variable,
        None => found.push(variable),
    }
}

/// Stands in an expanded text for a value that is not known; never part of a host name.
const OPEN: char = '\u{FFFC}';

/// Whether a part of the text is not known: it came from a Secret or a template.
pub(crate) fn is_partial(text: &str) -> bool {
    text.contains(OPEN) || text.contains("{{")
}

/// Replaces `$(NAME)` by the values of the variables set before; `$$(` is a literal `$(`, and a name that is not
/// set stays as it is. A value that is not known leaves a mark (see [`is_partial`]).
pub(crate) fn expand(text: &str, variables: &[Variable<'_>]) -> String {
    if !text.contains("$(") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let tail = rest.get(at..).unwrap_or("");
        if let Some(behind) = tail.strip_prefix("$$") {
            out.push('$');
            rest = behind;
            continue;
        }
        let Some((name, behind)) = tail.strip_prefix("$(").and_then(|inside| inside.split_once(')')) else {
            out.push('$');
            rest = tail.get(1..).unwrap_or("");
            continue;
        };
        match variables.iter().find(|variable| variable.name == name).map(|variable| &variable.value) {
            Some(Value::Known(value)) => out.push_str(value),
            Some(_) => out.push(OPEN),
            None => out.extend(["$(", name, ")"]),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: Value) -> Variable<'static> {
        Variable {
            name: name.to_owned(),
            value,
            span: Span::default(),
            value_span: None,
            origin: Origin::Literal,
        }
    }

    #[test]
    fn variables_are_expanded_as_kubernetes_does() {
        let known = [variable("A", Value::Known("x".to_owned())), variable("S", Value::Hidden)];
        assert_eq!(expand("$(A)-$(B)-$$(A)-$", &known), "x-$(B)-$(A)-$");
        let open = expand("mysql://u:$(S)@db:3306/x", &known);
        assert!(is_partial(&open));
        assert!(!open.contains("$(S)"));
    }
}

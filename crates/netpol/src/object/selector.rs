//! Label selectors and what they match.

use super::Labels;
use crate::source::{Span, Text};

/// An answer that may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tri {
    /// Certainly not.
    No,
    /// Not known from the input.
    Maybe,
    /// Certainly.
    Yes,
}

impl Tri {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// Operator of a match expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The key has one of the values.
    In,
    /// The key is absent or has none of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// Not an operator that Kubernetes knows.
    Unknown,
}

impl Operator {
    /// As written in YAML; `?` for an unknown one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
            Self::Unknown => "?",
        }
    }
}

/// One item of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchExpression {
    /// The label key.
    pub key: Text,
    /// The operator.
    pub operator: Operator,
    /// The values, for `In` and `NotIn`.
    pub values: Vec<Text>,
    /// The item.
    pub span: Span,
    /// A part comes from a template and is not known.
    pub templated: bool,
}

/// A label selector; all its parts must match, an empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// `matchLabels`.
    pub match_labels: Labels,
    /// `matchExpressions`.
    pub match_expressions: Vec<MatchExpression>,
    /// The selector, or its parent where it is missing.
    pub span: Span,
}

impl LabelSelector {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty() && !self.match_labels.incomplete
    }

    /// Whether it matches these labels. `Maybe` when a template hides a part of either side.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> Tri {
        let mut answer = if self.match_labels.incomplete { Tri::Maybe } else { Tri::Yes };
        for requirement in self.requirements() {
            answer = answer.and(requirement.matches(labels));
            if answer == Tri::No {
                break;
            }
        }
        answer
    }

    /// All requirements, `matchLabels` first.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        let labels = self.match_labels.pairs.iter().map(Requirement::Label);
        labels.chain(self.match_expressions.iter().map(Requirement::Expression))
    }
}

/// One requirement of a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement<'a> {
    /// A pair of `matchLabels`.
    Label(&'a super::Label),
    /// An item of `matchExpressions`.
    Expression(&'a MatchExpression),
}

impl<'a> Requirement<'a> {
    /// The label key.
    #[must_use]
    pub fn key(&self) -> &'a str {
        match self {
            Self::Label(pair) => &pair.key.value,
            Self::Expression(expression) => &expression.key.value,
        }
    }

    /// Where it is written: the value of a pair, or the expression.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Label(pair) => pair.value.span,
            Self::Expression(expression) => expression.span,
        }
    }

    /// The values it names.
    pub fn values(&self) -> impl Iterator<Item = &'a str> {
        let (one, many): (Option<&'a str>, &'a [Text]) = match self {
            Self::Label(pair) => (Some(&pair.value.value), &[]),
            Self::Expression(expression) => (None, &expression.values),
        };
        one.into_iter().chain(many.iter().map(|value| value.value.as_str()))
    }

    /// The operator; a pair of `matchLabels` is an `In` with one value.
    #[must_use]
    pub fn operator(&self) -> Operator {
        match self {
            Self::Label(_) => Operator::In,
            Self::Expression(expression) => expression.operator,
        }
    }

    /// Whether these labels meet it.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> Tri {
        let templated = match self {
            Self::Label(pair) => pair.templated,
            Self::Expression(expression) => expression.templated,
        };
        let operator = self.operator();
        if templated || operator == Operator::Unknown {
            return Tri::Maybe;
        }
        let Some(pair) = labels.get(self.key()) else {
            return match operator {
                _ if labels.incomplete => Tri::Maybe,
                Operator::NotIn | Operator::DoesNotExist => Tri::Yes,
                _ => Tri::No,
            };
        };
        match operator {
            Operator::Exists => Tri::Yes,
            Operator::DoesNotExist => Tri::No,
            _ if pair.templated => Tri::Maybe,
            Operator::In => self.values().any(|value| value == pair.value.value).into(),
            _ => (!self.values().any(|value| value == pair.value.value)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(operator: Operator, values: &[&str]) -> LabelSelector {
        let text = |value: &str| Text { value: value.to_owned(), span: Span::default() };
        LabelSelector {
            match_expressions: vec![MatchExpression {
                key: text("k"),
                operator,
                values: values.iter().map(|value| text(value)).collect(),
                span: Span::default(),
                templated: false,
            }],
            ..LabelSelector::default()
        }
    }

    #[test]
    fn not_in_and_does_not_exist_match_objects_without_the_key() {
        let bare = Labels::default();
        assert_eq!(selector(Operator::NotIn, &["a"]).matches(&bare), Tri::Yes);
        assert_eq!(selector(Operator::DoesNotExist, &[]).matches(&bare), Tri::Yes);
        assert_eq!(selector(Operator::In, &["a"]).matches(&bare), Tri::No);
        assert_eq!(selector(Operator::Exists, &[]).matches(&bare), Tri::No);
    }

    #[test]
    fn labels_that_a_template_hides_leave_the_answer_open() {
        let hidden = Labels { incomplete: true, ..Labels::default() };
        assert_eq!(selector(Operator::In, &["a"]).matches(&hidden), Tri::Maybe);
        assert_eq!(selector(Operator::NotIn, &["a"]).matches(&hidden), Tri::Maybe);
    }

    #[test]
    fn an_unknown_operator_is_not_guessed() {
        assert_eq!(
            selector(Operator::Unknown, &["a"]).matches(&Labels::from_pairs([("k", "a")])),
            Tri::Maybe
        );
    }
}

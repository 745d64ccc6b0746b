//! Label selectors, as the API documents them.

use std::collections::BTreeMap;

use netpol::object::{LabelSelector, Operator};

/// Whether every requirement holds. `Err` says why the selector cannot be evaluated.
pub(super) fn selects(
    selector: &LabelSelector,
    labels: &BTreeMap<String, String>,
) -> Result<bool, &'static str> {
    if selector.match_labels.incomplete {
        return Err("a template hides labels of a selector");
    }
    for pair in &selector.match_labels.pairs {
        if pair.templated {
            return Err("a template hides a label of a selector");
        }
        if labels.get(&pair.key.value) != Some(&pair.value.value) {
            return Ok(false);
        }
    }
    for expression in &selector.match_expressions {
        if expression.templated {
            return Err("a template hides an expression of a selector");
        }
        let value = labels.get(&expression.key.value);
        let listed = value.is_some_and(|value| expression.values.iter().any(|wanted| wanted.value == *value));
        let holds = match expression.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Unknown => return Err("an operator of a selector is unknown"),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

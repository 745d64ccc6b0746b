//! The report for Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{NodeKind, ReachReport};

/// A directed graph, namespaces as clusters.
#[must_use]
pub fn dot(report: &ReachReport) -> String {
    let mut text =
        "digraph reach {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, \
                    fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n"
            .to_owned();
    let mut namespaces: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, node) in report.nodes.iter().enumerate() {
        match &node.namespace {
            Some(namespace) => namespaces.entry(namespace).or_default().push(index),
            None => write_node(&mut text, "  ", index, &node.name, node.kind),
        }
    }
    for (number, (namespace, nodes)) in namespaces.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(namespace));
        for index in nodes {
            let full = report.name(*index);
            let name = full.strip_prefix(&format!("{namespace}/")).unwrap_or(full);
            write_node(&mut text, "    ", *index, name, NodeKind::Workloads);
        }
        text.push_str("  }\n");
    }
    for connection in &report.connections {
        let style = match (connection.is_unknown(), connection.is_everything()) {
            (true, _) => ", style=dashed",
            (_, true) => ", color=red",
            _ => "",
        };
        let label = quoted(&connection.label());
        let _ = writeln!(text, "  n{} -> n{} [label={label}{style}];", connection.from, connection.to);
    }
    text.push_str("}\n");
    text
}

fn write_node(text: &mut String, indent: &str, index: usize, name: &str, kind: NodeKind) {
    let shape = match kind {
        NodeKind::Workloads => "",
        NodeKind::OtherPods => ", style=\"rounded,dashed\"",
        NodeKind::Addresses => ", shape=ellipse",
    };
    let _ = writeln!(text, "{indent}n{index} [label={}{shape}];", quoted(name));
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' | '\r' => quoted.push(' '),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"]; b\\"), r#""a\"]; b\\""#);
    }
}

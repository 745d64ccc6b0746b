//! The report as a drawing: senders on the left, receivers on the right, a curve for each connection.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::html::escape;
use super::{Connection, NodeKind, ReachReport};

/// Sizes in pixels.
const ROW: usize = 34;
const BOX: usize = 26;
const WIDTH: usize = 1080;
const COLUMN: usize = 360;
const MARGIN: usize = 16;
const TOP: usize = 44;
/// Longest name that fits a box.
const NAME: usize = 46;

/// A drawing that stands alone, in the colours the viewer prefers.
#[must_use]
pub fn svg(report: &ReachReport) -> String {
    let style = format!("<style>{}</style>", include_str!("graph.css"));
    draw(report, &style)
}

/// The drawing, with whatever belongs inside its root element first.
pub(crate) fn draw(report: &ReachReport, inside: &str) -> String {
    let left = senders(report);
    let right = receivers(report, &left);
    let rows = left.len().max(right.len()).max(1);
    let height = TOP + rows * ROW + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Allowed connections, senders on the left, receivers on the right\">{inside}"
    );
    let _ = write!(
        text,
        "<text class=\"head\" x=\"{MARGIN}\" y=\"26\">sends</text><text class=\"head\" x=\"{}\" y=\"26\">receives</text>",
        WIDTH - MARGIN - COLUMN
    );
    // The shorter column stands in the middle of the longer one.
    let place = |order: &[usize]| -> BTreeMap<usize, usize> {
        let shift = (rows - order.len()) * ROW / 2;
        order.iter().enumerate().map(|(row, node)| (*node, TOP + shift + row * ROW)).collect()
    };
    let (from, to) = (place(&left), place(&right));
    text.push_str("<g class=\"edges\">");
    for (index, connection) in report.connections.iter().enumerate() {
        if let (Some(a), Some(b)) = (from.get(&connection.from), to.get(&connection.to)) {
            write_edge(&mut text, report, index, connection, a + BOX / 2, b + BOX / 2);
        }
    }
    text.push_str("</g><g class=\"nodes\">");
    for (node, y) in &from {
        write_node(&mut text, report, *node, MARGIN, *y, "from");
    }
    for (node, y) in &to {
        write_node(&mut text, report, *node, WIDTH - MARGIN - COLUMN, *y, "to");
    }
    text.push_str("</g></svg>\n");
    text
}

/// Nodes that send, in the order of the report.
pub(super) fn senders(report: &ReachReport) -> Vec<usize> {
    let sends = |node: &usize| report.connections.iter().any(|connection| connection.from == *node);
    (0..report.nodes.len()).filter(sends).collect()
}

/// Nodes that receive, each near its senders, so that few curves cross.
fn receivers(report: &ReachReport, left: &[usize]) -> Vec<usize> {
    let rows: BTreeMap<usize, usize> = left.iter().enumerate().map(|(row, node)| (*node, row)).collect();
    let mut sums: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for connection in &report.connections {
        let row = rows.get(&connection.from).copied().unwrap_or(0);
        let sum = sums.entry(connection.to).or_default();
        *sum = (sum.0 + row, sum.1 + 1);
    }
    let mut order: Vec<(usize, usize)> =
        sums.into_iter().map(|(node, (sum, count))| (sum * 1000 / count.max(1), node)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, node)| node).collect()
}

fn write_edge(
    text: &mut String,
    report: &ReachReport,
    index: usize,
    connection: &Connection,
    from: usize,
    to: usize,
) {
    let (x1, x2) = (MARGIN + COLUMN, WIDTH - MARGIN - COLUMN);
    let middle = (x1 + x2) / 2;
    let title =
        format!("{} → {}: {}", report.name(connection.from), report.name(connection.to), connection.label());
    let _ = write!(
        text,
        "<path class=\"edge {}\" data-c=\"{index}\" d=\"M{x1} {from}C{middle} {from} {middle} {to} {x2} {to}\"><title>{}\
         </title></path>",
        class(connection),
        escape(&title)
    );
}

/// The style of a connection.
pub(super) fn class(connection: &Connection) -> &'static str {
    match (connection.is_unknown(), connection.is_everything()) {
        (true, _) => "unknown",
        (_, true) => "all",
        _ => "some",
    }
}

fn write_node(text: &mut String, report: &ReachReport, index: usize, x: usize, y: usize, side: &str) {
    let Some(node) = report.nodes.get(index) else { return };
    let kind = match node.kind {
        NodeKind::Workloads => "workloads",
        NodeKind::OtherPods => "other",
        NodeKind::Addresses => "addresses",
    };
    let title = format!("{}\n{}", node.name, node.members.join("\n"));
    let _ = write!(
        text,
        "<g class=\"node {kind}\" data-n=\"{index}\" data-side=\"{side}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" \
         width=\"{COLUMN}\" height=\"{BOX}\" rx=\"6\"/><text x=\"{}\" y=\"{}\">",
        escape(title.trim_end()),
        x + 12,
        y + 17
    );
    let short = shorten(&node.name);
    match node.namespace.as_deref().and_then(|namespace| short.strip_prefix(&format!("{namespace}/"))) {
        Some(name) => {
            let namespace = node.namespace.as_deref().unwrap_or("");
            let _ = write!(text, "<tspan class=\"ns\">{}/</tspan>{}", escape(namespace), escape(name));
        }
        None => text.push_str(&escape(&short)),
    }
    text.push_str("</text></g>");
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(NAME - 1).collect();
    short.push('…');
    short
}

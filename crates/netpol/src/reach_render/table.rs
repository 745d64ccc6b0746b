//! The report as a table for a terminal.

use std::fmt::Write as _;

use super::ReachReport;
use crate::object::Direction;

/// Widest column; longer cells push the rest of their row.
const WIDEST: usize = 60;

/// The table, sender by sender, and below it who is not protected at all.
#[must_use]
pub fn table(report: &ReachReport) -> String {
    let header = ["FROM", "TO", "PORTS", "ALLOWED BY"].map(str::to_owned);
    let rows = report.connections.iter().map(|connection| {
        let to = if connection.from == connection.to {
            "each other".to_owned()
        } else {
            report.name(connection.to).to_owned()
        };
        [report.name(connection.from).to_owned(), to, connection.label(), rules(report, connection)]
    });
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    let mut last = "";
    for row in &rows {
        // A sender is named once; its other rows stay open at the left.
        let from = if row[0] == last { "" } else { &row[0] };
        last = &row[0];
        let cells = [from, &row[1], &row[2]];
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "{cell}{}  ", " ".repeat(width.saturating_sub(cell.chars().count())));
        }
        let _ = writeln!(text, "{}", row[3]);
    }
    text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    text.push('\n');
    write_groups(&mut text, report);
    let open: Vec<&str> = report.unprotected().iter().map(|node| node.name.as_str()).collect();
    if !open.is_empty() {
        let _ = writeln!(text, "\nNot isolated by any policy: {}", open.join(", "));
    }
    let assumed = match report.assumed_default_deny.as_slice() {
        [] => String::new(),
        namespaces => format!("; default-deny assumed in {}", namespaces.join(", ")),
    };
    let _ = writeln!(text, "\nProfile: {}{assumed}", report.profile);
    text
}

/// Who is behind the names that stand for several.
fn write_groups(text: &mut String, report: &ReachReport) {
    let groups = report.nodes.iter().filter(|node| node.members.len() > 1);
    for (index, node) in groups.enumerate() {
        if index == 0 {
            text.push('\n');
        }
        let _ = writeln!(text, "{}: {}", node.name, node.members.join(", "));
    }
}

fn rules(report: &ReachReport, connection: &super::Connection) -> String {
    let mut parts: Vec<String> = connection.egress_rules.iter().map(ToString::to_string).collect();
    parts.extend(connection.ingress_rules.iter().map(ToString::to_string));
    if parts.is_empty() && isolating(report, connection).is_empty() {
        return "no policy".to_owned();
    }
    parts.join(", ")
}

/// Policies that isolate either end.
fn isolating<'r>(report: &'r ReachReport, connection: &super::Connection) -> Vec<&'r String> {
    let list = |index: usize, direction: Direction| {
        let node = report.nodes.get(index);
        let list = node.and_then(|node| match direction {
            Direction::Egress => node.isolated_egress.as_ref(),
            Direction::Ingress => node.isolated_ingress.as_ref(),
        });
        list.into_iter().flatten()
    };
    list(connection.from, Direction::Egress).chain(list(connection.to, Direction::Ingress)).collect()
}

//! The report as one page: a matrix, a graph and a list, with everything it needs inside.
//!
//! All of it is there without scripts; the script adds search, details and the keyboard. The page's own policy
//! forbids it to load anything.

use std::fmt::Write as _;

use super::svg::{class, draw, senders};
use super::{Connection, NodeKind, ReachReport};

/// Ports shown in a cell of the matrix.
const IN_CELL: usize = 2;

/// The page.
#[must_use]
pub fn html(report: &ReachReport) -> String {
    let mut text = String::with_capacity(64 * 1024);
    text.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    text.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n",
    );
    text.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    text.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n<title>Who can reach whom</title>\n");
    let _ = write!(
        text,
        "<style>\n{}\n{}</style>\n</head>\n<body>\n",
        include_str!("page.css"),
        include_str!("graph.css")
    );
    write_head(&mut text, report);
    text.push_str("<main>\n");
    text.push_str("<section id=\"matrix\" aria-labelledby=\"tab-matrix\"><h2>Matrix</h2>\n");
    write_matrix(&mut text, report);
    text.push_str("</section>\n");
    let _ = write!(
        text,
        "<section id=\"graph\" aria-labelledby=\"tab-graph\"><h2>Graph</h2>\n<div class=\"scroll\">{}</div></section>\n",
        draw(report, "")
    );
    text.push_str("<section id=\"list\" aria-labelledby=\"tab-list\"><h2>List</h2>\n");
    write_list(&mut text, report);
    text.push_str("</section>\n</main>\n<aside id=\"details\" aria-live=\"polite\" hidden></aside>\n");
    let _ = writeln!(text, "<script type=\"application/json\" id=\"data\">{}</script>", json(report));
    let _ = write!(text, "<script>\n{}</script>\n</body>\n</html>\n", include_str!("page.js"));
    text
}

/// Text that is safe in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters are not allowed in a document, save these.
            c if c.is_control() && !matches!(c, '\n' | '\t') => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

/// JSON that cannot end the script element it stands in.
fn json(report: &ReachReport) -> String {
    let text = serde_json::to_string(report).unwrap_or_else(|_| "null".to_owned());
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn write_head(text: &mut String, report: &ReachReport) {
    let workloads: usize = report
        .nodes
        .iter()
        .filter(|node| node.kind == NodeKind::Workloads)
        .map(|node| node.members.len())
        .sum();
    let count =
        |wanted: &str| report.connections.iter().filter(|connection| class(connection) == wanted).count();
    text.push_str("<header>\n<div class=\"title\"><h1>Who can reach whom</h1>\n<p class=\"facts\">");
    let _ = write!(text, "<span>{}</span>", plural(workloads, "workload"));
    let _ = write!(text, "<span>profile {}</span>", escape(&report.profile));
    if !report.assumed_default_deny.is_empty() {
        let _ = write!(
            text,
            "<span>default-deny assumed in {}</span>",
            escape(&report.assumed_default_deny.join(", "))
        );
    }
    let open = report.unprotected();
    if !open.is_empty() {
        let names: Vec<&str> = open.iter().map(|node| node.name.as_str()).collect();
        let _ = write!(
            text,
            "<span class=\"warn\" title=\"{}\">{} without any policy</span>",
            escape(&names.join("\n")),
            plural(open.iter().map(|node| node.members.len()).sum(), "workload")
        );
    }
    text.push_str("</p></div>\n<div class=\"tools\">\n");
    text.push_str(
        "<label class=\"search\"><span class=\"sr\">Search names, ports, policies</span><input id=\"search\" \
         type=\"search\" placeholder=\"Search names, ports, policies  ( / )\" autocomplete=\"off\" \
         spellcheck=\"false\"></label>\n",
    );
    text.push_str("<div class=\"tabs\" role=\"tablist\" aria-label=\"View\">");
    for (id, name) in [("matrix", "Matrix"), ("graph", "Graph"), ("list", "List")] {
        let _ = write!(
            text,
            "<button type=\"button\" role=\"tab\" id=\"tab-{id}\" data-view=\"{id}\" aria-controls=\"{id}\">{name}</button>"
        );
    }
    text.push_str("</div>\n<button type=\"button\" id=\"theme\" aria-label=\"Switch between light and dark\">◐</button>\n</div>\n");
    text.push_str("<ul class=\"legend\" aria-label=\"Legend\">");
    for (name, words) in [("some", "some ports"), ("all", "every port"), ("unknown", "not told by the files")]
    {
        let _ = write!(text, "<li><i class=\"{name}\"></i>{words} <b>{}</b></li>", count(name));
    }
    text.push_str("</ul>\n</header>\n");
}

pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

pub(crate) fn write_matrix(text: &mut String, report: &ReachReport) {
    let rows = senders(report);
    let receives = |node: &usize| report.connections.iter().any(|connection| connection.to == *node);
    let columns: Vec<usize> = (0..report.nodes.len()).filter(receives).collect();
    text.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Matrix of senders and receivers\"><table \
         class=\"matrix\"><thead><tr><th class=\"corner\" scope=\"col\"><span>from ↓</span><span>to →</span></th>",
    );
    for node in &columns {
        let _ = write!(
            text,
            "<th scope=\"col\" data-n=\"{node}\"><span>{}</span></th>",
            name_html(report, *node)
        );
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    let at = |from: usize, to: usize| {
        let found = report.connections.binary_search_by_key(&(from, to), |one| (one.from, one.to)).ok()?;
        Some((found, report.connections.get(found)?))
    };
    for from in &rows {
        let _ = write!(text, "<tr><th scope=\"row\" data-n=\"{from}\">{}</th>", name_html(report, *from));
        for to in &columns {
            match at(*from, *to) {
                Some((index, connection)) => {
                    let _ = write!(
                        text,
                        "<td class=\"{}\" data-c=\"{index}\" tabindex=\"-1\" title=\"{}\">{}</td>",
                        class(connection),
                        escape(&connection.label()),
                        escape(&cell(connection))
                    );
                }
                None => text.push_str("<td class=\"none\">·</td>"),
            }
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
}

/// What fits a cell: a few port numbers and how many more.
fn cell(connection: &Connection) -> String {
    let (ports, mark) = match connection.ports.as_str() {
        "none" => (connection.unknown.as_str(), "?"),
        ports => (ports, if connection.unknown == "none" { "" } else { "?" }),
    };
    if ports == "all" {
        return format!("all{mark}");
    }
    let numbers = ports.split([' ', ',']).filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut numbers: Vec<&str> = numbers.collect();
    numbers.sort_by_key(|number| (number.len(), *number));
    numbers.dedup();
    if numbers.is_empty() {
        return format!("{ports}{mark}");
    }
    let shown = numbers.iter().take(IN_CELL).copied().collect::<Vec<_>>().join(" ");
    match numbers.len().saturating_sub(IN_CELL) {
        0 => format!("{shown}{mark}"),
        more => format!("{shown} +{more}{mark}"),
    }
}

fn name_html(report: &ReachReport, index: usize) -> String {
    let Some(node) = report.nodes.get(index) else { return String::new() };
    let kind = match node.kind {
        NodeKind::Workloads => "",
        NodeKind::OtherPods | NodeKind::Addresses => " class=\"outside\"",
    };
    let prefix = node.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    match node.name.strip_prefix(&prefix).filter(|_| !prefix.is_empty()) {
        Some(name) => format!("<small>{}</small>{}", escape(&prefix), escape(name)),
        None => format!("<em{kind}>{}</em>", escape(&node.name)),
    }
}

pub(crate) fn write_list(text: &mut String, report: &ReachReport) {
    text.push_str("<ul class=\"list\">\n");
    for (index, connection) in report.connections.iter().enumerate() {
        let to = if connection.from == connection.to {
            "<em>each other</em>".to_owned()
        } else {
            name_html(report, connection.to)
        };
        let rules = connection.egress_rules.iter().chain(&connection.ingress_rules);
        let rules: Vec<String> = rules.map(ToString::to_string).collect();
        let rules = if rules.is_empty() { "no policy is in the way".to_owned() } else { rules.join(" · ") };
        let _ = writeln!(
            text,
            "<li class=\"{}\" data-c=\"{index}\" tabindex=\"-1\"><span class=\"pair\"><b>{}</b> → <b>{to}</b></span>\
             <span class=\"ports\">{}</span><span class=\"rules\">{}</span></li>",
            class(connection),
            name_html(report, connection.from),
            escape(&connection.label()),
            escape(&rules)
        );
    }
    if report.connections.is_empty() {
        text.push_str("<li class=\"empty\">Nothing is allowed.</li>\n");
    }
    text.push_str("</ul>\n");
}

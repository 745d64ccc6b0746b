//! The whole report as one page, to attach to a ticket: findings, needs, and who can reach whom.
//!
//! There is no script in it, and its own policy forbids it to load anything. What colour says is said in words as well.

mod findings;
mod needs;

use std::fmt::Write as _;

use crate::findings::Severity;
use crate::model::Model;
use crate::needs::WorkloadNeeds;
use crate::reach_render::{NodeKind, ReachReport, draw, escape, plural, write_list, write_matrix};

use super::Context;

/// The page. `needs` are those of all workloads of the model, by their index (see [`crate::needs::derive`]).
#[must_use]
pub fn page(context: &Context<'_>, model: &Model<'_>, needs: &[WorkloadNeeds]) -> String {
    let mut text = String::with_capacity(64 * 1024);
    text.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    text.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'\">\n",
    );
    text.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    text.push_str(
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Network policy report</title>\n",
    );
    let _ = write!(
        text,
        "<style>\n{}\n{}\n{}</style>\n</head>\n<body class=\"report\">\n",
        include_str!("../../reach_render/page.css"),
        include_str!("../../reach_render/graph.css"),
        include_str!("page.css")
    );
    let reach = ReachReport::new(model);
    let judged = needs::judge(context, model, needs);
    head(&mut text, context, &judged);
    text.push_str("<main>\n");
    findings::write(&mut text, context);
    needs::write(&mut text, context, needs, &judged);
    write_reach(&mut text, &reach);
    text.push_str("</main>\n</body>\n</html>\n");
    text
}

fn head(text: &mut String, context: &Context<'_>, judged: &needs::Judgements) {
    text.push_str("<header>\n<div class=\"title\"><h1>Network policy report</h1>\n<p class=\"facts\">");
    let input = context.input;
    let mut facts = vec![
        plural(context.checked_files.min(input.files.len()), "file"),
        plural(judged.workloads(), "workload"),
        match input.policies.len() + input.admin_policies.len() {
            1 => "1 policy".to_owned(),
            count => format!("{count} policies"),
        },
        format!("profile {}", context.profile()),
    ];
    if !context.options.assume_default_deny.is_empty() {
        facts.push(format!("default-deny assumed in {}", context.options.assume_default_deny.join(", ")));
    }
    for fact in facts {
        let _ = write!(text, "<span>{}</span>", escape(&fact));
    }
    text.push_str("</p></div>\n");
    text.push_str(
        "<nav aria-label=\"Contents\"><a href=\"#findings\">Findings</a> <a href=\"#needs\">Needs</a> \
         <a href=\"#reach\">Who can reach whom</a></nav>\n",
    );
    text.push_str("<ul class=\"cards\" aria-label=\"Summary\">");
    let report = context.report;
    for (severity, word) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
    {
        card(text, report.count(severity), word, severity.as_str());
    }
    for (count, word) in
        [(report.suppressed().count(), "suppressed finding"), (context.problems().count(), "input problem")]
    {
        if count > 0 {
            card(text, count, word, if word.starts_with("input") { "error" } else { "info" });
        }
    }
    let [allowed, unknown, denied] = judged.totals();
    for (count, words, class) in [
        (denied, ["need denied", "needs denied"], "error"),
        (unknown, ["need open", "needs open"], "warning"),
        (allowed, ["need allowed", "needs allowed"], "good"),
    ] {
        let class = if count == 0 { "zero" } else { class };
        let [one, many] = words;
        let _ =
            write!(text, "<li class=\"{class}\"><b>{count}</b> {}</li>", if count == 1 { one } else { many });
    }
    text.push_str("</ul>\n</header>\n");
}

fn card(text: &mut String, count: usize, word: &str, class: &str) {
    let class = if count == 0 { "zero" } else { class };
    let plural = if count == 1 { "" } else { "s" };
    let _ = write!(text, "<li class=\"{class}\"><b>{count}</b> {word}{plural}</li>");
}

/// Workloads without any allowed connection: they are in no row and no column.
fn cut_off(reach: &ReachReport) -> Vec<&str> {
    let connected = |index: usize| reach.connections.iter().any(|one| one.from == index || one.to == index);
    let nodes = reach.nodes.iter().enumerate();
    nodes
        .filter(|(index, node)| node.kind == NodeKind::Workloads && !connected(*index))
        .map(|(_, node)| node.name.as_str())
        .collect()
}

fn write_reach(text: &mut String, reach: &ReachReport) {
    text.push_str("<section id=\"reach\" aria-labelledby=\"reach-title\">\n<h2 id=\"reach-title\">Who can reach whom</h2>\n");
    text.push_str(
        "<p class=\"hint\">Senders are rows, receivers are columns. A cell names the first ports that are allowed; <b>all</b> \
         means every port, a question mark what the files do not tell, a dot that nothing is allowed.</p>\n",
    );
    write_matrix(text, reach);
    let alone = cut_off(reach);
    if !alone.is_empty() {
        let _ =
            writeln!(text, "<p class=\"hint\">Nothing may go from or to: {}.</p>", escape(&alone.join(", ")));
    }
    let _ = writeln!(
        text,
        "<h3>As a graph</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Graph of connections\">{}</div>",
        draw(reach, "")
    );
    let _ = writeln!(
        text,
        "<details class=\"block\"><summary>{} with the rules that allow them</summary>",
        plural(reach.connections.len(), "connection")
    );
    write_list(text, reach);
    text.push_str("</details>\n</section>\n");
}

//! A store as one page that needs no server: everything inline, no script, fit for a ticket and for paper.

mod strip;

use std::fmt::Write;

use kline::{Millis, SlotRange};
use pipeline::certify::notes::State;
use store::{Absence, AbsentRange};

use crate::certified;
use crate::coverage::Coverage;
use crate::runs::{Run, grouped};

const STYLE: &str = include_str!("page.css");

/// What a report tells.
#[derive(Debug, Clone)]
pub struct Report {
    /// The store as people may see it: without a password.
    pub store: String,
    /// When it was made, by this machine's clock.
    pub made: Millis,
    /// Version of the program.
    pub version: &'static str,
    /// Where ranges begin and end, in words.
    pub range: String,
    /// The series.
    pub series: Vec<Part>,
    /// The newest runs, newest first.
    pub runs: Vec<Run>,
    /// Gaps, and absences, listed per series at most.
    pub limit: usize,
}

/// One series of a report.
#[derive(Debug, Clone)]
pub struct Part {
    /// What of it is stored, missing and absent.
    pub coverage: Coverage,
    /// The absences, with how and when they were established.
    pub absent: Vec<AbsentRange>,
    /// Klines stored, also outside the range.
    pub rows: u64,
    /// What of the series was certified, also outside the range, and has changed since.
    pub certified: State,
}

/// The page.
pub fn html(report: &Report) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let date = report.made.date();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>klines report, {date}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{}<main>\n",
        strip::PATTERNS
    );
    head(&mut out, report);
    totals(&mut out, report);
    table(&mut out, report);
    for part in &report.series {
        holes(&mut out, part, report.limit);
    }
    runs(&mut out, &report.runs);
    let _ = write!(
        out,
        "</main>\n<footer>klines {} · all times UTC · made {}</footer>\n</body>\n</html>\n",
        escaped(report.version),
        report.made.minute()
    );
    out
}

fn head(out: &mut String, report: &Report) {
    let missing: u64 = report.series.iter().map(|p| p.coverage.missing.len()).sum();
    let gaps: u64 = report.series.iter().map(|p| p.coverage.missing.runs() as u64).sum();
    let with_gaps = report.series.iter().filter(|p| !p.coverage.missing.is_empty()).count() as u64;
    let all = report.series.len() as u64;
    let (kind, mark, words) = match (all, missing) {
        (0, _) => ("none", "–", "Nothing is stored".to_owned()),
        (_, 0) => ("good", "✓", format!("Complete: nothing is missing in {} series", grouped(all))),
        _ => (
            "bad",
            "!",
            format!(
                "{} missing in {}, in {} of {} series",
                plural(missing, "kline"),
                plural(gaps, "gap"),
                grouped(with_gaps),
                grouped(all)
            ),
        ),
    };
    let _ = writeln!(
        out,
        "<header><span class=\"mark {kind}\" aria-hidden=\"true\">{mark}</span><h1>{words}</h1>\
         <p>{} · {} · {}</p></header>",
        escaped(&report.store),
        escaped(&report.range),
        report.made.minute()
    );
}

fn totals(out: &mut String, report: &Report) {
    let sum = |of: fn(&Part) -> u64| report.series.iter().map(of).sum::<u64>();
    let (expected, missing) = (sum(|p| p.coverage.slots.len()), sum(|p| p.coverage.missing.len()));
    let tiles = [
        ("Complete", percent(expected - missing, expected)),
        ("Stored", grouped(sum(|p| p.rows))),
        ("Missing", grouped(missing)),
        ("Gaps", grouped(sum(|p| p.coverage.missing.runs() as u64))),
        ("Absent at the exchange", grouped(sum(|p| p.coverage.absent.len()))),
    ];
    out.push_str("<dl class=\"tiles\">");
    for (title, value) in tiles {
        let _ = write!(out, "<div><dt>{title}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn table(out: &mut String, report: &Report) {
    if report.series.is_empty() {
        return;
    }
    out.push_str("<section><h2>Series</h2>\n");
    out.push_str(strip::LEGEND);
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Series</th><th scope=\"col\">From</th>\
         <th scope=\"col\">To</th><th scope=\"col\" class=\"map\">Coverage</th><th scope=\"col\" class=\"n\">Complete</th>\
         <th scope=\"col\" class=\"n\">Missing</th><th scope=\"col\" class=\"n\">Gaps</th>\
         <th scope=\"col\" class=\"n\">Absent</th><th scope=\"col\" class=\"n\">Klines</th>\
         <th scope=\"col\">Certified</th></tr></thead><tbody>\n",
    );
    for part in &report.series {
        let c = &part.coverage;
        let time = c.series.interval.time_range(c.slots);
        let bad = if c.missing.is_empty() { "n" } else { "n bad" };
        let name = escaped(&c.series.to_string());
        let name = if c.missing.is_empty() && part.absent.is_empty() {
            name
        } else {
            format!("<a href=\"#{}\">{name}</a>", anchor(c))
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td class=\"map\">{}</td>\
             <td class=\"{bad}\">{}</td><td class=\"{bad}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"words\">{}</td></tr>",
            time.since.date(),
            time.until.date(),
            strip::svg(c),
            percent(c.stored() + c.absent.len(), c.slots.len()),
            grouped(c.missing.len()),
            grouped(c.missing.runs() as u64),
            grouped(c.absent.len()),
            grouped(part.rows),
            certified::words(&part.certified),
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// Gaps and absences of one series.
fn holes(out: &mut String, part: &Part, limit: usize) {
    let c = &part.coverage;
    if c.missing.is_empty() && part.absent.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section id=\"{}\"><h2>{}</h2>", anchor(c), escaped(&c.series.to_string()));
    if !c.missing.is_empty() {
        let (klines, gaps) = (plural(c.missing.len(), "kline"), plural(c.missing.runs() as u64, "gap"));
        let _ = writeln!(out, "<h3>{klines} missing in {gaps}</h3>");
        let rows = c.missing.ranges().iter().take(limit).map(|slots| (*slots, String::new()));
        hole_table(out, c, rows, false);
        rest(out, c.missing.runs(), limit);
    }
    if !part.absent.is_empty() {
        let klines = plural(part.absent.iter().map(|a| a.slots.len()).sum(), "kline");
        let _ = writeln!(out, "<h3>{klines} absent at the exchange</h3>");
        let why = |a: &AbsentRange| {
            let how = match a.how {
                Absence::NotListedYet => "not listed yet",
                Absence::EmptyAnswer => "answered twice without it",
            };
            format!("{how}, found out {}", a.at.minute())
        };
        hole_table(out, c, part.absent.iter().take(limit).map(|a| (a.slots, why(a))), true);
        rest(out, part.absent.len(), limit);
    }
    out.push_str("</section>\n");
}

fn hole_table(out: &mut String, c: &Coverage, rows: impl Iterator<Item = (SlotRange, String)>, why: bool) {
    let extra = if why { "<th scope=\"col\">Why</th>" } else { "" };
    let _ = writeln!(
        out,
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">From</th><th scope=\"col\">To</th>\
         <th scope=\"col\" class=\"n\">Klines</th>{extra}</tr></thead><tbody>"
    );
    for (slots, words) in rows {
        let time = c.series.interval.time_range(slots);
        let extra = if why { format!("<td>{words}</td>") } else { String::new() };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>{extra}</tr>",
            time.since.minute(),
            time.until.minute(),
            grouped(slots.len())
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn rest(out: &mut String, all: usize, limit: usize) {
    if all > limit {
        let _ = writeln!(out, "<p>… and {} more, not listed here</p>", grouped((all - limit) as u64));
    }
}

fn runs(out: &mut String, runs: &[Run]) {
    out.push_str("<section><h2>Last runs</h2>\n");
    if runs.is_empty() {
        out.push_str("<p>No run is recorded.</p></section>\n");
        return;
    }
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Ended</th><th scope=\"col\">Job</th>\
         <th scope=\"col\">Series</th><th scope=\"col\">Outcome</th><th scope=\"col\" class=\"n\">Written</th>\
         <th scope=\"col\" class=\"n\">Missing after</th><th scope=\"col\">Why</th></tr></thead><tbody>\n",
    );
    for run in runs {
        let mark = match run.record.outcome {
            store::Outcome::Complete => "✓",
            store::Outcome::Incomplete => "▲",
            store::Outcome::Failed => "✕",
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"{outcome}\">{mark} {outcome}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            run.record.ended.minute(),
            escaped(&run.record.job),
            escaped(&run.record.series.to_string()),
            grouped(run.figures.written),
            grouped(run.figures.missing_after),
            escaped(&run.reason()),
            outcome = run.record.outcome,
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn anchor(c: &Coverage) -> String {
    let name = c.series.to_string();
    name.chars().map(|ch| if ch.is_alphanumeric() { ch } else { '-' }).collect()
}

/// Text as it stands in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A share in percent that never rounds up to 100 nor down to 0.
fn percent(part: u64, whole: u64) -> String {
    if part >= whole {
        return if whole == 0 { "–".into() } else { "100%".into() };
    }
    let hundredths = (u128::from(part) * 10_000 / u128::from(whole)).max(u128::from(part > 0));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

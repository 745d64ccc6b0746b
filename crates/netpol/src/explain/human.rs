//! An explanation laid out for people.

use std::fmt::Write as _;

use super::{End, Explanation, RouteText, Step};

/// Most policies listed that do not select a pod.
const NOT_SELECTING: usize = 6;

/// The text. Reasons that were given before are not repeated.
#[must_use]
pub fn human(explanation: &Explanation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} -> {}: {}", explanation.from, explanation.to, explanation.verdict);
    let _ = writeln!(text, "  --> {}", explanation.from_at);
    let mut told: Vec<(String, String)> = Vec::new();
    for (index, step) in explanation.steps.iter().enumerate() {
        write_step(&mut text, index + 1, step, &mut told);
    }
    for near in &explanation.closest {
        let _ =
            writeln!(text, "  = closest policy: {} ({}): {}", near.policy, near.location, near.difference);
        if let Some(place) = &near.label_location {
            let _ = writeln!(text, "    the pod's label: {place}");
        }
    }
    for hint in &explanation.hints {
        let _ = writeln!(text, "  = hint: {hint}");
    }
    let assumed = match explanation.assumed_default_deny.as_slice() {
        [] => String::new(),
        namespaces => format!("; default-deny assumed in {}", namespaces.join(", ")),
    };
    let _ = writeln!(text, "  = profile: {}{assumed}", explanation.profile);
    text
}

fn write_step(text: &mut String, number: usize, step: &Step, told: &mut Vec<(String, String)>) {
    let optional = if step.required { "" } else { " (not indispensable)" };
    let _ = writeln!(
        text,
        "\n{number}. {}, {}/{}: {}{optional}",
        step.what, step.port, step.protocol, step.verdict
    );
    for route in &step.routes {
        write_route(text, number, step, route, told);
    }
    for note in &step.notes {
        let _ = writeln!(text, "   note: {note}");
    }
}

fn write_route(
    text: &mut String,
    number: usize,
    step: &Step,
    route: &RouteText,
    told: &mut Vec<(String, String)>,
) {
    let several = step.routes.len() > 1;
    if several || !step.what.contains(&route.to) {
        let verdict = if several { format!(": {}", route.verdict) } else { String::new() };
        let _ = writeln!(text, "   to {}, port {}{verdict}", route.to, route.port);
    }
    for (word, end) in [("sender", &route.egress), ("receiver", &route.ingress)] {
        let Some(end) = end else { continue };
        let mut body = String::new();
        write_end(&mut body, end);
        // The port asked for is part of the reasons; without it, equal reasons are told once.
        let plain = body.replace(&format!(", asked was {}", route.port), "");
        if let Some((_, place)) = told.iter().find(|(known, _)| *known == plain && !end.policies.is_empty()) {
            let _ = writeln!(text, "   {word}: {}, for the reasons in {place}", end.verdict);
            continue;
        }
        told.push((plain, format!("{number}.")));
        let _ = writeln!(text, "   {word}: {}", body.trim_end());
    }
}

fn write_end(text: &mut String, end: &End) {
    let _ = writeln!(text, "{}: {}", end.verdict, end.summary);
    for policy in &end.policies {
        let at = if policy.location.is_empty() { String::new() } else { format!(" ({})", policy.location) };
        let selects = if policy.selects == "yes" { "selects" } else { "may select" };
        let rules = if policy.rules.is_empty() { ": it has no rules" } else { "" };
        let _ = writeln!(text, "     {}{at} {selects} the pod{rules}", policy.name);
        for rule in &policy.rules {
            let word = match (rule.matches, rule.action) {
                ("yes", action) => format!("matches: {action}"),
                ("maybe", _) => "may match".to_owned(),
                _ => "does not match".to_owned(),
            };
            let why = if rule.why.is_empty() { String::new() } else { format!(": {}", rule.why.join("; ")) };
            let _ = writeln!(text, "       rule #{} ({}) {word}{why}", rule.number, rule.location);
        }
    }
    for policy in end.not_selecting.iter().take(NOT_SELECTING) {
        let _ = writeln!(
            text,
            "     {} ({}) does not select the pod: {}",
            policy.name, policy.location, policy.why
        );
    }
    if end.not_selecting.len() > NOT_SELECTING {
        let _ =
            writeln!(text, "     {} more policies do not select it", end.not_selecting.len() - NOT_SELECTING);
    }
}
